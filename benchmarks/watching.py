"""What watching costs: epochs per second of a real training run with and without a dashboard, and memory over hours.

    python benchmarks/watching.py                    # six minutes, on an otherwise idle machine
    python benchmarks/watching.py --rounds 3 --seconds 6

One run trains all the time. A dashboard on a terminal of 120x36 is attached, left alone, killed, and attached again;
every stretch with it is compared with the mean of the stretches without it before and after.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil

from benchmarks.measure import console, machine, show
from flykd_console.profile.load import dump_profile, load_profile
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import Epoch
from flykd_console.runs.find import create_run
from flykd_console.runs.log import EventFollower
from flykd_console.runs.spawn import spawn_worker
from flykd_console.runs.state.run import RunState
from tests.support.event_log import START, hours_of_events
from tests.support.terminal import Terminal

# The dashboard draws less often once it is left alone; what is measured begins after that.
SETTLE_SECONDS = 14.0


def training(root: Path) -> RunDirectory:
    """A run of the shipped profile that comes to the student at once and stays there."""
    settings = ["run.seeds=[45]", "pretrain.epochs=0", "finetune.epochs=2", "distill.epochs=1000000"]
    profile = load_profile("flykd", [*settings, "run.device=cpu", "finetune.validate_every=1000000"])
    run = create_run("watched", root)
    run.profile.write_text(dump_profile(profile))
    return run


def rate(run: RunDirectory, follower: EventFollower, seconds: float) -> float:
    """Student epochs per second of wall-clock time from now on; what was logged before is skipped."""
    while follower.read(seconds=1.0):
        pass
    time.sleep(seconds)
    times = []
    while events := follower.read(seconds=1.0):
        times += [event.t for event in events if isinstance(event, Epoch) and event.stage == "student"]
    return (len(times) - 1) / (times[-1] - times[0])


def cost_of_watching(root: Path, rounds: int, seconds: float) -> tuple[float, list[float]]:
    """Median epochs per second unwatched, and for each round watched / unwatched."""
    run = training(root)
    worker = spawn_worker(run)
    follower = EventFollower(run.events)
    try:
        while not run.events.exists() or b'"stage":"student","epoch":' not in run.events.read_bytes():
            if worker.poll() is not None:
                raise SystemExit(run.worker_log.read_text())
            time.sleep(0.5)
        rate(run, follower, SETTLE_SECONDS)  # the first epochs are slower
        alone, ratios = [rate(run, follower, seconds)], []
        for _ in range(rounds):
            command = [sys.executable, "-m", "flykd_console", "watch", str(run.path)]
            source = {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
            with Terminal(command, os.environ | source, width=120, height=36) as dashboard:
                dashboard.wait_for(b"LOSSES")
                time.sleep(SETTLE_SECONDS)
                watched = rate(run, follower, seconds)
                assert dashboard.process.poll() is None, "the dashboard ended"
            alone.append(rate(run, follower, seconds))
            ratios.append(watched / statistics.mean(alone[-2:]))
        return statistics.median(alone), ratios
    finally:
        worker.kill()
        worker.wait()


def memory_over(hours: float, marks: int = 8) -> list[float]:
    """MiB that this process holds more than before, after each eighth of so many hours of events folded."""
    process, state = psutil.Process(), RunState()
    before = process.memory_info().rss
    held: list[float] = []
    for event in hours_of_events(hours):
        state.apply(event)
        if (event.t - START) / 3600 >= hours / marks * (len(held) + 1):
            held.append((process.memory_info().rss - before) / 2**20)
    return held


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each stretch that is measured")
    arguments = parser.parse_args()
    console.print(machine())
    with tempfile.TemporaryDirectory() as folder:
        alone, ratios = cost_of_watching(Path(folder), arguments.rounds, arguments.seconds)
    cost = 1 - statistics.median(ratios)
    spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
    held = memory_over(8.0)
    rows = [
        ["student epochs per second, unwatched", f"{alone:.1f}", ""],
        [f"watched / unwatched, median of {len(ratios)} ({spread})", f"{1 - cost:.3f}", "0.98"],
        ["what watching costs training", f"{100 * cost:.1f} %", "2 %"],
        ["state after 1 h, 4 h and 8 h of events", " ".join(f"{held[i]:.1f}" for i in (0, 3, 7)) + " MiB", "bounded"],
    ]
    show("watching", ["what", "measured", "goal"], rows)


if __name__ == "__main__":
    main()
