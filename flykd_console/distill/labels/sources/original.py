"""`L_og`: training edges labelled 1, one fresh negative each labelled 0. Teacher and baseline train on it alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from flykd_console.distill.labels.base import LabelBatch, PairSource
from flykd_console.distill.labels.negatives import Negatives

if TYPE_CHECKING:
    from flykd_console.distill.inputs import DistillInputs
    from flykd_console.distill.pairs.pair_space import PairSpace
    from flykd_console.distill.teacher import Teacher
    from flykd_console.profile.distill import Distill


class Original(PairSource):
    """`L_og`."""

    words = ("original", "orig")
    soft = False

    def __init__(self, space: PairSpace, negatives: Negatives) -> None:
        super().__init__()
        self._positives = [pairs.positives() for pairs in space.relations]
        self._labels = [
            torch.cat([torch.ones(len(p), device=p.device), torch.zeros(len(p), device=p.device)])
            for p in self._positives
        ]
        self._negatives = negatives

    def batch(self, epoch: int) -> LabelBatch:
        pairs = [torch.cat(both) for both in zip(self._positives, self._negatives.draw(), strict=True)]
        return LabelBatch(pairs=pairs, labels=self._labels)

    @classmethod
    def build(cls, settings: Distill, inputs: DistillInputs, teacher: Teacher) -> Original:
        draw = inputs.generator("negatives")
        source = cls(inputs.space, Negatives(inputs.space, draw, inputs.filter_negatives))
        source.generators = {"negatives": draw}
        return source


SOURCE = Original
