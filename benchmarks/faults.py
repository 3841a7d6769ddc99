"""Fails every file call of a small run, one a run, and says how many runs lost nothing: k of n.

    python benchmarks/faults.py                 # every 10th call
    python benchmarks/faults.py --every 1       # every call, as long as a run sees one fail
    python benchmarks/faults.py --kills 100     # SIGKILL at random moments instead, in a process of its own

After each fault what is on disk must be the old or the new: every tensor file has the checksum that it carries, every
JSON and Parquet file is whole. Then the run is resumed, and its weights, scores and results must be those of the
undisturbed run, byte for byte (results: but for seconds).
"""

from __future__ import annotations

import argparse
import contextlib
import filecmp
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import polars as pl
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.results import read_results
from flykd_console.runs.sealed import seal_of
from flykd_console.runs.spawn import WORKER, worker_environment
from flykd_console.training import worker
from tests.support.faults import FaultyDisk
from tests.support.tiny_run import make_run, small_kg, tiny_profile


def main() -> None:
    """Break runs, and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=10, help="fail every so many calls (10)")
    parser.add_argument("--kills", type=int, default=0, help="kill so many processes instead")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of kills (0)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        os.environ["FLYKD_CACHE"] = str(Path(name) / "cache")
        bench = Bench(Path(name))
        if options.kills:
            bench.kill(options.kills, random.Random(options.seed))
        else:
            bench.fail_calls(options.every)


class Bench:
    """An undisturbed run, and broken ones beside it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.whole = self.new("whole")
        assert quietly(self.whole) == 0

    def new(self, name: str) -> RunDirectory:
        """A run of its own folder, so that it takes nothing over."""
        return make_run(self.root / name, tiny_profile(small_kg(self.root)))

    def fail_calls(self, every: int) -> None:
        """Fail the n-th call, for growing n, until a run sees no failure."""
        n, tried, sound = 1, 0, 0
        failed: Counter[tuple[str, str]] = Counter()
        while True:
            run = self.new(f"fault-{n}")
            disk = FaultyDisk(run.path, n)
            with disk.mounted():
                quietly(run)
            if disk.failed is None:
                break
            failed[disk.failed] += 1
            tried += 1
            problem = whole_files(run) or self.resumed(run)
            sound += not problem
            if problem:
                print(f"call {n}, {' '.join(disk.failed)}: {problem}")
            shutil.rmtree(run.path.parent)
            n += every
        for (purpose, call), count in sorted(failed.items()):
            print(f"{count:5} × {purpose} {call}")
        print(f"{sound} of {tried} faults lost nothing")

    def kill(self, count: int, moments: random.Random) -> None:
        """SIGKILL a run's process at random moments, again and again until it is done; the next run follows."""
        killed = runs = sound = 0
        while killed < count:
            run, runs = self.new(f"kill-{runs}"), runs + 1
            while killed < count:
                if not self._killed_after(run, moments.uniform(1.0, 9.0)):
                    break
                killed += 1
                problem = whole_files(run)
                if problem:
                    print(f"run {runs}: {problem}")
            problem = self.resumed(run)
            sound += not problem
            if problem:
                print(f"run {runs}: {problem}")
        print(f"{killed} kills over {runs} runs; {sound} of {runs} ended byte for byte as the undisturbed one")

    def _killed_after(self, run: RunDirectory, seconds: float) -> bool:
        """Whether the process was still there to be killed."""
        command = [sys.executable, *WORKER, str(run.path)]
        process = subprocess.Popen(
            command, env=worker_environment(1), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.01)
        alive = process.poll() is None
        if alive:
            process.send_signal(signal.SIGKILL)
        process.wait()
        return alive

    def resumed(self, run: RunDirectory) -> str:
        """Go on with a run; what is then otherwise than in the undisturbed one, empty where nothing is."""
        if quietly(run) != 0:
            return "it does not go on"
        names = sorted(path.name for path in self.whole.seed(45).iterdir() if path.suffix != ".json")
        here = sorted(path.name for path in run.seed(45).iterdir() if path.suffix != ".json")
        if here != names:
            return f"other files: {set(here) ^ set(names)}"
        _, other, missing = filecmp.cmpfiles(self.whole.seed(45), run.seed(45), names, shallow=False)
        if other or missing:
            return f"differs: {', '.join([*other, *missing])}"
        if read_results(run.results).summary != read_results(self.whole.results).summary:
            return "other results"
        return ""


def quietly(run: RunDirectory) -> int:
    """Train in this process; its exit code."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return worker.main([str(run.path)])


def whole_files(run: RunDirectory) -> str:
    """What under its own name is no whole file; empty where everything is."""
    for path in sorted(run.path.rglob("*")):
        try:
            if path.suffix in (".safetensors", ".state"):
                seal_of(path.read_bytes(), path)
            elif path.suffix == ".json":
                json.loads(path.read_text())
            elif path.suffix == ".parquet":
                pl.read_parquet(path)
        except Exception as error:
            return f"{path.name} is not whole: {error}"
    return ""


if __name__ == "__main__":
    main()
