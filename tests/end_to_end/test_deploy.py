"""From the profile for people who want a list to the list: trained on all labels, exported, scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from exporters.bundle import export_run
from exporters.manifest import CARD
from exporters.scorer import Scorer
from flykd_console.explore.exploration import Exploration
from flykd_console.explore.rivals import RivalRanks
from flykd_console.graph.connecting_edges import connecting_edges
from flykd_console.graph.load import load_graph
from flykd_console.graph.split.make import split_graph
from flykd_console.heuristics.base import TrainingEdges
from flykd_console.heuristics.neighbours import Neighbours
from flykd_console.profile.load import load_profile
from flykd_console.runs.directory import RunDirectory
from flykd_console.training import worker
from tests.support.tiny_run import make_run

FEW = ["distill.epochs=20", "run.seeds=[45, 46]", "finetune.validate_every=20", "evaluation.heuristics=[]"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A short run of the shipped profile on the embedded graph."""
    root = tmp_path_factory.mktemp("deploy")
    threads = torch.get_num_threads()
    profile = load_profile("deploy", ["graph.source=embedded", "engine.threads=1", *FEW])
    directory = make_run(root / "runs", profile)
    assert worker.main([str(directory.path)]) == 0
    torch.set_num_threads(threads)
    return directory


@pytest.fixture(scope="module")
def mean(run: RunDirectory) -> Scorer:
    return Scorer(export_run(run, ensemble=True).path)


def test_every_label_trains_or_validates(run: RunDirectory) -> None:
    profile = load_profile(str(run.profile))
    assert profile.split.kind == "full_graph"
    graph = load_graph(profile.graph)
    for seed in (45, 46):
        labels = pl.read_parquet(run.labels(seed))
        assert set(labels["part"].unique()) == {"train", "validation"}
        for target in graph.targets(profile.graph.targets):
            count = len(np.unique(np.stack(graph.edges[target]), axis=1).T)
            assert labels.filter(pl.col("relation") == target.relation).height == count


def test_the_neighbours_that_a_run_leaves_rank_as_the_heuristic_does(run: RunDirectory) -> None:
    profile = load_profile(str(run.profile))
    graph = load_graph(profile.graph)
    targets = graph.targets(profile.graph.targets)
    split = split_graph(graph, targets, profile.split, 45)
    counts = {kind: graph.count(kind) for kind in graph.nodes}
    heuristic = Neighbours(TrainingEdges(split.train, targets, counts, 45))
    opened = Exploration(run, 45)
    for target in targets:
        for tail in (0, 100, 400):
            scores = heuristic.block(target, np.array([tail]))[0]
            found = opened.rank("tail", tail, target.relation, top=10_000).nodes
            candidates = np.array([node.row for node in found])
            # float32 similarities: what is equal to six digits counts as equal.
            expected = RivalRanks.of(np.round(scores[candidates], 5)).rank
            ours = np.array([node.neighbours_rank or 0 for node in found])
            assert ((ours > 0) == (scores[candidates] > 0)).all()
            assert np.abs(ours - expected).max() <= 3


def test_the_connections_that_a_run_leaves_are_those_of_its_graph(run: RunDirectory, mean: Scorer) -> None:
    profile = load_profile(str(run.profile))
    graph = load_graph(profile.graph)
    edges = connecting_edges(graph, graph.targets(profile.graph.targets))
    proteins, diseases = edges["gene/protein", "disease"]
    name = graph.nodes["gene/protein"]["name"][int(proteins[0])]
    disease = int(diseases[0])
    through = mean.rank_drugs(disease, "indication", top=10_000, through=f"gene/protein:{name}")
    ends = edges["gene/protein", "drug"]
    assert {one.index for one in through} == set(ends[1][ends[0] == proteins[0]].tolist())


def test_the_mean_of_the_seeds_scores_with_calibrated_probabilities_and_says_what_is_unknown(
    run: RunDirectory, mean: Scorer
) -> None:
    assert mean.manifest.seeds == [45, 46]
    assert mean.manifest.missing == {}
    for relation in mean.relations:
        assert mean.is_calibrated(relation)
        assert mean.manifest.calibration[relation]["base_rate"] == 0.5
        best = mean.rank_drugs(7, relation, top=5, exclude_known=True, beyond="popularity")
        assert len(best) == 5
        assert all(0.0 < (one.probability or 0.0) < 1.0 for one in best)
    card = (run.export / CARD).read_text()
    assert "full_graph: 95 % of every relation trains and 5 % validates" in card
    assert "was not measured, and cannot be" in card


def test_one_seed_is_exported_with_what_validation_says_of_it(run: RunDirectory, tmp_path: Path) -> None:
    said: list[tuple[object, ...]] = []
    bundle = export_run(run, out=tmp_path / "one", on_start=lambda *words: said.append(words))
    assert "best validation AP of 2 seeds" in str(said[0][2])
    assert "what this model is worth on unseen pairs was not measured" in (bundle.path / CARD).read_text()
