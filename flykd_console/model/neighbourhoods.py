"""Who hears whom among the nodes of one or several graphs, and what is computed over it: sums, attention, readout.

Plain sums are products with a fixed sparse matrix. Attention on a CPU is DGL's, which never makes the messages of all
edges (`benchmarks/nodes.py`); on a GPU, and as the other's oracle, torch gathers and scatters them.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from flykd_console.graph.dgl_graph import import_dgl
from flykd_console.model.sparse import FixedSparse

Messages = Literal["auto", "dgl", "torch"]
# Below it a GAT's scores keep this share (Veličković et al. 2018).
LEAK = 0.2


class Neighbourhoods:
    """Undirected edges among n nodes, each once.

    Args:
        edges: int64 [e, 2], u and v different.
        nodes: n.
        device: Where products are carried out.
        messages: Who carries attention: `auto` is dgl on a CPU and torch elsewhere.
        typed: The edges with their relations, int64 [k, 3]; None: they are all of one.
        relations: How many there are, some of them maybe without an edge here.

    Attributes:
        sources, targets: Directed edges with a self loop each, ascending by target, int64 [2e + n].
    """

    def __init__(
        self,
        edges: NDArray[np.int64],
        nodes: int,
        device: torch.device,
        messages: Messages = "auto",
        typed: NDArray[np.int64] | None = None,
        relations: int = 0,
    ) -> None:
        self.nodes, self.device = nodes, device
        self._typed, self._relations = typed, relations
        self.by_dgl = messages == "dgl" or (messages == "auto" and device.type == "cpu")
        loops = np.arange(nodes, dtype=np.int64)
        sources = np.concatenate([edges[:, 0], edges[:, 1], loops])
        targets = np.concatenate([edges[:, 1], edges[:, 0], loops])
        order = np.lexsort((sources, targets))
        ones = np.ones(2 * len(edges), dtype=np.float32)
        both = (np.concatenate([edges[:, 1], edges[:, 0]]), np.concatenate([edges[:, 0], edges[:, 1]]))
        self._adjacency = sp.csr_array((ones, both), shape=(nodes, nodes))
        self.sources = torch.from_numpy(sources[order]).to(device)
        self.targets = torch.from_numpy(targets[order]).to(device)

    @cached_property
    def symmetric(self) -> FixedSparse:
        """D^-1/2 (A + I) D^-1/2 with degrees of A + I: a GCN's (Kipf and Welling 2017)."""
        with_loops = self._adjacency + sp.eye_array(self.nodes, format="csr", dtype=np.float32)
        scale = sp.diags_array(1.0 / np.sqrt(with_loops.sum(axis=1)))
        return FixedSparse(sp.csr_array(scale @ with_loops @ scale, dtype=np.float32), self.device)

    @cached_property
    def mean(self) -> FixedSparse:
        """D^-1 A: the mean of the neighbours, 0 where there is none (GraphSAGE's)."""
        degrees = self._adjacency.sum(axis=1)
        scale = sp.diags_array(1.0 / np.maximum(degrees, 1.0))
        return FixedSparse(sp.csr_array(scale @ self._adjacency, dtype=np.float32), self.device)

    @cached_property
    def total(self) -> FixedSparse:
        """A: the sum of the neighbours (GIN's)."""
        return FixedSparse(self._adjacency, self.device)

    @cached_property
    def by_relation(self) -> list[FixedSparse]:
        """For each relation D_r^-1 A_r along its direction, and then against it (R-GCN's), [n, n] each."""
        assert self._typed is not None
        found = []
        for relation in range(self._relations):
            pairs = self._typed[self._typed[:, 2] == relation]
            for hears, heard in ((pairs[:, 1], pairs[:, 0]), (pairs[:, 0], pairs[:, 1])):
                ones = np.ones(len(pairs), dtype=np.float32)
                adjacency = sp.csr_array((ones, (hears, heard)), shape=(self.nodes, self.nodes))
                scale = sp.diags_array(1.0 / np.maximum(adjacency.sum(axis=1), 1.0))
                found.append(FixedSparse(sp.csr_array(scale @ adjacency, dtype=np.float32), self.device))
        return found

    def attend(
        self, rows: Tensor, of_source: Tensor, of_target: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Every node's rows of its neighbours and itself, weighed by the softmax of leaky scores.

        e_uv = LeakyReLU(of_source_u + of_target_v), a_uv = exp e_uv / sum_u' exp e_u'v, out_v = sum_u a_uv rows_u

        Args:
            rows: [n, heads, d].
            of_source: [n, heads].
            of_target: [n, heads].
            mask: What weights are multiplied by after the softmax (dropout), [2e + n, heads].

        Returns:
            [n, heads, d], and the weights before the mask in the order of `sources`, [2e + n, heads].
        """
        return (
            self._attend_dgl(rows, of_source, of_target, mask)
            if self.by_dgl
            else self._attend_torch(rows, of_source, of_target, mask)
        )

    @cached_property
    def _dgl(self) -> Any:
        return import_dgl().graph((self.sources, self.targets), num_nodes=self.nodes)

    def _attend_dgl(
        self, rows: Tensor, of_source: Tensor, of_target: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        ops = import_dgl().ops
        scores = torch.nn.functional.leaky_relu(
            ops.u_add_v(self._dgl, of_source.unsqueeze(-1), of_target.unsqueeze(-1)), LEAK
        )
        weights = ops.edge_softmax(self._dgl, scores)
        used = weights if mask is None else weights * mask.unsqueeze(-1)
        return ops.u_mul_e_sum(self._dgl, rows, used), weights.squeeze(-1)

    def _attend_torch(
        self, rows: Tensor, of_source: Tensor, of_target: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        scores = torch.nn.functional.leaky_relu(of_source[self.sources] + of_target[self.targets], LEAK)
        weights = softmax_by(scores, self.targets, self.nodes)
        used = weights if mask is None else weights * mask
        messages = rows[self.sources] * used.unsqueeze(-1)
        return torch.zeros_like(rows).index_add(0, self.targets, messages), weights


def softmax_by(scores: Tensor, groups: Tensor, count: int) -> Tensor:
    """The softmax of scores [k, ...] among those of a group, group [k] of `count`; differentiable."""
    index = groups.view(-1, *(1,) * (scores.dim() - 1)).expand_as(scores)
    shape = (count, *scores.shape[1:])
    highest = torch.full(shape, -torch.inf, device=scores.device, dtype=scores.dtype)
    highest = highest.scatter_reduce(0, index, scores.detach(), "amax", include_self=True)
    raised = torch.exp(scores - highest.gather(0, index))
    total = torch.zeros(shape, device=scores.device, dtype=scores.dtype).index_add(0, groups, raised)
    return raised / total.gather(0, index)
