"""What one busy process costs training, and how soon full pace is back: threads that adapt against threads that do not.

    python benchmarks/busy.py                          # ten minutes, on an otherwise idle machine
    python benchmarks/busy.py --competitors 2 --models baseline --seconds 20

A run trains one model all the time. It has the machine to itself, then shares it with loops in Python, then has it to
itself again. The baseline is the same run with all threads throughout (engine.threads). Ratios are of one process.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import console, machine, show
from flykd_console.profile.load import dump_profile, load_profile
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import Epoch, Log, StageStarted, Threads
from flykd_console.runs.find import create_run
from flykd_console.runs.log import EventFollower
from flykd_console.runs.spawn import spawn_worker, usable_cpus

# Seconds that a change may take.
GRACE = 10.0
_FOREVER = 1_000_000
SETTINGS = {
    "teacher": ['run.models=["teacher"]', f"finetune.epochs={_FOREVER}"],
    "baseline": ['run.models=["baseline"]', f"finetune.epochs={_FOREVER}"],
    "student": ["finetune.epochs=2", f"distill.epochs={_FOREVER}"],
}


@dataclass(frozen=True)
class Measured:
    """Seconds an epoch, wall clock.

    Attributes:
        quiet: Before there was a competitor.
        first: In the first ten seconds with it; `busy` after them.
        back: From ten seconds after it was gone on.
        changes: When threads changed, in seconds since the competitor came, and to how many.
    """

    quiet: float
    first: float
    busy: float
    back: float
    changes: list[tuple[float, int]]


def measure(model: str, threads: int, competitors: int, seconds: float, graph: list[str]) -> Measured:
    """Train a model through the three phases; `threads` 0: they adapt."""
    settings = [*SETTINGS[model], *graph, f"engine.threads={threads}", f"finetune.validate_every={_FOREVER}"]
    common = ["run.seeds=[45]", "run.device=cpu", "pretrain.epochs=0", f"engine.checkpoint_every={_FOREVER}"]
    with tempfile.TemporaryDirectory() as folder:
        run = create_run("busy", Path(folder))
        run.profile.write_text(dump_profile(load_profile("flykd", [*common, *settings])))
        worker = spawn_worker(run, threads=threads, fresh=True)
        try:
            _await(run, model)
            time.sleep(GRACE / 2)
            began = time.time()
            time.sleep(seconds)
            came = time.time()
            loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(competitors)]
            try:
                time.sleep(GRACE + seconds)
            finally:
                for loop in loops:
                    loop.kill()
                    loop.wait()
            gone = time.time()
            time.sleep(GRACE + seconds)
            over = time.time()
        finally:
            worker.terminate()
            worker.wait()
        events = EventFollower(run.events).read(seconds=60.0)
    epochs = [event for event in events if isinstance(event, Epoch) and event.stage == model]
    changes = [event for event in events if isinstance(event, Threads) and event.stage == model]
    for line in (event.message for event in events if isinstance(event, Log) and "instead of" in event.message):
        console.print(f"  {line}")
    return Measured(
        quiet=_pace(epochs, began, came),
        first=_pace(epochs, came, came + GRACE),
        busy=_pace(epochs, came + GRACE, gone),
        back=_pace(epochs, gone + GRACE, over),
        changes=[(event.t - came, event.threads) for event in changes if event.t > came],
    )


def _await(run: RunDirectory, model: str) -> None:
    """Wait until the model's stage has begun."""
    follower = EventFollower(run.events)
    for _ in range(3000):
        if run.events.exists():
            for event in follower.read():
                if isinstance(event, StageStarted) and event.stage == model:
                    return
        time.sleep(0.1)
    raise SystemExit(f"training of {model} did not begin: {run.worker_log.read_text()[-500:]}")


def _pace(epochs: list[Epoch], since: float, until: float) -> float:
    """Mean seconds of the epochs that ended in a span of time; where none did, of the one that fills it."""
    within = [epoch for epoch in epochs if since <= epoch.t < until]
    if not within:
        return next((epoch.seconds for epoch in epochs if epoch.t >= since), until - since)
    return statistics.fmean(epoch.seconds for epoch in within)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--competitors", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each phase, besides ten for each change")
    parser.add_argument("--graph", default="embedded")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the synthetic graph")
    options = parser.parse_args()
    graph = [f"graph.source={options.graph}", f"graph.scale={options.scale}"]
    most = usable_cpus()
    console.print(f"{machine()}, load before {os.getloadavg()[0]:.1f}")
    rows = []
    reached = True
    for model in options.models:
        fixed = measure(model, most, options.competitors, options.seconds, graph)
        adapts = measure(model, 0, options.competitors, options.seconds, graph)
        reached &= adapts.busy <= 2.2 * adapts.quiet and adapts.back <= 1.05 * adapts.quiet
        for name, found in ((f"{model}, {most} threads", fixed), (f"{model}, adapting", adapts)):
            rows.append(
                [
                    name,
                    f"{1e3 * found.quiet:.1f} ms ({found.quiet / fixed.quiet:.2f}x)",
                    f"{found.first / found.quiet:.2f}x",
                    f"{found.busy / found.quiet:.2f}x",
                    f"{found.back / found.quiet:.2f}x",
                    ", ".join(f"{count} at {t:.1f} s" for t, count in found.changes),
                ]
            )
    show(
        f"An epoch, {options.graph} graph, {options.competitors} competing loop(s); in brackets of all threads, quiet",
        ["run", "quiet", "first 10 s", "after 10 s", "10 s after it", "threads"],
        rows,
    )
    console.print(
        f"aim: with competitors at most 2.2x after ten seconds, back to full pace ten seconds after them: "
        f"{'reached' if reached else 'not reached'}"
    )


if __name__ == "__main__":
    main()
