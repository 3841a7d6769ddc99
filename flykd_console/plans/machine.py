"""What this machine has for jobs that are trained side by side: processors, and GPUs of which a job takes one each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from flykd_console.errors import UserError
from flykd_console.plans.job import Job
from flykd_console.runs.spawn import usable_cpus

_GPUS = "CUDA_VISIBLE_DEVICES"


def visible_gpus() -> list[str]:
    """What `CUDA_VISIBLE_DEVICES` would call each GPU that this process may use; without torch."""
    said = os.environ.get(_GPUS)
    if said is not None:
        return [name.strip() for name in said.split(",") if name.strip() not in ("", "-1")]
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        return [str(index) for index in range(pynvml.nvmlDeviceGetCount())]
    finally:
        pynvml.nvmlShutdown()


def gpus_for(jobs: Sequence[Job]) -> list[str]:
    """The GPUs that the jobs are shared out over; none where any of them is of a CPU, or names its GPU itself."""
    if any(job.profile.run.device not in ("auto", "cuda") for job in jobs):
        return []
    return visible_gpus()


def jobs_at_once(text: str, jobs: Sequence[Job], gpus: Sequence[str]) -> int:
    """How many jobs `--jobs N|auto` means; auto: one a GPU, or without GPUs one a processor.

    Raises:
        UserError: It is neither `auto` nor a whole number above 0.
    """
    if text == "auto":
        return max(1, min(len(jobs), len(gpus) or usable_cpus()))
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise UserError("is neither auto nor a number of jobs", f"--jobs {text}", "Give auto, or 1 or more.")
    return int(text)


def environment_of(slot: int, gpus: Sequence[str]) -> Mapping[str, str]:
    """Variables of the job in a slot, counted from 0: it sees one GPU, where there is any."""
    return {_GPUS: gpus[slot % len(gpus)]} if gpus else {}
