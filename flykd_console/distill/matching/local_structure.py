"""Local structure preservation (LSP; Yang et al. 2020): the student keeps the teacher's similarities to neighbours.

For a tail v with neighbours N(v) and the rows h of a layer, before any pooling:

    p_v = softmax_{u in N(v)} k(h_v, h_u)
    L_lsp = mean over tails v with neighbours of KL(p_v of the teacher || p_v of the student) / |N(v)|

averaged over the layers that are compared. The similarities k, of which `l2` is negated here so that a close neighbour
counts more, as it does under the others:

    rbf         exp(-|h_u - h_v|² / (2 sigma²))
    cosine      h_u . h_v / (|h_u| |h_v|)
    l2          -|h_u - h_v|
    polynomial  (h_u . h_v + 2)²

All tails are computed together over one list of edges: a sampled dense-dense product gives h_u . h_v on the edges, row
norms turn it into distances, and softmaxes run over segments of the list. Its gradient is two sparse products.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flykd_console.graph.knowledge_graph import EdgeType, Pairs
from flykd_console.model.kernels import has_cpu_kernels
from flykd_console.relation_names import any_meant

_POLYNOMIAL_OFFSET = 2.0
# Keeps the gradient of a distance finite where both ends coincide.
_DISTANCE_FLOOR = 1e-12


class Neighbourhood:
    """The neighbours of every tail that has any, as one list of edges sorted by tail.

    Each neighbour counts once, however many relations lead to it; a node is not its own neighbour.

    Args:
        edges: Training edges, one direction.
        tail_type: Whose neighbours.
        relations: Names of the relations that make neighbours, in either direction; None: all that touch the type.

    Attributes:
        nodes: The tails with neighbours, then their neighbours of other types: per node type int64, ascending.
            A table of their rows, type after type in this order, is what the list's columns refer to.
        tail_count: Number n of tails with neighbours; they are the table's first rows.
        matrix: The list: a binary matrix [n, N] over the table's N rows.
    """

    def __init__(
        self, edges: Mapping[EdgeType, Pairs], tail_type: str, relations: Collection[str] | None = None
    ) -> None:
        found: dict[str, list[Pairs]] = {}
        for edge_type, (heads, tails) in sorted(edges.items()):
            if relations is not None and not any_meant(relations, *edge_type):
                continue
            if edge_type.tail == tail_type:
                found.setdefault(edge_type.head, []).append((tails, heads))
            if edge_type.head == tail_type:
                found.setdefault(edge_type.tail, []).append((heads, tails))
        if tail_type in found:
            found[tail_type] = [(v[v != u], u[v != u]) for v, u in found[tail_type]]
        joined = {t: tuple(np.concatenate(ends) for ends in zip(*parts, strict=True)) for t, parts in found.items()}
        # Neighbours of the tails' own type are tails with a neighbour themselves, so those come first and once.
        tails = np.unique(np.concatenate([np.empty(0, np.int64), *(v for v, _ in joined.values())]))
        self.tail_count = len(tails)
        self.nodes: dict[str, NDArray[np.int64]] = {tail_type: tails}
        rows, columns, width = [np.empty(0, np.int64)], [np.empty(0, np.int64)], len(tails)
        for node_type, (v, u) in sorted(joined.items()):
            rows.append(np.searchsorted(tails, v))
            if node_type == tail_type:
                columns.append(np.searchsorted(tails, u))
                continue
            neighbours, position = np.unique(u, return_inverse=True)
            self.nodes[node_type] = neighbours
            columns.append(width + position)
            width += len(neighbours)
        row, column = np.concatenate(rows), np.concatenate(columns)
        self.matrix = sp.csr_array((np.ones(len(row), np.float32), (row, column)), shape=(len(tails), width))
        self.matrix.sum_duplicates()
        self.matrix.data[:] = 1.0


class EdgeList:
    """A neighbourhood's E edges on a device, and the symmetric matrix [N, N] of their gradients."""

    def __init__(self, matrix: sp.csr_array, device: torch.device) -> None:
        def on_device(array: NDArray[Any]) -> Tensor:
            return torch.from_numpy(np.asarray(array, dtype=np.int64)).to(device)

        degrees = np.diff(matrix.indptr)
        owners = np.repeat(np.arange(matrix.shape[0]), degrees)
        self.shape: tuple[int, int] = matrix.shape
        self.offsets, self.columns = on_device(matrix.indptr), on_device(matrix.indices)
        self.owners = on_device(owners)
        # 1 / (n |N(v)|): what the divergence of an edge's tail counts for in the mean.
        shares = 1.0 / (len(degrees) * np.repeat(degrees, degrees).astype(np.float64))
        self.shares = torch.from_numpy(shares).to(device)
        # Every edge in the row of either end, and every row's own entry, numbered after the edges.
        own = np.arange(matrix.shape[1])
        ends = np.concatenate([owners, matrix.indices, own])
        order = np.argsort(ends, kind="stable")
        edge = np.arange(matrix.nnz)
        self._both_offsets = on_device(np.concatenate([[0], np.bincount(ends, minlength=len(own)).cumsum()]))
        self._both_columns = on_device(np.concatenate([matrix.indices, owners, own])[order])
        self._both_edges = on_device(np.concatenate([edge, edge, matrix.nnz + own])[order])

    def dots(self, table: Tensor) -> Tensor:
        """h_v . h_u of every edge: rows [N, d] -> [E]; without a gradient."""
        pattern = torch.sparse_csr_tensor(
            self.offsets, self.columns, table.new_zeros(len(self.columns)), size=self.shape, check_invariants=False
        )
        dots: Tensor = torch.sparse.sampled_addmm(pattern, table[: self.shape[0]], table.T, beta=0.0).values()
        return dots

    def spread(self, values: Tensor, own: Tensor, table: Tensor) -> Tensor:
        """sum over its edges of value x the other end's row, plus own x its row: [E], [N], [N, d] -> [N, d]."""
        entries = torch.cat([values, own]).index_select(0, self._both_edges)
        if not has_cpu_kernels(table.device):
            shape, pattern = (len(table), len(table)), (self._both_offsets, self._both_columns)
            return torch.sparse_csr_tensor(*pattern, entries, size=shape, check_invariants=False) @ table
        # As in `model.sparse`: bags of rows are far faster on a CPU than a CSR product.
        bags = (self._both_columns, self._both_offsets)
        total: Tensor = torch.embedding_bag(table.contiguous(), *bags, False, 0, False, entries, True)[0]
        return total

    def over_tails(self, values: Tensor, reduce: str) -> Tensor:
        """Sum or maximum over each tail's edges, [E] -> [n]."""
        return torch.segment_reduce(values, reduce, offsets=self.offsets, unsafe=True)

    def over_both_ends(self, values: Tensor) -> Tensor:
        """Sum over the edges that a row of the table takes part in, as either end, [E] -> [N]."""
        entries = torch.cat([values, values.new_zeros(self.shape[1])]).index_select(0, self._both_edges)
        return torch.segment_reduce(entries, "sum", offsets=self._both_offsets, unsafe=True)


class _Dots(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, edges: EdgeList) -> Tensor:
        ctx.edges = edges
        ctx.save_for_backward(table)
        return edges.dots(table)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (table,) = ctx.saved_tensors
        gradient: Tensor = ctx.edges.spread(gradients[0], table.new_zeros(len(table)), table)
        return gradient, None


class _SquaredDistances(torch.autograd.Function):
    """|h_v - h_u|² = |h_v|² + |h_u|² - 2 h_v . h_u, so that no row is gathered."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, edges: EdgeList) -> Tensor:
        ctx.edges = edges
        ctx.save_for_backward(table)
        norms = torch.linalg.vector_norm(table, dim=1).square_()
        lengths: Tensor = norms.index_select(0, edges.owners).add_(norms.index_select(0, edges.columns))
        # Rounding may take a distance of 0 below it.
        return lengths.sub_(edges.dots(table), alpha=2.0).clamp_(min=0.0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (table,) = ctx.saved_tensors
        doubled = 2.0 * gradients[0]
        gradient: Tensor = ctx.edges.spread(-doubled, ctx.edges.over_both_ends(doubled), table)
        return gradient, None


def similarities(table: Tensor, edges: EdgeList, kernel: str, sigma: float = 1.0) -> Tensor:
    """k(h_v, h_u) of every edge, [N, d] -> [E]; differentiable once.

    Args:
        kernel: `rbf`, `cosine`, `l2` or `polynomial`, as the module defines them.
        sigma: Width of `rbf`; the others have none.
    """
    if kernel == "cosine":
        unit: Tensor = _Dots.apply(functional.normalize(table, dim=1), edges)  # type: ignore[no-untyped-call]
        return unit
    if kernel == "polynomial":
        dots: Tensor = _Dots.apply(table, edges)  # type: ignore[no-untyped-call]
        return (dots + _POLYNOMIAL_OFFSET).square()
    distances: Tensor = _SquaredDistances.apply(table, edges)  # type: ignore[no-untyped-call]
    if kernel == "l2":
        return -(distances + _DISTANCE_FLOOR).sqrt()
    return torch.exp(distances / (-2.0 * sigma**2))


def log_softmax(scores: Tensor, edges: EdgeList) -> Tensor:
    """log p of every edge among its tail's, [E]; without a gradient."""
    shifted = scores - edges.over_tails(scores, "max").index_select(0, edges.owners)
    return shifted - edges.over_tails(shifted.exp(), "sum").log_().index_select(0, edges.owners)


class _Divergence(torch.autograd.Function):
    """sum_v share_v KL(teacher_v || softmax_v(scores)); its gradient is share (student - teacher)."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, teacher: Tensor, edges: EdgeList) -> Tensor:
        student = log_softmax(scores, edges)
        shares = edges.shares.to(scores.dtype)
        probabilities = teacher.exp()
        ctx.save_for_backward((student.exp() - probabilities) * shares)
        return (shares * probabilities * (teacher - student)).sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * gradients[0], None, None


def divergence(scores: Tensor, teacher: Tensor, edges: EdgeList) -> Tensor:
    """Mean over tails of KL(teacher || student) / |N(v)|: student scores [E], teacher's log p [E] -> a scalar."""
    loss: Tensor = _Divergence.apply(scores, teacher, edges)  # type: ignore[no-untyped-call]
    return loss


class LocalStructure:
    """`L_lsp` of a student against teachers' layers, whose targets are computed once.

    Args:
        teachers: Per teacher and compared layer the rows of the neighbourhood's nodes, by node type. The targets are
            the mean of the teachers' softmaxes.
        kernel: As in `similarities`.
        sigmas: One for each compared layer.

    Attributes:
        nodes: What `__call__` wants the rows of.
    """

    def __init__(
        self,
        neighbourhood: Neighbourhood,
        teachers: Sequence[Sequence[Mapping[str, Tensor]]],
        device: torch.device,
        kernel: str,
        sigmas: Sequence[float],
    ) -> None:
        self.nodes = neighbourhood.nodes
        self._kernel, self._sigmas = kernel, sigmas
        self._edges = EdgeList(neighbourhood.matrix, device)
        with torch.no_grad():
            each = [torch.stack([log_softmax(s, self._edges) for s in self._scores(layers)]) for layers in teachers]
            self._targets = torch.logsumexp(torch.stack(each), dim=0) - np.log(len(teachers))

    def __call__(self, layers: Sequence[Mapping[str, Tensor]]) -> Tensor:
        """The loss from the student's rows of the compared layers, per node type [nodes, d]; differentiable."""
        losses = [
            divergence(scores, target, self._edges)
            for scores, target in zip(self._scores(layers), self._targets, strict=True)
        ]
        return torch.stack(losses).mean()

    def _scores(self, layers: Sequence[Mapping[str, Tensor]]) -> list[Tensor]:
        return [
            similarities(torch.cat([layer[t] for t in self.nodes]), self._edges, self._kernel, sigma)
            for layer, sigma in zip(layers, self._sigmas, strict=True)
        ]
