"""Rankings of a trained student agree with the logits that training left, and say what is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file, save_file

from flykd_console.errors import UserError
from flykd_console.explore.exploration import Exploration, explorable_seeds
from flykd_console.runs.directory import RunDirectory
from tests.support.finished_run import RunSpec, make_finished_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return make_finished_run(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def opened(run: RunDirectory) -> Exploration:
    return Exploration(run, 45)


def test_seeds_whose_student_is_done_are_listed(run: RunDirectory, tmp_path: Path) -> None:
    assert explorable_seeds(run) == [45, 46]
    assert explorable_seeds(RunDirectory(tmp_path)) == []


@pytest.mark.parametrize("model", ["student", "teacher"])
def test_logits_are_those_that_training_left_as_a_probe(opened: Exploration, run: RunDirectory, model: str) -> None:
    probe = load_file(run.embeddings(45, model))
    tables = opened.tables if model == "student" else opened.teacher
    assert tables is not None
    for relation in opened.relations:
        heads, tails = probe[f"probe/{relation}/head"][:50], probe[f"probe/{relation}/tail"][:50]
        from_head = [tables.logits("head", h, relation)[t] for h, t in zip(heads, tails, strict=True)]
        from_tail = [tables.logits("tail", t, relation)[h] for h, t in zip(heads, tails, strict=True)]
        expected = probe[f"probe/{relation}/logit"][:50]
        np.testing.assert_allclose(from_head, expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(from_tail, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("side", ["head", "tail"])
def test_ranking_is_in_order_and_stands_beside_the_teachers(opened: Exploration, side: str) -> None:
    assert side in ("head", "tail")
    ranking = opened.rank(side, 3, "indication", top=1000)  # type: ignore[arg-type]
    logits = [node.logit for node in ranking.nodes]
    assert logits == sorted(logits, reverse=True)
    assert [node.rank for node in ranking.nodes] == list(range(1, ranking.ranked + 1))
    assert ranking.ranked == (50 if side == "head" else 30)
    assert opened.teacher is not None
    theirs = opened.teacher.logits(side, 3, "indication")  # type: ignore[arg-type]
    best = int(np.argmax(theirs))
    assert next(node.row for node in ranking.nodes if node.teacher_rank == 1) == best
    assert sorted(node.teacher_rank or 0 for node in ranking.nodes) == list(range(1, ranking.ranked + 1))


def test_known_pairs_carry_their_part_and_their_ranks(opened: Exploration, run: RunDirectory) -> None:
    labels = pl.read_parquet(run.labels(45)).filter(pl.col("relation") == "indication")
    tail_id = labels.filter(pl.col("part") == "test")["tail_id"][0]
    row = list(opened.names("tail").ids).index(tail_id)
    mine = labels.filter(pl.col("tail_id") == tail_id)
    ranking = opened.rank("tail", row, "indication", top=1000)
    marked = {(node.id, node.known) for node in ranking.nodes if node.known}
    assert marked == set(mine.select("head_id", "part").iter_rows())
    for part, ranks in ranking.known_ranks.items():
        assert list(ranks) == [node.rank for node in ranking.nodes if node.known == part]


def test_node_names_follow_the_index_and_not_the_order_of_the_file(opened: Exploration) -> None:
    assert opened.names("head").ids[7] == "H0007"
    assert (
        opened.rank("tail", 0, "indication").nodes[0].id == f"H{opened.rank('tail', 0, 'indication').nodes[0].row:04d}"
    )


def _rewrite(path: Path, change: dict[str, np.ndarray]) -> None:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    save_file({**load_file(path), **change}, path, metadata)


def test_nodes_without_embedding_are_left_out_and_counted(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, RunSpec(seeds=(45,)))
    path = run.embeddings(45, "student")
    head = load_file(path)["head.embedding"]
    head[[2, 5]] = 0.0
    _rewrite(path, {"head.embedding": head})
    opened = Exploration(run, 45)
    ranking = opened.rank("tail", 1, "indication", top=100)
    assert ranking.left_out == 2
    assert ranking.ranked == 28
    assert not {2, 5} & {node.row for node in ranking.nodes}
    assert max(node.teacher_rank or 0 for node in ranking.nodes) == 28
    silent = opened.rank("head", 2, "indication")
    assert silent.silent
    assert silent.nodes == ()


def test_run_without_a_teacher_has_no_teacher_ranks(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, RunSpec(seeds=(45,)))
    run.embeddings(45, "teacher").unlink()
    assert {node.teacher_rank for node in Exploration(run, 45).rank("tail", 1, "indication").nodes} == {None}


@pytest.mark.parametrize("broken", ["student.embeddings.safetensors", "labels.parquet", "nodes.parquet"])
@pytest.mark.parametrize("how", ["gone", "garbage"])
def test_missing_or_damaged_files_are_told_in_one_line(tmp_path: Path, broken: str, how: str) -> None:
    run = make_finished_run(tmp_path, RunSpec(seeds=(45,)))
    path = run.nodes if broken == "nodes.parquet" else run.seed(45) / broken
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(b"garbage" * 10)
    with pytest.raises(UserError) as told:
        Exploration(run, 45)
    assert told.value.where == str(path)
    assert "\n" not in str(told.value)


def test_files_of_different_runs_are_refused(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, RunSpec(seeds=(45,)))
    other = make_finished_run(tmp_path / "other", RunSpec(seeds=(45,), heads=31))
    run.nodes.write_bytes(other.nodes.read_bytes())
    with pytest.raises(UserError, match="31 nodes of type drug"):
        Exploration(run, 45)
