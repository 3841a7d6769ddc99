"""Fetching OptimusKG, Hetionet and DRKG from a server that stands in for theirs."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flykd_console.cli.graph import app
from flykd_console.errors import UserError
from flykd_console.graph.read import import_graph
from flykd_console.graph.sources import published
from flykd_console.graph.sources.download import Downloaded, Patience
from tests.contracts.graph_samples import SAMPLES

QUICK = Patience(connect=2.0, stall=0.5, attempts=3, first_wait=0.001, longest_wait=0.002)


class Server:
    """Serves bodies by path with ranges; `cut` breaks the first answer for a path off after so many bytes."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.headers: dict[str, str] = {"ETag": '"one"'}
        self.cut: dict[str, int] = {}
        self.asked: list[tuple[str, str]] = []
        self.url = ""


@pytest.fixture
def server() -> Iterator[Server]:
    plan = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            plan.asked.append((self.path, wanted))
            body = plan.files.get(self.path)
            first = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted and body else 0
            self.send_response(404 if body is None else 206 if first else 200)
            for name, value in plan.headers.items():
                self.send_header(name, value)
            if body is not None and first:
                self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
            self.send_header("Content-Length", str(len(body or b"") - first))
            self.end_headers()
            stop = plan.cut.pop(self.path, None)
            self.wfile.write((body or b"")[first:stop])
            if stop is not None:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    plan.url = f"http://127.0.0.1:{http.server_address[1]}"
    yield plan
    http.shutdown()
    http.server_close()
    thread.join()


def _bodies(name: str, folder: Path) -> dict[str, bytes]:
    """The files of a data set as published, by name, holding the sample graph."""
    folder.mkdir()
    SAMPLES[name](folder)
    if name == "optimuskg":
        return {file.name: file.read_bytes() for file in folder.iterdir()}
    if name == "hetionet":
        return {
            "hetionet-v1.0-nodes.tsv": (folder / "nodes.tsv").read_bytes(),
            "hetionet-v1.0-edges.sif.gz": gzip.compress((folder / "edges.sif").read_bytes(), mtime=0),
        }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(folder / "drkg.tsv", "./drkg.tsv")
    return {"drkg.tar.gz": packed.getvalue()}


def _publish(server: Server, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    bodies = _bodies(name, folder)
    chosen = published.DATA_SETS[name]
    if chosen.doi:
        listed = [{"directoryLabel": "deep/er", "dataFile": {"id": 9, "filename": "nodes.parquet", "filesize": 1}}]
        for number, (kept, body) in enumerate(bodies.items(), start=1):
            checksum = {"type": "MD5", "value": hashlib.md5(body).hexdigest()}
            about = {"id": number, "filename": kept, "filesize": len(body), "checksum": checksum}
            listed.append({"directoryLabel": "gold", "dataFile": about})
            server.files[f"/api/access/datafile/{number}"] = body
        path = f"/api/datasets/:persistentId/versions/:latest-published/files?persistentId={chosen.doi}"
        server.files[path] = json.dumps({"status": "OK", "data": listed}).encode()
        return bodies
    files = []
    for file in chosen.files:
        body = bodies[file.name]
        server.files[file.path] = body
        sha256 = hashlib.sha256(body).hexdigest() if file.sha256 else ""
        size = len(body) if file.size else None
        files.append(published.PublishedFile(file.name, file.begins, file.path, size, sha256))
    changed = published.DataSet(name, chosen.base_url, chosen.page, chosen.terms, tuple(files))
    monkeypatch.setitem(published.DATA_SETS, name, changed)
    return bodies


@pytest.mark.parametrize("name", published.DATA_SETS)
def test_every_file_comes_and_together_they_are_the_graph(
    server: Server, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = _publish(server, name, tmp_path / "made", monkeypatch)
    found = published.fetch(name, tmp_path / "kept", server.url, patience=QUICK)
    assert all(isinstance(one, Downloaded) for one in found)
    assert {path.name: path.read_bytes() for path in (tmp_path / "kept").iterdir()} == bodies
    assert import_graph([tmp_path / "kept"]).report.kept == 2
    before = len(server.asked)
    again = published.fetch(name, tmp_path / "kept", server.url, patience=QUICK)
    assert all(isinstance(one, Path) for one in again)
    assert len(server.asked) - before == (1 if published.DATA_SETS[name].doi else 0)


@pytest.mark.parametrize("name", published.DATA_SETS)
def test_a_download_that_breaks_off_goes_on_where_it_was(
    server: Server, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = _publish(server, name, tmp_path / "made", monkeypatch)
    path = next(path for path, body in server.files.items() if body in bodies.values())
    server.cut[path] = 40
    published.fetch(name, tmp_path / "kept", server.url, patience=QUICK)
    assert (path, "bytes=40-") in server.asked
    assert {file.name: file.read_bytes() for file in (tmp_path / "kept").iterdir()} == bodies


@pytest.mark.parametrize("name", ["optimuskg", "hetionet"])
def test_a_wrong_checksum_is_refused_and_nothing_is_kept(
    server: Server, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = _publish(server, name, tmp_path / "made", monkeypatch)
    last = bodies[published.DATA_SETS[name].files[-1].name]
    for path, body in server.files.items():
        if body == last:
            server.files[path] = body[:-1] + bytes([body[-1] ^ 1])
    with pytest.raises(UserError, match="but what came has"):
        published.fetch(name, tmp_path / "kept", server.url, patience=QUICK)
    assert len(list((tmp_path / "kept").iterdir())) == len(bodies) - 1


def test_a_pointer_or_a_page_instead_of_the_file_is_refused(server: Server, tmp_path: Path) -> None:
    path = published.DATA_SETS["drkg"].files[0].path
    for body in (b"<html>Sign in</html>", b"version https://git-lfs.github.com/spec/v1\n"):
        server.files[path] = body
        with pytest.raises(UserError, match=r"is not drkg\.tar\.gz, but a page or a pointer"):
            published.fetch("drkg", tmp_path, server.url, patience=QUICK)
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_that_lacks_the_file_names_those_it_has(server: Server, tmp_path: Path) -> None:
    doi = published.DATA_SETS["optimuskg"].doi
    path = f"/api/datasets/:persistentId/versions/:latest-published/files?persistentId={doi}"
    server.files[path] = json.dumps({"data": [{"dataFile": {"id": 1, "filename": "other.parquet"}}]}).encode()
    with pytest.raises(UserError, match=r"no file nodes\.parquet.*It has other\.parquet"):
        published.fetch("optimuskg", tmp_path, server.url, patience=QUICK)
    for body in (b"<html>", b"[]", b'{"data": 3}'):
        server.files[path] = body
        with pytest.raises(UserError, match="no list of files"):
            published.fetch("optimuskg", tmp_path, server.url, patience=QUICK)
    del server.files[path]
    with pytest.raises(UserError, match="answered 404"):
        published.fetch("optimuskg", tmp_path, server.url, patience=QUICK)


def test_the_command_shows_terms_first_and_the_next_step_last(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLYKD_DATA", str(tmp_path / "data"))
    _publish(server, "hetionet", tmp_path / "made", monkeypatch)
    result = CliRunner().invoke(app, ["fetch", "hetionet", "--base-url", server.url], catch_exceptions=False)
    assert result.exit_code == 0
    assert "CC0 1.0" in result.stderr
    assert "github.com/hetio/hetionet" in result.stderr
    assert "(verified by the repository)" in result.stdout
    place = tmp_path / "data" / "hetionet"
    assert result.stdout.splitlines()[-1] == f"Next: flykd-console graph import {place} --to hetionet.parquet"


def test_unknown_names_and_addresses(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no data set 'spoke'.*optimuskg, hetionet, drkg"):
        published.fetch("spoke", tmp_path)
    with pytest.raises(UserError, match="is not a web address"):
        published.fetch("drkg", tmp_path, "example.org")
