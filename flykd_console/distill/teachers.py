"""Several teachers as one: the mean of their DistMult logits is the logit of one wider teacher.

    1/N sum_n sum_i h_i^n w_i^n t_i^n = sum over the concatenated dimensions of h, w / N and t

so whatever labels pairs with one teacher's embeddings labels them with the mean of several.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from flykd_console.model.link_encoder import Encoded


def mean_of(teachers: Sequence[Encoded]) -> Encoded:
    """What one teacher of all dimensions together encodes; heads [m, N d], tails [n, N d], relations [N d]."""
    if len(teachers) == 1:
        return teachers[0]
    first = teachers[0]
    return Encoded(
        head=torch.cat([t.head for t in teachers], dim=1),
        tails={name: torch.cat([t.tails[name] for t in teachers], dim=1) for name in first.tails},
        relation={name: torch.cat([t.relation[name] for t in teachers]) / len(teachers) for name in first.relation},
        tail=torch.cat([t.tail for t in teachers], dim=1),
    )
