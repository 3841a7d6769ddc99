"""The adaptive logit weighting unit: a member's weights over the classes, by which its logits are multiplied when it
teaches and when it is taught (after Agbaje et al. 2025, section on the unit, read second hand).

    n(v) = - H(softmax z(v))                        confidence, detached
    pooled   s = (1/N) n^T chi phi    in R^C        one weight a class
    sample   s(v) = n(v) chi(v) phi   in R^C        one weight a sample and class
    w = 1 + b tanh(s - mean_c s), or C softmax(s) where b = 0

chi [N, h] is drawn from N(0, 1) and phi [h, C] is 0, so that w = 1 at first: plain mutual learning. The supervised loss
sees raw logits, so that nothing of the unit is needed once training is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from flykd_console.distill.cohort.divergence import entropy

if TYPE_CHECKING:
    from flykd_console.profile.cohort import LogitWeighting


class WeightingUnit(nn.Module):
    """One member's unit.

    Args:
        settings: `[cohort.mutual.logit_weighting]`.
        samples: N, all that are ever compared.
        classes: C.
        generator: Of chi, on the CPU.
    """

    def __init__(self, settings: LogitWeighting, samples: int, classes: int, generator: torch.Generator) -> None:
        super().__init__()
        self.settings, self.classes = settings, classes
        self.chi = nn.Parameter(torch.randn(samples, settings.width, generator=generator))
        self.phi = nn.Parameter(torch.zeros(settings.width, classes))
        # What the weights were when they were last asked for.
        self.low = self.high = 1.0

    def weights(self, logits: Tensor, rows: Tensor | None = None) -> Tensor:
        """w, [1, C] or [m, C]; differentiable in chi and phi alone.

        Args:
            logits: [m, C].
            rows: Which samples they are of, int64 [m]; None: all N in their order.
        """
        confidence = -entropy(logits.detach())
        chi = self.chi if rows is None else self.chi[rows]
        if self.settings.kind == "pooled":
            scores = ((confidence @ chi) / len(confidence) @ self.phi).unsqueeze(0)
        else:
            scores = confidence.unsqueeze(1) * (chi @ self.phi)
        if self.settings.bound > 0.0:
            weights = 1.0 + self.settings.bound * torch.tanh(scores - scores.mean(dim=1, keepdim=True))
        else:
            weights = self.classes * torch.softmax(scores, dim=1)
        self.low, self.high = float(weights.detach().min()), float(weights.detach().max())
        return weights
