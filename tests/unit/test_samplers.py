"""The three samplers of random graphs agree in expectation, in loss and in gradient."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from flykd_console import profile
from flykd_console.distill import label_blocks
from flykd_console.distill.objectives import LabelSource, PseudoBlocks, PseudoRandom, losses
from flykd_console.distill.pair_space import PairSpace, SoftLabels
from flykd_console.distill.random_graph import RandomBlocks, RandomGraphs, degree_weights
from flykd_console.graph.split import split_graph
from flykd_console.model.distmult import all_logits
from flykd_console.model.link_encoder import Encoded
from flykd_console.seeding import torch_rng
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph

TARGETS = [CONTRAINDICATION, INDICATION]


def _space() -> PairSpace:
    train = split_graph(small_graph(), TARGETS, profile.Split(), 45).train
    return PairSpace(TARGETS, train, torch.device("cpu"))


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


@pytest.mark.parametrize("power", [1.0, 1.5])
def test_the_expectation_equals_a_plain_weighted_sum_over_all_pairs(power: float) -> None:
    space = _space()
    teacher, student = _encoded(space, 1, 6), _encoded(space, 2, 4)
    source = PseudoBlocks(space, SoftLabels(space, teacher), None, power)
    found, gradient = _loss_and_gradient(space, student, source)
    parts = []
    for pairs in space.relations:
        p, q = degree_weights(pairs, power)
        name = pairs.relation
        logits = all_logits(student.head[pairs.heads], student.relation[name], student.tails[name])
        labels = torch.sigmoid(all_logits(teacher.head[pairs.heads], teacher.relation[name], teacher.tails[name]))
        each = functional.binary_cross_entropy_with_logits(logits, labels.detach(), reduction="none")
        parts.append((p[:, None].float() * each * q.float()).sum())
    expected = torch.stack(parts).mean()
    assert found == pytest.approx(expected.item(), rel=1e-5)
    plain = torch.cat([g.reshape(-1) for g in torch.autograd.grad(expected, _leaves(student))])
    assert torch.allclose(gradient, plain, atol=1e-6)


@pytest.mark.parametrize("sampler", ["pairs", "blocks"])
def test_draws_agree_with_the_expectation_in_loss_and_gradient(sampler: str) -> None:
    space = _space()
    student, soft = _encoded(space, 2, 4), SoftLabels(space, _encoded(space, 1, 6))
    exact, exact_gradient = _loss_and_gradient(space, student, PseudoBlocks(space, soft, None, 1.0))
    settings = profile.RandomGraph(labels_per_relation=10_000)
    source: LabelSource
    if sampler == "pairs":
        source = PseudoRandom(RandomGraphs(space, settings, torch_rng(0, "p")), soft)
    else:
        source = PseudoBlocks(space, soft, RandomBlocks(space, settings, torch_rng(0, "b")), 1.0)
    found, gradient = _loss_and_gradient(space, student, source, epochs=60 if sampler == "pairs" else 600)
    assert found == pytest.approx(exact, rel=0.01)
    assert (gradient - exact_gradient).norm() < 0.03 * exact_gradient.norm()


def test_a_block_is_the_same_however_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    space = _space()
    student, soft = _encoded(space, 2, 4), SoftLabels(space, _encoded(space, 1, 6))
    whole = _loss_and_gradient(space, student, PseudoBlocks(space, soft, None, 1.0))
    monkeypatch.setattr(label_blocks, "CHUNK_LABELS", 7)
    cut = _loss_and_gradient(space, student, PseudoBlocks(space, soft, None, 1.0))
    assert cut[0] == pytest.approx(whole[0], rel=1e-5)
    assert torch.allclose(cut[1], whole[1], atol=1e-6)


def test_a_block_has_as_many_labels_as_asked_for() -> None:
    blocks = RandomBlocks(_space(), profile.RandomGraph(labels_per_relation=1000), torch_rng(0, "b")).current(0)
    assert [len(end) for end in blocks] == [31, 33, 31, 33]
