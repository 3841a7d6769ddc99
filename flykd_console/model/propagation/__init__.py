"""How messages are carried: one interface, several ways.

`dgl` writes the layer plainly with `multi_update_all(copy_u, mean, sum)` and is the oracle; `planned` computes the same
from what is constant. All give the output of the nodes that are asked for, and no others. Losses that compare hidden
layers ask for the outputs of every layer besides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flykd_console.model.message_graph import Hidden, MessageGraph, Wanted
    from flykd_console.model.propagation.base import Propagation
    from flykd_console.model.rgcn import HeteroRGCN


def propagation(
    kind: str, graph: MessageGraph, model: HeteroRGCN, wanted: Wanted, hidden: Hidden | None = None
) -> Propagation:
    """Prepare a pass of the kind `planned` or `dgl`; `planned` is `segments` for other depths and layer kinds.

    Args:
        model: Gives the inputs, width, depth and device, not the weights.
        wanted: Nodes whose output is needed.
        hidden: Nodes whose output of every layer is needed; None: `layers` is not available.
    """
    if kind == "dgl":
        from flykd_console.model.propagation.dgl import DglPropagation

        return DglPropagation(graph, model, wanted, hidden)
    if model.kind != "rgcn" or model.layers != 2:
        from flykd_console.model.propagation.segments import SegmentPropagation

        return SegmentPropagation(graph, model, wanted, hidden)
    from flykd_console.model.propagation.planned import PlannedPropagation

    return PlannedPropagation(graph, model, wanted, hidden)
