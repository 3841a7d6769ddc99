"""How far one softened answer is from another, over classes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import log_softmax


def divergence(target: Tensor, logits: Tensor, temperature: float) -> Tensor:
    """T^2 mean_v KL(softmax(target_v / T) || softmax(logits_v / T)); the target is detached (Hinton et al. 2015).

    Args:
        target: [m, C].
        logits: [m, C].
        temperature: T.
    """
    told = log_softmax(target.detach() / temperature, dim=1)
    said = log_softmax(logits / temperature, dim=1)
    return temperature**2 * (told.exp() * (told - said)).sum(dim=1).mean()


def entropy(logits: Tensor) -> Tensor:
    """H(softmax) of each row, in nats, [m] (Pereyra et al. 2017 subtract its mean: a confidence penalty)."""
    said = log_softmax(logits, dim=1)
    return -(said.exp() * said).sum(dim=1)


def mean_of_probabilities(logits: list[Tensor]) -> Tensor:
    """Log of the mean of the members' probabilities, [m, C]: the ensemble's answer."""
    said = torch.stack([log_softmax(one, dim=1) for one in logits])
    return torch.logsumexp(said, dim=0) - torch.log(torch.tensor(float(len(logits))))
