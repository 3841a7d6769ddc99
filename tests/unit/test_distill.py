"""Curriculum, random graphs and losses against their definitions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional

from flykd_console.distill.curriculum import Curriculum
from flykd_console.distill.labels.base import LabelSource
from flykd_console.distill.labels.losses import losses
from flykd_console.distill.labels.negatives import Negatives
from flykd_console.distill.labels.random_graph import RandomGraphs
from flykd_console.distill.labels.sources.original import Original
from flykd_console.distill.labels.sources.pseudo_random import RandomPairs
from flykd_console.distill.labels.sources.pseudo_train import PseudoTrain
from flykd_console.distill.pairs.pair_space import PairSpace
from flykd_console.distill.soft_labels import SoftLabels
from flykd_console.graph.knowledge_graph import Targets
from flykd_console.graph.split.make import split_graph
from flykd_console.model.distmult import pair_logits
from flykd_console.model.encoded import Encoded
from flykd_console.profile import sections
from flykd_console.profile.distill import Curriculum as CurriculumSettings
from flykd_console.profile.distill import RandomGraph
from flykd_console.seeding import torch_rng
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph

TARGETS = Targets([CONTRAINDICATION, INDICATION])
SOURCES: tuple[str, ...] = ("original", "pseudo_train", "pseudo_random")
CPU = torch.device("cpu")


def _space(dense_limit: int = 10**6) -> PairSpace:
    graph = small_graph()
    return PairSpace(TARGETS, split_graph(graph, TARGETS, sections.Split(), 45).train, CPU, dense_limit)


def _encoded(space: PairSpace, seed: int, dim: int = 4) -> Encoded:
    rng = torch.Generator().manual_seed(seed)
    return Encoded(
        head=torch.randn(len(space.heads), dim, generator=rng, requires_grad=True),
        tails={r: torch.randn(len(t), dim, generator=rng, requires_grad=True) for r, t in space.tails.items()},
        relation={r: torch.randn(dim, generator=rng, requires_grad=True) for r in space.tails},
        tail=torch.empty(0, dim),
    )


@pytest.mark.parametrize(
    ("shape", "epoch", "raw"),
    [
        ("linear", 0, (1.0, 0.0, 0.0)),
        ("linear", 400, (1.0, 0.0, 0.0)),
        ("linear", 600, (0.525, 0.5, 0.0)),
        ("linear", 800, (0.05, 1.0, 0.0)),
        ("linear", 1000, (0.05, 1.0, 0.5)),
        ("linear", 1999, (0.05, 1.0, 1.0)),
        ("stepwise", 399, (1.0, 0.0, 0.0)),
        ("stepwise", 400, (0.05, 1.0, 0.0)),
        ("stepwise", 799, (0.05, 1.0, 0.0)),
        ("stepwise", 800, (0.05, 1.0, 1.0)),
        ("none", 0, (0.05, 1.0, 1.0)),
    ],
)
def test_curriculum_weights_are_the_papers(shape: str, epoch: int, raw: tuple[float, float, float]) -> None:
    curriculum = Curriculum(CurriculumSettings(shape=shape), SOURCES, 2000)
    weights = curriculum.weights(epoch)
    assert [weights[s] for s in SOURCES] == pytest.approx([w / sum(raw) for w in raw])
    assert sum(weights.values()) == pytest.approx(1.0)


def test_break_points_scale_with_the_epochs_and_the_schedule_shows_both_sides_of_a_step() -> None:
    assert Curriculum(CurriculumSettings(), SOURCES, 100).weights(30) == pytest.approx(
        Curriculum(CurriculumSettings(), SOURCES, 2000).weights(600)
    )
    course = Curriculum(CurriculumSettings(shape="stepwise"), SOURCES, 2000).schedule()
    assert course["original"][0] == (0.0, 1.0)
    assert course["original"][-1][0] == 2000
    around = [weight for epoch, weight in course["pseudo_random"] if 799 < epoch < 801]
    assert min(around) == 0.0
    assert max(around) > 0.4


def test_random_graph_nodes_come_in_proportion_to_their_degree_independently() -> None:
    space = _space()
    settings = RandomGraph(labels_per_relation=200_000)
    drawn = RandomGraphs(space, settings, torch_rng(0, "x")).current(0)
    for pairs, flat in zip(space.relations, drawn, strict=True):
        heads, tails = flat // pairs.tail_count, flat % pairs.tail_count
        for found, edges, count in (
            (heads, pairs.edge_heads, len(pairs.heads)),
            (tails, pairs.edge_tails, pairs.tail_count),
        ):
            degree = torch.bincount(edges, minlength=count) / len(edges)
            share = torch.bincount(found, minlength=count) / len(found)
            assert (share - degree).abs().max() < 0.004
        joint = torch.bincount(flat, minlength=pairs.area).view(-1, pairs.tail_count) / len(flat)
        independent = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
        assert (joint - independent).abs().max() < 0.001


def test_random_graphs_follow_another_power_of_the_degree() -> None:
    space = _space()
    settings = RandomGraph(labels_per_relation=200_000, degree_power=2.0)
    flat = RandomGraphs(space, settings, torch_rng(0, "x")).current(0)[0]
    pairs = space.relations[0]
    degree = torch.bincount(pairs.edge_heads, minlength=len(pairs.heads)).double() ** 2
    share = torch.bincount(flat // pairs.tail_count, minlength=len(pairs.heads)) / len(flat)
    assert (share - degree / degree.sum()).abs().max() < 0.004


@pytest.mark.parametrize(("every", "changes"), [(1, [True, True, True]), (3, [False, False, True]), (0, [False] * 3)])
def test_random_graphs_are_drawn_anew_as_often_as_asked(every: int, changes: list[bool]) -> None:
    settings = RandomGraph(labels_per_relation=50, refresh_every=every)
    graphs = RandomGraphs(_space(), settings, torch_rng(0, "x"))
    drawn = [graphs.current(epoch)[0] for epoch in range(4)]
    assert [not torch.equal(a, b) for a, b in itertools.pairwise(drawn)] == changes


def test_negatives_keep_the_head_and_filtered_ones_avoid_true_pairs() -> None:
    space = _space()
    for filtered in (False, True):
        drawn = Negatives(space, torch_rng(0, "n"), filtered).draw()
        wrong = 0
        for pairs, flat in zip(space.relations, drawn, strict=True):
            assert torch.equal(flat // pairs.tail_count, pairs.edge_heads)
            wrong += int(torch.isin(flat, pairs.positives()).sum())
        assert (wrong == 0) == filtered


@pytest.mark.parametrize("scored_by", ["student", "teacher", "none"])
def test_losses_and_gradients_equal_a_plain_computation(scored_by: str) -> None:
    space = _space()
    teacher, student = _encoded(space, 1, dim=6), _encoded(space, 2)
    soft = SoftLabels(space, teacher)
    settings = RandomGraph(labels_per_relation=70)
    sources: dict[str, LabelSource] = {
        "original": Original(space, Negatives(space, torch_rng(0, "a"))),
        "pseudo_train": PseudoTrain(space, Negatives(space, torch_rng(0, "b")), soft, scored_by),
        "pseudo_random": RandomPairs(RandomGraphs(space, settings, torch_rng(0, "c")), soft),
    }
    weights = {"original": 0.2, "pseudo_train": 0.5, "pseudo_random": 0.3}
    found = losses(space, student, sources, weights, 0)
    leaves = [student.head, *student.tails.values(), *student.relation.values()]
    gradients = torch.autograd.grad(found["total"], leaves)

    def logits(of: Encoded, flats: list[torch.Tensor]) -> torch.Tensor:
        return torch.cat(
            [
                pair_logits(
                    of.head[p.heads[f // p.tail_count]], of.relation[p.relation], of.tails[p.relation][f % p.tail_count]
                )
                for p, f in zip(space.relations, flats, strict=True)
            ]
        )

    bce = functional.binary_cross_entropy_with_logits
    positives = [p.positives() for p in space.relations]
    soft_positives = torch.sigmoid(logits(teacher, positives)).detach()
    ones = torch.ones(sum(map(len, positives)))
    negatives = Negatives(space, torch_rng(0, "a")).draw()
    expected = {
        "original": bce(
            torch.cat([logits(student, positives), logits(student, negatives)]), torch.cat([ones, 0 * ones])
        )
    }
    fresh = Negatives(space, torch_rng(0, "b")).draw()
    scored = {"student": logits(student, fresh), "teacher": logits(teacher, fresh).detach(), "none": torch.empty(0)}[
        scored_by
    ]
    expected["pseudo_train"] = bce(
        torch.cat([logits(student, positives), scored]), torch.cat([soft_positives, torch.zeros(len(scored))])
    )
    drawn = RandomGraphs(space, settings, torch_rng(0, "c")).current(0)
    expected["pseudo_random"] = bce(logits(student, drawn), torch.sigmoid(logits(teacher, drawn)).detach())
    total = torch.stack([weights[name] * loss for name, loss in expected.items()]).sum()
    for name, loss in expected.items():
        assert found[name].item() == pytest.approx(loss.item(), rel=1e-5)
    for mine, theirs in zip(gradients, torch.autograd.grad(total, leaves), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-7, rtol=1e-4)


def test_pairs_scored_one_by_one_equal_those_of_the_matrix() -> None:
    dense, gathered = _space(), _space(dense_limit=0)
    drawn = RandomGraphs(dense, RandomGraph(labels_per_relation=90), torch_rng(0, "c")).current(0)
    encoded = _encoded(dense, 3)
    for mine, theirs in zip(dense.logits(encoded, drawn), gathered.logits(encoded, drawn), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)
    soft = [SoftLabels(space, encoded).probabilities(drawn) for space in (dense, gathered)]
    for mine, theirs in zip(*soft, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-6)


def test_sources_of_weight_zero_are_not_drawn() -> None:
    space = _space()

    class Forbidden:
        def batch(self, epoch: int) -> object:
            raise AssertionError("drawn")

    sources = {"original": Original(space, Negatives(space, torch_rng(0, "a"))), "pseudo_random": Forbidden()}
    found = losses(space, _encoded(space, 2), sources, {"original": 1.0, "pseudo_random": 0.0}, 0)  # type: ignore[arg-type]
    assert set(found) == {"original", "total"}


def test_training_pairs_are_exactly_the_training_edges() -> None:
    graph = small_graph()
    split = split_graph(graph, TARGETS, sections.Split(), 45)
    space = PairSpace(TARGETS, split.train, CPU)
    for pairs, target in zip(space.relations, TARGETS, strict=True):
        heads = space.heads[pairs.heads[pairs.edge_heads].numpy()]
        tails = space.tails[target.relation][pairs.edge_tails.numpy()]
        assert np.array_equal(heads, split.train[target][0])
        assert np.array_equal(tails, split.train[target][1])
