"""How messages are carried: one interface, two ways.

`dgl` writes the layers plainly with DGL message passing and is the oracle; `auto` computes the same by dense and sparse
products over what is constant (`segments`). Both give the output of the nodes that are asked for, and no others. Losses
that compare hidden layers ask for the outputs of every layer besides.
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
    """Prepare a pass of the kind `auto` or `dgl`.

    Args:
        model: Gives the inputs, width, depth, layer kind and device, not the weights.
        wanted: Nodes whose output is needed.
        hidden: Nodes whose output of every layer is needed; None: `layers` is not available.
    """
    if kind == "dgl":
        from flykd_console.model.propagation.dgl import DglPropagation

        return DglPropagation(graph, model, wanted, hidden)
    from flykd_console.model.propagation.segments import SegmentPropagation

    return SegmentPropagation(graph, model, wanted, hidden)
