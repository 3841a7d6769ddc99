"""The temperature of soft labels, in all three samplers: its definition, and that 1 changes nothing at all."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from flykd_console.distill.labels.base import LabelBatch, LabelSource, PairSource
from flykd_console.distill.labels.losses import losses
from flykd_console.distill.labels.negatives import Negatives
from flykd_console.distill.labels.random_graph import RandomBlocks, RandomGraphs
from flykd_console.distill.labels.sources.pseudo_random import RandomPairBlocks, RandomPairs
from flykd_console.distill.labels.sources.pseudo_train import PseudoTrain
from flykd_console.distill.pairs.pair_space import PairSpace
from flykd_console.distill.soft_labels import SoftLabels
from flykd_console.graph.knowledge_graph import Targets
from flykd_console.graph.split.make import split_graph
from flykd_console.model.encoded import Encoded
from flykd_console.profile import sections
from flykd_console.profile.distill import RandomGraph
from flykd_console.seeding import torch_rng
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph

TARGETS = Targets([CONTRAINDICATION, INDICATION])
GRAPHS = RandomGraph(labels_per_relation=10_000)


def _space() -> PairSpace:
    train = split_graph(small_graph(), TARGETS, sections.Split(), 45).train
    return PairSpace(TARGETS, train, torch.device("cpu"))


def _encoded(space: PairSpace, seed: int, dim: int) -> Encoded:
    rng = torch.Generator().manual_seed(seed)
    return Encoded(
        head=torch.randn(len(space.heads), dim, generator=rng, requires_grad=True),
        tails={r: torch.randn(len(t), dim, generator=rng, requires_grad=True) for r, t in space.tails.items()},
        relation={r: torch.randn(dim, generator=rng, requires_grad=True) for r in space.tails},
        tail=torch.empty(0, dim),
    )


def _loss(space: PairSpace, encoded: Encoded, source: LabelSource, epochs: int = 1) -> tuple[Tensor, Tensor]:
    """Mean over epochs of the loss and of its gradient in everything encoded."""
    total = torch.stack([losses(space, encoded, {"s": source}, {"s": 1.0}, e)["total"] for e in range(epochs)]).mean()
    leaves = [encoded.head, *encoded.tails.values(), *encoded.relation.values()]
    return total.detach(), torch.cat([g.reshape(-1) for g in torch.autograd.grad(total, leaves)])


def _source(kind: str, space: PairSpace, soft: SoftLabels, *temperature: float) -> LabelSource:
    match kind:
        case "pairs":
            return RandomPairs(RandomGraphs(space, GRAPHS, torch_rng(0, kind)), soft, *temperature)
        case "blocks":
            return RandomPairBlocks(space, soft, RandomBlocks(space, GRAPHS, torch_rng(0, kind)), GRAPHS, *temperature)  # type: ignore[arg-type]
        case "exact":
            return RandomPairBlocks(space, soft, None, GRAPHS, *temperature)  # type: ignore[arg-type]
    return PseudoTrain(space, Negatives(space, torch_rng(0, "n")), soft, kind, *temperature)


@pytest.mark.parametrize("kind", ["pairs", "blocks", "exact", "student", "teacher", "none"])
def test_a_temperature_of_one_changes_no_bit(kind: str) -> None:
    space = _space()
    student, soft = _encoded(space, 2, 4), SoftLabels(space, _encoded(space, 1, 6))
    plain = _loss(space, student, _source(kind, space, soft))
    with_one = _loss(space, student, _source(kind, space, soft, 1.0))
    assert torch.equal(plain[0], with_one[0])
    assert torch.equal(plain[1], with_one[1])


@pytest.mark.parametrize("kind", ["pairs", "blocks"])
def test_draws_agree_with_the_expectation_at_a_temperature(kind: str) -> None:
    space = _space()
    student, soft = _encoded(space, 2, 4), SoftLabels(space, _encoded(space, 1, 6))
    exact, exact_gradient = _loss(space, student, _source("exact", space, soft, 2.0))
    found, gradient = _loss(space, student, _source(kind, space, soft, 2.0), epochs=60 if kind == "pairs" else 600)
    assert found.item() == pytest.approx(exact.item(), rel=0.01)
    assert (gradient - exact_gradient).norm() < 0.03 * exact_gradient.norm()
    cold = _loss(space, student, _source("exact", space, soft))[0]
    assert abs(exact - cold) > 0.1 * cold


@pytest.mark.parametrize("negatives", ["student", "none", "teacher"])
def test_soft_labels_are_softened_and_certain_ones_are_not(negatives: str) -> None:
    space = _space()
    student, teacher = _encoded(space, 2, 4), _encoded(space, 1, 6)
    found, _ = _loss(space, student, _source(negatives, space, SoftLabels(space, teacher), 2.0))
    positives, drawn = [pairs.positives() for pairs in space.relations], Negatives(space, torch_rng(0, "n")).draw()

    def logits(encoded: Encoded, pairs: list[Tensor]) -> Tensor:
        return torch.cat(space.logits(encoded, pairs)).detach()

    s, t = logits(student, positives), logits(teacher, positives)
    terms = 4.0 * functional.binary_cross_entropy_with_logits(s / 2.0, torch.sigmoid(t / 2.0), reduction="none")
    if negatives != "none":
        scores = logits(student if negatives == "student" else teacher, drawn)
        zero = functional.binary_cross_entropy_with_logits(scores, torch.zeros_like(scores), reduction="none")
        terms = torch.cat([terms, zero])
    assert found.item() == pytest.approx(terms.mean().item(), rel=1e-5)


def test_a_batch_without_temperatures_is_at_temperature_one() -> None:
    space = _space()
    student = _encoded(space, 2, 4)
    pairs = [p.positives() for p in space.relations]
    labels = [torch.full((len(p),), 0.3) for p in pairs]

    class Fixed(PairSource):
        def __init__(self, temperatures: list[Tensor] | None) -> None:
            super().__init__()
            self.temperatures = temperatures

        def batch(self, epoch: int) -> LabelBatch:
            return LabelBatch(pairs, labels, temperatures=self.temperatures)

    none, one = (_loss(space, student, Fixed(t)) for t in (None, [torch.ones(len(p)) for p in pairs]))
    assert none[0].item() == pytest.approx(one[0].item(), rel=1e-6)
    assert torch.allclose(none[1], one[1], atol=1e-7)
