"""Timing, peak memory and tables for the benchmarks."""

from __future__ import annotations

import inspect
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

console = Console(width=None if sys.stdout.isatty() else 110)


def median_seconds(work: Callable[[], object], repeats: int, warmup: int = 2) -> float:
    """Median wall-clock seconds of one call."""
    for _ in range(warmup):
        work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def peak_gib() -> float:
    """Peak resident memory of this process so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def machine() -> str:
    """The machine in words."""
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{len(os.sched_getaffinity(0))} cores of {model}, {memory:.0f} GiB, Python {platform.python_version()}"


def show(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table; the first column is text, the others figures."""
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def in_child(
    function: Callable[..., dict[str, float]], *arguments: str, cache: str | None = None, keep_freed: bool = True
) -> dict[str, float]:
    """What a benchmark's function returns in a process of its own under the trainer's environment.

    Args:
        function: At the top of its file; takes the arguments as text.
        cache: Where graphs are kept; None: where the program keeps them.
        keep_freed: Keep freed memory, as the trainer does; False: give it back, so that the peak is what is needed.
    """
    from flykd_console.runs.spawn import worker_environment

    environment = worker_environment() | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    if cache is not None:
        environment["FLYKD_CACHE"] = cache
    if not keep_freed:
        environment = {name: value for name, value in environment.items() if not name.startswith("MALLOC_")}
    module, name = Path(inspect.getfile(function)).stem, function.__name__
    code = f"import json, sys; from benchmarks.{module} import {name}; print(json.dumps({name}(*sys.argv[1:])))"
    command = [sys.executable, "-c", code, *arguments]
    output = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, float] = json.loads(output.splitlines()[-1])
    return result


def restart_as_trainer() -> None:
    """Run this script again under the environment that the trainer is started with (threads, glibc's thresholds)."""
    from flykd_console.runs.spawn import worker_environment

    if os.environ.get("FLYKD_BENCHMARK") == "1":
        return
    environment = worker_environment() | {"FLYKD_BENCHMARK": "1"}
    sys.exit(subprocess.run([sys.executable, *sys.argv], env=environment, check=False).returncode)
