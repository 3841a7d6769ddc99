"""The dashboard: first frame, opening a long log, redrawing all charts, and what following a run costs.

    python benchmarks/dashboard.py            # a minute
    python benchmarks/dashboard.py --million  # also a log of a million events

The baseline of a redraw is what textual-plot takes for the same points, thinned to two a column as ours are.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from textual.app import App, ComposeResult
from textual.containers import Grid
from textual_plot import HiResMode, PlotWidget

from benchmarks.measure import console, machine, median_seconds, show
from flykd_console.dashboard.canvas import Floats, decimate
from flykd_console.dashboard.drawing import ChartSpec, Curve, draw
from flykd_console.dashboard.palette import DARK_LOOK
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import encode
from flykd_console.runs.log import EventFollower
from flykd_console.runs.state.run import RunState
from tests.support.event_log import LogSpec, events, write_run

# The charts of a 120x36 terminal: weights, losses, AUPRC.
CHARTS = ((47, 8), (47, 15), (64, 11))


@contextmanager
def watched(run: RunDirectory) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`flykd-console watch` on a terminal of 120x36; yields the process and the other end of its terminal."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
    environment = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "flykd_console", "watch", str(run.path)],
        stdin=terminal, stdout=terminal, stderr=terminal, env=environment, start_new_session=True,
    )  # fmt: skip
    os.close(terminal)
    try:
        yield process, controller
    finally:
        process.kill()
        process.wait()
        os.close(controller)


def seconds_until(run: RunDirectory, *words: bytes) -> list[float]:
    """Wall-clock seconds from the command to each word on the screen."""
    start, screen = time.perf_counter(), b""
    found: list[float] = []
    with watched(run) as (_, terminal):
        while len(found) < len(words) and time.perf_counter() - start < 60:
            if select.select([terminal], [], [], 0.05)[0]:
                screen += os.read(terminal, 1 << 16)
            if words[len(found)] in screen:
                found.append(time.perf_counter() - start)
    return found


def share_of_a_core(run: RunDirectory, rest: list[bytes], seconds: float = 15.0, settle: float = 14.0) -> float:
    """CPU that the dashboard takes, left alone, while the log grows by 40 lines a second."""

    def used(pid: int) -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    with watched(run) as (process, terminal), open(run.events, "ab", buffering=0) as log:
        over = threading.Event()

        def drain() -> None:
            while not over.is_set():
                if select.select([terminal], [], [], 0.1)[0]:
                    os.read(terminal, 1 << 16)

        reader = threading.Thread(target=drain, daemon=True)
        reader.start()
        time.sleep(settle)
        before, start, line = used(process.pid), time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            log.write(b"".join(rest[line : line + 4]))
            line += 4
            time.sleep(0.1)
        share = (used(process.pid) - before) / (time.perf_counter() - start)
        over.set()
        reader.join()
    return share


def curves(points: int) -> list[tuple[Floats, Floats]]:
    """Five noisy curves of so many points."""
    rng = np.random.default_rng(45)
    x = np.linspace(1, 2000, points)
    return [(x, np.exp(-x / 800) + 0.2 * i + rng.normal(0, 0.02, points)) for i in range(5)]


def redraw(data: list[tuple[Floats, Floats]]) -> float:
    """Seconds to draw all charts."""
    drawn = tuple(
        Curve(str(i), str(i), x, y, DARK_LOOK.curve(i), raw=y if i == 0 else None) for i, (x, y) in enumerate(data)
    )
    spec = ChartSpec(curves=drawn, x_low=0, x_high=2000, log_y=True, now=1500, clip=True)
    return median_seconds(lambda: [draw(spec, width, height, DARK_LOOK) for width, height in CHARTS], 20)


class PlotApp(App[None]):
    """Three charts of textual-plot."""

    CSS = "Grid { grid-size: 2 2; } PlotWidget { height: 1fr; }"

    def compose(self) -> ComposeResult:
        with Grid():
            for i in range(3):
                yield PlotWidget(id=f"chart-{i}")


async def redraw_by_textual_plot(data: list[tuple[Floats, Floats]]) -> float:
    """Seconds that textual-plot takes for the same, with points that are thinned already."""
    thin = [decimate(x, y, 0, 2000, 100) for x, y in data]
    app = PlotApp()
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()

        def work() -> None:
            for i in range(3):
                plot = app.query_one(f"#chart-{i}", PlotWidget)
                plot.clear()
                for x, y in thin:
                    plot.plot(x, y, hires_mode=HiResMode.BRAILLE)
                plot._render_plot()

        return median_seconds(work, 10)


def fold(run: RunDirectory) -> tuple[int, float]:
    """Events of a log, and seconds to read and fold them."""
    start, follower, state = time.perf_counter(), EventFollower(run.events), RunState()
    while batch := follower.read():
        state.fold(batch)
    return state.version, time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--million", action="store_true", help="also open a log of a million events")
    arguments = parser.parse_args()
    console.print(machine())
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        run = write_run(root, LogSpec(state="finished"), "five-seeds")
        firsts = sorted(seconds_until(run, b"LOSSES", b"Finished") for _ in range(5))[2]
        rows.append(["first frame after the command", f"{firsts[0]:.2f} s", "0.5 s"])
        rows.append(["all of a 5-seed run drawn", f"{firsts[1]:.2f} s", "1.5 s"])
        count, seconds = fold(run)
        rows.append([f"reading {count:,} events", f"{seconds:.2f} s", "1.5 s"])
        if arguments.million:
            long = write_run(root, LogSpec(state="finished", seeds=tuple(range(20)), epochs=16_000), "long")
            count, seconds = fold(long)
            rows.append([f"reading {count:,} events", f"{seconds:.2f} s", "10 s"])
        theirs = asyncio.run(redraw_by_textual_plot(curves(10_000)))
        for points in (500, 10_000, 50_000):
            ours = redraw(curves(points))
            name = f"all charts, 5 x {points:,} points ({theirs / ours:.0f} times textual-plot)"
            rows.append([name, f"{1e3 * ours:.1f} ms", "30 ms"])
        lines = [encode(event) for event in events(LogSpec(epochs=4_000, seeds=(45, 46)))]
        live = write_run(root, LogSpec(state="starting"), "live")
        live.events.write_bytes(b"".join(lines[:10_000]))
        share = share_of_a_core(live, lines[10_000:])
        rows.append(["following a run, share of one core", f"{100 * share:.1f} %", ""])
    show("dashboard", ["what", "measured", "goal"], rows)


if __name__ == "__main__":
    main()
