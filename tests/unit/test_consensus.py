"""`score --consensus`: each seed's own ranks, as a bundle of that seed alone gives them, their mean and spread."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from exporters.bundle import export_run
from exporters.consensus import consensus
from exporters.scorer import Scorer
from flykd_console.errors import UserError
from flykd_console.runs.directory import RunDirectory
from tests.support.finished_run import RunSpec, make_finished_run
from tests.unit.test_score_everything import call

SEEDS = (45, 46, 47)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return make_finished_run(tmp_path_factory.mktemp("consensus"), RunSpec(seeds=SEEDS))


@pytest.fixture(scope="module")
def bundle(run: RunDirectory) -> Path:
    return export_run(run, ensemble=True).path


@pytest.mark.parametrize(("side", "node"), [("tail", "T0008"), ("head", "H0003")])
def test_ranks_are_those_of_each_seeds_own_bundle(
    run: RunDirectory, bundle: Path, tmp_path: Path, side: str, node: str
) -> None:
    alone: list[dict[str, int]] = []
    for seed in SEEDS:
        with Scorer(export_run(run, seed=seed, out=tmp_path / str(seed)).path) as scorer:
            rank = scorer.rank_heads if side == "tail" else scorer.rank_tails
            alone.append({one.id: one.rank for one in rank(node, "indication", top=1000)})
    with Scorer(bundle) as scorer:
        found = consensus(scorer, side, node, "indication", top=1000)
        assert len(found) == len(scorer.heads if side == "tail" else scorer.tails)
    for one in found:
        ranks = [of[one.id] for of in alone]
        assert one.seed_ranks == tuple(ranks)
        assert one.mean_rank == pytest.approx(np.mean(ranks))
        assert one.spread == pytest.approx(np.std(ranks, ddof=1))
    assert [one.mean_rank for one in found] == sorted(one.mean_rank for one in found)


def test_known_pairs_are_left_out_where_asked(bundle: Path) -> None:
    with Scorer(bundle) as scorer:
        every = consensus(scorer, "tail", 8, "indication", top=1000)
        new = consensus(scorer, "tail", 8, "indication", top=1000, exclude_known=True)
    assert any(one.known for one in every)
    assert {one.id for one in new} == {one.id for one in every if not one.known}


def test_a_node_that_one_seed_knows_nothing_of_has_its_last_places_there(bundle: Path) -> None:
    with Scorer(bundle) as scorer:
        table = scorer.tables.embeddings("head", "indication")
        table[[3, 4], :8] = 0.0
        found = {one.index: one for one in consensus(scorer, "tail", 8, "indication", top=1000)}
    assert found[3].seed_ranks[0] == found[4].seed_ranks[0] == len(found) - 0.5


def test_the_command_shows_and_writes_it(bundle: Path, tmp_path: Path) -> None:
    asked = ("score", str(bundle), "--disease", "T0008", "--relation", "indication", "--consensus", "--top", "3")
    code, out, err = call(*asked)
    assert code == 0, err
    assert "mean rank" in out
    assert "Ranks by the models of seeds 45, 46, 47" in out
    _, out, _ = call(*asked, "--json")
    with Scorer(bundle) as scorer:
        expected = consensus(scorer, "tail", "T0008", "indication", top=3)
    assert [tuple(one["seed_ranks"]) for one in json.loads(out)] == [one.seed_ranks for one in expected]
    for name in ("c.csv", "c.parquet"):
        assert call(*asked, "--to", str(tmp_path / name))[0] == 0
    assert pl.read_csv(tmp_path / "c.csv")["mean_rank"].to_list() == pytest.approx([one.mean_rank for one in expected])
    assert pl.read_parquet(tmp_path / "c.parquet")["id"].to_list() == [one.id for one in expected]


def test_one_seed_has_no_consensus_and_orders_contradict_it(run: RunDirectory, bundle: Path, tmp_path: Path) -> None:
    single = export_run(run, seed=45, out=tmp_path / "one").path
    with Scorer(single) as scorer, pytest.raises(UserError, match="the bundle holds seed 45 alone"):
        consensus(scorer, "tail", "T0008", "indication")
    for extra in (("--adjust",), ("--drug", "H0001"), ("--beyond", "popularity")):
        code, out, err = call("score", str(bundle), "--disease", "T0008", "--consensus", *extra)
        assert (code, out) == (2, "")
        assert "--consensus" in err
