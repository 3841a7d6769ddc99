"""Rivals' ranks beside a model's, other orders, the way through a third node, and what a bundle lacks for them."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from exporters.__main__ import main as scorer_main
from exporters.answers import Order, Ranked
from exporters.bundle import export_run
from exporters.frequent_flyers import frequent_flyer_scores
from exporters.scorer import Scorer
from flykd_console.cli.app import main
from flykd_console.errors import UserError
from flykd_console.explore.exploration import Exploration
from flykd_console.explore.rivals import RivalRanks
from flykd_console.runs.directory import RunDirectory
from tests.support.finished_run import RunSpec, make_finished_run

# Few training pairs: some nodes are in none of a relation.
SPEC = RunSpec(seeds=(45,), known_per_part=(40, 12, 25))
ALL = 1000


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    run = make_finished_run(tmp_path_factory.mktemp("runs"), SPEC)
    export_run(run)
    return run


@pytest.fixture(scope="module")
def scorer(run: RunDirectory) -> Iterator[Scorer]:
    with Scorer(run.export) as scorer:
        yield scorer


@pytest.fixture(scope="module")
def poor(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run that left neither validation scores nor neighbours nor third nodes."""
    run = make_finished_run(tmp_path_factory.mktemp("poor"), RunSpec(seeds=(45,), beside=False))
    export_run(run)
    return run


def command(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main([*arguments])
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


def training_pairs(run: RunDirectory, relation: str) -> pl.DataFrame:
    return pl.read_parquet(run.labels(45)).filter((pl.col("relation") == relation) & (pl.col("part") == "train"))


@pytest.mark.parametrize("relation", ["contraindication", "indication"])
def test_popularity_is_the_rank_by_training_pairs_and_marks_what_has_none(
    scorer: Scorer, run: RunDirectory, relation: str
) -> None:
    degree = dict(training_pairs(run, relation)["head_id"].value_counts().iter_rows())
    drugs = scorer.rank_heads(3, relation, top=ALL)
    assert len(drugs) == 30
    for one in drugs:
        assert one.trained == (one.id in degree)
        better = sum(count > degree.get(one.id, 0) for count in degree.values())
        assert one.popularity_rank == (better + 1 if one.trained else None)
    assert any(not one.trained for one in drugs)
    assert {one.trained for one in scorer.rank_tails(3, relation, top=ALL)} == {True, False}


@pytest.mark.parametrize("side", ["head", "tail"])
def test_a_bundle_and_the_exploring_of_its_run_show_the_same_ranks(
    scorer: Scorer, run: RunDirectory, side: str
) -> None:
    opened = Exploration(run, 45)
    rank = scorer.rank_tails if side == "head" else scorer.rank_heads
    ranked = 0
    for relation, row in itertools.product(scorer.relations, range(10)):
        theirs = opened.rank(side, row, relation, top=ALL).nodes  # type: ignore[arg-type]
        ours = rank(row, relation, top=ALL)
        assert [(o.index, o.rank, o.popularity_rank, o.neighbours_rank, o.trained) for o in ours] == [
            (t.row, t.rank, t.popularity_rank, t.neighbours_rank, t.trained) for t in theirs
        ]
        ranked += sum(one.neighbours_rank is not None for one in ours)
    assert ranked


def test_neighbours_rank_by_the_similarities_of_those_that_hold_the_drug(scorer: Scorer, run: RunDirectory) -> None:
    near = pl.read_parquet(run.neighbours(45)).filter((pl.col("relation") == "indication") & (pl.col("tail") == 4))
    similarity = dict(near.select("neighbour", "similarity").iter_rows())
    held = training_pairs(run, "indication")
    scores = {f"H{row:04d}": 0.0 for row in range(30)}
    for head, tail in held.select("head_id", "tail_id").iter_rows():
        scores[head] += similarity.get(int(tail[1:]), 0.0)
    for one in scorer.rank_heads(4, "indication", top=ALL):
        better = sum(score > scores[one.id] + 1e-9 for score in scores.values())
        assert one.neighbours_rank == (better + 1 if scores[one.id] else None)


@pytest.mark.parametrize("rival", ["popularity", "neighbours"])
def test_beyond_sorts_by_how_many_times_higher_the_model_ranks(scorer: Scorer, rival: str) -> None:
    plain = scorer.rank_heads(4, "indication", top=ALL)
    found = scorer.rank_heads(4, "indication", top=ALL, beyond=rival)
    assert {one.index: one.rank for one in found} == {one.index: one.rank for one in plain}
    assert all(one.beyond is None for one in plain)
    gains = [one.beyond or 0.0 for one in found]
    assert gains == sorted(gains, reverse=True)
    ranks = [one.popularity_rank if rival == "popularity" else one.neighbours_rank for one in plain]
    shared = RivalRanks.of(np.array([0.0 if rank is None else 1.0 / rank for rank in ranks])).shared
    expected = {one.index: shared[n] / one.rank for n, one in enumerate(plain)}
    assert {one.index: one.beyond for one in found} == pytest.approx(expected)
    assert scorer.rank_heads(4, "indication", top=2, beyond=rival) == found[:2]


def test_known_pairs_that_are_left_out_count_in_no_rank(scorer: Scorer) -> None:
    tail = next(tail for tail in range(50) if scorer.rank_heads(tail, "indication", top=1)[0].known)
    new = scorer.rank_heads(tail, "indication", top=ALL, exclude_known=True)
    assert [one.rank for one in new] == list(range(1, len(new) + 1))
    assert min(one.popularity_rank for one in new if one.popularity_rank) == 1
    assert {one.index for one in scorer.rank_heads(tail, "indication", ALL, True, beyond="popularity")} == {
        one.index for one in new
    }


@pytest.mark.parametrize("side", ["head", "tail"])
def test_adjusted_is_the_frequent_flyer_score_without_training_pairs(scorer: Scorer, side: str) -> None:
    relation, row = "indication", 4
    tables = scorer.tables
    heads, tails = tables.embeddings("head", relation) * tables.vector(relation), tables.embeddings("tail", relation)
    train = tables.pairs(relation, "train")
    ranked, alike = (heads, tails) if side == "tail" else (tails, heads)
    ends = (train[:, 0], train[:, 1]) if side == "tail" else (train[:, 1], train[:, 0])
    expected = frequent_flyer_scores(ranked, alike, row, ends)
    rank = scorer.rank_tails if side == "head" else scorer.rank_heads
    found = rank(row, relation, top=ALL, adjust=True)
    scores = [one.adjusted or 0.0 for one in found]
    np.testing.assert_allclose(scores, expected[[one.index for one in found]], rtol=1e-6)
    assert scores == sorted(scores, reverse=True)
    assert {one.index: one.rank for one in found} == {one.index: one.rank for one in rank(row, relation, top=ALL)}


def test_through_keeps_what_is_joined_by_a_node_and_leaves_every_rank_as_it_is(scorer: Scorer) -> None:
    plain = {one.index: one for one in scorer.rank_heads(17, "indication", top=ALL)}
    found = scorer.rank_heads(17, "indication", top=ALL, through="protein 5")
    # Protein i is joined to the nodes whose number leaves i divided by 12.
    assert sorted(one.index for one in found) == [5, 17, 29]
    assert all(plain[one.index] == one for one in found)
    # A pathway is joined to proteins alone, number i to those that leave i divided by 3.
    pathway = scorer.rank_heads(17, "indication", top=ALL, through="pathway: P2")
    assert sorted(one.index for one in pathway) == [row for row in range(30) if row % 3 == 2]
    assert sorted(one.index for one in scorer.rank_tails(5, "indication", top=ALL, through="protein 5")) == [
        5, 17, 29, 41,
    ]  # fmt: skip
    both = scorer.rank_heads(17, "indication", top=ALL, through="protein 5", beyond="popularity")
    assert {one.index for one in both} == {5, 17, 29}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("protein 6", r"nothing in the graph joins disease T0017 with protein 6 \(protein\)"),
        ("P2", r"'P2' is a node of 2 types\. Give 'pathway:P2' or 'protein:P2'"),
        ("protien 5", r"no node is called 'protien 5'\. Near: protein 5"),
        ("p", "no node is called 'p'"),
        ("qqqqqq", "no node is called 'qqqqqq'. Types: pathway, protein"),
        (" ", "no node is named"),
        ("H0003", "no node is called 'H0003'"),
    ],
)
def test_a_node_that_is_no_way_is_refused_in_one_line(scorer: Scorer, text: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as told:
        scorer.rank_heads(17, "indication", through=text)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("order", "file"),
    [
        ({"beyond": "neighbours"}, r"no nearest neighbours, since its run left no neighbours\.parquet"),
        ({"through": "protein 5"}, r"no connections of third nodes, since its run left no connections\.parquet"),
    ],
)
def test_a_bundle_that_lacks_something_says_what_and_how_it_is_written(
    poor: RunDirectory, order: Order, file: str
) -> None:
    with Scorer(poor.export) as scorer:
        with pytest.raises(UserError, match=f"{file}.*run --resume {poor.name}"):
            scorer.rank_heads(4, "indication", **order)
        found = scorer.rank_heads(4, "indication", top=ALL, beyond="popularity")
        assert {one.neighbours_rank for one in found} == {None}
        assert {one.probability for one in found} == {None}
        assert np.isnan(scorer.score([0], [0], "indication")[1]).all()
        assert scorer.score_pairs([(0, 0)], "indication")[0].probability is None


def test_an_unknown_rival_is_refused(scorer: Scorer) -> None:
    with pytest.raises(UserError, match="no rival 'random'"):
        scorer.rank_heads(4, "indication", beyond="random")


def test_pairs_say_which_end_a_relation_never_trained_on(scorer: Scorer, run: RunDirectory) -> None:
    train = training_pairs(run, "indication")
    for one in scorer.score_pairs([(head, tail) for head in range(30) for tail in range(3)], "indication"):
        assert one.head_trained == (one.head_id in train["head_id"].to_list())
        assert one.tail_trained == (one.tail_id in train["tail_id"].to_list())


def test_the_table_shows_ranks_marks_and_base_rates(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = command("score", str(run.path), "--disease", "T0017", "--top", "30", capsys=capsys)
    assert code == 0
    assert "popularity" in out
    assert "neighbours" in out
    assert " none " in out
    assert "none: the relation has no training pair of this drug" in out
    assert "Probabilities of indication assume a base rate of 50 %: calibrated on 12 true validation pairs" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--beyond", "popularity"], "Sorted by how many times higher the model ranks than popularity does"),
        (["--adjust"], "Sorted by the frequent-flyer correction"),
        (["--through", "protein 5"], "Only what the graph joins by protein 5 (protein)"),
    ],
)
def test_the_table_says_how_it_is_sorted(
    arguments: list[str], said: str, run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = command("score", str(run.path), "--disease", "T0017", *arguments, capsys=capsys)
    assert code == 0
    assert said in out


def test_a_table_without_neighbours_and_probabilities_says_so(
    poor: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = command("score", str(poor.path), "--disease", "T0017", capsys=capsys)
    assert code == 0
    assert "No ranks by neighbours: the run left no neighbours.parquet." in out
    assert "No probabilities of indication: the run left no validation-scores.parquet." in out
    assert "probability" not in out


def test_csv_and_json_hold_ranks_and_marks(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("score", str(run.path), "--disease", "T0017", "--relation", "indication", "--beyond", "popularity")
    _, out, _ = command(*asked, "--json", capsys=capsys)
    rows = [Ranked(**{name: row[name] for name in Ranked.__slots__}) for row in json.loads(out)]
    with Scorer(run.export) as scorer:
        assert rows == scorer.rank_heads("T0017", "indication", beyond="popularity")
    _, out, _ = command(*asked, "--csv", capsys=capsys)
    table = list(csv.DictReader(io.StringIO(out)))
    assert [row["popularity_rank"] for row in table] == [str(one.popularity_rank or "") for one in rows]
    assert [row["trained"] for row in table] == [str(one.trained) for one in rows]
    assert [row["adjusted"] for row in table] == [""] * len(rows)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--disease", "T0017", "--beyond", "popularity", "--adjust"], "--beyond and --adjust are two orders"),
        (["--disease", "T0017", "--drug", "H0001", "--adjust"], "order a ranking, and pairs have none"),
        (["--pairs", "pairs.csv", "--through", "protein 5"], "order a ranking, and pairs have none"),
        (["--disease", "T0017", "--beyond", "luck"], "'luck' is not one of 'popularity', 'neighbours'"),
    ],
)
def test_orders_that_contradict_each_other_are_refused(
    arguments: list[str], said: str, run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = command("score", str(run.path), *arguments, capsys=capsys)
    assert code == 2
    assert said in err


def test_the_module_takes_the_same_orders(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [str(run.export), "--disease", "T0017", "--relation", "indication", "--through", "protein 5"]
    assert scorer_main([*asked, "--beyond", "popularity"]) == 0
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["index"] for row in table} == {"5", "17", "29"}


@pytest.mark.parametrize("column", ["tail", "neighbour"])
def test_neighbours_beyond_the_nodes_are_refused(column: str, tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, RunSpec(seeds=(45,), probe=8))
    table = pl.read_parquet(run.neighbours(45)).with_columns(pl.lit(50, dtype=pl.Int32).alias(column))
    table.write_parquet(run.neighbours(45))
    with pytest.raises(UserError, match=rf"neighbours\.parquet, column {column}: names a node beyond the 50"):
        export_run(run)
    with pytest.raises(UserError, match="names nodes that there are not"):
        Exploration(run, 45)


def test_connections_beyond_the_nodes_are_refused(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, RunSpec(seeds=(45,), probe=8))
    pl.read_parquet(run.connections).with_columns(x=pl.lit(12, dtype=pl.Int32)).write_parquet(run.connections)
    with pytest.raises(UserError, match=r"connections\.parquet, p.*: names a node beyond the"):
        export_run(run)
