"""Asking for a node that is not in the graph: how alike profiles are, what the list is made of, and what is refused."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

from exporters.bundle import export_run
from exporters.manifest import EMBEDDINGS, PROFILES, read_manifest
from exporters.profile_tables import block_of
from exporters.scorer import Scorer
from exporters.unseen import LENDERS, NEIGHBOURS, POWER, SHARE, WEIGHT
from flykd_console.cli.app import main
from flykd_console.errors import UserError
from flykd_console.graph.similarity import by_rarity
from flykd_console.runs.directory import RunDirectory
from tests.support.finished_run import RunSpec, make_finished_run

ALL = 1000
PROFILE = {"edges": {"tail_protein": ["P1", "protein 4"], "symptoms": ["E1"], "parent": ["T0003"]}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    run = make_finished_run(tmp_path_factory.mktemp("runs"), RunSpec(seeds=(45,)))
    export_run(run)
    return run


@pytest.fixture(scope="module")
def scorer(run: RunDirectory) -> Iterator[Scorer]:
    with Scorer(run.export) as scorer:
        yield scorer


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"name": "=mine", **PROFILE, "known": {"indication": ["H0004"]}}))
    return path


def command(*arguments: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main([str(one) for one in arguments])
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


# How alike.


def oracle(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int], asked: list[int]) -> np.ndarray:
    """The cosine by sparse products, with the graph's own weights."""
    matrix = sp.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
    matrix.data[:] = 1.0
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    weights = np.log1p(shape[0] / np.maximum(matrix.sum(axis=0), 1.0))
    query = np.zeros(shape[1])
    query[asked] = weights[asked]
    found: np.ndarray = by_rarity(matrix) @ (query / np.linalg.norm(query))
    return found


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("side", ["head", "tail"])
def test_similarity_is_that_of_the_heuristic_by_sparse_products(seed: int, side: str) -> None:
    random = np.random.default_rng(seed)
    counts = (40, 25)
    ends = tuple(random.integers(0, count, 150) for count in counts)  # some pairs stand twice
    asked = np.unique(random.integers(0, counts[1 if side == "head" else 0], 6))
    block = block_of(("a", "r", "b"), "a" if side == "head" else "b", (ends[0], ends[1]), counts)
    mine, theirs = (0, 1) if side == "head" else (1, 0)
    expected = oracle(ends[mine], ends[theirs], (counts[mine], counts[theirs]), asked.tolist())
    np.testing.assert_allclose(block.similar(asked), expected, atol=1e-12)


def test_between_nodes_of_a_type_a_new_one_is_a_neighbour_of_itself_and_of_those_that_it_names() -> None:
    random = np.random.default_rng(3)
    heads, tails = random.integers(0, 20, 30), random.integers(0, 20, 30)
    asked = np.array([2, 7])
    block = block_of(("a", "r", "a"), "a", (heads, tails), (20, 20))
    every = np.arange(20)
    adjacent = np.zeros((21, 21))
    adjacent[heads, tails] = adjacent[tails, heads] = 1.0
    adjacent[every, every] = adjacent[20, 20] = 1.0
    adjacent[20, asked] = adjacent[asked, 20] = 1.0
    # Weights are those of the graph without the new node; its own column counts itself and those that it names.
    degree = np.append(adjacent[:20, :20].sum(axis=0), len(asked) + 1.0)
    weighed = adjacent * np.log1p(20 / degree)
    unit = weighed / np.linalg.norm(weighed, axis=1, keepdims=True)
    np.testing.assert_allclose(block.similar(asked), (unit @ unit[20])[:20], atol=1e-12)


def test_a_node_that_nobody_is_joined_to_makes_a_profile_less_like_any() -> None:
    block = block_of(("a", "r", "b"), "b", (np.array([0, 0]), np.array([0, 1])), (3, 4))
    alone, more = block.similar(np.array([0])), block.similar(np.array([0, 2]))
    assert (alone[:2] == 1.0).all()
    assert (alone[2:] == 0.0).all()
    assert ((more[:2] > 0.0) & (more[:2] < 1.0)).all()


# The list.


def test_the_embedding_is_the_mean_of_the_most_similar_by_similarity(scorer: Scorer) -> None:
    unseen = scorer.place(PROFILE)
    order = np.argsort(-unseen.similarity, kind="stable")[:LENDERS]
    order = order[unseen.similarity[order] > 0.0]
    weights = unseen.similarity[order]
    expected = (weights / weights.sum()) @ scorer.tables.embeddings("tail", "indication")[order]
    np.testing.assert_allclose(scorer.embed(unseen, "indication"), expected, rtol=1e-5)
    lenders = scorer.rank_unseen(unseen, "indication").lenders
    assert [one.index for one in lenders] == order.tolist()
    assert sum(one.weight for one in lenders) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["disease", "drug"])
def test_a_score_is_the_logit_and_what_the_relatives_are_joined_to(scorer: Scorer, kind: str) -> None:
    profile = PROFILE if kind == "disease" else {"type": "drug", "edges": {"protein": ["P3", "P7"]}}
    unseen = scorer.place(profile)
    mine, other = (1, "head") if kind == "disease" else (0, "tail")
    table = scorer.tables.embeddings(other, "indication")
    logits = table @ (scorer.tables.vector("indication") * scorer.embed(unseen, "indication"))
    pairs = scorer.training_pairs("indication").tolist()
    count = np.bincount([pair[mine] for pair in pairs], minlength=len(unseen.similarity))
    labelled = np.where(count > 0, unseen.similarity, 0.0)
    nearest = set(np.argsort(-labelled, kind="stable")[:NEIGHBOURS].tolist())
    near = np.zeros(len(table))
    for pair in pairs:
        if pair[mine] in nearest:
            near[pair[1 - mine]] += unseen.similarity[pair[mine]] ** POWER / count[pair[mine]] ** SHARE
    expected = logits + WEIGHT * logits.std() * near / near.max()
    ranking = scorer.rank_unseen(unseen, "indication", ALL).ranking
    assert [one.index for one in ranking] == np.argsort(-expected, kind="stable").tolist()
    assert [one.logit for one in ranking] == pytest.approx(sorted(expected.tolist(), reverse=True), rel=1e-4, abs=1e-3)
    assert {one.probability for one in ranking} == {None}


def test_what_a_node_shares_is_what_the_graph_says(scorer: Scorer) -> None:
    answer = scorer.profile(PROFILE, "indication")
    assert (answer.node_type, answer.name) == ("disease", "new node")
    assert answer.given == {"parent": 1, "phenotype": 1, "tail_protein": 2}
    for one in answer.lenders:
        by_relation = {part.relation: part for part in one.shared}
        assert ("protein 1" in by_relation.get("tail_protein", _NOTHING).names) == (one.index % 12 == 1)
        assert ("protein 4" in by_relation.get("tail_protein", _NOTHING).names) == (one.index % 12 == 4)
        assert ("phenotype" in by_relation) == (one.index < 25 and one.index % 6 == 1)
        assert by_relation.get("parent", _NOTHING).named == (one.index == 3)
        assert one.shared


class _Nothing:
    names: tuple[str, ...] = ()
    named = False


_NOTHING = _Nothing()


def test_rivals_stand_beside_it_and_the_neighbours_are_those_of_its_profile(scorer: Scorer) -> None:
    unseen = scorer.place(PROFILE)
    train = scorer.training_pairs("indication")
    labelled = np.unique(train[:, 1])
    nearest = labelled[np.argsort(-unseen.similarity[labelled], kind="stable")[:20]]
    expected = np.zeros(len(scorer.heads))
    for head, tail in train.tolist():
        if tail in nearest:
            expected[head] += unseen.similarity[tail]
    ranking = scorer.rank_unseen(unseen, "indication", ALL).ranking
    for one in ranking:
        rank = None if expected[one.index] == 0.0 else int((expected > expected[one.index] + 1e-12).sum()) + 1
        assert one.neighbours_rank == rank
    degree = np.bincount(train[:, 0], minlength=len(scorer.heads))
    assert all(one.trained == bool(degree[one.index]) for one in ranking)


def test_a_profile_of_a_node_of_the_graph_finds_that_node_first(scorer: Scorer, run: RunDirectory) -> None:
    edges = pl.read_parquet(run.profiles(45))
    protein = edges.filter((pl.col("relation") == "tail_protein") & (pl.col("tail") == 17))["head"].to_list()
    twin = {"tail_protein": [f"P{n}" for n in protein], "phenotype": ["E5"], "parent": ["T0008", "T0034", "T0035"]}
    answer = scorer.profile({"edges": twin}, "indication")
    assert answer.lenders[0].id == "T0017"


def test_a_drug_is_asked_for_by_the_same_way(scorer: Scorer) -> None:
    answer = scorer.profile({"type": "drug", "edges": {"proteins": ["P3"]}}, "indication", ALL)
    assert answer.node_type == "drug"
    assert {one.index % 12 for one in answer.lenders} == {3}
    assert {one.id for one in answer.ranking} <= set(scorer.tails.ids)
    assert any(one.neighbours_rank for one in answer.ranking)


def test_known_nodes_are_marked_and_left_out(scorer: Scorer) -> None:
    known = PROFILE | {"known": {"indication": ["H0004", "drug H0007"]}}
    marked = {one.id for one in scorer.profile(known, "indication", ALL).ranking if one.known == "profile"}
    assert marked == {"H0004", "H0007"}
    left = scorer.profile(known, "indication", ALL, exclude_known=True).ranking
    assert not marked & {one.id for one in left}
    assert len(left) == len(scorer.heads) - 2
    assert not any(one.known for one in scorer.profile(known, "contraindication", ALL).ranking)


def test_other_orders_hold_for_it(scorer: Scorer) -> None:
    plain = scorer.profile(PROFILE, "indication", ALL).ranking
    beyond = scorer.profile(PROFILE, "indication", ALL, beyond="popularity").ranking
    assert [one.beyond for one in beyond] == sorted((one.beyond for one in beyond), reverse=True)  # type: ignore[type-var]
    adjusted = scorer.profile(PROFILE, "indication", ALL, adjust=True).ranking
    assert [one.adjusted for one in adjusted] == sorted((one.adjusted for one in adjusted), reverse=True)  # type: ignore[type-var]
    assert {one.id for one in beyond} == {one.id for one in adjusted} == {one.id for one in plain}
    through = scorer.profile(PROFILE, "indication", ALL, through="protein:P1").ranking
    assert {one.index % 12 for one in through} == {1}
    with pytest.raises(UserError, match="nothing in the profile joins new node with protein 2"):
        scorer.profile(PROFILE, "indication", through="protein:P2")


def test_the_adjusted_score_ranks_it_in_the_matrix_as_a_row_of_its_own(scorer: Scorer) -> None:
    ranked = scorer.profile(PROFILE, "indication", ALL, adjust=True).ranking
    own = np.zeros(len(scorer.heads))
    own[[one.index for one in ranked]] = [one.logit for one in ranked]
    heads, tails = (scorer.tables.embeddings(side, "indication") for side in ("head", "tail"))
    logits = np.column_stack([(heads * scorer.tables.vector("indication")) @ tails.T, own])
    for head, tail in scorer.training_pairs("indication").tolist():
        logits[head, tail] = -np.inf
    size = np.isfinite(logits).sum()
    for one in ranked:
        score = own[one.index] + 1e-3  # rounding must not put it above itself
        above = [np.sum(logits > score) / size, np.sum(own > score) / len(own)]
        above.append(np.sum(logits[one.index] > score) / logits.shape[1])
        places = (size, len(own), logits.shape[1])
        expected = sum((part + 1 / place) ** -0.05 for part, place in zip(above, places, strict=True))
        assert one.adjusted == pytest.approx(expected, rel=1e-4)


def test_the_order_of_a_profile_changes_nothing(scorer: Scorer) -> None:
    turned = {"edges": {key: nodes[::-1] * 2 for key, nodes in reversed(PROFILE["edges"].items())}}
    assert scorer.profile(turned, "indication") == scorer.profile(PROFILE, "indication")


# What is refused.


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ({"edges": {"tail_protein": ["protein 44"]}}, "there is no protein 'protein 44'. Near: protein 4"),
        ({"edges": {"tail_protein": ["P1", "x", "y"]}}, "(2 of 3 are unknown)"),
        ({"edges": {"proteinz": ["P1"]}}, "no relation 'proteinz' joins disease nodes"),
        ({"edges": {"head_protein": ["P1"]}}, "no relation 'head_protein' joins disease nodes"),
        ({"edges": {"tail_protein": ["P1"], "protein": ["P2"]}}, "both mean tail_protein"),
        ({"edges": {"indication": ["H0001"]}}, "Put it under [known]"),
        ({"edges": {"tail_protein": ["P1"]}, "known": {"cures": ["H0001"]}}, "no relation 'cures' is scored"),
        ({"edges": {"tail_protein": ["P1"]}, "known": {"indication": ["T0001"]}}, "there is no drug 'T0001'"),
        ({"type": "protein", "edges": {"x": ["P1"]}}, "type: there is no node type 'protein'"),
        ({"edges": {}}, "names no node"),
    ],
)
def test_what_the_bundle_does_not_have_is_refused_in_one_line(scorer: Scorer, profile: Any, said: str) -> None:
    with pytest.raises(UserError) as refused:
        scorer.profile(profile, "indication")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_unknown_nodes_are_left_out_where_that_is_asked_for(scorer: Scorer) -> None:
    more = {"edges": {"tail_protein": ["P1", "nothing"], "phenotype": ["none"]}}
    answer = scorer.profile(more, "indication", skip_unknown=True)
    assert answer.left_out == ("nothing", "none")
    assert answer.given == {"tail_protein": 1}
    with pytest.raises(UserError, match="no node of the profile is in the graph"):
        scorer.profile({"edges": {"tail_protein": ["nothing"]}}, "indication", skip_unknown=True)


def test_a_name_that_several_nodes_bear_and_a_profile_like_nothing_are_refused(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, RunSpec(seeds=(45,)))
    nodes = pl.read_parquet(run.nodes)
    same = pl.when(pl.col("id").is_in(["P1", "P2"])).then(pl.lit("twin")).otherwise(pl.col("name"))
    nodes.with_columns(same.alias("name")).write_parquet(run.nodes)
    edges = pl.read_parquet(run.profiles(45))
    edges.filter((pl.col("relation") != "tail_protein") | (pl.col("head") != 5)).write_parquet(run.profiles(45))
    export_run(run)
    with Scorer(run.export) as scorer:
        with pytest.raises(UserError, match=r"2 nodes of type protein are called 'twin'. Give the id: P1; P2"):
            scorer.profile({"edges": {"protein": ["twin"]}}, "indication")
        with pytest.raises(UserError, match="nothing that the profile names is joined to any disease"):
            scorer.profile({"edges": {"protein": ["P5"]}}, "indication")


# The bundle.


def test_profiles_are_a_file_of_their_own_and_equal_runs_give_equal_bytes(tmp_path: Path, run: RunDirectory) -> None:
    manifest = read_manifest(run.export)
    assert manifest.files[PROFILES].bytes == (run.export / PROFILES).stat().st_size
    assert any(check["name"] == "profiles" for check in manifest.checks)
    again, without = (export_run(run, out=tmp_path / str(wanted), profiles=wanted).path for wanted in (True, False))
    assert (again / PROFILES).read_bytes() == (run.export / PROFILES).read_bytes()
    assert not (without / PROFILES).exists()
    assert (without / EMBEDDINGS).read_bytes() == (again / EMBEDDINGS).read_bytes()
    assert "profiles.h5" in (again / "README.md").read_text()
    assert "profiles.h5" not in (without / "README.md").read_text()


def test_a_bundle_without_profiles_says_how_to_have_them(tmp_path: Path, run: RunDirectory) -> None:
    without = export_run(run, out=tmp_path / "bundle", profiles=False).path
    with Scorer(without) as scorer, pytest.raises(UserError, match=f"export {run.name} --profiles"):
        scorer.profile(PROFILE, "indication")
    poor = make_finished_run(tmp_path, RunSpec(name="poor", seeds=(45,), beside=False))
    with pytest.raises(UserError, match=r"seed 45 left no profiles.parquet"):
        export_run(poor, profiles=True)
    export_run(poor)
    with Scorer(poor.export) as scorer, pytest.raises(UserError, match="run --resume poor writes it"):
        scorer.profile(PROFILE, "indication")


def test_the_mean_of_seeds_has_the_edges_of_all(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, RunSpec())
    edges = pl.read_parquet(run.profiles(45))
    for seed, part in ((45, edges[::2]), (46, edges[1::2])):
        part.write_parquet(run.profiles(seed))
    export_run(run, ensemble=True)
    with Scorer(run.export) as scorer:
        assert scorer.profiles.check() == edges.height
        assert len(scorer.profile(PROFILE, "indication", top=3).ranking) == 3


def test_edges_beyond_the_nodes_are_refused_at_export(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, RunSpec(seeds=(45,)))
    edges = pl.read_parquet(run.profiles(45))
    edges.with_columns(pl.col("head") + 500).cast(edges.schema).write_parquet(run.profiles(45))
    with pytest.raises(UserError, match="beyond the"):
        export_run(run)
    assert not run.export.exists()


# The command.


def test_the_command_says_who_it_is_placed_by_and_ranks(
    run: RunDirectory, mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = command("score", run.export, "--profile", mine, "--top", 3, capsys=capsys)
    assert code == 0
    assert "=mine (disease, not in the graph)" in out
    assert "Its profile: 1 of parent, 1 of phenotype, 2 of tail_protein" in out
    assert "tail_protein: protein 1" in out
    assert "No probabilities" in out
    assert out.index("contraindication") < out.index("indication", out.index("contraindication") + 20)


def test_its_rows_go_to_json_csv_and_files_with_who_was_asked_for(
    run: RunDirectory, mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("score", run.export, "--profile", mine, "--relation", "indication", "--exclude-known", "--top", 4)
    _, out, _ = command(*asked, "--json", capsys=capsys)
    found = json.loads(out)
    assert (found["name"], found["type"], found["run"]) == ("=mine", "disease", run.name)
    ranking = found["relations"]["indication"]["ranking"]
    assert len(ranking) == 4
    assert "H0004" not in {row["id"] for row in ranking}
    assert found["relations"]["indication"]["lenders"][0]["shared"]
    _, out, _ = command(*asked, "--csv", capsys=capsys)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["id"] for row in rows] == [row["id"] for row in ranking]
    assert {row["asked"] for row in rows} == {"'=mine"}
    for name in ("list.csv", "list.parquet"):
        code, out, _ = command(*asked, "--to", tmp_path / name, capsys=capsys)
        assert (code, out) == (0, f"Wrote 4 rows to {tmp_path / name}\n")
    table = pl.read_parquet(tmp_path / "list.parquet")
    assert table["id"].to_list() == [row["id"] for row in ranking]
    assert set(table["asked"]) == {"=mine"}


@pytest.mark.parametrize(
    "more",
    [("--disease", "T0001"), ("--all", "--to", "x.csv"), ("--pairs", "x.csv"), ("--consensus",), ("--drug", "H0001")],
)
def test_a_profile_is_asked_for_alone(
    run: RunDirectory, mine: Path, more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = command("score", run.export, "--profile", mine, *more, capsys=capsys)
    assert (code, out) == (2, "")
    assert "--profile ranks for one node" in err


def test_a_wrong_profile_ends_with_2_and_one_line(
    run: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text("[edges]\ntail_protein = ['protein 44']\n")
    code, out, err = command("score", run.export, "--profile", path, "--to", tmp_path / "x.csv", capsys=capsys)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "wrong.toml, edges.tail_protein: there is no protein 'protein 44'. Near: protein 4" in err
    assert not (tmp_path / "x.csv").exists()
    path.write_text("[edges]\ntail_protein = ['P1', 'protein 44']\n")
    code, _, err = command("score", run.export, "--profile", path, "--skip-unknown", capsys=capsys)
    assert code == 0
    assert "Left out 1 node of the profile: protein 44" in err


def test_the_command_exports_with_and_without(
    run: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = RunDirectory(Path(shutil.copytree(run.path, tmp_path / "copy")))
    code, out, _ = command("export", copy.path, "--no-profiles", capsys=capsys)
    assert code == 0
    assert "profiles.h5" not in out
    code, out, _ = command("export", copy.path, capsys=capsys)
    assert code == 0
    assert "profiles.h5" in out
    code, out, _ = command("verify", copy.export, capsys=capsys)
    assert code == 0
    assert "edges of profiles end in nodes that are there" in out
