"""What a task must give: all that training asks of it, and nothing that only one task knows.

A task is what is learnt in one seed: its data and split, the models that fit it, the losses that they minimise, and the
metrics that they are measured by. One of the metrics is the headline, by which epochs and models are chosen.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from flykd_console.seeding import torch_rng

if TYPE_CHECKING:
    from flykd_console.profile.model_spec import ModelSpec
    from flykd_console.profile.schema import Profile
    from flykd_console.runs.directory import RunDirectory
    from flykd_console.runs.results import LeftOutLabels, Scores

# Weights of the losses that take part; on a GPU tensors there.
Weights = Mapping[str, "float | Tensor"]
# (message, level): a line of the run's log; level `info` or `warning`.
Log = Callable[[str, str], None]


class Stateful(Protocol):
    """Anything that a checkpoint must hold: model, optimiser, schedule, generator, selection, draws."""

    def state_dict(self) -> dict[str, Tensor]:
        """Tensors to keep, by name."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` returned."""
        ...


class Trainable(Protocol):
    """A model as training sees it."""

    @property
    def dim(self) -> int: ...

    @property
    def layers(self) -> int: ...

    @property
    def kind(self) -> str: ...

    @property
    def parameter_count(self) -> int: ...

    def parameters(self) -> Iterable[torch.nn.Parameter]: ...

    def named_parameters(self) -> Iterable[tuple[str, torch.nn.Parameter]]: ...

    def tensors(self) -> dict[str, Tensor]:
        """Everything that reproduces the model, on the CPU."""
        ...

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` returned.

        Raises:
            ValueError: A tensor is missing or has another shape.
        """
        ...


class Curriculum(Protocol):
    """Weights of losses over the epochs of a stage."""

    def weights(self, epoch: float) -> dict[str, float]:
        """Weights by loss, of which one at least is above 0; `epoch` counts from 0."""
        ...

    def schedule(self, points: int = 200, until: int = 0) -> dict[str, list[tuple[float, float]]]:
        """The whole course as (epoch, weight) by loss."""
        ...


class Objective(ABC):
    """What a stage minimises: losses by name, among them `total`, from the current weights of its models.

    Attributes:
        curriculum: The weights of its losses over the epochs; None: one loss, `original`, whose weight is 1.
        parameters: What is trained besides the models.
        generators: Every generator that it draws from, by purpose.
        stateful: What else a checkpoint keeps, by name.
    """

    def __init__(self) -> None:
        self.curriculum: Curriculum | None = None
        self.parameters: list[torch.nn.Parameter] = []
        self.generators: dict[str, torch.Generator] = {}
        self.stateful: dict[str, Stateful] = {}

    @abstractmethod
    def __call__(self, epoch: int, weights: Weights) -> dict[str, Tensor]:
        """The losses of an epoch, counted from 0; differentiable. Those that have no weight are left out."""

    def steps(self, epoch: int, weights: Weights) -> Iterator[dict[str, Tensor]]:
        """The losses of each step of the optimiser in an epoch, the next one asked for once the step is taken."""
        yield self(epoch, weights)

    def told(self, steps: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """What an epoch of several steps is told to have lost: by name the mean over the steps that have it."""
        names = dict.fromkeys(name for step in steps for name in step)
        return {name: torch.stack([s[name].detach() for s in steps if name in s]).mean() for name in names}

    @property
    def notes(self) -> list[str]:
        """Lines for the log when the stage is over."""
        return []

    def variant(self, epoch: int) -> Hashable:
        """What changes the arithmetic itself between epochs, such as a redraw."""
        return None


class Task(ABC):
    """One seed of a run.

    Attributes:
        profile: The run's.
        seed: Of every draw.
        device: Where models live.
        headline: Name of the metric that comes first.
    """

    def __init__(self, profile: Profile, seed: int, device: torch.device) -> None:
        self.profile, self.seed, self.device = profile, seed, device
        self.headline: str = profile.headline

    def generator(self, purpose: str) -> torch.Generator:
        """An independent generator on the device for one purpose of this seed."""
        return torch_rng(self.seed, purpose, self.device)

    # What stages depend on.

    @property
    @abstractmethod
    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of the data and of the split, by name: what every stage depends on."""

    @property
    def left_out(self) -> LeftOutLabels | None:
        """Labels that the split keeps out of every part; None: there are none such."""
        return None

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What else determines finetuning and distilling, JSON-ready."""

    # Models and what they minimise.

    @abstractmethod
    def new_model(self, spec: ModelSpec) -> Trainable:
        """A fresh model; weights and inputs follow from the seed and `spec.begins`, drawn on the CPU."""

    @abstractmethod
    def reset_head(self, spec: ModelSpec, model: Trainable) -> None:
        """Draw anew what pretraining leaves behind: the part of a model that only the scored labels train."""

    @abstractmethod
    def pretraining_steps(self) -> int:
        """Optimiser steps of pretraining; 0: there is none."""

    @abstractmethod
    def pretraining(self, model: Trainable, stage: str) -> Objective:
        """What pretraining minimises, step by step."""

    @abstractmethod
    def supervised(self, model: Trainable, stage: str) -> Objective:
        """What teacher and baseline minimise."""

    @abstractmethod
    def distilled(self, spec: ModelSpec, model: Trainable, teachers: Sequence[Trainable], log: Log) -> Objective:
        """What a student minimises under its method, with frozen teachers."""

    def taught_together(
        self, specs: Sequence[ModelSpec], models: Mapping[str, Trainable], teachers: Sequence[Trainable]
    ) -> Objective:
        """What a stage minimises that trains several models at once.

        Raises:
            NotImplementedError: The task has no such stage.
        """
        raise NotImplementedError(f"{type(self).__name__} trains its models one by one")

    @abstractmethod
    def check(self, specs: Sequence[ModelSpec]) -> None:
        """Refuse methods that this graph cannot carry, before anything is trained.

        Raises:
            UserError: A structure loss has nothing to compare.
        """

    @abstractmethod
    def check_teachers(self, specs: Sequence[ModelSpec], teachers: Sequence[Trainable]) -> None:
        """Refuse methods to which these teachers leave nothing, before a baseline is trained.

        Raises:
            UserError: No pair of a relation qualifies for a threshold.
        """

    # What is measured and left behind.

    @abstractmethod
    def evaluator(self, model: Trainable) -> Callable[[], Scores]:
        """Scores the model on the validation part as it stands."""

    @abstractmethod
    def assess(self, name: str, models: Sequence[Trainable]) -> tuple[Scores, Scores]:
        """Test and validation scores of a finished model, or of the mean of several; keeps them for `close`."""

    @abstractmethod
    def assess_heuristic(self, name: str) -> tuple[Scores, Scores]:
        """Test and validation scores of a scorer without training, by the name that a profile gives it; kept too."""

    def adopt(self, name: str, other: str) -> None:
        """Take what was measured of one model for another name as well.

        Raises:
            NotImplementedError: The task never chooses among its models.
        """
        raise NotImplementedError(f"{type(self).__name__} never chooses among its models")

    def assess_lists(self, spec: ModelSpec, teachers: Sequence[Trainable]) -> tuple[Scores, Scores]:
        """Test and validation scores of the lists that a student's teachers hold; kept too.

        Raises:
            NotImplementedError: The task has no lists.
        """
        raise NotImplementedError(f"{type(self).__name__} has no lists")

    def ensemble_evaluator(self, models: Mapping[str, Trainable]) -> Callable[[], Scores]:
        """Scores the mean of models on the validation part, as each of them was last evaluated, or stands.

        Raises:
            NotImplementedError: The task never trains models together.
        """
        raise NotImplementedError(f"{type(self).__name__} trains its models one by one")

    @abstractmethod
    def open(self, directory: RunDirectory, log: Log) -> None:
        """Before the first stage: say what is learnt from, leave the labels."""

    @abstractmethod
    def close(self, directory: RunDirectory) -> None:
        """After the last stage: leave every model's scores."""

    @abstractmethod
    def keep(self, directory: RunDirectory, name: str, model: Trainable) -> None:
        """Leave what exporters need of a finished model."""

    def keep_mean(self, directory: RunDirectory, name: str, models: Sequence[Trainable]) -> None:
        """Leave what exporters need of the mean of several; nothing where a task has nothing to leave."""
