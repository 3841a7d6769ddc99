"""Soft labels under a temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from flykd_console.distill.teacher import Teacher


def soft_labels(soft: Teacher, pairs: list[Tensor], temperature: float) -> list[Tensor]:
    """sigmoid(t / T) of the teacher's logits, per relation float32 [n_r]."""
    if temperature == 1.0:
        return soft.probabilities(pairs)
    return [torch.sigmoid(logits / temperature) for logits in soft.logits(pairs)]


def temperatures(labels: list[Tensor], temperature: float) -> list[Tensor] | None:
    """Each label's temperature, per relation float32 [n_r]; None where it is 1."""
    return None if temperature == 1.0 else [torch.full_like(x, temperature) for x in labels]
