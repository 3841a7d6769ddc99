"""Jobs on a Ray cluster (extra `ray`): one Ray task a job, and a job is one run directory on a disk that all share.

A task is done anew where its worker dies: the run goes on from its last checkpoint, and one that is finished is left
alone, so it does no harm that a task was begun twice. Ray only says where a job runs; how it went is in its log.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flykd_console.errors import UserError
from flykd_console.plans.job import Job
from flykd_console.plans.local import Outcome, outcome_of, unfinished
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.lock import is_alive
from flykd_console.runs.spawn import WORKER, worker_environment
from flykd_console.runs.status import status_of

# How often a task is begun again after its worker died.
RETRIES = 5
_POLL_SECONDS = 0.5
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


def carry_out_on_ray(
    jobs: Sequence[Job],
    *,
    fresh: bool = False,
    on_start: Callable[[Job], None] = lambda job: None,
    on_end: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Bring every job to its end on the cluster that `RAY_ADDRESS` names, or on a Ray of this machine's own.

    Jobs that share their teachers wait for the first of them.

    Args:
        fresh: Take nothing over from other runs.
        on_start: Hears of each job as it is handed to Ray; `on_end` how it ended.

    Raises:
        UserError: Ray is not installed, or a run's folder cannot be made.
    """
    ray = _ray()
    done: dict[int, Outcome] = {}

    def over(job: Job, outcome: Outcome) -> None:
        done[id(job)] = outcome
        on_end(outcome)

    waiting = unfinished(jobs, over)
    if not waiting:
        return [done[id(job)] for job in jobs]
    ours = not ray.is_initialized()
    if ours:
        ray.init(address=os.environ.get("RAY_ADDRESS"), log_to_driver=False, include_dashboard=False)
    running: dict[Any, Job] = {}
    try:
        while waiting or running:
            busy = {job.teaches for job in running.values() if not all(file.is_file() for file in job.teacher_files)}
            for job in list(waiting):
                if job.teaches and job.teaches in busy:
                    continue
                waiting.remove(job)
                busy |= {job.teaches} if job.teaches else set()
                running[_submit(ray, job, fresh)] = job
                on_start(job)
            ended, _ = ray.wait(list(running), timeout=_POLL_SECONDS)
            for reference in ended:
                job = running.pop(reference)
                over(job, _ended(ray, reference, job))
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
        if ours:
            ray.shutdown()
    return [done[id(job)] for job in jobs]


def train_directory(path: str, fresh: bool) -> int:
    """What a task does: train a run directory in a process that dies with this one; its exit code.

    Where somebody has the run still, such as the process of a task that Ray has given up, it is waited for.
    """
    directory = RunDirectory(Path(path))
    while is_alive(directory):
        time.sleep(_POLL_SECONDS)
    if directory.results.is_file() and status_of(directory).state == "finished":
        return 0
    command = [sys.executable, *WORKER, path, *(["--fresh"] if fresh else [])]
    with open(directory.worker_log, "ab") as log:
        worker = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=worker_environment(1),
            preexec_fn=_die_with_parent,
        )
        return worker.wait()


def _die_with_parent() -> None:
    """Have the kernel stop this process when the one that started it ends, however that comes."""
    import ctypes

    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGTERM)


def _submit(ray: Any, job: Job, fresh: bool) -> Any:
    """Hand a job to Ray: one processor, and a GPU where the cluster has any and the profile does not say otherwise."""
    gpus = 1 if job.profile.run.device in ("auto", "cuda") and ray.cluster_resources().get("GPU", 0) >= 1 else 0
    task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RETRIES)(train_directory)
    return task.options(name=job.directory.name).remote(str(job.directory.path), fresh)


def _ended(ray: Any, reference: Any, job: Job) -> Outcome:
    try:
        code = ray.get(reference)
    except ray.exceptions.RayError as error:
        first = str(error).strip().splitlines()
        return Outcome(job, "died", f"Ray gave it up: {first[0] if first else type(error).__name__}")
    return outcome_of(job, code)


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise UserError(
            "Ray is not installed", "--engine ray", "Install it: pip install 'flykd-console[ray]'"
        ) from None
    return ray
