"""A stack of layers that gives each node, or each graph, a logit for every class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from flykd_console.model.encoders.layers import Attention, Layer, Rows, glorot, make_layer
from flykd_console.model.feature_rows import FeatureRows, kept_mask
from flykd_console.model.neighbourhoods import Neighbourhoods
from flykd_console.model.take_over import take_over

if TYPE_CHECKING:
    from flykd_console.profile.cohort import Network as NetworkSettings


@dataclass(frozen=True)
class Sight:
    """What a network looks at.

    Attributes:
        features: Of all nodes, [n, f].
        around: Their neighbourhoods.
        graphs: Of several graphs: which each node belongs to, int64 [n]; None: nodes are classified.
        count: How many graphs.
    """

    features: FeatureRows
    around: Neighbourhoods
    graphs: Tensor | None = None
    count: int = 0


@dataclass(frozen=True)
class Seen:
    """What a network makes of it.

    Attributes:
        logits: Of each node or graph, float32 [m, C].
        hidden: Rows of nodes after each hidden layer and its activation, [n, d] each.
        attention: The last attention by directed edge and head, in the order of the neighbourhoods; None without any.
        embedding: Of each sample the row that its logits are a linear map of or the last layer hears: of a node its
            last hidden row (without a hidden layer its logits), of a graph its sums of every layer's rows side by side.
    """

    logits: Tensor
    hidden: list[Tensor] = field(default_factory=list)
    attention: Tensor | None = None
    embedding: Tensor | None = None


class SampleNetwork(nn.Module):
    """Layers of one kind, with dropout before each and an activation between them.

    Nodes: the last layer's width is the number of classes. Graphs: every layer is hidden, nodes are summed by graph
    after each, and the logits are the sum of a linear map of every layer's sums (Xu et al. 2019, section 4.2).

    Args:
        settings: Kind, widths, depth, dropout.
        inputs: Width of the features.
        classes: How many.
        generator: Of the initial weights, on the CPU.
        of_graphs: Whether graphs are classified.
        relations: How many the edges are of, where they are of several.
    """

    def __init__(
        self,
        settings: NetworkSettings,
        inputs: int,
        classes: int,
        generator: torch.Generator,
        of_graphs: bool = False,
        relations: int = 0,
    ) -> None:
        super().__init__()
        self.settings, self.of_graphs, self.classes = settings, of_graphs, classes
        self.stack = nn.ModuleList()
        width = inputs
        for number in range(settings.layers):
            last = number == settings.layers - 1 and not of_graphs
            heads = 1 if last else settings.heads
            layer = make_layer(settings.kind, width, classes if last else settings.dim, heads, generator, relations)
            self.stack.append(layer)
            width = layer.width
        self.readout = nn.ParameterList()
        if of_graphs:
            widths = [layer.width for layer in self.layers_in_order]
            self.readout.extend(glorot(one, classes, generator) for one in widths)
            self.readout_bias = nn.Parameter(torch.zeros(classes))

    @property
    def layers_in_order(self) -> list[Layer]:
        return [layer for layer in self.stack if isinstance(layer, Layer)]

    # As training sees it.

    @property
    def dim(self) -> int:
        return self.settings.dim

    @property
    def layers(self) -> int:
        return self.settings.layers

    @property
    def kind(self) -> str:
        return self.settings.kind

    @property
    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    def tensors(self) -> dict[str, Tensor]:
        """Every parameter, on the CPU."""
        return {name: parameter.detach().cpu() for name, parameter in self.named_parameters()}

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` returned.

        Raises:
            ValueError: A tensor is missing, is one too many, or has another shape; the model then stays as it was.
        """
        take_over(dict(self.named_parameters()), tensors)

    # What it computes.

    def see(self, sight: Sight, generator: torch.Generator | None = None) -> Seen:
        """Logits and hidden rows.

        Args:
            sight: What is looked at.
            generator: Of dropout; None: none is dropped.
        """
        rate = self.settings.dropout
        rows = Rows(sparse=sight.features, values=sight.features.dropped(rate, generator))
        hidden: list[Tensor] = []
        attention: Tensor | None = None
        logits: Tensor | None = None
        before: Tensor | None = None
        for number, layer in enumerate(self.layers_in_order):
            if before is not None:
                rows = Rows(dense=_dropped(before, rate, generator))
            heard = layer.hear(rows, sight.around, rate, generator)
            attention = heard.attention if heard.attention is not None else attention
            if number == self.layers - 1 and not self.of_graphs:
                logits = heard.rows
                break
            now = nn.functional.elu(heard.rows) if isinstance(layer, Attention) else torch.relu(heard.rows)
            if self.settings.residual and before is not None and before.shape == now.shape:
                now = now + before
            hidden.append(now)
            before = now
        if self.of_graphs:
            logits, embedding = self._read_out(sight, hidden, generator)
            return Seen(logits, hidden, attention, embedding)
        assert logits is not None
        return Seen(logits, hidden, attention, hidden[-1] if hidden else logits)

    def _read_out(self, sight: Sight, hidden: list[Tensor], generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Logits of the graphs, and their sums of every layer's rows side by side."""
        assert sight.graphs is not None
        logits, every = self.readout_bias.expand(sight.count, -1), []
        for rows, weight in zip(hidden, self.readout, strict=True):
            sums = rows.new_zeros(sight.count, rows.shape[1]).index_add(0, sight.graphs, rows)
            logits = logits + _dropped(sums, self.settings.dropout, generator) @ weight
            every.append(sums.detach())
        return logits, torch.cat(every, dim=1)


def _dropped(rows: Tensor, rate: float, generator: torch.Generator | None) -> Tensor:
    if generator is None or rate == 0.0:
        return rows
    return rows * kept_mask(rows.shape, rate, generator, rows.device)
