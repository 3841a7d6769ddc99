"""Starting the training process: a fresh interpreter in a session of its own, so that it outlives the terminal.

Its output goes to `worker.log`; it takes orders through the run directory and signals only. The environment settles
what a running process cannot change: how glibc returns memory, and how many threads OpenMP starts.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.files import open_own

WORKER = ("-m", "flykd_console.training.worker")

# Above this size glibc maps every buffer anew and faults it in page by page, while training frees and takes the same
# sizes each epoch. glibc 2.36 takes 4 GiB; one that deems it too high ignores it. It is no promise to hold that much.
_KEEP_BYTES = 4 * 2**30
_GROW_BYTES = 64 * 2**20


def usable_cpus(cgroup: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """CPUs that this process may use: its affinity, cut to the control group's quota where there is one."""
    count = len(os.sched_getaffinity(0))
    try:
        quota, period = cgroup.read_text().split()
        count = min(count, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        pass
    return max(1, count)


def worker_environment(threads: int = 0, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of the training process.

    Args:
        threads: CPU threads; 0: `OMP_NUM_THREADS` if the user has set it, else all the process may use.
        base: The environment to build on; default: this process's.
    """
    environment = dict(os.environ if base is None else base)
    asked = environment.get("OMP_NUM_THREADS", "")
    count = str(threads or (int(asked) if asked.isdigit() and int(asked) else usable_cpus()))
    environment |= {
        "MALLOC_MMAP_THRESHOLD_": str(_KEEP_BYTES),
        "MALLOC_TRIM_THRESHOLD_": str(_KEEP_BYTES),
        "MALLOC_TOP_PAD_": str(_GROW_BYTES),
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "DGLBACKEND": "pytorch",
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
    }
    return environment


def spawn_worker(
    directory: RunDirectory,
    *,
    then: Sequence[RunDirectory] = (),
    threads: int = 0,
    fresh: bool = False,
    max_hours: float | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start training of a run directory that holds `profile.toml`; returns at once.

    Args:
        directory: The run; its output is appended to `worker.log`.
        then: Runs that the same process trains after it, each with a log of its own.
        threads: CPU threads; 0: all the process may use.
        fresh: Train every stage anew, also where a finished one could be reused.
        max_hours: Stop with a checkpoint after so many hours; None: never.
        environment: Variables beside those that every worker has, such as which GPU it sees.
    """
    command = [sys.executable, *WORKER, *(str(run.path) for run in (directory, *then))]
    command += ["--fresh"] if fresh else []
    command += [] if max_hours is None else ["--max-hours", str(max_hours)]
    with os.fdopen(open_own(directory.worker_log, os.O_WRONLY | os.O_APPEND), "ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # The trainer's own arguments say nothing of what the user asked for.
            env=worker_environment(threads) | {"FLYKD_COMMAND": json.dumps(sys.argv)} | dict(environment or {}),
        )
