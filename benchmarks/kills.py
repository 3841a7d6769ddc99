"""SIGKILL at random moments of training and export, again and again until a run is done: k of n runs lost nothing.

    python benchmarks/kills.py --kills 100

A process is forked from one that has imported everything, so that moments fall into work and not into imports: into
stages, checkpoints, evaluations, and the export that follows training. After each kill every file under its own name
must be whole. A run that is through must be the undisturbed one: weights, scores, bundle byte for byte, results but for
seconds.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import flykd_console.training.run  # noqa: F401 - what a worker imports late
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.status import status_of
from tests.support.undisturbed import Undisturbed, export_quietly, not_whole, quietly


def main() -> None:
    """Kill, resume, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="how many (100)")
    parser.add_argument("--a-run", type=int, default=8, help="after so many kills a run is left in peace (8)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (0)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        kill(Path(name), options.kills, options.a_run, random.Random(options.seed))


def kill(root: Path, count: int, a_run: int, moments: random.Random) -> tuple[int, int]:
    """Kill `count` processes below `root`, at most `a_run` of one run; how many runs there were, and were sound."""
    os.environ["FLYKD_CACHE"] = str(root / "cache")
    runs, places = Undisturbed(root), Counter[str]()
    began = time.monotonic()
    _in_child(lambda: runs.whole)
    seconds = time.monotonic() - began
    killed = number = sound = 0
    while killed < count:
        run, number, problem = runs.new(f"kill-{number}"), number + 1, ""
        for _ in range(min(a_run, count - killed)):
            if not _in_child(lambda one=run: _work(one), moments.uniform(0.0, 0.6 * seconds)):  # type: ignore[misc]
                break
            killed += 1
            places[_place(run)] += 1
            problem = problem or _found(root, lambda one=run: not_whole(one))  # type: ignore[misc]
        _in_child(lambda one=run: _work(one))  # type: ignore[misc]
        problem = problem or ("" if run.export.is_dir() else "it does not go on")
        problem = problem or _found(root, lambda one=run: not_whole(one) or runs.differs(one))  # type: ignore[misc]
        sound += not problem
        if problem:
            print(f"run {number}: {problem}")
    for place, times in places.most_common():
        print(f"  {times:4} × {place}")
    print(f"{killed} kills over {number} runs; {sound} of {number} ended byte for byte as the undisturbed one")
    return number, sound


def _work(run: RunDirectory) -> None:
    if not run.results.is_file() or status_of(run).state != "finished":
        quietly(run)
    export_quietly(run)


def _place(run: RunDirectory) -> str:
    """Where a run stood when it was killed."""
    status = status_of(run)
    if status.state == "finished":
        return "export" if not run.export.is_dir() else "after export"
    return status.stage or "start"


def _found(root: Path, look: Callable[[], str]) -> str:
    """What a child finds: this process starts no threads, which its children would lack."""
    said = root / "said"
    said.write_text("looking failed")
    _in_child(lambda: said.write_text(look()))
    return said.read_text()


def _in_child(work: Callable[[], object], seconds: float | None = None) -> bool:
    """Work in a forked child that is killed after some seconds; False where it was done before."""
    child = os.fork()
    if not child:
        try:
            import torch

            torch.set_num_threads(1)
            work()
        finally:
            os._exit(0)
    deadline = time.monotonic() + (seconds if seconds is not None else 1e9)
    while time.monotonic() < deadline:
        done, _ = os.waitpid(child, os.WNOHANG)
        if done:
            return False
        time.sleep(0.002 if seconds is not None else 0.05)
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


if __name__ == "__main__":
    main()
