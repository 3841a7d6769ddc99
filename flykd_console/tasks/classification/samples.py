"""What a task of classes must give: the samples, in the steps in which they are learnt and as they are looked at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flykd_console.distill.cohort.lessons import Answers
from flykd_console.model.encoders.network import SampleNetwork, Seen, Sight

if TYPE_CHECKING:
    from flykd_console.data.perturb import Perturbation
    from flykd_console.profile.cohort import Network

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Step:
    """What one step of the optimiser looks at.

    Attributes:
        key: Equal keys stand for equal samples and sights; None: they never come again.
    """

    key: int | None
    sight: Sight
    answers: Answers


class Samples(ABC):
    """The nodes, or the graphs, of one seed.

    Attributes:
        source: Where they were read from.
        labels: Of all of them, int64 [N].
        classes: C.
        parts: By part the samples in it, ascending, int64.
        nodes, edges: How many, over all samples.
        features: Width of a node's features; `normalised`: whether they are divided by their sum.
        relations: How many their edges are of; 0: they are all of one.
    """

    source: str
    labels: Integers
    classes: int
    parts: Mapping[str, Integers]
    nodes: int
    edges: int
    features: int
    normalised: bool
    relations: int = 0

    def __init__(self) -> None:
        self._steps = 0
        self._remembered: dict[tuple[int, int], tuple[tuple[int, ...], Seen]] = {}

    @property
    @abstractmethod
    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of the data and of the split, by name."""

    @abstractmethod
    def network(self, settings: Network, generator: torch.Generator) -> SampleNetwork:
        """A fresh network over these samples, on the CPU."""

    @abstractmethod
    def steps(self, epoch: int) -> Iterator[Step]:
        """The steps of an epoch."""

    @abstractmethod
    def answers_of(self, network: SampleNetwork) -> dict[str, Tensor]:
        """By part the logits of its samples, [m, C], without dropout or a gradient."""

    @abstractmethod
    def perturbed(self, perturbation: Perturbation) -> Callable[[SampleNetwork], Tensor]:
        """What networks answer about the test's samples once their graph is changed: logits, [m, C]."""

    @abstractmethod
    def everything(self, network: SampleNetwork) -> tuple[Tensor, Tensor]:
        """Of every sample the logits [N, C] and its row [N, d], as `Seen.embedding` has it, without dropout."""

    @abstractmethod
    def sample_ids(self, part: str) -> list[str]:
        """What the samples of a part are called in files."""

    def stepped(self) -> None:
        """An optimiser has taken a step: what networks made of anything is forgotten."""
        self._steps += 1

    @torch.no_grad()
    def seen(self, network: SampleNetwork, key: int | None, sight: Sight) -> Seen:
        """What a network makes of a sight without dropout; remembered until a weight changes."""
        if key is None:
            return network.see(sight)
        # Copies into a parameter count its version up; the fused optimiser's step does not, hence `stepped`.
        versions = (self._steps, *(parameter._version for parameter in network.parameters()))
        place = (id(network), key)
        known = self._remembered.get(place)
        if known is None or known[0] != versions:
            known = (versions, network.see(sight))
            self._remembered[place] = known
        return known[1]
