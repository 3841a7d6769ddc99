"""`flykd-console watch`: plain lines without a terminal, and what is refused."""

from __future__ import annotations

import asyncio
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from flykd_console.cli.app import main
from flykd_console.cli.watch import parse_speed
from flykd_console.dashboard.web import is_loopback, may_enter
from flykd_console.errors import UserError
from flykd_console.runs.lock import held
from tests.support.event_log import LogSpec, write_run


def watch(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["watch", *arguments])
    code = left.value.code
    assert isinstance(code, int)
    return code


def test_without_a_terminal_plain_lines_come_out(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(runs, LogSpec(state="finished", epochs=40, seeds=(45,)))
    assert watch() == 0
    out = capsys.readouterr().out
    assert "79.93" in out
    assert "\x1b" not in out


def test_without_any_run_it_says_so(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert watch() == 2
    assert "there is no run in " in capsys.readouterr().err


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "example.org", ""])
def test_addresses_that_others_can_reach_are_refused(runs: Path, capsys: pytest.CaptureFixture[str], host: str) -> None:
    write_run(runs, LogSpec(state="finished", epochs=40, seeds=(45,)))
    assert watch("--web", "--host", host) == 2
    assert "--allow-remote" in capsys.readouterr().err


def test_a_port_in_use_is_told(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(runs, LogSpec(state="finished", epochs=40, seeds=(45,)))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert watch("--web", "--host", "127.0.0.1", "--port", str(taken.getsockname()[1])) == 2
    assert "Give another --port" in capsys.readouterr().err


def test_a_run_in_training_is_not_replayed(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(runs, LogSpec(epochs=40, seeds=(45,)))
    with held(run):
        assert watch("--replay", "20x") == 2
    assert "being trained" in capsys.readouterr().err


def test_speeds() -> None:
    assert [parse_speed(text) for text in ("20x", "1.5X", "3")] == [20.0, 1.5, 3.0]
    for text in ("fast", "0x", "-1", "nan", "inf"):
        with pytest.raises(UserError):
            parse_speed(text)


def test_loopback_addresses() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.8.9.1", "::1", "[::1]")))
    assert not any(map(is_loopback, ("0.0.0.0", "10.0.0.1", "::", "")))


@pytest.mark.parametrize(
    ("host", "origin", "remote", "enters"),
    [
        ("localhost:8000", None, False, True),
        ("localhost:8000", "http://localhost:8000", False, True),
        ("127.0.0.1:8000", "http://127.0.0.1:8000", False, True),
        ("[::1]:8000", "http://[::1]:8000", False, True),
        ("localhost:8000", "https://elsewhere.example", False, False),
        ("localhost:8000", "http://localhost:9000", False, False),
        ("localhost:8000", "null", False, False),
        ("elsewhere.example:8000", "http://elsewhere.example:8000", False, False),
        ("", None, False, False),
        ("gpu-box:8000", "http://gpu-box:8000", True, True),
        ("gpu-box:8000", "https://elsewhere.example", True, False),
    ],
)
def test_only_its_own_pages_may_talk_to_a_served_dashboard(
    host: str, origin: str | None, remote: bool, enters: bool
) -> None:
    assert may_enter(host, origin, remote) is enters


async def status_once_it_listens(session: aiohttp.ClientSession, url: str) -> int:
    """The server says where it is a moment before it listens."""
    for _ in range(100):
        try:
            async with session.get(url) as page:
                return page.status
        except aiohttp.ClientConnectorError:
            await asyncio.sleep(0.05)
    raise AssertionError("nobody listens")


async def test_served_dashboard_shows_the_run_in_a_socket_and_refuses_strangers(runs: Path) -> None:
    run = write_run(runs, LogSpec(state="finished", epochs=40, seeds=(45,)))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "flykd_console",
        "watch",
        run.name,
        "--web",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        assert f"127.0.0.1:{port}" in process.stdout.readline()
        base = f"http://127.0.0.1:{port}"
        async with aiohttp.ClientSession() as session:
            assert await status_once_it_listens(session, base) == 200
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(f"{base}/ws", headers={"Origin": "https://elsewhere.example"})
            assert refused.value.status == 403
            async with session.get(f"{base}/ws") as page:
                assert page.status == 400
            for nonsense in ("{", "[]", '["resize", {"width": "x"}]', "[" * 100_000):
                async with session.ws_connect(f"{base}/ws") as page_socket:
                    await page_socket.send_str(nonsense)
                    while (await page_socket.receive(timeout=30)).type not in (
                        aiohttp.WSMsgType.CLOSE,
                        aiohttp.WSMsgType.CLOSED,
                    ):
                        pass
            seen = b""
            async with session.ws_connect(f"{base}/ws?width=120&height=36") as page_socket:
                deadline = time.monotonic() + 30
                while b"Finished" not in seen and time.monotonic() < deadline:
                    message = await page_socket.receive(timeout=30)
                    seen += message.data if isinstance(message.data, bytes) else str(message.data).encode()
            assert b"Finished" in seen
    finally:
        process.terminate()
        _, said = process.communicate(timeout=10)
    assert "Traceback" not in said
    assert "─" not in said


def test_on_a_terminal_the_dashboard_opens_and_q_leaves(runs: Path) -> None:
    run = write_run(runs, LogSpec(state="finished", epochs=40, seeds=(45,)))
    controller, terminal = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "36"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-m", "flykd_console", "watch", run.name],
        stdin=terminal, stdout=terminal, stderr=terminal, env=environment, start_new_session=True,
    )  # fmt: skip
    os.close(terminal)
    screen, pressed, deadline = b"", False, time.monotonic() + 30
    try:
        while process.poll() is None and time.monotonic() < deadline:
            if select.select([controller], [], [], 0.05)[0]:
                try:
                    screen += os.read(controller, 65_536)
                except OSError:
                    break
            if not pressed and b"Finished" in screen:
                os.write(controller, b"q")
                pressed = True
        assert process.wait(10) == 0
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        os.close(controller)
    assert pressed
    assert b"Traceback" not in screen
