"""Numpy and the bundle's ONNX heads give the same lists and scores; equal embeddings rank in the tables' order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from exporters.bundle import export_run
from exporters.candidates import best, dot_pairs, dot_rows
from exporters.manifest import EMBEDDINGS, RANKING_HEAD, SCORING_HEAD
from exporters.onnx_files import INPUTS
from exporters.onnx_head import ranking_signature, scoring_signature
from exporters.scorer import Scorer
from exporters.sorting import descending
from flykd_console.errors import UserError
from flykd_console.runs.directory import RunDirectory
from tests.support.finished_run import RunSpec, make_finished_run

RELATIONS = ("contraindication", "indication")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    run = make_finished_run(tmp_path_factory.mktemp("runs"), RunSpec(seeds=(45,)))
    export_run(run)
    return run


@pytest.fixture(scope="module")
def engines(run: RunDirectory) -> Iterator[tuple[Scorer, Scorer]]:
    with Scorer(run.export) as ours, Scorer(run.export, engine="onnx") as theirs:
        yield ours, theirs


@given(
    side=st.sampled_from(("drug", "disease")),
    row=st.integers(0, 29),
    relation=st.sampled_from(RELATIONS),
    top=st.sampled_from((1, 5, 20, 1000)),
    exclude_known=st.booleans(),
)
@settings(deadline=None)
def test_both_engines_rank_the_same(
    engines: tuple[Scorer, Scorer], side: str, row: int, relation: str, top: int, exclude_known: bool
) -> None:
    ours, theirs = (engine.rank(row, relation, top, exclude_known, node_type=side, adjust=True) for engine in engines)
    plain = engines[0].rank(row, relation, top, exclude_known, node_type=side)
    assert len(ours) == len(theirs) == len(plain)
    for one, other in zip(ours, theirs, strict=True):
        assert (one.id, one.rank, one.known, one.popularity_rank, one.neighbours_rank) == (
            other.id,
            other.rank,
            other.known,
            other.popularity_rank,
            other.neighbours_rank,
        )
        assert one.logit == pytest.approx(other.logit, abs=1e-5)
        assert one.probability == pytest.approx(other.probability, abs=1e-6)


@given(
    side=st.sampled_from(("drug", "disease")),
    row=st.integers(0, 29),
    relation=st.sampled_from(RELATIONS),
    top=st.sampled_from((1, 5, 1000)),
    exclude_known=st.booleans(),
)
@settings(deadline=None)
def test_the_first_of_a_list_are_those_of_the_whole_list(
    engines: tuple[Scorer, Scorer], side: str, row: int, relation: str, top: int, exclude_known: bool
) -> None:
    scorer = engines[0]
    # An order by another rank works all of it out; sorted back it is the model's.
    whole = scorer.rank(row, relation, 1000, exclude_known, node_type=side, beyond="popularity")
    whole.sort(key=lambda line: line.rank)
    first = scorer.rank(row, relation, top, exclude_known, node_type=side)
    for one, other in zip(first, whole, strict=False):
        for name in ("id", "rank", "logit", "probability", "known", "trained", "popularity_rank", "neighbours_rank"):
            assert getattr(one, name) == getattr(other, name), name
    assert len(first) == min(top, len(whole))


def test_lists_pairs_and_either_direction_agree_to_the_last_bit(engines: tuple[Scorer, Scorer]) -> None:
    scorer = engines[0]
    for relation in RELATIONS:
        for line in scorer.rank_heads(3, relation, 1000):
            logits, probabilities = scorer.score([line.index], [3], relation)
            back = next(one for one in scorer.rank_tails(line.index, relation, 1000) if one.index == 3)
            assert line.logit == float(logits[0]) == back.logit
            assert line.probability == float(probabilities[0]) == back.probability


def test_both_engines_score_pairs_the_same(engines: tuple[Scorer, Scorer]) -> None:
    heads, tails = np.divmod(np.arange(30 * 50), 50)
    for relation in RELATIONS:
        ours, theirs = (engine.score(heads, tails, relation) for engine in engines)
        np.testing.assert_allclose(ours[0], theirs[0], atol=1e-5)
        np.testing.assert_allclose(ours[1], theirs[1], atol=1e-6)


@pytest.fixture
def tied(run: RunDirectory, tmp_path: Path) -> Path:
    """A bundle in which every third head has one embedding, told to be whole."""
    import json
    import shutil

    folder = Path(shutil.copytree(run.export, tmp_path / "tied"))
    with h5py.File(folder / EMBEDDINGS, "r+") as file:
        table = file["nodes/drug/embedding"]
        values = table[:]
        values[::3] = values[0]
        table[...] = values
    from exporters.manifest import MANIFEST, record

    digest = record(folder / EMBEDDINGS)
    for name in (SCORING_HEAD, RANKING_HEAD):
        model = onnx.load(folder / name)
        for one in model.metadata_props:
            if one.key == "embeddings_sha256":
                one.value = digest.sha256
        (folder / name).write_bytes(model.SerializeToString())
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"] |= {name: vars(record(folder / name)) for name in (EMBEDDINGS, SCORING_HEAD, RANKING_HEAD)}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize("top", [2, 7, 30])
def test_equal_embeddings_score_alike_and_rank_in_the_tables_order(tied: Path, top: int) -> None:
    with Scorer(tied) as scorer:
        for row in range(12):
            ranking = scorer.rank_heads(row, "indication", top)
            alike = [line for line in ranking if line.index % 3 == 0]
            assert len({line.logit for line in alike}) <= 1
            assert [line.index for line in alike] == list(range(0, 3 * len(alike), 3))


@given(
    scores=st.lists(st.sampled_from((-np.inf, -2.0, -0.0, 0.0, 0.5, 3.0)), max_size=40),
    top=st.integers(1, 45),
)
def test_the_best_are_the_beginning_of_a_stable_sort(scores: list[float], top: int) -> None:
    values = np.array(scores, np.float32)
    order = descending(values)
    expected = order[values[order] > -np.inf][:top]
    np.testing.assert_array_equal(best(values, top), expected)


@given(size=st.integers(0, 30), dim=st.integers(1, 90), seed=st.integers(0, 1000))
@settings(deadline=None)
def test_a_rows_product_is_the_same_bits_wherever_it_stands(size: int, dim: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    table: NDArray[np.float32] = random.standard_normal((size, dim), dtype=np.float32)
    query = random.standard_normal(dim, dtype=np.float32)
    found = dot_rows(table, query)
    np.testing.assert_array_equal(found[::-1], dot_rows(np.ascontiguousarray(table[::-1]), query))
    np.testing.assert_array_equal(found, dot_pairs(table, np.tile(query, (size, 1))))
    one_by_one = [dot_rows(table[place : place + 1], query)[0] for place in range(size)]
    np.testing.assert_array_equal(found, np.array(one_by_one, np.float32))


def test_tables_alone_are_enough_for_numpy_and_onnx_asks_for_its_heads(run: RunDirectory, tmp_path: Path) -> None:
    whole = export_run(run, out=tmp_path / "whole").path
    tables = export_run(run, out=tmp_path / "tables", onnx=False).path
    with Scorer(tables) as without, Scorer(whole) as having:
        assert without.rank_heads(3, "indication") == having.rank_heads(3, "indication")
    with pytest.raises(UserError, match=r"holds tables only.*Export it with --onnx"):
        Scorer(tables, engine="onnx")


def test_heads_take_what_the_reader_of_strange_files_expects() -> None:
    assert tuple(scoring_signature(8)[0]) == INPUTS[SCORING_HEAD]
    assert tuple(ranking_signature(8)[0]) == INPUTS[RANKING_HEAD]


def test_products_beyond_float32_are_refused(tied: Path) -> None:
    with Scorer(tied, verify=False) as scorer:
        scorer.tables.embeddings("head", "indication")[...] = 3e38
        with pytest.raises(UserError, match="products are not finite"):
            scorer.rank_heads(3, "indication")
