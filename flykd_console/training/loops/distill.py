"""Distilling: the student on the label sources that the profile composes, eased in by the curriculum (FlyKD section 3).

once: the frozen teachers' embeddings, hence their label of every pair and the targets of structure losses
for each epoch: encode -> every source's pairs and labels -> weighted losses, structure losses -> Adam -> plateau
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from flykd_console.distill.curriculum import Curriculum
from flykd_console.distill.labels.pair_space import SoftLabels
from flykd_console.distill.labels.random_graph import RandomBlocks, RandomGraphs, Redrawn
from flykd_console.distill.labels.sources import (
    LabelSource,
    Negatives,
    Original,
    PseudoBlocks,
    PseudoRandom,
    PseudoTrain,
    losses,
)
from flykd_console.distill.labels.strong_pairs import StrongGraphs, StrongPairs, strong_pairs
from flykd_console.distill.teachers import mean_of
from flykd_console.training.guidance import Guidance
from flykd_console.training.loops.epoch_step import EpochStep, Weights, adam
from flykd_console.training.schedule import late_plateau

if TYPE_CHECKING:
    from torch import Tensor

    from flykd_console.model.rgcn import HeteroRGCN
    from flykd_console.profile.schema import Profile
    from flykd_console.tasks.link_prediction.task import Task
    from flykd_console.training.session import StageSession


def curriculum_of(profile: Profile) -> Curriculum:
    """The profile's curriculum over its label sources."""
    return Curriculum(profile.distill.curriculum, tuple(profile.distill.sources), profile.distill.epochs)


def distill(task: Task, teachers: Sequence[HeteroRGCN], student: HeteroRGCN, session: StageSession) -> None:
    """Train a pretrained student with the labels of a frozen teacher, or with the mean of several.

    The last epoch's weights stay, or the best one's where `finetune.select` says so.
    """
    profile = task.profile
    guidance = Guidance(task, teachers, student, session.stage)
    purposes = ("negatives", "pseudo_negatives", "random_graph")
    draw = {purpose: task.generator(f"{session.stage}/{purpose}") for purpose in purposes}
    strong = strong_scores(task, guidance.soft, session)
    graphs = random_graphs(task, strong, draw["random_graph"])
    sources = label_sources(task, guidance.soft, graphs, draw, strong)
    curriculum = curriculum_of(profile)
    optimizer = adam([*student.parameters(), *guidance.parameters], profile.finetune.lr)
    falling = profile.distill.plateau or profile.finetune.plateau
    plateau = late_plateau(optimizer, falling, profile.distill.epochs)
    session.stop_below = falling.stop_below
    session.optimizer, session.generators = optimizer, draw | guidance.generators
    session.resumables = [graphs, *guidance.resumables]
    session.scalars, session.load_scalars = plateau.state, plateau.load_state
    session.resume()

    def loss_of(epoch: int, weights: Weights) -> dict[str, Tensor]:
        encoded, layers = guidance.encode(student)
        return guidance.add(losses(task.distilling_space, encoded, sources, weights, epoch), encoded, layers)

    replay, random = profile.engine.cuda_graphs, session.generators.values()
    step = EpochStep(loss_of, optimizer, plateau, random, graphs.redraws, replay, session.log)
    for epoch in session.epochs():
        weights = curriculum.weights(epoch)
        loss, lr = step(epoch, weights)
        session.record(epoch, loss, lr=lr, weights=weights)


def strong_scores(task: Task, soft: SoftLabels, session: StageSession) -> list[StrongPairs] | None:
    """The pairs above `min_logit`, where the profile asks for them alone."""
    settings = task.profile.distill.random_graph
    if settings.min_logit is None:
        return None
    found = strong_pairs(task.distilling_space, soft, settings, listed=settings.sampler == "pairs")
    for strong, pairs in zip(found, task.distilling_space.relations, strict=True):
        session.log(
            f"{strong.relation}: {strong.count} of {pairs.area} pairs score above {settings.min_logit:g},"
            f" {100 * float(strong.mass):.3g} % of what is drawn"
        )
    return found


@torch.no_grad()
def check_min_logit(task: Task, teachers: Sequence[HeteroRGCN]) -> None:
    """Refuse a `min_logit` that the teachers' labels do not reach; nothing to do without one.

    Raises:
        UserError: No pair of a relation qualifies, or too many to be listed.
    """
    settings = task.profile.distill.random_graph
    if settings.min_logit is None or not task.profile.distill.epochs:
        return
    soft = SoftLabels(
        task.distilling_space, mean_of([task.distilling_encoder(teacher)(teacher) for teacher in teachers])
    )
    strong_pairs(task.distilling_space, soft, settings, listed=settings.sampler == "pairs")


def random_graphs(task: Task, strong: list[StrongPairs] | None, generator: torch.Generator) -> Redrawn:
    """The stream of random graphs of the profile's sampler."""
    settings = task.profile.distill.random_graph
    if settings.sampler != "pairs":
        return RandomBlocks(task.distilling_space, settings, generator)
    if strong is not None:
        return StrongGraphs(task.distilling_space, settings, generator, strong)
    return RandomGraphs(task.distilling_space, settings, generator)


def label_sources(
    task: Task,
    soft: SoftLabels,
    graphs: Redrawn,
    draw: dict[str, torch.Generator],
    strong: list[StrongPairs] | None = None,
) -> dict[str, LabelSource]:
    """The sources that the profile names, in its order."""
    space, settings, filtered = task.distilling_space, task.profile.distill, task.profile.split.filter_negatives
    known: dict[str, LabelSource] = {
        "original": Original(space, Negatives(space, draw["negatives"], filtered)),
        "pseudo_train": PseudoTrain(
            space,
            Negatives(space, draw["pseudo_negatives"], filtered),
            soft,
            settings.pseudo_negatives,
            settings.temperature,
        ),
        "pseudo_random": _pseudo_random(task, soft, graphs, strong),
    }
    return {name: known[name] for name in settings.sources}


def _pseudo_random(task: Task, soft: SoftLabels, graphs: Redrawn, strong: list[StrongPairs] | None) -> LabelSource:
    settings, temperature = task.profile.distill.random_graph, task.profile.distill.temperature
    if isinstance(graphs, RandomGraphs):
        return PseudoRandom(graphs, soft, temperature)
    blocks = graphs if isinstance(graphs, RandomBlocks) and settings.sampler == "blocks" else None
    return PseudoBlocks(task.distilling_space, soft, blocks, settings, temperature, strong)
