"""Which rows of which layer the structure losses need: collected before a pass is prepared, handed out after it.

Several losses may ask for rows of one layer. The pass computes their union once, and each loss reads its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from flykd_console.model.receptive_field import joined

if TYPE_CHECKING:
    from flykd_console.model.message_graph import Wanted
    from flykd_console.model.propagation.base import Layers


@dataclass
class LayerRows:
    """The requests for rows of one model's layers.

    Attributes:
        depth: Number of layers L.
    """

    depth: int
    _asked: list[list[Wanted]] = field(init=False)

    def __post_init__(self) -> None:
        self._asked = [[] for _ in range(self.depth)]

    def ask(self, layer: int, nodes: Wanted) -> Reader:
        """Ask for nodes of layer 1..L; the reader finds them once a pass has been prepared for `hidden`."""
        self._asked[layer - 1].append(nodes)
        return Reader(self, layer, nodes)

    def hidden(self) -> list[Wanted] | None:
        """The nodes to prepare a pass for, per layer and node type ascending; None where nothing was asked for."""
        if not any(self._asked):
            return None
        return [joined(*asked) for asked in self._asked]


@dataclass
class Reader:
    """Reads one request's rows from the layers that a pass gives."""

    requests: LayerRows
    layer: int
    nodes: Wanted
    _positions: dict[str, Tensor | None] = field(default_factory=dict)

    def __call__(self, layers: Layers) -> dict[str, Tensor]:
        """Per node type float32 [nodes, d], in the order asked for; differentiable."""
        rows = layers[self.layer - 1]
        if not self._positions:
            computed = self.requests.hidden()
            assert computed is not None
            for node_type, nodes in self.nodes.items():
                among = computed[self.layer - 1][node_type]
                at = torch.from_numpy(np.searchsorted(among, nodes)).to(rows[node_type].device)
                self._positions[node_type] = None if np.array_equal(among, nodes) else at
        return {t: rows[t] if at is None else rows[t].index_select(0, at) for t, at in self._positions.items()}


def read(readers: Sequence[Sequence[Reader]], layers: Sequence[Layers]) -> list[list[dict[str, Tensor]]]:
    """Per network what each of its readers finds in its layers."""
    return [[reader(outputs) for reader in of_one] for of_one, outputs in zip(readers, layers, strict=True)]
