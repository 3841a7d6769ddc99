"""`flykd-console serve` as a process: asked with curl, given new bundles while it answers, ended without losing one."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from exporters.bundle import export_run
from exporters.scorer import Scorer
from tests.support.finished_run import RunSpec, make_finished_run

TOKEN = "correct-horse-battery-staple"


class Service:
    """One process, and how to ask it."""

    def __init__(self, *arguments: str, cwd: Path, env: dict[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "flykd_console", "serve", *arguments, "--port", "0"]
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        found = re.search(r"http://[\d.]+:(\d+)", self.line)
        assert found, self.line + str(self.process.communicate(timeout=10))
        self.url, self.port = found[0], int(found[1])

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=30) as reply:
            return json.load(reply)

    def run(self) -> str:
        """The run that answers."""
        return str(self.get("/rank?disease=T0003&top=1")["scored_by"]["run"])

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Exit code and standard error."""
        self.process.send_signal(number)
        _, error = self.process.communicate(timeout=60)
        return self.process.returncode, error


Start = Callable[..., Service]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    services: list[Service] = []

    def begin(*arguments: str, **settings: Any) -> Service:
        services.append(Service(*arguments, cwd=tmp_path, **settings))
        return services[-1]

    yield begin
    for service in services:
        if service.process.poll() is None:
            service.process.kill()
        service.process.communicate()


def bundle_at(place: Path, run: str, seed: int) -> None:
    """Write a bundle and put it in place."""
    runs = place.parent / "runs"
    directory = make_finished_run(runs, RunSpec(name=run, seeds=(seed,)))
    export_run(directory)
    if place.exists():
        place.rename(place.with_name("old"))
        shutil.rmtree(place.with_name("old"))
    directory.export.rename(place)


def until(true: Callable[[], bool], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not there")
def test_curl_is_answered_as_the_scorer_answers(start: Start, tmp_path: Path) -> None:
    bundle_at(tmp_path / "bundle", "first", 45)
    service = start("one=bundle", "runs/first/../../bundle")
    assert "one (run first), bundle (run first)" in service.line

    def curl(path: str, *options: str) -> Any:
        done = subprocess.run(["curl", "-sS", "--max-time", "30", service.url + path, *options], capture_output=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    with Scorer(tmp_path / "bundle") as scorer:
        told = curl("/rank?disease=T0003&relation=indication&top=5&bundle=one")
        expected = scorer.rank_heads("T0003", "indication", top=5)
        assert [one["id"] for one in told["lists"][0]["rows"]] == [one.id for one in expected]
        body = json.dumps({"pairs": [{"drug": "H0001", "disease": "T0003"}], "relation": "indication"})
        scored = curl("/score", "-H", "Content-Type: application/json", "-d", body)
        assert scored["pairs"][0]["logit"] == scorer.score_pairs([("H0001", "T0003")], "indication")[0].logit
    assert curl("/health") == {"status": "ok"}
    assert "there is no disease 'T9999'" in curl("/rank?disease=T9999")["error"]
    assert service.end() == (0, "")


def test_a_new_bundle_in_place_is_taken_without_a_gap_and_a_bad_one_refused(start: Start, tmp_path: Path) -> None:
    place = tmp_path / "bundle"
    bundle_at(place, "first", 45)
    service = start("bundle", "--poll", "0.1")
    assert service.run() == "first"
    runs: list[str] = []
    lost: list[Exception] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                runs.append(service.run())
            except Exception as error:
                lost.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    bundle_at(place, "second", 46)
    assert until(lambda: runs[-1:] == ["second"])
    data = (place / "embeddings.h5").read_bytes()
    (place / "embeddings.h5").write_bytes(data[:1000])
    time.sleep(0.5)
    count = len(runs)
    assert until(lambda: len(runs) > count + 5)
    over.set()
    asking.join()
    assert lost == []
    assert runs == sorted(runs)
    assert set(runs) == {"first", "second"}
    code, error = service.end()
    assert code == 0
    opened, refused = error.splitlines()
    assert opened == "bundle was opened anew: run second."
    assert "the bundle is damaged" in refused
    assert "Kept: bundle as it was opened before." in refused


def test_sighup_opens_the_bundles_anew(start: Start, tmp_path: Path) -> None:
    place = tmp_path / "bundle"
    bundle_at(place, "first", 45)
    service = start("bundle", "--poll", "0")
    bundle_at(place, "second", 46)
    assert service.run() == "first"
    service.process.send_signal(signal.SIGHUP)
    assert until(lambda: service.run() == "second")
    assert service.end(signal.SIGINT)[0] == 0


def test_sigterm_answers_what_is_in_work_and_then_ends(start: Start, tmp_path: Path) -> None:
    bundle_at(tmp_path / "bundle", "first", 45)
    service = start("bundle")
    body = json.dumps({"pairs": [{"drug": "H0001", "disease": "T0003"}]}).encode()
    lines = "POST /score HTTP/1.1", "Host: localhost", "Content-Type: application/json", f"Content-Length: {len(body)}"
    head = "".join(f"{line}\r\n" for line in (*lines, ""))
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as talk:
        talk.sendall(head.encode() + body[:10])
        time.sleep(0.3)
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert service.process.poll() is None
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", service.port), timeout=5)
        talk.sendall(body[10:])
        reply = b""
        while piece := talk.recv(65536):
            reply += piece
    assert reply.startswith(b"HTTP/1.1 200")
    assert json.loads(reply.partition(b"\r\n\r\n")[2])["pairs"]
    assert service.process.wait(timeout=30) == 0


def test_who_is_slow_or_too_many_is_cut_off(start: Start, tmp_path: Path) -> None:
    bundle_at(tmp_path / "bundle", "first", 45)
    service = start("bundle", "--timeout", "1")

    def talk(text: bytes) -> bytes:
        """What comes until the service closes the connection."""
        with socket.create_connection(("127.0.0.1", service.port), timeout=30) as one:
            one.sendall(text)
            reply = b""
            while piece := one.recv(65536):
                reply += piece
            return reply

    assert talk(b"") == b""
    assert talk(b"GET /health HTTP/1.1\r\nHost: loc") == b""
    slow = b"POST /score HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
    assert talk(slow).startswith(b"HTTP/1.1 408")
    assert talk(b"\x16\x03\x01 nonsense\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert service.run() == "first"


def test_more_than_it_takes_on_is_refused_at_once_and_nothing_is_lost(start: Start, tmp_path: Path) -> None:
    bundle_at(tmp_path / "bundle", "first", 45)
    service = start("bundle", "--concurrency", "1", "--threads", "1")
    pairs = [{"drug": f"H{n % 30:04d}", "disease": f"T{n % 50:04d}"} for n in range(9000)]
    body = json.dumps({"pairs": pairs}).encode()
    answers: list[tuple[int, str, Any]] = []

    def ask() -> None:
        request = urllib.request.Request(service.url + "/score", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                answers.append((reply.status, "", len(json.load(reply)["pairs"])))
        except urllib.error.HTTPError as error:
            answers.append((error.code, error.headers["retry-after"], json.load(error)["title"]))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(answers) == 8
    assert set(answers) == {(200, "", 18000), (503, "1", "1 requests are in work")}


def test_a_token_is_asked_for_and_other_machines_are_not_let_in_without(start: Start, tmp_path: Path) -> None:
    bundle_at(tmp_path / "bundle", "first", 45)
    command = [sys.executable, "-m", "flykd_console", "serve", "bundle", "--host", "0.0.0.0", "--port", "0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == (
        "--host: 0.0.0.0 can be reached from other machines, and no token is set. "
        "Give --token-file FILE or FLYKD_TOKEN, or listen on 127.0.0.1.\n"
    )
    service = start("bundle", env={"FLYKD_TOKEN": TOKEN})
    with pytest.raises(urllib.error.HTTPError) as refused:
        service.run()
    assert refused.value.code == 401
    request = urllib.request.Request(service.url + "/metadata", headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        assert json.load(reply)["bundles"][0]["scored_by"]["run"] == "first"


def test_a_port_in_use_and_a_folder_that_is_no_bundle_are_one_line(tmp_path: Path) -> None:
    bundle_at(tmp_path / "bundle", "first", 45)
    (tmp_path / "empty").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for arguments, words in (
            (["bundle", "--port", port], "the address cannot be listened on"),
            (["bundle", "empty", "--port", "0"], "this is not a bundle"),
            (["bundle", "x/bundle", "--port", "0"], "two bundles are called 'bundle'"),
        ):
            command = [sys.executable, "-m", "flykd_console", "serve", *arguments]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
            assert done.returncode == 2
            assert words in done.stderr
            assert done.stderr.count("\n") == 1
