"""The device that a run is trained on, and how many threads and how much precision it gets there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from flykd_console.errors import UserError
from flykd_console.profile.sections import Engine

# torch's words: highest is float32 throughout, high is TF32, medium is bfloat16, each where the device has it.
_PRECISION = {"float32": "highest", "tf32": "high", "bf16": "medium"}


def resolve_device(name: str) -> torch.device:
    """The torch device of a profile's `run.device`.

    Raises:
        UserError: A GPU is asked for and torch finds none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise UserError(
            f"the device {name!r} is not there (torch {torch.__version__} sees {found} GPUs)",
            "run.device",
            "Use auto or cpu, or install a torch build for your GPU.",
        )
    return device


@contextmanager
def engine_settings(engine: Engine) -> Iterator[None]:
    """Threads and precision as the profile asks for them; the next run of a batch begins with the threads of before."""
    threads_before = torch.get_num_threads()
    if engine.threads:
        torch.set_num_threads(engine.threads)
    torch.set_float32_matmul_precision(_PRECISION[engine.precision])
    try:
        yield
    finally:
        torch.set_num_threads(threads_before)


def gpu_uuid(device: torch.device) -> str | None:
    """How NVML knows the device; its own numbers heed no CUDA_VISIBLE_DEVICES."""
    return f"GPU-{torch.cuda.get_device_properties(device).uuid}" if device.type == "cuda" else None


def device_name(device: torch.device) -> str:
    """The GPU's name, or how many threads there are."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    count = torch.get_num_threads()
    return f"{count} thread{'s' if count > 1 else ''}"
