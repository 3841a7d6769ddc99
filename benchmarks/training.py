"""What the benchmarks of training share: a task of one seed, and a stage's epochs as functions that can be timed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import torch

from benchmarks.measure import machine
from flykd_console.graph.knowledge_graph import KnowledgeGraph
from flykd_console.profile.schema import Profile
from flykd_console.tasks.base import Objective
from flykd_console.tasks.link_prediction.data import LinkData
from flykd_console.tasks.link_prediction.task import LinkPrediction

LABELS_ALONE = {"original": 1.0}
LEARNING_RATE = 5e-4


def machine_with_torch() -> str:
    """The machine in words, and what torch has of it."""
    return f"{machine()}, torch {torch.__version__}, {torch.get_num_threads()} threads"


def task_of(profile: Profile, graph: KnowledgeGraph) -> LinkPrediction:
    """A task of the paper's first seed on the CPU, with nothing prepared."""
    return LinkPrediction(profile, graph, graph.targets(profile.graph.targets), 45, torch.device("cpu"))


def changed(profile: Profile, table: str, **values: object) -> Profile:
    """The profile with other values for some keys of a table."""
    return profile.model_copy(update={table: getattr(profile, table).model_copy(update=values)})


def prepare(data: LinkData) -> None:
    """Derive from the graph what all stages share."""
    data.split, data.messages, data.pooling, data.space  # noqa: B018


def edge_count(data: LinkData) -> int:
    """Training edges, each counted in both directions."""
    return sum(len(heads) for heads, _ in data.messages.edges.values())


def epoch_of(
    objective: Objective, optimizer: torch.optim.Optimizer, weights: Mapping[str, float] = LABELS_ALONE
) -> Callable[[], None]:
    """One call is the next epoch of a stage (in pretraining, the next step); the losses keep their weights."""
    numbers = itertools.count()

    def epoch() -> None:
        losses = objective(next(numbers), weights)
        optimizer.zero_grad(set_to_none=True)
        losses["total"].backward()
        optimizer.step()

    return epoch
