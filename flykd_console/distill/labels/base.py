"""What a label source gives: pairs and labels of an epoch, to be scored with those of others, or a loss of its own.

One file of `labels/sources/` is one source. The file's name is what `distill.sources` and the curriculum call it,
`SOURCE` the class.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

if TYPE_CHECKING:
    import torch

    from flykd_console.distill.inputs import DistillInputs
    from flykd_console.distill.labels.random_graph import Redrawn
    from flykd_console.distill.teacher import Teacher
    from flykd_console.model.encoded import Encoded
    from flykd_console.profile.distill import Distill


@dataclass(frozen=True)
class LabelBatch:
    """Pairs and labels of one source for one epoch.

    Attributes:
        pairs: Per relation flat indices, int64 [n_r].
        labels: Per relation targets in [0, 1], float32 [n_r].
        constant: Summed loss and count of pairs whose loss does not depend on the model being trained.
        temperatures: Per relation each pair's temperature, float32 [n_r]; None: 1.
    """

    pairs: list[Tensor]
    labels: list[Tensor]
    constant: tuple[Tensor, int] | None = None
    temperatures: list[Tensor] | None = None


class LabelSource:
    """Pairs and labels of one kind; a subclass is a `PairSource` or a `BlockSource`.

    Attributes:
        generators: What it draws from, by purpose.
        graphs: The random graphs that it keeps between epochs; None: none.
        notes: Lines for the run's log.
    """

    def __init__(self) -> None:
        self.generators: dict[str, torch.Generator] = {}
        self.graphs: Redrawn | None = None
        self.notes: list[str] = []


class SourceFile(Protocol):
    """What a file of `labels/sources/` names `SOURCE`."""

    words: tuple[str, str]
    # Whether it asks a teacher for logits, and not for nothing or for lists alone.
    soft: bool

    def build(self, settings: Distill, inputs: DistillInputs, teacher: Teacher) -> LabelSource:
        """The source as a method's settings ask for it."""
        ...


class PairSource(LabelSource):
    """Gives the pairs and labels of an epoch, to be scored together with those of other sources."""

    @abstractmethod
    def batch(self, epoch: int) -> LabelBatch:
        """The batch of an epoch, counted from 0."""


class BlockSource(LabelSource):
    """Computes its loss itself, for labels too many to be listed."""

    @abstractmethod
    def loss(self, encoded: Encoded, epoch: int) -> Tensor:
        """The mean loss of an epoch, counted from 0; differentiable."""
