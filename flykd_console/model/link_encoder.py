"""From a model to what the decoder scores: head embeddings, and per relation pooled tail embeddings.

The heads and tails are chosen once (the training support, the evaluation pairs, or all nodes); propagation and pooling
are prepared for exactly those.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from flykd_console.graph.knowledge_graph import Targets
from flykd_console.model.bias_columns import with_biases
from flykd_console.model.encoded import Encoded
from flykd_console.model.message_graph import Hidden, MessageGraph
from flykd_console.model.propagation import propagation
from flykd_console.model.propagation.base import Layers
from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.model.sparse import FixedSparse

Pooling = Mapping[str, sp.csr_array]


class LinkEncoder:
    """Propagation and pooling, prepared for one choice of heads and tails.

    Args:
        kind: `auto` or `dgl`.
        model: Gives inputs, width and device.
        pooling: Per relation a map over all tails [N_tail, N_tail]; None: the tails' own embeddings.
        heads: Node indices, int64 [m].
        tails: Per relation node indices, int64 [n_r].
        hidden: Nodes whose output of every layer is needed besides; None: `with_layers` is not available.
    """

    def __init__(
        self,
        kind: str,
        graph: MessageGraph,
        model: HeteroRGCN,
        pooling: Pooling | None,
        targets: Targets,
        heads: NDArray[np.int64],
        tails: Mapping[str, NDArray[np.int64]],
        hidden: Hidden | None = None,
    ) -> None:
        self._head_type, self._tail_type = targets.head, targets.tail
        self._numbers = {target.relation: model.index(target) for target in targets}
        count = graph.node_counts[self._tail_type]
        maps = {}
        for relation, rows in tails.items():
            whole = sp.eye_array(count, format="csr", dtype=np.float32) if pooling is None else pooling[relation]
            maps[relation] = sp.csr_array(whole[rows])
        needed = np.unique(np.concatenate([matrix.indices for matrix in maps.values()])).astype(np.int64)
        device = model.relation.device
        self._maps = {
            relation: FixedSparse(sp.csr_array(matrix[:, needed]), device) for relation, matrix in maps.items()
        }
        self._nodes = torch.from_numpy(heads).to(device), {r: torch.from_numpy(t).to(device) for r, t in tails.items()}
        self._propagate = propagation(kind, graph, model, {self._head_type: heads, self._tail_type: needed}, hidden)

    def __call__(self, model: HeteroRGCN) -> Encoded:
        """Encode with the model's current weights; differentiable."""
        return self._encoded(model, self._propagate(model))

    def with_layers(self, model: HeteroRGCN) -> tuple[Encoded, Layers]:
        """Encode, and the hidden nodes' outputs of every layer 1..L from the same pass, before pooling; differentiable.

        Raises:
            ValueError: No hidden nodes were asked for.
        """
        output, layers = self._propagate.with_layers(model)
        return self._encoded(model, output), layers

    def _encoded(self, model: HeteroRGCN, output: Mapping[str, Tensor]) -> Encoded:
        encoded = Encoded(
            head=output[self._head_type],
            tails={relation: matrix @ output[self._tail_type] for relation, matrix in self._maps.items()},
            relation={relation: model.relation[number] for relation, number in self._numbers.items()},
            tail=output[self._tail_type],
        )
        return encoded if model.biases is None else with_biases(encoded, model.biases, *self._nodes)
