"""Biases as columns of the embeddings, so that what is encoded stays DistMult, as everything downstream expects.

    s(h, r, t) = sum_i h_i w_{r,i} t_i + b_{r,h} + c_{r,t}
    [h | b_{.,h} | 1] . [w_r | e_r | 1] . [t | 1 ... 1 | c_{r,t}]

A head's biases meet the relation's unit vector and ones in the tail, a tail's bias meets ones in head and relation: R
columns and one more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from flykd_console.model.encoded import Encoded

if TYPE_CHECKING:
    from flykd_console.model.biases import LinkBiases


def with_biases(encoded: Encoded, biases: LinkBiases, heads: Tensor, tails: Mapping[str, Tensor]) -> Encoded:
    """Embeddings with the columns of the biases; differentiable.

    Args:
        biases: Their relations are those of `encoded.relation`, in its order.
        heads: Node indices of the encoded heads, int64 [m].
        tails: Per relation those of its tails, int64 [n_r].
    """
    if biases.head is not None:
        encoded = with_head_biases(encoded, biases.head.index_select(1, heads).T)
    if biases.tail is not None:
        numbers = {name: number for number, name in enumerate(encoded.relation)}
        of_tails = {name: biases.tail[numbers[name]].index_select(0, rows) for name, rows in tails.items()}
        encoded = with_tail_biases(encoded, of_tails)
    return encoded


def with_head_biases(encoded: Encoded, biases: Tensor) -> Encoded:
    """A column for each relation, in the order of `encoded.relation`; biases float32 [m, R]."""
    count = biases.shape[1]
    flags = torch.eye(count, device=biases.device)
    return Encoded(
        head=torch.cat([encoded.head, biases], dim=1),
        tails={name: functional.pad(rows, (0, count), value=1.0) for name, rows in encoded.tails.items()},
        relation={name: torch.cat([w, flags[i]]) for i, (name, w) in enumerate(encoded.relation.items())},
        tail=functional.pad(encoded.tail, (0, count), value=1.0),
    )


def with_tail_biases(encoded: Encoded, biases: Mapping[str, Tensor]) -> Encoded:
    """One column; biases per relation float32 [n_r]. A tail without a relation has none."""
    return Encoded(
        head=functional.pad(encoded.head, (0, 1), value=1.0),
        tails={name: torch.cat([rows, biases[name].unsqueeze(1)], dim=1) for name, rows in encoded.tails.items()},
        relation={name: functional.pad(w, (0, 1), value=1.0) for name, w in encoded.relation.items()},
        tail=functional.pad(encoded.tail, (0, 1)),
    )
