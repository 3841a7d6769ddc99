"""The curriculum: epoch -> one normalised weight per loss (FlyKD section 3.3 and Figure 3).

L = (λ_original L_og + λ_pseudo_train L_pe + λ_pseudo_random L_pr) / (λ_original + λ_pseudo_train + λ_pseudo_random)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flykd_console.profile.distill import Curriculum as CurriculumSettings


@dataclass(frozen=True)
class Curriculum:
    """Weights of the chosen label sources over a number of epochs."""

    settings: CurriculumSettings
    sources: tuple[str, ...]
    epochs: int

    def weights(self, epoch: float) -> dict[str, float]:
        """Weights that sum to 1, by source; `epoch` counts from 0 and may be fractional."""
        return self.settings.weights(self.sources, epoch / self.epochs)

    def schedule(self, points: int = 200, until: int = 0) -> dict[str, list[tuple[float, float]]]:
        """The whole course as (epoch, weight) by source: evenly spaced points, and both sides of every break point.

        `until`: the last epoch, where epochs were added; the weights stay there as they are at the end of the plan.
        """
        breaks = [fraction * self.epochs for source in self.sources for fraction, _ in self.settings.points(source)]
        even = [self.epochs * i / points for i in range(points + 1)]
        sides = [b + side for b in breaks for side in (-1e-6, 0.0) if 0.0 <= b + side <= self.epochs]
        epochs = sorted({*even, *sides, *([float(until)] if until > self.epochs else [])})
        course = [(epoch, self.weights(epoch)) for epoch in epochs]
        return {source: [(epoch, weights[source]) for epoch, weights in course] for source in self.sources}
