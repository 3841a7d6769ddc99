"""The loss of one member of a cohort: labels, peers, a teacher, and its own entropy.

    L_j = (1 - alpha) labels(e) CE(z_j, y)                         labels, smoothed where asked for
        + peers(e) weight T^2 KL(target || z_j)                    `targets.py`
        + alpha T'^2 KL(teacher || z_j) + hidden + structure       `from_teacher.py`
        - gamma mean H(softmax z_j)                                confidence penalty

Every term but the first is left out where its weight is 0. Peers and teachers are detached, so that the sum over the
members is separable: a member that nobody teaches is trained as if it were alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from flykd_console.distill.cohort.divergence import divergence, entropy
from flykd_console.distill.cohort.logit_weighting import WeightingUnit
from flykd_console.distill.cohort.targets import Gate, from_peers, of_all
from flykd_console.seeding import torch_rng

if TYPE_CHECKING:
    from flykd_console.profile.cohort import Cohort

LABELS, PEERS = "labels", "peers"


@dataclass(frozen=True)
class Answers:
    """Samples of one step.

    Attributes:
        labels: Of those that have one for training, int64 [l].
        labelled: Which they are, int64 [l].
        rows: Which of all samples these are, int64 [m]; None: all, in their order.
    """

    labels: Tensor
    labelled: Tensor
    rows: Tensor | None = None


class Lessons:
    """What the members of a cohort learn besides labels, with what is trained for that and thrown away afterwards.

    Args:
        cohort: The profile's table.
        samples: How many there are in all.
        classes: C.
        seed: Of the units' draws.
        device: Where they are kept.
    """

    def __init__(self, cohort: Cohort, samples: int, classes: int, seed: int, device: torch.device) -> None:
        self.cohort, self.mutual = cohort, cohort.mutual
        self.units: dict[str, WeightingUnit] = {}
        weighting = self.mutual.logit_weighting
        if weighting.kind != "none":
            for name in cohort.members:
                generator = torch_rng(seed, f"logit weighting/{name}")
                self.units[name] = WeightingUnit(weighting, samples, classes, generator).to(device)
        self.gate = None
        if self.mutual.target == "gate" and self.mutual.weight > 0.0:
            self.gate = Gate(len(cohort.members), classes).to(device)

    @property
    def modules(self) -> dict[str, nn.Module]:
        """What is trained besides the members, by name."""
        found: dict[str, nn.Module] = {f"unit-{name}": unit for name, unit in self.units.items()}
        return found if self.gate is None else found | {"gate": self.gate}

    def labels(self, logits: Tensor, answers: Answers) -> Tensor:
        """Cross-entropy on the labelled samples."""
        told = logits[answers.labelled]
        return cross_entropy(told, answers.labels, label_smoothing=self.cohort.label_smoothing)

    def peers(self, name: str, logits: Tensor, clean: Mapping[str, Tensor], answers: Answers) -> Tensor:
        """A member's divergence from what the cohort says, before its weight.

        Args:
            clean: Of every member the logits that it teaches by, [m, C].
        """
        mutual = self.mutual
        rows = answers.rows
        if mutual.on == "labelled":
            logits = logits[answers.labelled]
            clean = {peer: one[answers.labelled] for peer, one in clean.items()}
            rows = answers.labelled if rows is None else rows[answers.labelled]
        if mutual.target == "peers":
            return from_peers(mutual, name, logits, clean, self.units, rows)
        labels = answers.labels if mutual.on == "labelled" else None
        return divergence(of_all(mutual, clean, labels, self.gate), logits, mutual.temperature)

    def gate_loss(self, clean: Mapping[str, Tensor], answers: Answers) -> Tensor | None:
        """By which the gate learns; None without one."""
        if self.gate is None:
            return None
        return self.gate.loss([one[answers.labelled] for one in clean.values()], answers.labels)

    def entropy(self, logits: Tensor, answers: Answers) -> Tensor:
        """The mean entropy of a member's answers, in nats."""
        return entropy(logits if self.mutual.entropy_on == "all" else logits[answers.labelled]).mean()

    @property
    def notes(self) -> list[str]:
        """What there is to say when training is over."""
        return [
            f"logit weights of {name} between {unit.low:.2f} and {unit.high:.2f}" for name, unit in self.units.items()
        ]
