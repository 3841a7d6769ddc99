"""Which kernels a device is given: those that are quick on a CPU, or those that a GPU has.

A test may have a CPU carry out a GPU's, so that every line of them is known to work before there is a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

_forced = False


def has_cpu_kernels(device: torch.device) -> bool:
    """Whether sparse products gather rows by embedding bags, and relations share segments: on a CPU."""
    return device.type == "cpu" and not _forced


def gpu_kernels() -> AbstractContextManager[None]:
    """A GPU's kernels on every device."""
    return _kernels(forced=True)


def cpu_kernels() -> AbstractContextManager[None]:
    """Each device its own again, within `gpu_kernels`."""
    return _kernels(forced=False)


@contextmanager
def _kernels(forced: bool) -> Iterator[None]:
    global _forced
    before, _forced = _forced, forced
    try:
        yield
    finally:
        _forced = before
