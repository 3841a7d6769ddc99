"""Putting saved tensors into a model: all of them or none."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


@torch.no_grad()
def take_over(mine: Mapping[str, Tensor], saved: Mapping[str, Tensor]) -> None:
    """Copy saved tensors into those of a model by their names; nothing is copied before everything fits.

    Raises:
        ValueError: A tensor is missing, is one too many, or has another shape or type.
    """
    for name in mine:
        if name not in saved:
            raise ValueError(f"{name}: missing")
        if saved[name].shape != mine[name].shape:
            raise ValueError(f"{name}: expected shape {tuple(mine[name].shape)}, found {tuple(saved[name].shape)}")
        if saved[name].dtype != mine[name].dtype:
            raise ValueError(f"{name}: expected {mine[name].dtype}, found {saved[name].dtype}")
    foreign = sorted(saved.keys() - mine.keys())
    if foreign:
        raise ValueError(f"{foreign[0]}: no tensor of this model")
    for name, tensor in mine.items():
        tensor.copy_(saved[name])
