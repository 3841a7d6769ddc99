"""The three samplers of random graphs agree in expectation, in loss and in gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from flykd_console.distill.labels import blocks as label_blocks
from flykd_console.distill.labels import strong_pairs as strong_pairs_module
from flykd_console.distill.labels.base import LabelSource
from flykd_console.distill.labels.losses import losses
from flykd_console.distill.labels.negatives import Negatives
from flykd_console.distill.labels.random_graph import RandomBlocks, RandomGraphs, degree_weights
from flykd_console.distill.labels.sources.pseudo_random import RandomPairBlocks, RandomPairs
from flykd_console.distill.labels.strong_pairs import StrongGraphs, strong_pairs
from flykd_console.distill.pairs.pair_space import PairSpace
from flykd_console.distill.soft_labels import SoftLabels
from flykd_console.errors import UserError
from flykd_console.graph.knowledge_graph import Targets
from flykd_console.graph.split.make import split_graph
from flykd_console.model.distmult import all_logits
from flykd_console.model.encoded import Encoded
from flykd_console.profile import sections
from flykd_console.profile.distill import RandomGraph
from flykd_console.seeding import torch_rng
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph

TARGETS = Targets([CONTRAINDICATION, INDICATION])


def _space(unseen: bool = False) -> PairSpace:
    """`unseen`: with every disease that the graph has."""
    graph = small_graph()
    train = split_graph(graph, TARGETS, sections.Split(), 45).train
    also = np.arange(graph.count("disease")) if unseen else None
    return PairSpace(TARGETS, train, torch.device("cpu"), also=also)


def _encoded(space: PairSpace, seed: int, dim: int) -> Encoded:
    rng = torch.Generator().manual_seed(seed)
    return Encoded(
        head=torch.randn(len(space.heads), dim, generator=rng, requires_grad=True),
        tails={r: torch.randn(len(t), dim, generator=rng, requires_grad=True) for r, t in space.tails.items()},
        relation={r: torch.randn(dim, generator=rng, requires_grad=True) for r in space.tails},
        tail=torch.empty(0, dim),
    )


def _leaves(encoded: Encoded) -> list[torch.Tensor]:
    return [encoded.head, *encoded.tails.values(), *encoded.relation.values()]


def _loss_and_gradient(
    space: PairSpace, encoded: Encoded, source: LabelSource, epochs: int = 1
) -> tuple[float, torch.Tensor]:
    """Mean over epochs of the loss and of its flattened gradient."""
    total = torch.stack(
        [losses(space, encoded, {"pseudo_random": source}, {"pseudo_random": 1.0}, e)["total"] for e in range(epochs)]
    ).mean()
    gradients = torch.autograd.grad(total, _leaves(encoded))
    return total.item(), torch.cat([g.reshape(-1) for g in gradients])


@pytest.mark.parametrize(("power", "unseen"), [(1.0, 0.0), (1.5, 0.0), (1.0, 0.4), (1.5, 0.4)])
def test_the_expectation_equals_a_plain_weighted_sum_over_all_pairs(power: float, unseen: float) -> None:
    space = _space(unseen > 0.0)
    teacher, student = _encoded(space, 1, 6), _encoded(space, 2, 4)
    settings = RandomGraph(degree_power=power, unseen=unseen)
    source = RandomPairBlocks(space, SoftLabels(space, teacher), None, settings)
    found, gradient = _loss_and_gradient(space, student, source)
    parts = []
    for pairs in space.relations:
        p, q = degree_weights(pairs, power, unseen)
        assert q[pairs.known_count :].sum().item() == pytest.approx(unseen)
        name = pairs.relation
        logits = all_logits(student.head[pairs.heads], student.relation[name], student.tails[name])
        labels = torch.sigmoid(all_logits(teacher.head[pairs.heads], teacher.relation[name], teacher.tails[name]))
        each = functional.binary_cross_entropy_with_logits(logits, labels.detach(), reduction="none")
        parts.append((p[:, None].float() * each * q.float()).sum())
    expected = torch.stack(parts).mean()
    assert found == pytest.approx(expected.item(), rel=1e-5)
    plain = torch.cat([g.reshape(-1) for g in torch.autograd.grad(expected, _leaves(student))])
    assert torch.allclose(gradient, plain, atol=1e-6)


@pytest.mark.parametrize(("power", "unseen"), [(1.0, 0.0), (1.0, 0.4), (1.5, 0.4)])
@pytest.mark.parametrize("sampler", ["pairs", "blocks"])
def test_draws_agree_with_the_expectation_in_loss_and_gradient(sampler: str, power: float, unseen: float) -> None:
    space = _space(unseen > 0.0)
    student, soft = _encoded(space, 2, 4), SoftLabels(space, _encoded(space, 1, 6))
    settings = RandomGraph(labels_per_relation=10_000, degree_power=power, unseen=unseen)
    exact, exact_gradient = _loss_and_gradient(space, student, RandomPairBlocks(space, soft, None, settings))
    source: LabelSource
    if sampler == "pairs":
        source = RandomPairs(RandomGraphs(space, settings, torch_rng(0, "p")), soft)
    else:
        source = RandomPairBlocks(space, soft, RandomBlocks(space, settings, torch_rng(0, "b")), settings)
    found, gradient = _loss_and_gradient(space, student, source, epochs=60 if sampler == "pairs" else 600)
    assert found == pytest.approx(exact, rel=0.01)
    assert (gradient - exact_gradient).norm() < 0.03 * exact_gradient.norm()


def test_unseen_tails_are_drawn_alike_and_never_as_negatives() -> None:
    space, known = _space(unseen=True), _space()
    settings = RandomGraph(labels_per_relation=50_000, unseen=0.3)
    for pairs, drawn in zip(space.relations, RandomGraphs(space, settings, torch_rng(0, "u")).current(0), strict=True):
        assert pairs.unseen_count > 1
        tails = torch.bincount(drawn % pairs.tail_count, minlength=pairs.tail_count) / len(drawn)
        _, q = degree_weights(pairs, 1.0, 0.3)
        assert (tails - q).abs().sum() < 0.05
    for relation, tails_of in space.tails.items():
        count = len(known.tails[relation])
        assert np.array_equal(tails_of[:count], known.tails[relation])
        assert len(np.unique(tails_of)) == len(tails_of) == small_graph().count("disease")
    for pairs, drawn in zip(space.relations, Negatives(space, torch_rng(0, "n")).draw(), strict=True):
        assert int((drawn % pairs.tail_count).max()) < pairs.known_count


@pytest.mark.parametrize("power", [0.0, 1.0, 1.5])
def test_heads_that_are_there_for_negatives_alone_are_in_no_random_graph(power: float) -> None:
    graph = small_graph()
    train = dict(split_graph(graph, TARGETS, sections.Split(), 45).train)
    for target in TARGETS:
        heads, tails = train[target]
        train[target] = heads[heads % 3 > 0], tails[heads % 3 > 0]
    space, known = (
        PairSpace(TARGETS, train, torch.device("cpu"), candidates=candidates)
        for candidates in (np.arange(graph.count("drug")), None)
    )
    soft = SoftLabels(space, _encoded(space, 1, 6))
    settings = RandomGraph(labels_per_relation=5000, degree_power=power, min_logit=-100.0)
    for number, pairs in enumerate(space.relations):
        assert len(pairs.heads) > pairs.known_heads == len(known.relations[number].heads)
        p, _ = degree_weights(pairs, power)
        assert torch.equal(p[: pairs.known_heads], degree_weights(known.relations[number], power)[0])
        assert not p[pairs.known_heads :].any()
        drawn = RandomGraphs(space, settings, torch_rng(0, "g")).current(0)[number]
        assert int((drawn // pairs.tail_count).max()) < pairs.known_heads
        strong = strong_pairs(space, soft, settings)[number]
        assert strong.count == known.relations[number].area


def test_a_block_is_the_same_however_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    space = _space()
    student, soft = _encoded(space, 2, 4), SoftLabels(space, _encoded(space, 1, 6))
    whole = _loss_and_gradient(space, student, RandomPairBlocks(space, soft, None, RandomGraph()))
    monkeypatch.setattr(label_blocks, "CHUNK_LABELS", 7)
    cut = _loss_and_gradient(space, student, RandomPairBlocks(space, soft, None, RandomGraph()))
    assert cut[0] == pytest.approx(whole[0], rel=1e-5)
    assert torch.allclose(cut[1], whole[1], atol=1e-6)


def test_a_block_has_as_many_labels_as_asked_for() -> None:
    blocks = RandomBlocks(_space(), RandomGraph(labels_per_relation=1000), torch_rng(0, "b")).current(0)
    assert [len(end) for end in blocks] == [31, 33, 31, 33]


def _strong_setting(sampler: str = "pairs", labels: int = 10_000, power: float = 1.0) -> RandomGraph:
    return RandomGraph(
        labels_per_relation=labels,
        sampler=sampler,
        degree_power=power,
        min_logit=0.5,
    )


def _teacher_logits(space: PairSpace, teacher: Encoded) -> list[torch.Tensor]:
    return [
        all_logits(teacher.head[p.heads], teacher.relation[p.relation], teacher.tails[p.relation]).detach().flatten()
        for p in space.relations
    ]


@pytest.mark.parametrize("power", [1.0, 1.5])
def test_strong_graphs_draw_qualifying_pairs_alone_in_proportion_to_their_degrees(power: float) -> None:
    space, settings = _space(), _strong_setting(labels=200_000, power=power)
    teacher = _encoded(space, 1, 6)
    soft = SoftLabels(space, teacher)
    strong = strong_pairs(space, soft, settings)
    drawn_by_relation = StrongGraphs(space, settings, torch_rng(0, "s"), strong).current(0)
    # As many in all as without a threshold; shares as if pairs were drawn first and the weak ones left out.
    assert abs(sum(map(len, drawn_by_relation)) - 200_000 * len(strong)) <= len(strong)
    first, second = (len(drawn) / float(found.mass) for drawn, found in zip(drawn_by_relation, strong, strict=True))
    assert first == pytest.approx(second, rel=1e-3)
    assert abs(float(strong[0].mass) - float(strong[1].mass)) > 0.01
    for pairs, logits, drawn in zip(space.relations, _teacher_logits(space, teacher), drawn_by_relation, strict=True):
        assert bool((logits[drawn] > 0.5).all())
        p, q = degree_weights(pairs, power)
        expected = (p[:, None] * q).flatten() * (logits > 0.5)
        found = torch.bincount(drawn, minlength=pairs.area) / len(drawn)
        assert (found - expected / expected.sum()).abs().sum() < 0.05


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_strong_scores_weigh_the_qualifying_pairs_alone(temperature: float) -> None:
    space, settings = _space(), _strong_setting("exact", power=1.5)
    teacher, student = _encoded(space, 1, 6), _encoded(space, 2, 4)
    soft = SoftLabels(space, teacher)
    strong = strong_pairs(space, soft, settings, listed=False)
    found, gradient = _loss_and_gradient(
        space, student, RandomPairBlocks(space, soft, None, settings, temperature, strong)
    )
    parts, total = [], torch.zeros(())
    for pairs, whole in zip(space.relations, _teacher_logits(space, teacher), strict=True):
        p, q = degree_weights(pairs, 1.5)
        weights = (p[:, None] * q).flatten().float() * (whole > 0.5)
        name = pairs.relation
        logits = all_logits(student.head[pairs.heads], student.relation[name], student.tails[name]).flatten()
        each = functional.binary_cross_entropy_with_logits(
            logits / temperature, torch.sigmoid(whole / temperature), reduction="none"
        )
        parts.append(temperature**2 * (weights * each).sum())
        total = total + weights.sum()
    expected = torch.stack(parts).sum() / total
    assert found == pytest.approx(expected.item(), rel=1e-5)
    plain = torch.cat([g.reshape(-1) for g in torch.autograd.grad(expected, _leaves(student))])
    assert torch.allclose(gradient, plain, atol=1e-5)


@pytest.mark.parametrize("sampler", ["pairs", "blocks"])
def test_strong_draws_agree_with_the_strong_expectation(sampler: str) -> None:
    space, settings = _space(), _strong_setting()
    student, soft = _encoded(space, 2, 4), SoftLabels(space, _encoded(space, 1, 6))
    strong = strong_pairs(space, soft, settings)
    expectation = RandomPairBlocks(space, soft, None, settings, strong=strong)
    exact, exact_gradient = _loss_and_gradient(space, student, expectation)
    source: LabelSource
    if sampler == "pairs":
        source = RandomPairs(StrongGraphs(space, settings, torch_rng(0, "p"), strong), soft)
    else:
        blocks = RandomBlocks(space, settings, torch_rng(0, "b"))
        source = RandomPairBlocks(space, soft, blocks, settings, strong=strong)
    found, gradient = _loss_and_gradient(space, student, source, epochs=40 if sampler == "pairs" else 600)
    assert found == pytest.approx(exact, rel=0.01)
    assert (gradient - exact_gradient).norm() < 0.03 * exact_gradient.norm()


def test_strong_pairs_are_the_same_however_the_matrix_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    space, settings = _space(), _strong_setting()
    soft = SoftLabels(space, _encoded(space, 1, 6))
    whole = strong_pairs(space, soft, settings)
    monkeypatch.setattr(strong_pairs_module, "CHUNK_PAIRS", 7)
    for a, b in zip(whole, strong_pairs(space, soft, settings), strict=True):
        assert a.flat is not None
        assert b.flat is not None
        assert torch.equal(a.flat, b.flat)
        assert torch.allclose(a.mass, b.mass)
        assert 0.0 < float(a.mass) <= 1.0


def test_a_threshold_that_no_pair_reaches_is_told_with_the_highest_logit() -> None:
    space = _space()
    soft = SoftLabels(space, _encoded(space, 1, 6))
    highest = max(float(x.max()) for x in _teacher_logits(space, _encoded(space, 1, 6))[:1])
    with pytest.raises(UserError) as error:
        strong_pairs(space, soft, RandomGraph(min_logit=1e4))
    assert f"above 10000: its highest logit is {highest:.2f}" in str(error.value)
    assert error.value.where == "distill.random_graph.min_logit"


def test_more_strong_pairs_than_can_be_listed_point_to_the_other_samplers(monkeypatch: pytest.MonkeyPatch) -> None:
    space = _space()
    soft = SoftLabels(space, _encoded(space, 1, 6))
    monkeypatch.setattr(strong_pairs_module, "DENSE_LIMIT", 3)
    with pytest.raises(UserError, match="too many to be listed"):
        strong_pairs(space, soft, _strong_setting())
    assert strong_pairs(space, soft, _strong_setting(), listed=False)[0].flat is None


def test_pairs_that_are_never_drawn_do_not_qualify() -> None:
    space = _space(unseen=True)
    settings = RandomGraph(min_logit=0.5, unseen=1.0)
    for pairs, found in zip(
        space.relations, strong_pairs(space, SoftLabels(space, _encoded(space, 1, 6)), settings), strict=True
    ):
        assert found.flat is not None
        assert int((found.flat % pairs.tail_count).min()) >= pairs.known_count
        assert float(found.mass) > 0.0
