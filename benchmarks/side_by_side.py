"""Seeds side by side, one thread each (`--jobs auto`), against one run that trains them in turn on all threads.

    python benchmarks/side_by_side.py                         # five seeds of the embedded graph
    python benchmarks/side_by_side.py --profile primekg/flykd --graph kg.csv.gz --set finetune.epochs=100

Both go through the command line, in turns, with a graph that is read from the cache. Memory: of all training processes
together, what they share counted once (proportional set size).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil

from benchmarks.measure import console, machine, show

AIM = 1.5
FEW = ["finetune.epochs=300", "distill.epochs=300"]


def carried_out(profile: str, seeds: str, settings: list[str], jobs: list[str]) -> tuple[float, float]:
    """Seconds of a command that trains seeds, and GiB of memory at most."""
    with tempfile.TemporaryDirectory() as root:
        options = [word for setting in settings for word in ("--set", setting)]
        command = [sys.executable, "-m", "flykd_console", "run", profile, "--seeds", seeds, "--fresh", "--headless"]
        environment = os.environ | {"FLYKD_RUNS": root, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        environment.pop("OMP_NUM_THREADS", None)
        begun = time.perf_counter()
        process = subprocess.Popen([*command, *options, *jobs], env=environment, stdout=subprocess.DEVNULL)
        peak = [0.0]
        over = threading.Event()

        def watch() -> None:
            while not over.wait(1.0):
                peak[0] = max(peak[0], _memory(Path(root)))

        watcher = threading.Thread(target=watch)
        watcher.start()
        code = process.wait()
        seconds = time.perf_counter() - begun
        over.set()
        watcher.join()
        if code:
            raise SystemExit(f"training ended with exit code {code}")
        usage = [json.loads(file.read_bytes()) for file in Path(root).glob("*/results.json")]
        trained = sum(len(results["seeds"]) for results in usage)
        if trained != len(seeds.split(",")):
            raise SystemExit(f"{trained} seeds were trained")
        return seconds, peak[0]


def _memory(root: Path) -> float:
    """GiB of every worker of the runs in a folder."""
    total = 0
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "flykd_console.training.worker" in words and any(word.startswith(str(root)) for word in words):
            try:
                total += process.memory_full_info().pss
            except psutil.Error:
                continue
    return total / 2**30


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="flykd")
    parser.add_argument("--graph", default="embedded")
    parser.add_argument("--seeds", default="45,46,47,48,49", help="with commas")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=f"else {' '.join(FEW)}")
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    settings = [f"graph.source={options.graph}", "run.device=cpu", *(options.set or FEW)]
    ways = {"one after another, all threads": [], "side by side, one thread each": ["--jobs", "auto"]}
    console.print(f"{machine()}, load before {os.getloadavg()[0]:.1f}")
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(options.repeats):
        for name, jobs in ways.items():
            found[name].append(carried_out(options.profile, options.seeds, settings, jobs))
    seconds = {name: statistics.median(each[0] for each in runs) for name, runs in found.items()}
    first = next(iter(seconds.values()))
    rows = [
        [name, f"{seconds[name]:.1f} s", f"{first / seconds[name]:.2f}x", f"{max(run[1] for run in runs):.2f} GiB"]
        for name, runs in found.items()
    ]
    show(
        f"{options.seeds.count(',') + 1} seeds of {options.profile}", ["way", "whole command", "faster", "memory"], rows
    )
    gain = first / seconds["side by side, one thread each"]
    console.print(f"aim {AIM}x on two quiet cores: {'reached' if gain >= AIM else 'not reached'}")


if __name__ == "__main__":
    main()
