"""Training degrees among a network's inputs: what a layer that averages cannot count, it is told.

For every edge type of the message graph that reaches a node type, one of the first columns of that type's inputs is
log(1 + degree) instead of random numbers, scaled to the root mean square of the random ones, so that no column drowns
another. A node hears its own degrees through a self loop, others' through their messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from flykd_console.errors import UserError

if TYPE_CHECKING:
    from flykd_console.graph.knowledge_graph import EdgeType
    from flykd_console.model.message_graph import MessageGraph


def degree_columns(graph: MessageGraph) -> dict[str, Tensor]:
    """Per node type log(1 + degree) under each edge type that reaches it, float32 [N_type, edge types]."""
    columns: dict[str, list[Tensor]] = {node_type: [] for node_type in graph.node_counts}
    for edge_type, (_, targets) in sorted(graph.edges.items()):
        degrees = np.bincount(targets, minlength=graph.node_counts[edge_type.tail])
        columns[edge_type.tail].append(torch.from_numpy(np.log1p(degrees).astype(np.float32)))
    return {node_type: torch.stack(found, dim=1) for node_type, found in columns.items() if found}


@torch.no_grad()
def put_degrees(inputs: Mapping[str, Tensor], graph: MessageGraph) -> None:
    """Put the columns into the inputs, in place; float32 [N_type, d] each, on the CPU."""
    for node_type, columns in degree_columns(graph).items():
        table = inputs[node_type]
        size = columns.square().mean(dim=0).sqrt()
        scale = torch.where(size > 0.0, table.square().mean().sqrt() / size, 0.0)
        table[:, : columns.shape[1]] = columns * scale


def check_degrees(edge_types: list[EdgeType], dim: int, key: str) -> None:
    """Refuse a width that leaves no random column beside the degrees.

    Raises:
        UserError: Some node type is reached by as many edge types as there are columns, or more.
    """
    for node_type in sorted({edge_type.tail for edge_type in edge_types}):
        count = sum(edge_type.tail == node_type for edge_type in edge_types)
        if count >= dim:
            raise UserError(
                f"{node_type} has degrees under {count} edge types, which leaves no column of {dim} to tell its nodes "
                "apart",
                f"{key}.degrees",
                f"Set {key}.dim above {count}, or {key}.degrees = false.",
            )
