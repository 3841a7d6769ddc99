"""From label sources to one loss (FlyKD section 3): the weighted mean of the sources' binary cross-entropies.

    L = sum over sources of weight · mean BCE(s, y)

Soft labels may have a temperature T (Hinton et al. 2015): a pair's loss is T² BCE(s / T, sigmoid(t / T)) for student
and teacher logits s and t. Labels that are 0 or 1 for certain have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from flykd_console.distill.labels.base import BlockSource, LabelBatch, LabelSource, PairSource

if TYPE_CHECKING:
    from flykd_console.distill.pairs.pair_space import PairSpace
    from flykd_console.model.encoded import Encoded


def losses(
    space: PairSpace,
    encoded: Encoded,
    sources: Mapping[str, LabelSource],
    weights: Mapping[str, float | Tensor],
    epoch: int,
) -> dict[str, Tensor]:
    """Mean binary cross-entropy per source, and `total`, their weighted sum; sources of weight 0 are left out.

    A weight that is a tensor is never read back: its source takes part.

    Every source's pairs are scored together, so the score matrix is formed and differentiated once.
    """
    active = {name: source for name, source in sources.items() if takes_part(weights.get(name, 0.0))}
    batches = {name: source.batch(epoch) for name, source in active.items() if isinstance(source, PairSource)}
    result: dict[str, Tensor] = {}
    if batches:
        result |= _pair_losses(space, encoded, batches)
    result |= {name: source.loss(encoded, epoch) for name, source in active.items() if isinstance(source, BlockSource)}
    result["total"] = torch.stack([weights[name] * loss for name, loss in result.items()]).sum()
    return result


def takes_part(weight: float | Tensor) -> bool:
    """Whether a weight lets a loss count; one that is a tensor is never read back."""
    return isinstance(weight, Tensor) or weight > 0.0


def _pair_losses(space: PairSpace, encoded: Encoded, batches: Mapping[str, LabelBatch]) -> dict[str, Tensor]:
    logits = logits_of(space, encoded, {name: batch.pairs for name, batch in batches.items()})
    return {name: cross_entropy_of(logits[name], batch) for name, batch in batches.items()}


def logits_of(space: PairSpace, encoded: Encoded, pairs: Mapping[str, list[Tensor]]) -> dict[str, list[Tensor]]:
    """Logits of several lists of pairs, scored together.

    Args:
        pairs: Per list and relation flat indices, int64 [n_r].

    Returns:
        Per list and relation float32 [n_r], differentiable.
    """
    everything = [torch.cat(parts) for parts in zip(*pairs.values(), strict=True)]
    logits = space.logits(encoded, everything)
    pieces = [
        torch.split(relation_logits, [len(listed[i]) for listed in pairs.values()])
        for i, relation_logits in enumerate(logits)
    ]
    return {name: [of_relation[number] for of_relation in pieces] for number, name in enumerate(pairs)}


def cross_entropy_of(logits: list[Tensor], batch: LabelBatch) -> Tensor:
    """The mean cross-entropy of a batch, whose pairs have these logits, per relation float32 [n_r]."""
    scores = torch.cat(logits)
    squared = None
    if batch.temperatures is not None:
        temperatures = torch.cat(batch.temperatures)
        scores, squared = scores / temperatures, temperatures.square()
    labels = torch.cat(batch.labels)
    summed = functional.binary_cross_entropy_with_logits(scores, labels, squared, reduction="sum")
    count = len(scores)
    if batch.constant is not None:
        summed, count = summed + batch.constant[0], count + batch.constant[1]
    return summed / count
