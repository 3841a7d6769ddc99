"""What every way to carry messages offers: a pass prepared once, asked for outputs and layers each epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from torch import Tensor

if TYPE_CHECKING:
    from flykd_console.model.rgcn import HeteroRGCN

Layers = list[dict[str, Tensor]]


class Propagation(Protocol):
    """A prepared pass over one graph, one set of inputs, one set of wanted nodes and, where given, of hidden ones."""

    def __call__(self, model: HeteroRGCN) -> dict[str, Tensor]:
        """Output embeddings per wanted node type, float32 [wanted, d] in the order asked for; differentiable."""
        ...

    def layers(self, model: HeteroRGCN) -> Layers:
        """Outputs of every layer 1..L for the hidden nodes, per node type float32 [hidden, d]; differentiable.

        A layer before the last gives its output after the activation, the last one what `__call__` gives.

        Raises:
            ValueError: No hidden nodes were asked for.
        """
        ...

    def with_layers(self, model: HeteroRGCN) -> tuple[dict[str, Tensor], Layers]:
        """`__call__` and `layers` for the price of one pass.

        Raises:
            ValueError: No hidden nodes were asked for.
        """
        ...
