"""A small Dataverse on 127.0.0.1 with the real one's paths, which can misbehave in every way that a download meets."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Dataverse:
    """What the server does; `requests` are the paths and ranges it was asked for.

    Attributes:
        breaks: For the n-th request of the file, after how many bytes of its body the connection is cut.
        stalls: The same, but the connection stays open and silent.
        statuses: For the n-th request of the file, a status to answer instead.
        circles: Whether the file's address redirects to itself.
        length_off: Added to the true Content-Length.
    """

    content: bytes
    url: str = ""
    ranges: bool = True
    redirect: bool = False
    circles: bool = False
    metadata: bool = True
    checksum: str = ""
    size: int | None = None
    ingested: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"ETag": '"one"'})
    breaks: dict[int, int] = field(default_factory=dict)
    stalls: dict[int, int] = field(default_factory=dict)
    statuses: dict[int, int] = field(default_factory=dict)
    always: int = 0
    length_off: int = 0
    requests: list[tuple[str, str]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def asked(self) -> list[str]:
        """The ranges that were asked for, in order; empty for a whole file."""
        return [
            wanted
            for path, wanted in self.requests
            if "/store/" in path or ("/datafile/" in path and not self.redirect)
        ]

    def about(self) -> bytes:
        file: dict[str, object] = {
            "filesize": len(self.content) if self.size is None else self.size,
            "checksum": {"type": "MD5", "value": self.checksum or hashlib.md5(self.content).hexdigest()},
        }
        if self.ingested:
            file |= {
                "originalFileFormat": "text/csv",
                "originalFileSize": len(self.content),
                "filesize": len(self.ingested),
            }
        return json.dumps({"status": "OK", "data": {"label": "kg.csv", "dataFile": file}}).encode()


@contextmanager
def serving(server: Dataverse) -> Iterator[Dataverse]:
    """Run the server for the time of a `with` block."""

    class Handler(_Handler):
        plan = server

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    try:
        yield server
    finally:
        server.released.set()
        http.shutdown()
        http.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    plan: Dataverse

    def do_GET(self) -> None:
        plan = self.plan
        plan.requests.append((self.path, self.headers.get("Range", "")))
        if self.path.startswith("/api/files/"):
            self._answer(200 if plan.metadata else 404, {}, plan.about() if plan.metadata else b"")
        elif plan.circles:
            self._answer(303, {"Location": self.path}, b"")
        elif self.path.startswith("/api/access/datafile/") and plan.redirect:
            self._answer(303, {"Location": f"/store/{self.path.rsplit('/', 1)[1]}"}, b"")
        elif self.path.startswith(("/api/access/datafile/", "/store/")):
            self._file(plan)
        else:
            self._answer(404, {}, b"")

    def _file(self, plan: Dataverse) -> None:
        turn = len(plan.asked) - 1
        status = plan.always or plan.statuses.get(turn, 0)
        if status:
            self._answer(status, {}, b"sorry")
            return
        body = plan.ingested if plan.ingested and "format=original" not in self.path else plan.content
        first, status, headers = 0, 200, dict(plan.headers)
        wanted = self.headers.get("Range", "")
        fits = self.headers.get("If-Range") in (None, plan.headers.get("ETag"), plan.headers.get("Last-Modified"))
        if plan.ranges and wanted and fits:
            first = int(wanted.removeprefix("bytes=").partition("-")[0])
            if first >= len(body):
                self._answer(416, {"Content-Range": f"bytes */{len(body)}"}, b"")
                return
            status = 206
            headers["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
        self._answer(status, headers, body[first:], turn)

    def _answer(self, status: int, headers: dict[str, str], body: bytes, turn: int = -1) -> None:
        plan = self.plan
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) + (plan.length_off if turn >= 0 else 0)))
        self.end_headers()
        cut = plan.breaks.get(turn, plan.stalls.get(turn)) if turn >= 0 else None
        self.wfile.write(body[:cut])
        self.wfile.flush()
        if turn >= 0 and turn in plan.stalls:
            plan.released.wait(20)
        if cut is not None or (turn >= 0 and plan.length_off):
            time.sleep(0)
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""
