"""Matching around anchors: its two losses by hand and by loops, and what is drawn."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from flykd_console.distill.matching import anchors as anchor
from flykd_console.distill.matching.anchors import AnchorDraws, distribution_loss, rank_loss
from flykd_console.distill.pairs.pair_space import PairSpace
from flykd_console.distill.soft_labels import SoftLabels
from flykd_console.distill.structure.anchor import AnchorLoss, AnchorSettings
from flykd_console.graph.knowledge_graph import Targets
from flykd_console.graph.split.make import split_graph
from flykd_console.model.encoded import Encoded
from flykd_console.profile import sections
from flykd_console.seeding import torch_rng
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph

TARGETS = Targets([CONTRAINDICATION, INDICATION])


def _space() -> PairSpace:
    train = split_graph(small_graph(), TARGETS, sections.Split(), 45).train
    return PairSpace(TARGETS, train, torch.device("cpu"))


def _loss(space: PairSpace, teacher: SoftLabels, settings: AnchorSettings) -> AnchorLoss:
    """The loss of the space's pairs, its draws seeded."""
    inputs = SimpleNamespace(space=space, generator=lambda purpose: torch_rng(0, "a"))
    loss = AnchorLoss(settings, inputs)  # type: ignore[arg-type]
    loss.prepare(4, [], teacher)
    return loss


def _encoded(space: PairSpace, seed: int, dim: int) -> Encoded:
    rng = torch.Generator().manual_seed(seed)
    return Encoded(
        head=torch.randn(len(space.heads), dim, generator=rng, requires_grad=True),
        tails={r: torch.randn(len(t), dim, generator=rng, requires_grad=True) for r, t in space.tails.items()},
        relation={r: torch.randn(dim, generator=rng, requires_grad=True) for r in space.tails},
        tail=torch.empty(0, dim),
    )


def test_the_rank_loss_is_what_a_pencil_gives() -> None:
    teacher = torch.tensor([[2.0, 1.0, 0.95]])
    student = torch.tensor([[0.0, 0.05, -1.0]])
    # The teacher orders (0, 1) and (0, 2); 1 and 2 are within the margin. Shortfalls: 0.1 + 0.05 and none.
    assert rank_loss(student, teacher, 0.1).item() == pytest.approx(0.15 / 2)
    assert rank_loss(student, torch.zeros(1, 3), 0.1).item() == 0.0
    assert rank_loss(teacher, teacher, 0.1).item() == 0.0


def test_the_distribution_loss_is_what_a_pencil_gives() -> None:
    teacher = torch.tensor([[2.0 * math.log(3.0), 0.0], [0.0, 0.0]])
    student = torch.zeros(2, 2)
    # At temperature 2 the teacher's softmaxes are (3/4, 1/4) and (1/2, 1/2).
    by_hand = (0.75 * math.log(1.5) + 0.25 * math.log(0.5)) / 2
    assert distribution_loss(student, teacher, 2.0).item() == pytest.approx(by_hand, rel=1e-5)
    assert distribution_loss(teacher, teacher, 2.0).item() == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize("chunk", [4_000_000, 40])
def test_the_rank_loss_equals_loops_and_its_gradient_differences(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchor, "_CHUNK_PAIRS", chunk)
    rng = torch.Generator().manual_seed(0)
    teacher = torch.randn(7, 5, dtype=torch.float64, generator=rng)
    student = torch.randn(7, 5, dtype=torch.float64, generator=rng).requires_grad_()
    terms = [
        max(0.0, 0.3 - (s[i] - s[j]).item())
        for s, t in zip(student, teacher, strict=True)
        for i in range(5)
        for j in range(5)
        if t[i] - t[j] > 0.3
    ]
    assert rank_loss(student, teacher, 0.3).item() == pytest.approx(sum(terms) / len(terms))
    assert torch.autograd.gradcheck(lambda x: rank_loss(x, teacher, 0.3), (student,))
    assert torch.autograd.gradcheck(lambda x: distribution_loss(x, teacher, 2.0), (student,))


def test_anchors_come_by_degree_and_half_of_their_context_is_near() -> None:
    pairs = _space().relations[0]
    anchors, contexts = AnchorDraws(pairs, 20_000, 6, torch_rng(0, "a")).draw()
    assert contexts.shape == (20_000, 6)
    share = torch.bincount(anchors, minlength=len(pairs.heads)) / len(anchors)
    degree = torch.bincount(pairs.edge_heads, minlength=len(pairs.heads)) / pairs.edge_count
    assert (share - degree).abs().max() < 0.01
    # One step leads to a tail of the anchor, three to a tail of a head that shares a tail with it.
    linked = torch.zeros(len(pairs.heads), pairs.tail_count, dtype=torch.bool)
    linked[pairs.edge_heads, pairs.edge_tails] = True
    reached = linked.float() @ linked.T.float() @ linked.float() > 0
    near = contexts[:, :3]
    assert reached[anchors[:, None], near].all()
    assert linked[anchors[:, None], near].float().mean() > 0.5
    far = torch.bincount(contexts[:, 3:].reshape(-1), minlength=pairs.tail_count) / contexts[:, 3:].numel()
    assert (far - 1 / pairs.tail_count).abs().max() < 0.01


@pytest.mark.parametrize("score_all", [0, 64])
def test_both_losses_score_the_drawn_pairs_of_every_relation(score_all: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchor, "_SCORE_ALL", score_all)
    space = _space()
    student, teacher = _encoded(space, 2, 4), _encoded(space, 1, 6)
    settings = AnchorSettings(rank_weight=1.0, distribution_weight=1.0, anchors=8, contexts=4, temperature=0.5)
    found = _loss(space, SoftLabels(space, teacher), settings)(student, [])
    again = torch_rng(0, "a")
    rank, distribution = [], []
    for pairs in space.relations:
        anchors, contexts = AnchorDraws(pairs, 8, 4, again).draw()

        def logits(encoded: Encoded) -> Tensor:
            heads = encoded.head[pairs.heads[anchors]] * encoded.relation[pairs.relation]  # noqa: B023
            return (heads[:, None] * encoded.tails[pairs.relation][contexts]).sum(-1)  # noqa: B023

        rank.append(rank_loss(logits(student), logits(teacher), settings.margin))
        distribution.append(distribution_loss(logits(student), logits(teacher), 0.5))
    assert found["anchor_rank"].item() == pytest.approx(torch.stack(rank).mean().item(), rel=1e-4)
    assert found["anchor_distribution"].item() == pytest.approx(torch.stack(distribution).mean().item(), rel=1e-4)
    torch.stack(list(found.values())).sum().backward()
    assert all(x.grad is not None and x.grad.abs().sum() > 0 for x in [student.head, *student.tails.values()])


def test_a_loss_of_weight_zero_is_left_out() -> None:
    space = _space()
    settings = AnchorSettings(rank_weight=1.0, anchors=8, contexts=4)
    loss = _loss(space, SoftLabels(space, _encoded(space, 1, 6)), settings)
    assert set(loss(_encoded(space, 2, 4), [])) == {"anchor_rank"}
