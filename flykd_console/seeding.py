"""Local generators: every draw of a run follows from its seed and the purpose of the draw, never from global state."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


def _entropy(seed: int, purpose: str) -> list[int]:
    return [seed, zlib.crc32(purpose.encode())]


def numpy_rng(seed: int, purpose: str) -> np.random.Generator:
    """An independent numpy generator for one purpose of one seed."""
    return np.random.default_rng(_entropy(seed, purpose))


def uniform_of(seed: int, purpose: str, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """A draw from [0, 1) for each of some numbers, float64 [n]: a number's is the same whenever it is asked for.

    It is SplitMix64 (Steele, Lea and Flood 2014), whose state is the number, begun at a word of seed and purpose.
    """
    word = np.random.SeedSequence(_entropy(seed, purpose)).generate_state(1, np.uint64)[0]
    mixed = numbers.astype(np.uint64)
    mixed *= np.uint64(0x9E3779B97F4A7C15)
    mixed += word
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    mixed >>= np.uint64(11)
    drawn: NDArray[np.float64] = mixed.astype(np.float64)
    drawn *= 2.0**-53
    return drawn


def torch_rng(seed: int, purpose: str, device: str | torch.device = "cpu") -> torch.Generator:
    """An independent torch generator on a device for one purpose of one seed."""
    import torch

    word = np.random.SeedSequence(_entropy(seed, purpose)).generate_state(1, np.uint64)[0]
    return torch.Generator(device=device).manual_seed(int(word) & (2**63 - 1))
