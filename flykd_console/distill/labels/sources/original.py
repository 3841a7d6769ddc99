"""`L_og`: training edges against fresh negatives. Teacher and baseline train on it alone.

The paper's: edges labelled 1 and one negative each labelled 0, by binary cross-entropy (`Original`). Other losses and
more negatives an edge: `labels/contrast.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from flykd_console.distill.labels.base import LabelBatch, LabelSource, PairSource
from flykd_console.distill.labels.contrast import Contrast
from flykd_console.distill.labels.negatives import Negatives

if TYPE_CHECKING:
    from flykd_console.distill.inputs import DistillInputs
    from flykd_console.distill.pairs.pair_space import PairSpace
    from flykd_console.distill.teacher import Teacher
    from flykd_console.profile.distill import Distill
    from flykd_console.profile.negatives import Negatives as Settings


class Original(PairSource):
    """`L_og` with a negative for each replaced end, scored together with the pairs of other sources."""

    words = ("original", "orig")
    soft = False

    def __init__(self, space: PairSpace, negatives: Negatives) -> None:
        super().__init__()
        self._positives = [pairs.positives() for pairs in space.relations]
        self._labels = [
            torch.cat([torch.ones(len(p), device=p.device), torch.zeros(negatives.ends * len(p), device=p.device)])
            for p in self._positives
        ]
        self._negatives = negatives

    def batch(self, epoch: int) -> LabelBatch:
        pairs = [torch.cat(both) for both in zip(self._positives, self._negatives.draw(), strict=True)]
        return LabelBatch(pairs=pairs, labels=self._labels)

    @classmethod
    def build(cls, settings: Distill, inputs: DistillInputs, teacher: Teacher) -> LabelSource:
        draw = inputs.generator("negatives")
        return true_labels(inputs.space, draw, inputs.filter_negatives, inputs.negatives)


def true_labels(space: PairSpace, draw: torch.Generator, filter_true: bool, settings: Settings) -> LabelSource:
    """`L_og` as a profile's `[negatives]` ask for it."""
    negatives = Negatives(space, draw, filter_true, settings)
    source: LabelSource = Original(space, negatives)
    if settings.loss != "bce" or settings.ratio > 1:
        source = Contrast(space, negatives, settings)
    source.generators = {"negatives": draw}
    return source


SOURCE = Original
