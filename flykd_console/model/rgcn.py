"""HeteroRGCN: the parameters of a two-layer relational graph network with a DistMult decoder.

    z_v = sum_r mean_{u in N_r(v)} (W_r x_u + b_r)      leaky ReLU (0.01) after layer 1, nothing after layer 2
    s(h, r, t) = sum_i h_i w_{r,i} t_i

(Schlichtkrull et al. 2018 as TxGNN and FlyKD use it: no self loop, no normalisation beyond the mean, a node without
r-neighbours gets nothing from r.) How messages are carried is `model.propagation`'s matter; this module only owns the
parameters, stacked over the edge types, and the fixed random inputs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from flykd_console.graph.knowledge_graph import EdgeType

NEGATIVE_SLOPE = 0.01


class RelationalLinear(nn.Module):
    """One linear map with bias per edge type: weight [R, d, d], bias [R, d], torch's Linear initialisation."""

    def __init__(self, relations: int, dim: int, generator: torch.Generator) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(dim)
        self.weight = nn.Parameter(torch.empty(relations, dim, dim).uniform_(-bound, bound, generator=generator))
        self.bias = nn.Parameter(torch.empty(relations, dim).uniform_(-bound, bound, generator=generator))


class HeteroRGCN(nn.Module):
    """Parameters and inputs of a model.

    Attributes:
        edge_types: Every edge type of the message graph (reverses included), sorted; relation index = position.
        dim: Width d of inputs, hidden layer and output.
        layer1, layer2: `RelationalLinear`.
        relation: DistMult vectors, float32 [R, d].
        inputs: Per node type a fixed random table, float32 [N_type, d], Xavier-uniform, never trained.
    """

    def __init__(
        self, node_counts: Mapping[str, int], edge_types: list[EdgeType], dim: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.edge_types = sorted(edge_types)
        self.dim = dim
        self.layer1 = RelationalLinear(len(edge_types), dim, generator)
        self.layer2 = RelationalLinear(len(edge_types), dim, generator)
        self.relation = nn.Parameter(torch.empty(len(edge_types), dim))
        self.reset_decoder(generator, gain=math.sqrt(2.0))
        self.inputs: dict[str, Tensor] = {}
        for node_type in sorted(node_counts):
            count = node_counts[node_type]
            bound = math.sqrt(6.0 / (count + dim))
            self.inputs[node_type] = torch.empty(count, dim).uniform_(-bound, bound, generator=generator)

    @torch.no_grad()
    def reset_decoder(self, generator: torch.Generator, gain: float = 1.0) -> None:
        """Draw the DistMult vectors anew: Xavier-uniform over [R, d] (gain sqrt 2 for pretraining, then 1)."""
        bound = gain * math.sqrt(6.0 / (self.relation.shape[0] + self.dim))
        fresh = torch.empty(self.relation.shape).uniform_(-bound, bound, generator=generator)
        self.relation.copy_(fresh)

    @property
    def parameter_count(self) -> int:
        """2 R (d² + d) + R d."""
        return sum(p.numel() for p in self.parameters())

    def index(self, edge_type: EdgeType) -> int:
        """Relation index of an edge type."""
        return self.edge_types.index(edge_type)

    def tensors(self) -> dict[str, Tensor]:
        """Everything a checkpoint needs to reproduce the model: parameters and inputs, on the CPU."""
        tensors = {name: p.detach().cpu().contiguous() for name, p in self.named_parameters()}
        tensors |= {f"inputs/{node_type}": x.cpu().contiguous() for node_type, x in self.inputs.items()}
        return tensors

    @torch.no_grad()
    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` returned, from a model of the same graph and width.

        Raises:
            ValueError: A tensor is missing or has another shape.
        """
        for name, parameter in self.named_parameters():
            _same_shape(name, parameter, tensors)
            parameter.copy_(tensors[name])
        for node_type, table in self.inputs.items():
            _same_shape(f"inputs/{node_type}", table, tensors)
            self.inputs[node_type] = tensors[f"inputs/{node_type}"].to(table.device)

    def to_device(self, device: torch.device) -> HeteroRGCN:
        """Move parameters and inputs."""
        self.to(device)
        self.inputs = {node_type: x.to(device) for node_type, x in self.inputs.items()}
        return self


def _same_shape(name: str, mine: Tensor, tensors: Mapping[str, Tensor]) -> None:
    found = tuple(tensors[name].shape) if name in tensors else None
    if found != tuple(mine.shape):
        raise ValueError(f"{name}: expected shape {tuple(mine.shape)}, found {found}")
