"""Scores of listed pairs against the whole matrix: values and gradients, with repeated pairs and rows without any."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flykd_console.distill.labels.random_graph import RandomGraphs
from flykd_console.distill.pairs.pair_space import PairSpace
from flykd_console.distill.pairs.sampled_scores import PAIR_COST, SampledPairs
from flykd_console.graph.knowledge_graph import Targets
from flykd_console.graph.split.make import split_graph
from flykd_console.model.encoded import Encoded
from flykd_console.profile import sections
from flykd_console.profile.distill import RandomGraph
from flykd_console.seeding import torch_rng
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph


@settings(max_examples=60, deadline=None)
@given(
    heads=st.integers(1, 40),
    tails=st.integers(1, 40),
    dim=st.integers(1, 20),
    share=st.floats(0.0, 1.0),
    seed=st.integers(0, 2**20),
)
def test_sampled_scores_and_gradients_are_the_matrixs(
    heads: int, tails: int, dim: int, share: float, seed: int
) -> None:
    rng = torch.Generator().manual_seed(seed)
    count = int(share * heads * tails)
    flat = torch.randint(heads * tails, (count,), generator=rng)
    rows = torch.randn(heads, dim, generator=rng, requires_grad=True)
    columns = torch.randn(tails, dim, generator=rng, requires_grad=True)
    weights = torch.randn(count, generator=rng)

    found = SampledPairs.of(flat, heads, tails).logits(rows, columns)
    expected = (rows @ columns.T).view(-1)[flat]
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-5)
    gradients = torch.autograd.grad(found, (rows, columns), weights)
    for mine, theirs in zip(gradients, torch.autograd.grad(expected, (rows, columns), weights), strict=True):
        assert mine.shape == theirs.shape
        assert (mine - theirs).norm() <= 1e-5 * max(1.0, float(theirs.norm()))


def test_few_pairs_are_sampled_and_many_are_read_from_the_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = Targets([CONTRAINDICATION, INDICATION])
    train = split_graph(small_graph(), targets, sections.Split(), 45).train
    space, gathered = (PairSpace(targets, train, torch.device("cpu"), limit) for limit in (10**6, 0))
    areas = [pairs.area for pairs in space.relations]
    sampled: list[int] = []
    of = SampledPairs.of

    def counted(flat: torch.Tensor, heads: int, tails: int) -> SampledPairs:
        sampled.append(len(flat))
        return of(flat, heads, tails)

    monkeypatch.setattr(SampledPairs, "of", counted)
    rng = torch.Generator().manual_seed(0)
    encoded = Encoded(
        head=torch.randn(len(space.heads), 4, generator=rng),
        tails={r: torch.randn(len(t), 4, generator=rng) for r, t in space.tails.items()},
        relation={r: torch.randn(4, generator=rng) for r in space.tails},
        tail=torch.empty(0, 4),
    )
    few, many = int(min(areas) / PAIR_COST) - 1, max(areas)
    assert few > 0
    for count, expected in ((few, [few, few]), (many, [])):
        graphs = RandomGraphs(space, RandomGraph(labels_per_relation=count), torch_rng(0, "c"))
        drawn = graphs.current(0)
        sampled.clear()
        logits = space.logits(encoded, drawn)
        assert sampled == expected
        for mine, theirs in zip(logits, gathered.logits(encoded, drawn), strict=True):
            assert torch.allclose(mine, theirs, atol=1e-5)
