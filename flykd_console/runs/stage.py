"""A stage of training as an object: which models it trains, and how. Its name is what events and files call it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """What a stage does with its models."""

    PRETRAIN = "pretrain"
    FINETUNE = "finetune"
    DISTILL = "distill"


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a seed.

    Attributes:
        name: What events and files call it, unique in a seed; where a stage finishes one model, the model's name.
        phase: What is done.
        models: Names of the models that it trains, or that begin from what it leaves.
    """

    name: str
    phase: Phase
    models: tuple[str, ...]

    def __str__(self) -> str:
        return self.name

    @property
    def pretrains(self) -> bool:
        """Whether it counts optimiser steps over the whole graph, and leaves a beginning instead of a model."""
        return self.phase is Phase.PRETRAIN
