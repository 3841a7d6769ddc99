"""What CPU threads are worth on this machine as it is now: a second of arithmetic with all of them and with one.

OpenMP's threads wait for each other many times an epoch; one that waits for a thread whose core another process has
taken loses far more than the core. So a busy machine is not told by its load alone: the trial tells what it costs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

from flykd_console.runs.spawn import worker_environment

_SECONDS = 60.0
_SAMPLE = 0.5
# Products and sums of the sizes that an epoch on the embedded graph is made of, many a second.
_TRIAL = """
import json, sys, time
import torch
many = int(sys.argv[1])
x, w = torch.randn(4000, 80), torch.randn(80, 80)
def loops(threads, seconds):
    torch.set_num_threads(threads)
    (x @ w).relu().sum()
    begun, count = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        for _ in range(5):
            (x @ w).relu_().add_(x).sum()
        count += 1
    return count / (time.perf_counter() - begun)
rates = {1: 0.0, many: 0.0}
for _ in range(2):
    for threads in rates:
        rates[threads] += loops(threads, 0.25)
print(json.dumps({"one": rates[1], "many": rates[many]}))
"""


@dataclass(frozen=True)
class Trial:
    """How many times as fast as one thread `threads` of them are at present; below 1: slower."""

    threads: int
    gain: float


def cpu_in_use() -> float:
    """Cores that all processes of the machine use, over half a second of this one's rest."""
    import psutil

    return float(psutil.cpu_percent(interval=_SAMPLE)) / 100.0 * (psutil.cpu_count() or 1)


def try_threads(threads: int) -> Trial | None:
    """Try so many threads against one, in a process with the trainer's environment; None where that fails."""
    if threads < 2:
        return None
    try:
        done = subprocess.run(
            [sys.executable, "-c", _TRIAL, str(threads)],
            capture_output=True, text=True, timeout=_SECONDS, env=worker_environment(threads), check=True,
        )  # fmt: skip
        found = json.loads(done.stdout)
        return Trial(threads, found["many"] / found["one"])
    except (subprocess.SubprocessError, OSError, ValueError, KeyError, ZeroDivisionError):
        return None
