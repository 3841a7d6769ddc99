"""`L_pe`: training edges with the teacher's soft labels, fresh negatives labelled 0 (FlyKD section 3).

There is one negative for each replaced end of an edge (`[negatives]`), whatever number true labels have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from flykd_console.distill.labels.base import LabelBatch, PairSource
from flykd_console.distill.labels.negatives import Negatives
from flykd_console.distill.labels.temperature import soft_labels, temperatures

if TYPE_CHECKING:
    from flykd_console.distill.inputs import DistillInputs
    from flykd_console.distill.pairs.pair_space import PairSpace
    from flykd_console.distill.teacher import Teacher
    from flykd_console.profile.distill import Distill


class PseudoTrain(PairSource):
    """`L_pe`; the negatives may be scored by the student, by the frozen teacher (the published code), or left out."""

    words = ("pseudo on train", "train")
    soft = True

    def __init__(
        self, space: PairSpace, negatives: Negatives, soft: Teacher, scored_by: str, temperature: float = 1.0
    ) -> None:
        super().__init__()
        self._positives = [pairs.positives() for pairs in space.relations]
        self._soft = soft_labels(soft, self._positives, temperature)
        self._temperatures = temperatures(self._soft, temperature)
        self._teacher = soft
        self._negatives = negatives
        self._scored_by = scored_by

    def batch(self, epoch: int) -> LabelBatch:
        if self._scored_by == "none":
            return LabelBatch(pairs=self._positives, labels=self._soft, temperatures=self._temperatures)
        negatives = self._negatives.draw()
        if self._scored_by == "teacher":
            logits = torch.cat(self._teacher.logits(negatives))
            # Against the label 0 the cross-entropy of a logit is softplus(logit).
            constant = (functional.softplus(logits).sum(), len(logits))
            return LabelBatch(self._positives, self._soft, constant, self._temperatures)
        pairs = [torch.cat(both) for both in zip(self._positives, negatives, strict=True)]
        labels = [
            torch.cat([soft, torch.zeros_like(n, dtype=soft.dtype)])
            for soft, n in zip(self._soft, negatives, strict=True)
        ]
        both = self._temperatures
        if both is not None:
            both = [torch.cat([t, torch.ones_like(t)]) for t in both]
        return LabelBatch(pairs=pairs, labels=labels, temperatures=both)

    @classmethod
    def build(cls, settings: Distill, inputs: DistillInputs, teacher: Teacher) -> PseudoTrain:
        draw = inputs.generator("pseudo_negatives")
        negatives = Negatives(inputs.space, draw, inputs.filter_negatives, inputs.negatives)
        source = cls(inputs.space, negatives, teacher, settings.pseudo_negatives, settings.temperature)
        source.generators = {"pseudo_negatives": draw}
        return source


SOURCE = PseudoTrain
