"""Local generators: every draw of a run follows from its seed and the purpose of the draw, never from global state."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def _entropy(seed: int, purpose: str) -> list[int]:
    return [seed, zlib.crc32(purpose.encode())]


def numpy_rng(seed: int, purpose: str) -> np.random.Generator:
    """An independent numpy generator for one purpose of one seed."""
    return np.random.default_rng(_entropy(seed, purpose))


def torch_rng(seed: int, purpose: str, device: str | torch.device = "cpu") -> torch.Generator:
    """An independent torch generator on a device for one purpose of one seed."""
    import torch

    word = np.random.SeedSequence(_entropy(seed, purpose)).generate_state(1, np.uint64)[0]
    return torch.Generator(device=device).manual_seed(int(word) & (2**63 - 1))
