"""LinkTables: a free embedding for every node, and a bias for every head; what a distilled list needs and no more.

    s(h, r, t) = sum_i h_i w_{r,i} t_{r,i} + b_{r,h}

A head has one row for all relations, a tail one for each. The bias can count what a network of means cannot: how
popular a head is. It takes one column per relation (`bias_columns.py`), so that what is encoded is DistMult of width
d + R, as everything downstream expects. Nothing is carried along edges: a node that no loss names stays
as it was drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from flykd_console.model.bias_columns import with_head_biases
from flykd_console.model.encoded import Encoded
from flykd_console.model.take_over import take_over

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from flykd_console.graph.knowledge_graph import Targets
    from flykd_console.model.propagation.base import Layers

# Standard deviation of fresh embeddings.
_SPREAD = 0.1
# A fresh bias is so many times log(1 + training degree).
_POPULARITY = 0.5


class LinkTables(nn.Module):
    """Free embeddings of heads and tails under some relations.

    Args:
        targets: The relations that are scored.
        degrees: Per relation the heads' training degrees, int64 [N_head].
        tail_count: Number of tails.
        dim: Width d.
        generator: On the CPU.

    Attributes:
        head: float32 [N_head, d].
        tails: float32 [R, N_tail, d].
        relation: DistMult vectors, ones at first, float32 [R, d].
        bias: float32 [R, N_head].
    """

    kind = "table"
    layers = 1

    def __init__(
        self,
        targets: Targets,
        degrees: Mapping[str, NDArray[np.int64]],
        tail_count: int,
        dim: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.dim = dim
        self._relations = [target.relation for target in targets]
        counted = torch.stack([torch.from_numpy(degrees[name]) for name in self._relations])
        count, relations = counted.shape[1], len(self._relations)
        self.head = nn.Parameter(torch.randn(count, dim, generator=generator) * _SPREAD)
        self.tails = nn.Parameter(torch.randn(relations, tail_count, dim, generator=generator) * _SPREAD)
        self.relation = nn.Parameter(torch.ones(relations, dim))
        self.bias = nn.Parameter(_POPULARITY * torch.log1p(counted.float()))

    @property
    def parameter_count(self) -> int:
        """N_head (d + R) + R N_tail d + R d."""
        return sum(parameter.numel() for parameter in self.parameters())

    def tensors(self) -> dict[str, Tensor]:
        """The parameters, on the CPU."""
        return {name: parameter.detach().cpu().contiguous() for name, parameter in self.named_parameters()}

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` returned.

        Raises:
            ValueError: A tensor is missing, is one too many, or has another shape; the model then stays as it was.
        """
        take_over(dict(self.named_parameters()), tensors)


class TableEncoder:
    """The rows of some heads and tails.

    Args:
        heads: Node indices, int64 [m].
        tails: Per relation node indices, int64 [n_r].
    """

    def __init__(
        self,
        model: LinkTables,
        targets: Targets,
        heads: NDArray[np.int64],
        tails: Mapping[str, NDArray[np.int64]],
    ) -> None:
        device = model.head.device
        self._relations = [target.relation for target in targets]
        self._heads = torch.from_numpy(heads).to(device)
        self._tails = {name: torch.from_numpy(rows).to(device) for name, rows in tails.items()}

    def __call__(self, model: LinkTables) -> Encoded:
        """Embeddings with the columns of the biases, width d + R; differentiable."""
        numbers = {name: number for number, name in enumerate(self._relations)}
        encoded = Encoded(
            head=model.head.index_select(0, self._heads),
            tails={name: model.tails[i].index_select(0, self._tails[name]) for name, i in numbers.items()},
            relation={name: model.relation[i] for name, i in numbers.items()},
            # Which no score asks for.
            tail=model.tails.detach().mean(dim=0),
        )
        return with_head_biases(encoded, model.bias[:, self._heads].T)

    def with_layers(self, model: LinkTables) -> tuple[Encoded, Layers]:
        """Tables have no layers.

        Raises:
            ValueError: Always.
        """
        raise ValueError("tables have no layers to compare")
