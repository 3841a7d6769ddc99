"""What a model of links encodes, and what the decoder scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

if TYPE_CHECKING:
    from flykd_console.model.propagation.base import Layers


@dataclass(frozen=True)
class Encoded:
    """What the decoder needs.

    Attributes:
        head: float32 [m, d], rows as the encoder's `heads`.
        tails: Per relation float32 [n_r, d], rows as the encoder's `tails[relation]`.
        relation: Per relation its DistMult vector, float32 [d].
        tail: Tail embeddings before pooling, of the tails that pooling draws on, ascending, float32 [n, d].
    """

    head: Tensor
    tails: dict[str, Tensor]
    relation: dict[str, Tensor]
    tail: Tensor


def mean_of(teachers: Sequence[Encoded], weights: Sequence[float] | None = None) -> Encoded:
    """One model whose logits are the weighted mean of N: heads [m, N d], tails [n, N d], relations [N d]."""
    if len(teachers) == 1:
        return teachers[0]
    first = teachers[0]
    given = weights or [1.0] * len(teachers)
    shares = [weight / sum(given) for weight in given]
    return Encoded(
        head=torch.cat([t.head for t in teachers], dim=1),
        tails={name: torch.cat([t.tails[name] for t in teachers], dim=1) for name in first.tails},
        relation={
            name: torch.cat([t.relation[name] * share for t, share in zip(teachers, shares, strict=True)])
            for name in first.relation
        },
        tail=torch.cat([t.tail for t in teachers], dim=1),
    )


class Encoder(Protocol):
    """Encodes a choice of heads and tails with the current weights of the model it was made for; differentiable."""

    def __call__(self, model: Any) -> Encoded:
        """What the decoder scores."""
        ...

    def with_layers(self, model: Any) -> tuple[Encoded, Layers]:
        """The same, and the outputs of the layers that were asked for.

        Raises:
            ValueError: None were, or the model has none.
        """
        ...
