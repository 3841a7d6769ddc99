"""HeteroRGCN: the parameters of a relational graph network with a DistMult decoder.

    m_{v,r} = mean_{u in N_r(v)} (W_r h_u + b_r)        the mean message of relation r, for relations that reach v
    rgcn    z_v = sum_r m_{v,r}
    rgat    z_v = k_v sum_r a_{v,r} m_{v,r}             a_v = softmax_r(q_r . tanh(m_{v,r})), k_v relations reach v
    s(h, r, t) = sum_i h_i w_{r,i} t_i

Leaky ReLU (0.01) after every layer but the last; no normalisation beyond the mean; a node without r-neighbours gets
nothing from r. `rgcn` is Schlichtkrull et al. 2018 as TxGNN and FlyKD use it, with two layers. `rgat`
is HAN's semantic attention (Wang et al. 2019, equations 7 to 9) over relations instead of meta-paths, with two changes:
each node weighs its relations itself, where HAN averages the scores over all nodes, and the vector q is the relation's
own, since W_r already maps each relation's messages. The factor k_v makes even attention the plain sum (q = 0 is rgcn),
so both kinds have outputs of one magnitude and share learning rates.

Beyond the paper, an rgcn may multiply the mean of n messages by n (`sum`) or by log2(1 + n) (`log`, the amplification
of Corso et al. 2020, equation 5, with delta = log 2), so that it can count; a node may hear itself (Schlichtkrull et
al., equation 2), which is an edge type of the message graph; inputs may be trained; links may have biases.

How messages are carried is `model.propagation`'s matter; this module only owns the parameters, stacked over the edge
types, and the fixed random inputs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from flykd_console.model.take_over import take_over

if TYPE_CHECKING:
    from flykd_console.graph.knowledge_graph import EdgeType
    from flykd_console.model.biases import LinkBiases
    from flykd_console.profile.sections import Aggregation, LayerKind

NEGATIVE_SLOPE = 0.01


class RelationalLinear(nn.Module):
    """One linear map with bias per edge type: weight [R, d, d], bias [R, d], torch's Linear initialisation."""

    def __init__(self, relations: int, dim: int, generator: torch.Generator) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(dim)
        self.weight = nn.Parameter(torch.empty(relations, dim, dim).uniform_(-bound, bound, generator=generator))
        self.bias = nn.Parameter(torch.empty(relations, dim).uniform_(-bound, bound, generator=generator))
        self.query: nn.Parameter | None = None


class RelationalAttention(RelationalLinear):
    """A linear map with bias and an attention vector q_r per edge type: query [R, d], drawn like the bias."""

    def __init__(self, relations: int, dim: int, generator: torch.Generator) -> None:
        super().__init__(relations, dim, generator)
        bound = 1.0 / math.sqrt(dim)
        self.query = nn.Parameter(torch.empty(relations, dim).uniform_(-bound, bound, generator=generator))


class HeteroRGCN(nn.Module):
    """Parameters and inputs of a model.

    Attributes:
        edge_types: Every edge type of the message graph (reverses included), sorted; relation index = position.
        dim: Width d of inputs, hidden layers and output.
        kind: What a layer does with the messages of several relations: `rgcn` adds, `rgat` attends.
        layers: Number of layers L.
        layer1 ... layerL: `RelationalLinear` or `RelationalAttention`; as a list: `stack`.
        relation: DistMult vectors, float32 [R, d].
        inputs: Per node type a random table, float32 [N_type, d], Xavier-uniform; fixed unless `learns_inputs`.
        learns_inputs: Whether the inputs are parameters.
        aggregation: What an rgcn multiplies a mean by: see above.
        biases: Of the links; None: there are none. Set by whoever knows the links.
    """

    layer1: RelationalLinear
    layer2: RelationalLinear

    def __init__(
        self,
        node_counts: Mapping[str, int],
        edge_types: list[EdgeType],
        dim: int,
        generator: torch.Generator,
        layers: int = 2,
        kind: LayerKind = "rgcn",
        aggregation: Aggregation = "mean",
        learns_inputs: bool = False,
    ) -> None:
        super().__init__()
        self.aggregation, self.learns_inputs = aggregation, learns_inputs
        self.biases: LinkBiases | None = None
        self.edge_types = sorted(edge_types)
        self.dim = dim
        self.kind = kind
        self.layers = layers
        layer = RelationalLinear if kind == "rgcn" else RelationalAttention
        for number in range(1, layers + 1):
            self.add_module(f"layer{number}", layer(len(edge_types), dim, generator))
        self.relation = nn.Parameter(torch.empty(len(edge_types), dim))
        self.reset_decoder(generator, gain=math.sqrt(2.0))
        self.inputs: dict[str, Tensor] = {}
        for node_type in sorted(node_counts):
            count = node_counts[node_type]
            bound = math.sqrt(6.0 / (count + dim))
            self.inputs[node_type] = torch.empty(count, dim).uniform_(-bound, bound, generator=generator)
        self.learnt_inputs = nn.ParameterList()
        if learns_inputs:
            self.inputs = {node_type: nn.Parameter(table) for node_type, table in self.inputs.items()}
            self.learnt_inputs.extend(self.inputs.values())

    @torch.no_grad()
    def reset_decoder(self, generator: torch.Generator, gain: float = 1.0) -> None:
        """Draw the DistMult vectors anew: Xavier-uniform over [R, d] (gain sqrt 2 for pretraining, then 1)."""
        bound = gain * math.sqrt(6.0 / (self.relation.shape[0] + self.dim))
        fresh = torch.empty(self.relation.shape).uniform_(-bound, bound, generator=generator)
        self.relation.copy_(fresh)

    @property
    def stack(self) -> list[RelationalLinear]:
        """The layers in order, layer 1 first."""
        layers: list[RelationalLinear] = [getattr(self, f"layer{number}") for number in range(1, self.layers + 1)]
        return layers

    @property
    def parameter_count(self) -> int:
        """L R (d² + d) + R d; with attention L R d more; biases and learnt inputs besides."""
        return sum(p.numel() for p in self.parameters())

    def index(self, edge_type: EdgeType) -> int:
        """Relation index of an edge type."""
        return self.edge_types.index(edge_type)

    def tensors(self) -> dict[str, Tensor]:
        """Everything a checkpoint needs to reproduce the model: parameters and inputs, on the CPU."""
        tensors = {name: p.detach().cpu().contiguous() for name, p in self._others()}
        tensors |= {f"inputs/{node_type}": x.detach().cpu().contiguous() for node_type, x in self.inputs.items()}
        return tensors

    def _others(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Every parameter but the inputs, which are kept by their node types whether they are learnt or not."""
        return ((name, p) for name, p in self.named_parameters() if not name.startswith("learnt_inputs."))

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` returned, from a model of the same graph, width, depth and kind.

        Raises:
            ValueError: A tensor is missing, is one too many, or has another shape; the model then stays as it was.
        """
        inputs = {f"inputs/{node_type}": table for node_type, table in self.inputs.items()}
        take_over(dict(self._others()) | inputs, tensors)

    def to_device(self, device: torch.device) -> HeteroRGCN:
        """Move parameters and inputs."""
        self.to(device)
        if not self.learns_inputs:
            self.inputs = {node_type: x.to(device) for node_type, x in self.inputs.items()}
        return self
