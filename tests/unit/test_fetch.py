"""Fetching PrimeKG from a server that does everything a server can do wrong."""

from __future__ import annotations

import base64
import errno
import fcntl
import hashlib
import os
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flykd_console.cli.graph import app
from flykd_console.errors import UserError
from flykd_console.graph.sources import primekg
from flykd_console.graph.sources.checksum import Checksum
from flykd_console.graph.sources.download import Downloaded, Patience
from flykd_console.words import grouped
from tests.support.dataverse import Dataverse, serving
from tests.support.graph_files import HEADER, write_rows

CONTENT = ",".join(HEADER).encode() + b"\n" + random.Random(0).randbytes(3_000_000)
MD5 = hashlib.md5(CONTENT).hexdigest()
QUICK = Patience(connect=2.0, stall=0.3, attempts=3, first_wait=0.001, longest_wait=0.002)


def fetched(server: Dataverse, tmp_path: Path, **options: object) -> Downloaded:
    result = primekg.fetch("kg", tmp_path, server.url, patience=QUICK, **options)  # type: ignore[arg-type]
    assert isinstance(result, Downloaded)
    assert result.path.read_bytes() == server.content
    assert os.listdir(tmp_path) == ["kg.csv"], "nothing but the file is left"
    return result


def refused(server: Dataverse, tmp_path: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        primekg.fetch("kg", tmp_path, server.url, patience=QUICK)
    assert not (tmp_path / "kg.csv").exists()
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_sound_server(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    with serving(Dataverse(CONTENT)) as server:
        result = fetched(server, tmp_path, report=lambda done, total: seen.append((done, total)))
    assert [path for path, _ in server.requests] == ["/api/files/6180620", "/api/access/datafile/6180620"]
    assert (result.size, result.checksum, result.verified_by) == (len(CONTENT), Checksum("md5", MD5), "Dataverse")
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize(
    ("what", "number"), [("kg", 6180620), ("txgnn-kg", 6180626), ("nodes", 6180617), ("edges", 6180616)]
)
def test_each_file_has_its_number(tmp_path: Path, what: str, number: int) -> None:
    header = b"relation,x_id,x_type,x_name,y_id,y_type,y_name,node_id,node_type,x_index,y_index\n"
    with serving(Dataverse(header)) as server:
        primekg.fetch(what, tmp_path, server.url, patience=QUICK)
    assert server.requests[-1][0] == f"/api/access/datafile/{number}"


def test_a_table_that_dataverse_took_in_is_asked_for_as_it_was_uploaded(tmp_path: Path) -> None:
    with serving(Dataverse(CONTENT, ingested=CONTENT.replace(b",", b"\t"))) as server:
        assert fetched(server, tmp_path).verified_by == "Dataverse"
    assert server.requests[-1][0].endswith("?format=original")


def test_redirects_to_the_store_are_followed(tmp_path: Path) -> None:
    with serving(Dataverse(CONTENT, redirect=True, breaks={0: 700_000})) as server:
        fetched(server, tmp_path)
    assert server.asked == ["", "bytes=700000-"]


def test_a_connection_that_breaks_off_goes_on_where_it_was(tmp_path: Path) -> None:
    said: list[str] = []
    with serving(Dataverse(CONTENT, breaks={0: 1_000_000, 1: 500_000})) as server:
        result = fetched(server, tmp_path, log=said.append)
    assert server.asked == ["", "bytes=1000000-", "bytes=1500000-"]
    assert result.resumed_from == 1_500_000
    assert said[0] == "The connection broke off after 1\u202f000\u202f000 bytes; trying again."


def test_more_breaks_than_attempts_are_fine_while_each_brings_something(tmp_path: Path) -> None:
    with serving(Dataverse(CONTENT, breaks=dict.fromkeys(range(10), 200_000))) as server:
        fetched(server, tmp_path)
    assert len(server.asked) == 11


def test_a_silent_connection_is_left_and_taken_up_again(tmp_path: Path) -> None:
    said: list[str] = []
    with serving(Dataverse(CONTENT, stalls={0: 262_144})) as server:
        fetched(server, tmp_path, log=said.append)
    assert server.asked == ["", "bytes=262144-"]
    assert said == ["The server went silent after 262\u202f144 bytes; trying again."]


def test_a_server_that_ignores_range_starts_over(tmp_path: Path) -> None:
    with serving(Dataverse(CONTENT, ranges=False, breaks={0: 1_000_000})) as server:
        assert fetched(server, tmp_path).resumed_from == 0
    assert server.asked == ["", "bytes=1000000-"]


def test_a_server_that_ignores_range_and_always_breaks_off_is_given_up(tmp_path: Path) -> None:
    with serving(Dataverse(CONTENT, ranges=False, breaks=dict.fromkeys(range(50), 1_000_000))) as server:
        error = refused(server, tmp_path)
    assert "broke off after 1\u202f000\u202f000 bytes" in error.title
    assert len(server.asked) <= QUICK.attempts + 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_trouble_is_waited_out(tmp_path: Path, status: int) -> None:
    said: list[str] = []
    with serving(Dataverse(CONTENT, statuses={0: status, 1: status})) as server:
        fetched(server, tmp_path, log=said.append)
    assert len(said) == 2
    assert str(status) in said[0]


def test_a_trouble_that_does_not_pass(tmp_path: Path) -> None:
    with serving(Dataverse(CONTENT, always=503)) as server:
        error = refused(server, tmp_path)
    assert "503" in error.title
    assert len(server.asked) == QUICK.attempts


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_final_answer_is_not_asked_for_again(tmp_path: Path, status: int) -> None:
    with serving(Dataverse(CONTENT, always=status)) as server:
        error = refused(server, tmp_path)
    assert str(status) in error.title
    assert error.hint
    assert len(server.asked) == 1
    assert server.url in error.where


def test_a_wrong_checksum_is_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    with serving(Dataverse(CONTENT, checksum="0" * 32)) as server:
        error = refused(server, tmp_path)
    assert f"Dataverse says MD5 {'0' * 32}, but what came has {MD5}" in error.title
    assert len(server.asked) == 1
    assert os.listdir(tmp_path) == []


def test_a_part_of_another_file_is_noticed_and_fetched_afresh(tmp_path: Path) -> None:
    """The part on disk is spoilt, but everything about it looks right: only the checksum tells."""
    with serving(Dataverse(CONTENT)) as server:
        url = f"{server.url}/api/access/datafile/6180620"
        (tmp_path / "kg.csv.part").write_bytes(b"x" * 1000)
        (tmp_path / "kg.csv.part.json").write_text(f'{{"url": "{url}", "validator": "\\"one\\""}}')
        fetched(server, tmp_path)
    assert server.asked == ["bytes=1000-", ""]


def test_a_later_call_goes_on_with_what_an_earlier_one_left(tmp_path: Path) -> None:
    with serving(Dataverse(CONTENT, breaks={0: 900_000}, statuses={1: 503, 2: 503, 3: 503})) as server:
        error = refused(server, tmp_path)
        assert "900\u202f000 bytes that came are kept" in error.hint
        assert fetched(server, tmp_path).resumed_from == 900_000


def test_a_file_that_changed_meanwhile_starts_over(tmp_path: Path) -> None:
    with serving(Dataverse(CONTENT, metadata=False, breaks={0: 900_000}, statuses={1: 503, 2: 503, 3: 503})) as server:
        refused(server, tmp_path)
        server.content = CONTENT[:1000] + b"changed" * 1000
        server.headers = {"ETag": '"two"'}
        assert fetched(server, tmp_path).resumed_from == 0


def test_a_part_that_nothing_vouches_for_is_not_built_upon(tmp_path: Path) -> None:
    (tmp_path / "kg.csv.part").write_bytes(b"x" * 1000)
    with serving(Dataverse(CONTENT, metadata=False)) as server:
        fetched(server, tmp_path)
    assert server.asked == [""]


def test_a_part_that_is_whole_already_is_only_checked(tmp_path: Path) -> None:
    (tmp_path / "kg.csv.part").write_bytes(CONTENT)
    with serving(Dataverse(CONTENT)) as server:
        fetched(server, tmp_path)
    assert server.asked == []


def test_a_part_of_the_whole_size_that_is_spoilt_is_fetched_afresh(tmp_path: Path) -> None:
    (tmp_path / "kg.csv.part").write_bytes(bytes(len(CONTENT)))
    with serving(Dataverse(CONTENT)) as server:
        assert fetched(server, tmp_path).resumed_from == 0
    assert server.asked == [""]


def test_an_address_that_leads_in_circles_is_given_up_at_once(tmp_path: Path) -> None:
    with serving(Dataverse(CONTENT, circles=True)) as server:
        error = refused(server, tmp_path)
    assert "leads nowhere" in error.title
    assert os.listdir(tmp_path) == []


def test_a_length_that_is_too_long_is_found_out(tmp_path: Path) -> None:
    with serving(Dataverse(CONTENT, length_off=1000)) as server:
        assert fetched(server, tmp_path).verified_by == "Dataverse"


def test_a_length_that_is_too_long_without_metadata(tmp_path: Path) -> None:
    """The server's second answer, that there is nothing after these bytes, settles it."""
    with serving(Dataverse(CONTENT, metadata=False, length_off=1000)) as server:
        assert fetched(server, tmp_path).verified_by == ""
    assert server.asked == ["", f"bytes={len(CONTENT)}-"]


def test_a_length_that_is_too_short_is_found_out_by_the_size_that_dataverse_tells(tmp_path: Path) -> None:
    with serving(Dataverse(CONTENT, length_off=-1000)) as server:
        error = refused(server, tmp_path)
    assert f"of {grouped(len(CONTENT))} bytes" in error.title


def test_without_metadata_the_servers_own_checksum_is_used(tmp_path: Path) -> None:
    given = base64.b64encode(hashlib.md5(CONTENT).digest()).decode()
    with serving(Dataverse(CONTENT, metadata=False, headers={"Content-MD5": given})) as server:
        assert fetched(server, tmp_path).verified_by == "Content-MD5"
    wrong = base64.b64encode(bytes(16)).decode()
    with serving(Dataverse(CONTENT, metadata=False, headers={"Content-MD5": wrong})) as server:
        (tmp_path / "kg.csv").unlink()
        assert "Content-MD5 says MD5 000" in refused(server, tmp_path).title


def test_the_etag_is_a_checksum_only_where_it_is_s3s_and_of_one_piece(tmp_path: Path) -> None:
    store = {"x-amz-request-id": "1"}
    cases = [
        ({"ETag": f'"{MD5}"'} | store, "the ETag"),
        ({"ETag": f'"{MD5[:30]}-12"'} | store, ""),
        ({"ETag": f'"{"0" * 32}"'}, ""),
    ]
    for headers, verified_by in cases:
        with serving(Dataverse(CONTENT, metadata=False, headers=headers)) as server:
            assert fetched(server, tmp_path, force=True).verified_by == verified_by


def test_without_any_checksum_one_is_computed_and_called_unverified(tmp_path: Path) -> None:
    with serving(Dataverse(CONTENT, metadata=False)) as server:
        result = fetched(server, tmp_path)
    assert result.verified_by == ""
    assert result.checksum == Checksum("sha256", hashlib.sha256(CONTENT).hexdigest())


def test_a_page_instead_of_the_file_is_not_kept(tmp_path: Path) -> None:
    with serving(Dataverse(b"<!DOCTYPE html><html>Please log in</html>")) as server:
        error = refused(server, tmp_path)
    assert "is not PrimeKG's kg.csv" in error.title
    assert os.listdir(tmp_path) == []


def test_no_network(tmp_path: Path) -> None:
    with serving(Dataverse(CONTENT)) as server:
        pass
    error = refused(server, tmp_path)  # nobody listens there any more
    assert "no connection to the server" in error.title
    assert "Check the network" in error.hint


def test_a_disk_without_room_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "flykd_console.graph.sources.download.shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})()
    )
    with serving(Dataverse(CONTENT)) as server:
        assert "the disk has 1\u202f000 bytes free" in refused(server, tmp_path).title


def test_a_disk_that_fills_up_keeps_what_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with serving(Dataverse(CONTENT)) as server:
        with monkeypatch.context() as patch:
            patch.setattr("flykd_console.graph.sources.download.os.replace", full)
            error = refused(server, tmp_path)
        assert error.title == "the disk is full"
        assert (tmp_path / "kg.csv.part").stat().st_size == len(CONTENT)
        fetched(server, tmp_path)
    assert server.asked == [""]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with serving(Dataverse(CONTENT)) as server, pytest.raises(UserError, match="cannot be written"):
        primekg.fetch("kg", tmp_path / "file" / "data", server.url, patience=QUICK)


def test_two_downloads_of_one_file_do_not_mix(tmp_path: Path) -> None:
    with (tmp_path / "kg.csv.part").open("a+b") as other, serving(Dataverse(CONTENT)) as server:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert "another download of this file is running" in refused(server, tmp_path).title


def test_a_file_that_is_there_is_checked_and_not_fetched_again(tmp_path: Path) -> None:
    with serving(Dataverse(CONTENT)) as server:
        fetched(server, tmp_path)
        assert primekg.fetch("kg", tmp_path, server.url, patience=QUICK) == tmp_path / "kg.csv"
        assert len(server.asked) == 1
        (tmp_path / "kg.csv").write_bytes(b"spoilt")
        fetched(server, tmp_path)
        fetched(server, tmp_path, force=True)
    assert len(server.asked) == 3


def test_unknown_files_and_addresses(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no file 'all'"):
        primekg.fetch("all", tmp_path)
    with pytest.raises(UserError, match="is not a web address"):
        primekg.fetch("kg", tmp_path, "dataverse.harvard.edu")


def test_the_command_shows_size_checksum_and_the_next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYKD_DATA", str(tmp_path))
    monkeypatch.setenv("FLYKD_CACHE", str(tmp_path / "cache"))
    content = write_rows(tmp_path / "kg.csv", [("indication", "drug", "DB1", "disease", "1")]).read_bytes()
    with serving(Dataverse(content)) as server:
        arguments = ["fetch", "primekg", "--base-url", server.url]
        first = CliRunner().invoke(app, arguments, catch_exceptions=False)
        second = CliRunner().invoke(app, arguments, catch_exceptions=False)
    said = " ".join(first.stdout.split())
    assert f"{len(content)} bytes" in said
    assert f"MD5 {hashlib.md5(content).hexdigest()} (verified by Dataverse)" in said
    assert "flykd-console graph info primekg" in said
    assert "is there already" in second.stdout
    shown = CliRunner().invoke(app, ["info", "primekg"], catch_exceptions=False)
    assert "primekg: 2 nodes, 1 edges" in shown.stdout


def test_the_command_refuses_other_data_sets() -> None:
    result = CliRunner().invoke(app, ["fetch", "nonsense"])
    assert isinstance(result.exception, UserError)
