"""Layers over nodes with features, one class a kind; all begin with rows times a matrix, so features may be sparse.

A is the adjacency, d a degree, N(v) the neighbours of v.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from flykd_console.model.feature_rows import FeatureRows, kept_mask
from flykd_console.model.neighbourhoods import Neighbourhoods


@dataclass(frozen=True)
class Rows:
    """What a layer takes: dense rows [n, d], or sparse features with the values that are left of them."""

    dense: Tensor | None = None
    sparse: FeatureRows | None = None
    values: Tensor | None = None

    def times(self, weight: Tensor) -> Tensor:
        """Rows @ weight, [n, d']."""
        if self.sparse is not None:
            return self.sparse.times(weight, self.values)
        assert self.dense is not None
        return self.dense @ weight


@dataclass(frozen=True)
class Heard:
    """What a layer gives: rows [n, d], and the attention of each directed edge over its heads, [k, heads], if any."""

    rows: Tensor
    attention: Tensor | None = None


class Layer(nn.Module):
    """A layer from rows of `inputs` columns to rows of `width`."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.inputs, self.width = inputs, width
        self.bias = nn.Parameter(torch.zeros(width))

    def hear(self, rows: Rows, around: Neighbourhoods, rate: float, generator: torch.Generator | None) -> Heard:
        """The rows of the next layer, before its activation; `rate`: of the dropout inside, with a generator."""
        raise NotImplementedError


class Convolution(Layer):
    """GCN: H' = D^-1/2 (A + I) D^-1/2 H W + b (Kipf and Welling 2017)."""

    def __init__(self, inputs: int, width: int, generator: torch.Generator) -> None:
        super().__init__(inputs, width)
        self.weight = glorot(inputs, width, generator)

    def hear(self, rows: Rows, around: Neighbourhoods, rate: float, generator: torch.Generator | None) -> Heard:
        return Heard(around.symmetric @ rows.times(self.weight) + self.bias)


class Sampled(Layer):
    """GraphSAGE, mean: h'_v = h_v W_self + mean_{u in N(v)} h_u W_around + b (Hamilton et al. 2017, no sampling)."""

    def __init__(self, inputs: int, width: int, generator: torch.Generator) -> None:
        super().__init__(inputs, width)
        self.own, self.around = glorot(inputs, width, generator), glorot(inputs, width, generator)

    def hear(self, rows: Rows, around: Neighbourhoods, rate: float, generator: torch.Generator | None) -> Heard:
        return Heard(rows.times(self.own) + around.mean @ rows.times(self.around) + self.bias)


class Attention(Layer):
    """GAT: h'_v = concat over heads of sum_{u in N(v) + v} a_uv h_u W + b (Veličković et al. 2018).

    a_uv = softmax_u LeakyReLU(p . h_u W + q . h_v W); `width` is that of a head.
    """

    def __init__(self, inputs: int, width: int, heads: int, generator: torch.Generator) -> None:
        super().__init__(inputs, width * heads)
        self.heads, self.head_width = heads, width
        self.weight = glorot(inputs, width * heads, generator)
        self.source, self.target = glorot(heads, width, generator), glorot(heads, width, generator)

    def hear(self, rows: Rows, around: Neighbourhoods, rate: float, generator: torch.Generator | None) -> Heard:
        turned = rows.times(self.weight).view(-1, self.heads, self.head_width)
        of_source, of_target = (turned * self.source).sum(-1), (turned * self.target).sum(-1)
        mask = None
        if generator is not None and rate > 0.0:
            mask = kept_mask(torch.Size((len(around.sources), self.heads)), rate, generator, turned.device)
        heard, attention = around.attend(turned, of_source, of_target, mask)
        return Heard(heard.reshape(-1, self.width) + self.bias, attention)


class Isomorphism(Layer):
    """GIN: h'_v = MLP((1 + eps) h_v + sum_{u in N(v)} h_u), eps learnt, two layers with ReLU (Xu et al. 2019).

    Between them stands LayerNorm instead of the paper's BatchNorm, so that no sample's answer depends on which others
    are looked at with it.
    """

    def __init__(self, inputs: int, width: int, generator: torch.Generator) -> None:
        super().__init__(inputs, width)
        self.epsilon = nn.Parameter(torch.zeros(()))
        self.first, self.second = glorot(inputs, width, generator), glorot(width, width, generator)
        self.inner_bias = nn.Parameter(torch.zeros(width))
        self.norm = nn.LayerNorm(width)

    def hear(self, rows: Rows, around: Neighbourhoods, rate: float, generator: torch.Generator | None) -> Heard:
        turned = rows.times(self.first)
        summed = (1.0 + self.epsilon) * turned + around.total @ turned + self.inner_bias
        return Heard(torch.relu(self.norm(summed)) @ self.second + self.bias)


class Relational(Layer):
    """R-GCN: h'_v = h_v W_0 + sum_r (mean_{u -> v in r} h_u W_r + mean_{v -> u in r} h_u W'_r) + b.

    A relation is heard along its direction and against it, by matrices of their own (Schlichtkrull et al. 2018, eq. 2
    with c_{v,r} = |N_r(v)| and inverse relations, without bases). A relation that a node has no edge of gives it 0.
    """

    def __init__(self, inputs: int, width: int, relations: int, generator: torch.Generator) -> None:
        super().__init__(inputs, width)
        parts = [glorot(inputs, width, generator).detach() for _ in range(1 + 2 * relations)]
        # Side by side, so that sparse features are multiplied once.
        self.weight = nn.Parameter(torch.cat(parts, dim=1))

    def hear(self, rows: Rows, around: Neighbourhoods, rate: float, generator: torch.Generator | None) -> Heard:
        own, *others = rows.times(self.weight).split(self.width, dim=1)
        heard = own + self.bias
        for means, turned in zip(around.by_relation, others, strict=True):
            heard = heard + means @ turned.contiguous()
        return Heard(heard)


class Plain(Layer):
    """MLP: h'_v = h_v W + b; no edge is looked at (the student of GLNN, Zhang et al. 2022)."""

    def __init__(self, inputs: int, width: int, generator: torch.Generator) -> None:
        super().__init__(inputs, width)
        self.weight = glorot(inputs, width, generator)

    def hear(self, rows: Rows, around: Neighbourhoods, rate: float, generator: torch.Generator | None) -> Heard:
        return Heard(rows.times(self.weight) + self.bias)


def glorot(inputs: int, outputs: int, generator: torch.Generator) -> nn.Parameter:
    """Uniform within ± sqrt(6 / (inputs + outputs)), float32 [inputs, outputs], drawn on the CPU."""
    bound = (6.0 / (inputs + outputs)) ** 0.5
    return nn.Parameter((2.0 * torch.rand(inputs, outputs, generator=generator) - 1.0) * bound)


def make_layer(kind: str, inputs: int, width: int, heads: int, generator: torch.Generator, relations: int = 0) -> Layer:
    """A layer of a kind; `width` is that of each head of `gat`, `relations` how many `rgcn` hears."""
    if kind == "rgcn":
        return Relational(inputs, width, relations, generator)
    if kind == "gat":
        return Attention(inputs, width, heads, generator)
    plain: dict[str, type[Convolution | Sampled | Isomorphism | Plain]] = {
        "gcn": Convolution,
        "sage": Sampled,
        "gin": Isomorphism,
        "mlp": Plain,
    }
    return plain[kind](inputs, width, generator)
