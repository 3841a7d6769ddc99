"""Negatives of either end, and the losses of an edge among them, against plain loops over edges."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from flykd_console.distill.labels import contrast
from flykd_console.distill.labels.contrast import Contrast
from flykd_console.distill.labels.losses import losses
from flykd_console.distill.labels.negatives import Negatives
from flykd_console.distill.labels.sources.original import Original, true_labels
from flykd_console.distill.pairs.pair_space import PairSpace
from flykd_console.graph.knowledge_graph import Targets
from flykd_console.graph.split.make import split_graph
from flykd_console.model.encoded import Encoded
from flykd_console.profile import sections
from flykd_console.profile.negatives import Negatives as Settings
from flykd_console.seeding import torch_rng
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph

TARGETS = Targets([CONTRAINDICATION, INDICATION])
LOSSES: list[dict[str, Any]] = [
    {"loss": "bce"},
    {"loss": "softmax", "temperature": 0.5},
    {"loss": "self_adversarial", "margin": 0.7, "temperature": 2.0},
    {"loss": "margin", "margin": 0.4},
]


def _space(linked: bool = False, dense_limit: int = 10**8) -> PairSpace:
    """`linked`: with every drug of the graph among the candidates, of which each relation trains on some."""
    graph = small_graph()
    train = dict(split_graph(graph, TARGETS, sections.Split(), 45).train)
    candidates = None
    if linked:
        candidates = np.arange(graph.count("drug"))
        for target, drop in zip(TARGETS, (3, 5), strict=True):
            heads, tails = train[target]
            kept = heads % drop > 0
            train[target] = heads[kept], tails[kept]
    return PairSpace(TARGETS, train, torch.device("cpu"), dense_limit, candidates=candidates)


def _encoded(space: PairSpace, dim: int = 5) -> Encoded:
    rng = torch.Generator().manual_seed(1)
    return Encoded(
        head=torch.randn(len(space.heads), dim, generator=rng, requires_grad=True),
        tails={r: torch.randn(len(t), dim, generator=rng, requires_grad=True) for r, t in space.tails.items()},
        relation={r: torch.randn(dim, generator=rng, requires_grad=True) for r in space.tails},
        tail=torch.empty(0, dim),
    )


def _gradient(total: Tensor, encoded: Encoded) -> Tensor:
    leaves = [encoded.head, *encoded.tails.values(), *encoded.relation.values()]
    return torch.cat([g.reshape(-1) for g in torch.autograd.grad(total, leaves)])


def _score(space: PairSpace, encoded: Encoded, relation: int, flat: Tensor) -> Tensor:
    pairs = space.relations[relation]
    head = encoded.head[pairs.heads[flat // pairs.tail_count]]
    return (head * encoded.relation[pairs.relation] * encoded.tails[pairs.relation][flat % pairs.tail_count]).sum()


def _of_edge(settings: Settings, edge: Tensor, negatives: list[Tensor]) -> Tensor:
    """The loss of one edge among the negatives of one end, as the equations have it."""
    if settings.loss == "softmax":
        every = torch.stack([edge, *negatives]) / settings.temperature
        return -(every[0].exp() / every.exp().sum()).log()
    if settings.loss == "self_adversarial":
        weights = [math.exp(negative.item() / settings.temperature) for negative in negatives]
        total = -torch.sigmoid(settings.margin + edge).log()
        for weight, negative in zip(weights, negatives, strict=True):
            total = total - weight / sum(weights) * torch.sigmoid(-negative - settings.margin).log()
        return total
    return torch.stack([(settings.margin - edge + negative).clamp(min=0.0) for negative in negatives]).mean()


def _plainly(space: PairSpace, encoded: Encoded, negatives: Negatives, settings: Settings) -> Tensor:
    """The mean loss by a loop over edges and ends."""
    terms: list[Tensor] = []
    for number, pairs in enumerate(space.relations):
        drawn = negatives.around(number, slice(0, pairs.edge_count), settings.ratio)
        for place, positive in enumerate(pairs.positives()):
            edge = _score(space, encoded, number, positive)
            if settings.loss == "bce":
                terms.append(functional.softplus(-edge))
            for of_end in drawn:
                others = [_score(space, encoded, number, flat) for flat in of_end[place]]
                if settings.loss == "bce":
                    terms += [functional.softplus(other) for other in others]
                else:
                    terms.append(_of_edge(settings, edge, others))
    return torch.stack(terms).mean()


@pytest.mark.parametrize("given", LOSSES, ids=lambda given: given["loss"])
@pytest.mark.parametrize(("replace", "ratio", "linked"), [("tail", 1, False), ("head", 3, True), ("both", 2, True)])
@pytest.mark.parametrize("dense_limit", [10**8, 0])
def test_a_loss_and_its_gradient_equal_a_plain_loop(
    given: dict[str, Any], replace: Any, ratio: int, linked: bool, dense_limit: int
) -> None:
    settings = Settings(replace=replace, ratio=ratio, **given)
    space = _space(linked, dense_limit)
    encoded = _encoded(space)
    source = Contrast(space, Negatives(space, torch_rng(0, "n"), settings=settings), settings)
    found = 3.0 * source.loss(encoded, 0)
    expected = 3.0 * _plainly(space, encoded, Negatives(space, torch_rng(0, "n"), settings=settings), settings)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    gradient = _gradient(expected, encoded)
    assert (_gradient(found, encoded) - gradient).norm() < 1e-5 * gradient.norm()


@pytest.mark.parametrize("given", LOSSES, ids=lambda given: given["loss"])
def test_a_loss_is_the_same_however_its_edges_are_cut(given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    space = _space()
    encoded = _encoded(space)
    settings = Settings(replace="both", ratio=4, **given)
    drawn = [
        Negatives(space, torch_rng(0, "n"), settings=settings).around(number, slice(0, pairs.edge_count), 4)
        for number, pairs in enumerate(space.relations)
    ]

    class Fixed(Negatives):
        def around(self, relation: int, edges: slice, ratio: int) -> Tensor:
            return drawn[relation][:, edges]

    source = Contrast(space, Fixed(space, torch_rng(0, "n"), settings=settings), settings)
    whole = source.loss(encoded, 0)
    expected = _gradient(whole, encoded)
    monkeypatch.setattr(contrast, "CHUNK_PAIRS", 20)
    cut = source.loss(encoded, 0)
    assert cut.item() == pytest.approx(whole.item(), rel=1e-5)
    assert (_gradient(cut, encoded) - expected).norm() < 1e-5 * expected.norm()


def test_one_negative_an_end_is_scored_with_the_pairs_of_other_sources_and_costs_the_same_loss() -> None:
    space = _space(linked=True)
    encoded = _encoded(space)
    settings = Settings(replace="both", candidates="linked")
    listed = true_labels(space, torch_rng(0, "n"), False, settings)
    assert isinstance(listed, Original)
    found = losses(space, encoded, {"original": listed}, {"original": 1.0}, 0)["total"]
    plain = _plainly(space, encoded, Negatives(space, torch_rng(0, "n"), settings=settings), settings)
    assert found.item() == pytest.approx(plain.item(), rel=1e-5)
    assert torch.allclose(_gradient(found, encoded), _gradient(plain, encoded), atol=1e-6)


@pytest.mark.parametrize("given", [{"ratio": 2}, {"loss": "softmax"}, {"loss": "margin", "replace": "both"}])
def test_other_losses_and_more_negatives_are_taken_in_chunks(given: dict[str, Any]) -> None:
    source = true_labels(_space(), torch_rng(0, "n"), False, Settings(**given))
    assert isinstance(source, Contrast)
    assert list(source.generators) == ["negatives"]


def test_a_negative_keeps_one_end_of_its_edge_and_takes_the_other_from_the_candidates() -> None:
    space = _space(linked=True)
    settings = Settings(replace="both", candidates="linked")
    negatives = Negatives(space, torch_rng(0, "n"), settings=settings)
    seen = {pairs.relation: 0 for pairs in space.relations}
    for _ in range(200):
        for pairs, drawn in zip(space.relations, negatives.draw(), strict=True):
            tail_replaced, head_replaced = drawn.view(2, -1)
            assert torch.equal(tail_replaced // pairs.tail_count, pairs.edge_heads)
            assert torch.equal(head_replaced % pairs.tail_count, pairs.edge_tails)
            assert int((tail_replaced % pairs.tail_count).max()) < pairs.known_count
            seen[pairs.relation] = max(seen[pairs.relation], int((head_replaced // pairs.tail_count).max()))
    for pairs in space.relations:
        # Every drug, and not only those that the relation trains on.
        assert seen[pairs.relation] == len(pairs.heads) - 1 == small_graph().count("drug") - 1
        assert pairs.known_heads < len(pairs.heads)


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_candidates_are_drawn_by_their_degree_to_the_power(power: float) -> None:
    space = _space(linked=True)
    settings = Settings(replace="head", distribution="degree", power=power, candidates="linked")
    negatives = Negatives(space, torch_rng(0, "n"), settings=settings)
    for number, pairs in enumerate(space.relations):
        drawn = negatives.around(number, slice(0, pairs.edge_count), 2000) // pairs.tail_count
        found = torch.bincount(drawn.reshape(-1), minlength=len(pairs.heads)).double()
        degrees = torch.bincount(pairs.edge_heads, minlength=len(pairs.heads)).clamp(min=1).double()
        expected = degrees.pow(power)
        assert (found / found.sum() - expected / expected.sum()).abs().sum() < 0.05


@pytest.mark.parametrize("replace", ["tail", "head", "both"])
def test_filtered_negatives_are_hardly_ever_true(replace: Any) -> None:
    space = _space()
    settings = Settings(replace=replace, ratio=50)
    for filtered in (True, False):
        negatives = Negatives(space, torch_rng(0, "n"), filtered, settings)
        for number, pairs in enumerate(space.relations):
            drawn = negatives.around(number, slice(0, pairs.edge_count), 50)
            share = torch.isin(drawn, pairs.positives()).double().mean().item()
            assert share < 0.01 if filtered else share > 0.02


def test_every_end_of_an_edge_has_as_many_negatives_as_asked_for() -> None:
    space = _space()
    for replace, ends in (("tail", 1), ("head", 1), ("both", 2)):
        negatives = Negatives(space, torch_rng(0, "n"), settings=Settings(replace=replace))
        assert negatives.around(0, slice(2, 5), 7).shape == (ends, 3, 7)
        assert [len(drawn) for drawn in negatives.draw()] == [ends * pairs.edge_count for pairs in space.relations]
