"""DistMult (Yang et al. 2015): the decoder `s(h, r, t) = sum_i h_i w_{r,i} t_i`."""

from __future__ import annotations

from torch import Tensor


def pair_logits(head: Tensor, relation: Tensor, tail: Tensor) -> Tensor:
    """Logits of aligned rows: head [n, d], relation [d] or [n, d], tail [n, d] -> [n]."""
    return (head * relation * tail).sum(dim=-1)


def all_logits(heads: Tensor, relation: Tensor, tails: Tensor) -> Tensor:
    """Logits of every head with every tail: [m, d], [d], [n, d] -> [m, n]."""
    return (heads * relation) @ tails.T
