"""Feature distillation (FitNets, Romero et al. 2015): the student's layers match the teacher's through a learned map.

Every node type has a map and a mean of its own, so that types do not blur into each other.

For a pair of layers, a node type with nodes v, rows h of the student and g of the teacher, and the map M [d, D]:

    mse     L = sum_v a_v |h_v M - g_v|² / sum_v a_v |g_v|²       0: equal, 1: no better than rows of zeros
    cosine  L = sum_v a_v (1 - cos(h_v M, g_v))

Relative to the teacher's own size, layers and types of any magnitude count alike. The weights a_v sum to 1:

    none           every node alike
    degree         in proportion to the node's training edges, of all relations
    neighbourhood  v runs over the scored nodes, and h_v, g_v are means over v's neighbours of the type, in place of the
                   nodes' own rows: what is matched is what a next layer would gather there, not each node for itself

The loss is the mean over node types, teachers and layer pairs. Without maps of their own (`per_type` off) the types of
a layer share one map and one sum. Maps have no bias: a node that no message reaches is zero on both sides. They are
trained with the student and thrown away at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from flykd_console.model.sparse import FixedSparse

if TYPE_CHECKING:
    from flykd_console.graph.knowledge_graph import Targets
    from flykd_console.model.message_graph import MessageGraph

Nodes = dict[str, NDArray[np.int64]]


def matched_nodes(graph: MessageGraph, targets: Targets, last: bool) -> Nodes:
    """The nodes whose rows of a layer are compared: per node type those that some message reaches, ascending.

    The scored types (heads and tails of the targets) in every layer. In the layers before the last also every other
    type that sends messages to a scored one: those rows are computed anyway, and the last layer is made of them.
    """
    scored = {targets.head, targets.tail}
    types = (
        scored
        if last
        else scored | {e.head for e, (heads, _) in graph.edges.items() if e.tail in scored and len(heads)}
    )
    return {t: np.flatnonzero(_degrees(graph, t)) for t in sorted(types)}


def _degrees(graph: MessageGraph, node_type: str) -> NDArray[np.int64]:
    """Messages that reach each node of a type, int64 [N_type]."""
    total = np.zeros(graph.node_counts[node_type], dtype=np.int64)
    for edge_type, (_, targets) in graph.edges.items():
        if edge_type.tail == node_type:
            total += np.bincount(targets, minlength=len(total))
    return total


def node_weights(graph: MessageGraph, nodes: Mapping[str, NDArray[np.int64]], by_degree: bool) -> dict[str, Tensor]:
    """a_v before normalisation, per node type float32 [nodes]."""
    if not by_degree:
        return {t: torch.ones(len(rows)) for t, rows in nodes.items()}
    kind = torch.get_default_dtype()
    return {t: torch.from_numpy(_degrees(graph, t)[rows]).to(kind) for t, rows in nodes.items()}


def neighbour_means(
    graph: MessageGraph, nodes: Mapping[str, NDArray[np.int64]], scored: Sequence[str]
) -> dict[str, sp.csr_array]:
    """Per node type the means over the neighbours of scored nodes, float32 [scored nodes with some, nodes].

    A neighbour counts once, however many relations lead to it.
    """
    means = {}
    for node_type, columns in nodes.items():
        parts = []
        for centre in scored:
            shape = (graph.node_counts[centre], graph.node_counts[node_type])
            edges = [p for e, p in graph.edges.items() if (e.head, e.tail) == (node_type, centre)]
            heads, tails = (np.concatenate([np.empty(0, np.int64), *(pair[i] for pair in edges)]) for i in (0, 1))
            both = sp.csr_array((np.ones(len(heads), np.float32), (tails, heads)), shape=shape)
            both.sum_duplicates()
            both.data[:] = 1.0
            parts.append(both[:, columns])
        stacked = sp.csr_array(sp.vstack(parts))
        stacked = sp.csr_array(stacked[np.flatnonzero(np.diff(stacked.indptr))])
        stacked.data /= np.repeat(np.diff(stacked.indptr), np.diff(stacked.indptr)).astype(np.float32)
        if stacked.shape[0]:
            means[node_type] = stacked
    return means


@dataclass(frozen=True)
class _Term:
    """One node type of one layer pair and teacher.

    Attributes:
        target: g, float32 [n, D].
        weights: What each row counts for in the loss, float32 [n].
        means: Turns the student's rows into means over neighbours, [n, nodes]; None: the rows as they are.
    """

    pair: int
    node_type: str
    map: torch.nn.Parameter
    target: Tensor
    weights: Tensor
    means: FixedSparse | None

    def loss(self, rows: Tensor, kind: str) -> Tensor:
        if self.means is not None:
            rows = self.means @ rows
        mapped = rows @ self.map
        if kind == "cosine":
            return self.weights @ (1.0 - functional.cosine_similarity(mapped, self.target, dim=1))
        return self.weights @ (mapped - self.target).square().sum(dim=1)


class HiddenMatching:
    """`L_hidden` of a student against the frozen rows of teachers, and the maps that it trains.

    Args:
        nodes: Per layer pair the nodes compared, as `matched_nodes` gives them.
        scored: The scored node types, whose neighbourhoods count.
        teachers: Per teacher and layer pair the rows of these nodes, per node type [nodes, D].
        dim: The student's width d.
        generator: Draws the maps, on the CPU.
        kind: `mse` or `cosine`.
        per_type: A map and a mean of its own for every node type.
        attention: `none`, `degree` or `neighbourhood`.

    Attributes:
        parameters: The maps, for the student's optimiser.
    """

    def __init__(
        self,
        graph: MessageGraph,
        nodes: Sequence[Nodes],
        scored: Sequence[str],
        teachers: Sequence[Sequence[Mapping[str, Tensor]]],
        dim: int,
        generator: torch.Generator,
        kind: str = "mse",
        per_type: bool = True,
        attention: str = "none",
    ) -> None:
        self._kind = kind
        self._terms: list[_Term] = []
        self.parameters: list[torch.nn.Parameter] = []
        groups = 0
        for pair, of_pair in enumerate(nodes):
            averaged = neighbour_means(graph, of_pair, scored) if attention == "neighbourhood" else None
            raw = node_weights(graph, of_pair, attention == "degree")
            for rows in (layers[pair] for layers in teachers):
                parts: list[_Term] = []
                for node_type, target in rows.items():
                    means = None
                    weights = raw[node_type].to(target.device)
                    if averaged is not None:
                        if node_type not in averaged:
                            continue
                        means = FixedSparse(averaged[node_type], target.device)
                        target, weights = means.product(target), weights.new_ones(means.shape[0])
                    if len(target) == 0:
                        continue
                    if per_type or not parts:
                        self.parameters.append(_fresh_map(dim, target, generator))
                    parts.append(_Term(pair, node_type, self.parameters[-1], target, weights, means))
                shares = [[part] for part in parts] if per_type else [parts]
                self._terms += [term for share in shares for term in _normalised(share, kind)]
                groups += len(shares)
        self._groups = groups

    def __call__(self, layers: Sequence[Mapping[str, Tensor]]) -> Tensor:
        """The loss from the student's rows, per layer pair and node type [nodes, d]; differentiable."""
        losses = [term.loss(layers[term.pair][term.node_type], self._kind) for term in self._terms]
        return torch.stack(losses).sum() / self._groups

    def state_dict(self) -> dict[str, Tensor]:
        """The maps, for a checkpoint."""
        return {str(number): parameter.detach() for number, parameter in enumerate(self.parameters)}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` returned."""
        for number, parameter in enumerate(self.parameters):
            parameter.copy_(state[str(number)])


def _fresh_map(dim: int, target: Tensor, generator: torch.Generator) -> torch.nn.Parameter:
    """A map [d, D], drawn as torch draws a Linear's weight."""
    drawn = torch.empty(dim, target.shape[1]).uniform_(-(dim**-0.5), dim**-0.5, generator=generator)
    return torch.nn.Parameter(drawn.to(target.device))


def _normalised(terms: list[_Term], kind: str) -> list[_Term]:
    """The terms of one sum, their weights divided by what makes the sum 1 for rows of zeros."""
    if not terms:
        return []
    sizes = [t.weights @ t.target.square().sum(dim=1) if kind == "mse" else t.weights.sum() for t in terms]
    total = torch.stack(sizes).sum().clamp(min=torch.finfo(torch.float32).tiny)
    return [replace(term, weights=term.weights / total) for term in terms]
