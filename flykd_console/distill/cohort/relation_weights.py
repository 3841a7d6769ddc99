"""The adaptive weighting unit of links: where an answer has two outcomes, the unit's classes are the relations.

    n(e) = -H(Bernoulli(sigmoid z(e)))     confidence about a training edge e, detached
    s = (1/E) n^T chi phi   in R^R         chi [E, h] ~ N(0, 1), phi [h, R] = 0 at first
    w = 1 + b tanh(s - mean_r s), or R softmax(s) where b = 0

A member's logits of relation r are multiplied by w_r when it teaches and when it is taught. After Agbaje et al. 2025;
that relations stand for classes, and training edges for samples, is chosen here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flykd_console.distill.cohort.logit_weighting import WeightingUnit
from flykd_console.seeding import torch_rng

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flykd_console.profile.cohort import LogitWeighting


def units_of(
    settings: LogitWeighting, members: Sequence[str], edges: int, relations: int, seed: int, device: torch.device
) -> dict[str, WeightingUnit]:
    """A unit for every member; none where there is to be no weighting."""
    if settings.kind == "none":
        return {}
    found = {}
    for name in members:
        generator = torch_rng(seed, f"logit weighting/{name}")
        found[name] = WeightingUnit(settings, edges, relations, generator).to(device)
    return found


def relation_weights(unit: WeightingUnit, edges: Sequence[Tensor]) -> Tensor:
    """w, float32 [R]; differentiable in the unit alone.

    Args:
        edges: Per relation the member's logits of the training edges, float32 [E_r].
    """
    logits = torch.cat([one.detach() for one in edges])
    outcomes = torch.stack([torch.zeros_like(logits), logits], dim=1)
    return unit.weights(outcomes).squeeze(0)
