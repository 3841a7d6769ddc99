"""Diseases are taken out of the embedded graph with all their edges, a student is trained, and it is asked for them."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from benchmarks.unseen import answers, by_profile, chosen_tails, means, questions, trained, without, write
from exporters.scorer import Scorer
from flykd_console.graph.load import load_graph
from flykd_console.profile.load import load_profile

SEED = 46


@pytest.mark.timeout(400)
def test_diseases_out_of_the_graph_are_ranked_for_by_their_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_profile("best", ["graph.source=embedded"]).graph
    graph = load_graph(settings)
    targets = graph.targets(settings.targets)
    out, controls = chosen_tails(graph, targets, 40, SEED)
    reduced = without(graph, targets.tail, out)
    assert reduced.count(targets.tail) == graph.count(targets.tail) - len(out)
    write(reduced, tmp_path / "reduced.parquet")
    ids = graph.ids(targets.tail)
    options = argparse.Namespace(profile="best", seed=SEED, epochs=12)
    with Scorer(trained(tmp_path / "reduced.parquet", [ids[row] for row in controls], options, "outside")) as scorer:
        assert not {ids[row] for row in out} & set(scorer.tails.ids)
        asked = questions(graph, targets, out)
        found = answers(asked, by_profile(scorer))
    # A disease without an edge but labels cannot be placed.
    assert len(found["model"]) > 0.9 * len(asked)
    every = sorted(found["model"])
    model, neighbours, popularity = (
        float(means(asked, found[name], every)[0]) for name in ("model", "neighbours", "popularity")
    )
    assert model > 2.0 * popularity
    assert model > 0.9 * neighbours
