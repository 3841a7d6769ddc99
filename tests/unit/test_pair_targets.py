"""What members of a cohort of students teach each other about pairs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch.nn.functional import binary_cross_entropy_with_logits

from flykd_console.distill.cohort.logit_weighting import WeightingUnit
from flykd_console.distill.cohort.pair_targets import PairGate, PairTargets, Peers
from flykd_console.distill.cohort.relation_weights import relation_weights
from flykd_console.distill.pairs.pair_space import PairSpace
from flykd_console.graph.split.make import split_graph
from flykd_console.model.encoded import Encoded
from flykd_console.profile.cohort import LogitWeighting
from flykd_console.profile.sections import Split
from flykd_console.tasks.link_prediction.agreement import mean_logits, rank_correlation
from tests.support.small_graph import small_graph

THREE = [torch.tensor([0.3, -2.0, 5.0]), torch.tensor([1.0, 0.5, -4.0]), torch.tensor([-0.7, 3.0, 0.0])]


def bernoulli_divergence(target: torch.Tensor, logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """T^2 mean KL(Bernoulli(target / T) || Bernoulli(logits / T)), term by term."""
    p, q = torch.sigmoid(target / temperature), torch.sigmoid(logits / temperature)
    return temperature**2 * (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).mean()


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_learning_the_mean_of_the_others_labels_is_learning_from_each_of_them(temperature: float) -> None:
    learner = torch.tensor([0.1, 0.2, -0.3], requires_grad=True)
    others = THREE[1:]
    told = PairTargets("peers", temperature).of(others)
    loss = temperature**2 * binary_cross_entropy_with_logits(learner / temperature, torch.sigmoid(told / temperature))
    (gradient,) = torch.autograd.grad(loss, learner)
    each = torch.stack([bernoulli_divergence(other, learner, temperature) for other in others]).mean()
    (wanted,) = torch.autograd.grad(each, learner)
    torch.testing.assert_close(gradient, wanted)


def test_who_teaches_whom() -> None:
    members = ["a", "b", "c"]
    assert PairTargets("peers", 1.0).teaching("b", members) == ["a", "c"]
    assert PairTargets("mean", 1.0).teaching("b", members) == members
    torch.testing.assert_close(PairTargets("mean", 3.0).of(THREE), torch.stack(THREE).mean(dim=0))
    torch.testing.assert_close(PairTargets("peers", 3.0).of(THREE[:1]), THREE[0])


def test_labels_of_certain_peers_stay_between_0_and_1() -> None:
    sure = [torch.tensor([200.0, -200.0]), torch.tensor([150.0, -150.0])]
    told = PairTargets("peers", 1.0).of(sure)
    assert torch.equal(torch.sigmoid(told), torch.tensor([1.0, 0.0]))


def test_a_gate_begins_as_the_mean_and_learns_whom_to_ask() -> None:
    gate = PairGate(2)
    labels = (torch.rand(200, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    knows, guesses = 4.0 * (labels - 0.5), torch.randn(200, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(gate.mixed([knows, guesses]), (knows + guesses) / 2)
    optimizer = torch.optim.Adam(gate.parameters(), lr=0.1)
    first = float(gate.loss([knows, guesses], labels))
    for _ in range(50):
        optimizer.zero_grad()
        gate.loss([knows, guesses], labels).backward()
        optimizer.step()
    assert float(gate.loss([knows, guesses], labels)) < 0.8 * first
    told = PairTargets("gate", 1.0, gate).of([knows, guesses])
    assert not told.requires_grad
    torch.testing.assert_close(told, gate.mixed([knows, guesses]).detach())


def encoded(space: PairSpace, seed: int) -> Encoded:
    draw = torch.Generator().manual_seed(seed)
    tails = {name: torch.randn(len(nodes), 4, generator=draw) for name, nodes in space.tails.items()}
    return Encoded(
        head=torch.randn(len(space.heads), 4, generator=draw),
        tails=tails,
        relation={name: torch.randn(4, generator=draw) for name in tails},
        tail=torch.zeros(1, 4),
    )


@pytest.mark.parametrize("target", ["peers", "mean"])
def test_peers_say_the_same_of_a_pair_however_they_are_asked(target: str) -> None:
    graph = small_graph()
    targets = graph.targets(["contraindication", "indication"])
    space = PairSpace(targets, split_graph(graph, targets, Split(), 45).train, torch.device("cpu"))
    members = {name: encoded(space, seed) for seed, name in enumerate(("a", "b", "c"))}
    peers = Peers(space, PairTargets(target, 2.0))
    peers.stand(members, "a")
    listed = peers.logits([torch.arange(pairs.area) for pairs in space.relations])
    for number, pairs in enumerate(space.relations):
        block = peers.block(number)(slice(None))
        torch.testing.assert_close(listed[number].view(len(pairs.heads), pairs.tail_count), block)
        lists = peers.lists(number, torch.arange(pairs.tail_count))
        torch.testing.assert_close(lists[:, pairs.heads].T, block)
        torch.testing.assert_close(peers.tail_lists(number, pairs.heads), block)
    peers.stand(members, "b")
    changed = peers.logits([torch.arange(pairs.area) for pairs in space.relations])
    assert torch.equal(changed[0], listed[0]) is (target == "mean")


def test_weights_of_relations_begin_at_1_and_move_within_their_bounds() -> None:
    unit = WeightingUnit(LogitWeighting(kind="pooled", bound=0.5), 7, 2, torch.Generator().manual_seed(2))
    edges = [torch.linspace(-1.0, 2.0, 4), torch.linspace(0.0, 3.0, 3)]
    assert torch.equal(relation_weights(unit, edges), torch.ones(2))
    optimizer = torch.optim.Adam(unit.parameters(), lr=1.0)
    for _ in range(20):
        optimizer.zero_grad()
        (relation_weights(unit, edges) * torch.tensor([1.0, -1.0])).sum().backward()
        optimizer.step()
    weights = relation_weights(unit, edges)
    assert weights[0] < 1.0 < weights[1]
    assert float(weights.detach().min()) >= 0.5


def test_rank_correlation_is_spearmans_over_relations_and_pairs_of_members() -> None:
    draw = np.random.default_rng(0)
    labels = np.zeros(30, np.float32)
    members = [{name: (labels, draw.integers(0, 9, 30).astype(np.float32)) for name in ("x", "y")} for _ in range(3)]
    wanted = [
        spearmanr(members[i][name][1], members[j][name][1]).statistic
        for i, j in ((0, 1), (0, 2), (1, 2))
        for name in ("x", "y")
    ]
    assert rank_correlation(members) == pytest.approx(np.mean(wanted))
    assert rank_correlation([members[0], members[0]]) == pytest.approx(1.0)
    constant = {name: (labels, np.ones(30, np.float32)) for name in ("x", "y")}
    assert rank_correlation([members[0], constant]) is None
    np.testing.assert_allclose(mean_logits(members)["x"][1], np.mean([member["x"][1] for member in members], axis=0))
