"""The card's header by the hub's own reader, and a push against a stand-in that speaks the hub's protocol."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from exporters.bundle import export_run
from exporters.hub import check_repository, push_bundle
from flykd_console.errors import UserError
from tests.support.finished_run import RunSpec, make_finished_run

huggingface_hub = pytest.importorskip("huggingface_hub")


class StandIn(BaseHTTPRequestHandler):
    """The few addresses of the hub that a push of small files asks for; keeps what it is given."""

    files: dict[str, bytes]
    made: list[dict[str, Any]]
    refuse: int

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server: Any = self.server
        if server.refuse:
            self._answer({"error": "no"}, server.refuse)
        elif self.path == "/api/repos/create":
            server.made.append(json.loads(body))
            self._answer({"url": f"{server.address}/me/drugs", "id": "me/drugs"})
        elif self.path == "/api/validate-yaml":
            server.card = json.loads(body)["content"]
            self._answer({"errors": [], "warnings": []})
        elif self.path.endswith("/preupload/main"):
            asked = json.loads(body)["files"]
            modes = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in asked]
            self._answer({"files": modes})
        elif self.path.endswith("/commit/main"):
            for line in map(json.loads, body.decode().splitlines()):
                if line["key"] == "file":
                    server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            url = f"{server.address}/me/drugs/commit/{'a' * 40}"
            self._answer({"success": True, "commitOid": "a" * 40, "commitUrl": url, "hookOutput": ""})
        else:
            self._answer({"error": self.path}, 404)

    def do_GET(self) -> None:
        if "/revision/" in self.path or re.fullmatch(r"/api/models/[^/]+/[^/?]+(\?.*)?", self.path):
            self._answer({"id": "me/drugs", "sha": "a" * 40, "siblings": [], "private": True, "tags": []})
        else:
            self._answer({})

    def _answer(self, data: object, code: int = 200) -> None:
        text = json.dumps(data).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    server.files, server.made, server.refuse, server.card = {}, [], 0, ""
    server.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    # The client reads HF_ENDPOINT when it is imported.
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.address)
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return export_run(make_finished_run(tmp_path, RunSpec(seeds=(45,)))).path


def test_the_header_is_what_the_hubs_reader_expects(bundle: Path) -> None:
    card = huggingface_hub.ModelCard((bundle / "README.md").read_text())
    assert card.data.library_name == "flykd-console"
    assert card.data.pipeline_tag == "graph-ml"
    assert "drug-repurposing" in card.data.tags
    results = {result.metric_name: result for result in card.data.eval_results}
    manifest = json.loads((bundle / "manifest.json").read_text())
    auprc = manifest["metrics"]["test"]["metrics"]["macro_auprc"]
    assert results["macro_auprc"].metric_value == pytest.approx(auprc, abs=1e-6)
    assert results["macro_auprc"].dataset_name == "embedded"
    assert card.text.lstrip().startswith("# ")


def test_a_push_uploads_every_file_in_one_commit(bundle: Path, hub: Any) -> None:
    address = push_bundle(bundle, "me/drugs")
    assert address.endswith("/commit/" + "a" * 40)
    assert hub.files == {path.name: path.read_bytes() for path in bundle.iterdir()}
    assert hub.made[0].get("private") is True or hub.made[0].get("visibility") == "private"
    assert hub.card == (bundle / "README.md").read_text()


@pytest.mark.parametrize(("code", "words"), [(401, "HTTP 401"), (403, "HTTP 403"), (500, "HTTP 500")])
def test_what_the_hub_refuses_is_one_line(code: int, words: str, bundle: Path, hub: Any) -> None:
    hub.refuse = code
    with pytest.raises(UserError, match=words):
        push_bundle(bundle, "me/drugs")
    assert not hub.files


def test_a_damaged_bundle_is_not_pushed(bundle: Path, hub: Any) -> None:
    path = bundle / "scoring_head.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(UserError, match=r"scoring_head\.onnx"):
        push_bundle(bundle, "me/drugs")
    assert not hub.made


@pytest.mark.parametrize("name", ["", "a b", "../x", "a/b/c", "-x"])
def test_names_that_are_none_are_refused_before_anything_is_exported(name: str) -> None:
    with pytest.raises(UserError, match="is no name of a repository"):
        check_repository(name)
