"""A bias of every head and tail under each relation.

A network of means cannot count, and a bias can: how popular a head is, how much is known of a tail. These are the user
and item biases of matrix factorisation (Koren et al. 2009, equation 4). They are exported as columns of the embeddings
(`bias_columns.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from flykd_console.profile.sections import Biases


class LinkBiases(nn.Module):
    """Biases of the heads, the tails or both under some relations.

    Args:
        which: `head`, `tail` or `both`.
        degrees: Per relation the heads' training degrees, int64 [N_head] each, in the order of the relations.
        tail_count: Number of tails.
        popularity: A fresh head's bias is so many times log(1 + training degree); a tail's is 0.

    Attributes:
        head: float32 [R, N_head]; None: heads have none.
        tail: float32 [R, N_tail]; None: tails have none.
    """

    def __init__(
        self, which: Biases, degrees: Sequence[NDArray[np.int64]], tail_count: int, popularity: float = 0.0
    ) -> None:
        super().__init__()
        self.head: nn.Parameter | None = None
        self.tail: nn.Parameter | None = None
        if which != "tail":
            counted = torch.stack([torch.from_numpy(of_relation) for of_relation in degrees])
            self.head = nn.Parameter(popularity * torch.log1p(counted.float()))
        if which != "head":
            self.tail = nn.Parameter(torch.zeros(len(degrees), tail_count))
