"""What the members of a cohort learn from each other: each of the others, or one teacher made of all.

peers       1/(K-1) sum_{k != j} T^2 KL(softmax(z_k / T) || softmax(z_j / T))       Zhang et al. 2018 (DML)
mean        T^2 KL(softmax(z_m / T) || ...), z_m = mean_k z_k                        Guo et al. 2020 (KDCL)
min_logit   the same with z_m^c = min_k (z_k^c - z_k^y), y the label                 Guo et al. 2020 (KDCL)
gate        the same with z_m = sum_k g_k z_k, g = softmax(W [z_1 ... z_K]); W learns by the labels
                                                                                     Lan et al. 2018 (ONE)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from flykd_console.distill.cohort.divergence import divergence
from flykd_console.distill.cohort.logit_weighting import WeightingUnit

if TYPE_CHECKING:
    from flykd_console.profile.cohort import Mutual


class Gate(nn.Module):
    """g(v) = softmax(W [z_1(v) ... z_K(v)] + b), [m, K]; W and b are 0 at first, so that it begins as the mean."""

    def __init__(self, members: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(members * classes, members))
        self.bias = nn.Parameter(torch.zeros(members))

    def mixed(self, logits: list[Tensor]) -> Tensor:
        """sum_k g_k z_k, [m, C]; differentiable in the gate alone."""
        fixed = [one.detach() for one in logits]
        shares = torch.softmax(torch.cat(fixed, dim=1) @ self.weight + self.bias, dim=1)
        return (torch.stack(fixed, dim=2) * shares.unsqueeze(1)).sum(dim=2)

    def loss(self, logits: list[Tensor], labels: Tensor) -> Tensor:
        """Cross-entropy of the mixture, by which the gate learns."""
        return cross_entropy(self.mixed(logits), labels)


def from_peers(
    settings: Mutual,
    name: str,
    own: Tensor,
    clean: Mapping[str, Tensor],
    units: Mapping[str, WeightingUnit],
    rows: Tensor | None,
) -> Tensor:
    """A member's divergence from each of the others, their mean.

    Args:
        own: Its logits, [m, C], differentiable.
        clean: Of every member the logits that it teaches by, [m, C].
        units: The members' units; empty: logits are compared as they are.
        rows: Which samples they are of, for the units.
    """
    others = [peer for peer in clean if peer != name]
    if not units:
        return torch.stack([divergence(clean[peer], own, settings.temperature) for peer in others]).mean()
    learner = own * units[name].weights(own, rows)
    found = []
    for peer in others:
        told = clean[peer].detach() * units[peer].weights(clean[peer], rows)
        if settings.logit_weighting.gradient == "both":
            found.append(_attached(told, learner, settings.temperature))
        else:
            found.append(divergence(told, learner, settings.temperature))
    return torch.stack(found).mean()


def _attached(told: Tensor, said: Tensor, temperature: float) -> Tensor:
    """The divergence with a gradient on either side, for a teacher's unit that learns what can be learnt."""
    target = torch.log_softmax(told / temperature, dim=1)
    logits = torch.log_softmax(said / temperature, dim=1)
    return temperature**2 * (target.exp() * (target - logits)).sum(dim=1).mean()


def of_all(settings: Mutual, clean: Mapping[str, Tensor], labels: Tensor | None, gate: Gate | None) -> Tensor:
    """The one teacher's logits, [m, C], detached.

    Args:
        clean: Of every member, [m, C].
        labels: Of these samples, int64 [m]; needed by `min_logit`.
        gate: Needed by `gate`.
    """
    logits = [one.detach() for one in clean.values()]
    if settings.target == "mean":
        return torch.stack(logits).mean(dim=0)
    if settings.target == "gate":
        assert gate is not None
        return gate.mixed(logits).detach()
    assert labels is not None
    shifted = [one - one.gather(1, labels.unsqueeze(1)) for one in logits]
    return torch.stack(shifted).amin(dim=0)
