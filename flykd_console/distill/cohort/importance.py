"""What a neighbour counts to a network's answer: the length of the gradient of the answer by what is heard from it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

from flykd_console.model.encoders.layers import Attention, Convolution
from flykd_console.model.encoders.network import SampleNetwork, Seen, Sight
from flykd_console.model.neighbourhoods import LEAK, softmax_by


def edge_importance(network: SampleNetwork, sight: Sight, seen: Seen) -> Tensor:
    """|d z_v^c / d m_uv| for each directed edge (u, v), [k], in the order of the neighbourhoods, loops among them.

    c is the class that the network gives v; m_uv the hidden row that the last layer hears from u at v, taken for an
    input of its own, so that one backward pass gives every edge's. Means and sums (GraphSAGE, GIN) count all neighbours
    alike; a GCN's share is 1 / sqrt(d_u d_v) times what is the same for all of them.

    Args:
        network: The network; of several layers where it is a GAT.
        sight: What it looked at.
        seen: What it made of it.
    """
    around = sight.around
    layer = network.layers_in_order[-1]
    edges = len(around.sources)
    if isinstance(layer, Attention) and len(seen.hidden) > 0 and not network.of_graphs:
        return _of_attention(layer, sight, seen)
    if isinstance(layer, Convolution):
        degrees = torch.zeros(around.nodes, device=around.device)
        degrees = degrees.index_add(0, around.targets, torch.ones(edges, device=around.device))
        return (degrees[around.sources] * degrees[around.targets]).rsqrt()
    return torch.ones(edges, device=around.device)


def _of_attention(layer: Attention, sight: Sight, seen: Seen) -> Tensor:
    around = sight.around
    rows = seen.hidden[-1].detach()
    with torch.enable_grad():
        heard = rows[around.sources].requires_grad_()
        turned = (heard @ layer.weight.detach()).view(-1, layer.heads, layer.head_width)
        own = (rows @ layer.weight.detach()).view(-1, layer.heads, layer.head_width)
        of_target = (own * layer.target.detach()).sum(-1)
        scores = leaky_relu((turned * layer.source.detach()).sum(-1) + of_target[around.targets], LEAK)
        weights = softmax_by(scores, around.targets, around.nodes)
        summed = torch.zeros_like(own).index_add(0, around.targets, turned * weights.unsqueeze(-1))
        logits = summed.reshape(around.nodes, -1)
        chosen = logits.gather(1, seen.logits.argmax(dim=1, keepdim=True)).sum()
        (gradient,) = torch.autograd.grad(chosen, heard)
    length: Tensor = gradient.norm(dim=1)
    return length
