"""Bundles of fewer bits: what is on disk, what the scorer makes of it, what the manifest says that lists lose."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau
from sklearn.metrics import average_precision_score

from exporters.agreement import ParityError
from exporters.bundle import export_run
from exporters.hdf5 import write_hdf5
from exporters.manifest import read_manifest
from exporters.precision import Dtype, check_loss, loss_of, rounded, to_int8
from exporters.scorer import Scorer
from exporters.trained_run import TrainedRun, read_trained_run, results_of
from flykd_console.errors import UserError
from flykd_console.runs.directory import RunDirectory
from tests.support.finished_run import RunSpec, make_finished_run

DTYPES: tuple[Dtype, ...] = ("float16", "int8")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return make_finished_run(tmp_path_factory.mktemp("precision"), RunSpec())


def opened(run: RunDirectory, seed: int = 46) -> TrainedRun:
    return read_trained_run(run, seed, "student", results_of(run))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("ensemble", [False, True])
def test_a_smaller_bundle_holds_that_type_and_scores_in_float32(
    run: RunDirectory, tmp_path: Path, dtype: Dtype, ensemble: bool
) -> None:
    whole = export_run(run, ensemble=ensemble, out=tmp_path / "whole")
    small = export_run(run, ensemble=ensemble, dtype=dtype, max_loss=100.0, out=tmp_path / "small")
    assert small.manifest.dtype == dtype
    with h5py.File(small.path / "embeddings.h5") as file:
        table = file["nodes/drug/embedding"]
        assert table.dtype == dtype
        assert ("embedding_scale" in file["nodes/drug"]) == (dtype == "int8")
    with Scorer(whole.path) as exact, Scorer(small.path) as ours:
        heads, tails = np.arange(30), np.arange(30)
        expected, found = (one.score(heads, tails, "indication")[0] for one in (exact, ours))
        assert found.dtype == np.float32
        assert np.abs(found - expected).max() < (0.02 if dtype == "float16" else 0.3)
        assert not np.array_equal(found, expected)
        # Widened once: the same array is given at every call.
        assert ours.tables.embeddings("head", "indication") is ours.tables.embeddings("head", "indication")


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_int8_is_within_half_a_level_and_rows_of_zeros_stay_zeros(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = (rng.normal(size=(9, 5)) * 10.0 ** rng.integers(-6, 6, (9, 1))).astype(np.float32)
    table[4] = 0.0
    levels, scale = to_int8(table)
    assert levels.dtype == np.int8
    widened = levels.astype(np.float32) * scale[:, None]
    assert (np.abs(widened - table) <= 0.5001 * scale[:, None]).all()
    assert not widened[4].any()


def test_the_loss_is_what_a_look_at_every_list_says(run: RunDirectory) -> None:
    whole = opened(run)
    small = rounded(whole, "int8")
    loss = loss_of(whole, small)
    before, after, tau, overlap = [], [], [], []
    for relation in whole.relations:
        tests, train = (set(map(tuple, whole.pairs[relation][part].tolist())) for part in ("test", "train"))
        for tail in sorted({tail for _, tail in tests}):
            heads = [head for head in range(30) if (head, tail) not in train]
            labels = [(head, tail) in tests for head in heads]
            scores = [
                (one.tensors["head.embedding"][heads] * one.tensors[f"relation/{relation}"])
                @ one.tensors[one.tail_tensor(relation)][tail]
                for one in (whole, small)
            ]
            before.append(average_precision_score(labels, scores[0]))
            after.append(average_precision_score(labels, scores[1]))
            tau.append(kendalltau(*scores).statistic)
            overlap.append(len(set(np.argsort(-scores[0])[:20]) & set(np.argsort(-scores[1])[:20])) / 20)
    assert loss["part"] == "test"
    assert loss["lists"] == len(tau)
    assert loss["ap_float32"] == pytest.approx(np.mean(before))
    assert loss["ap"] == pytest.approx(np.mean(after))
    assert loss["kendall_tau"] == pytest.approx(np.mean(tau))
    assert loss["top_20_overlap"] == pytest.approx(np.mean(overlap))
    manifest = export_run(run, dtype="int8", max_loss=100.0).manifest
    assert manifest.loss == pytest.approx(loss)
    assert read_manifest(run.export).loss == manifest.loss


def test_tables_that_lose_too_much_are_refused_and_nothing_is_written(run: RunDirectory, tmp_path: Path) -> None:
    loss = {"ap": 0.40, "ap_float32": 0.42, "top_20_overlap": 0.9}
    with pytest.raises(UserError, match=re.escape("int8 loses 2.00 points of AP, more than 1.5")):
        check_loss(loss, 1.5, "int8")
    with pytest.raises(UserError, match=re.escape("loses 10.00 per cent of the first 20")):
        check_loss(loss | {"ap": None, "ap_float32": None}, 1.5, "int8")
    check_loss(loss, 2.5, "int8")


def test_values_that_float16_cannot_hold_are_refused(run: RunDirectory) -> None:
    whole = opened(run)
    large = dict(whole.tensors)
    large["head.embedding"] = large["head.embedding"] * np.float32(1e6)
    with pytest.raises(UserError, match="which float16 does not"):
        rounded(dataclasses.replace(whole, tensors=large), "float16")


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_smaller_bundle_is_the_same_bytes_twice_and_its_card_shows_how_to_read_it(
    run: RunDirectory, tmp_path: Path, dtype: Dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (export_run(run, dtype=dtype, max_loss=100.0, out=tmp_path / name) for name in ("a", "b"))
    for name in first.files:
        assert (first.path / name).read_bytes() == (second.path / name).read_bytes(), name
    card = (first.path / "README.md").read_text()
    assert f"Embeddings are {dtype}" in card
    code = re.findall(r"```python\n(.*?)```", card, re.DOTALL)[1]
    monkeypatch.chdir(first.path)
    names: dict[str, object] = {}
    exec(code, names)
    names["file"].close()  # type: ignore[attr-defined]
    with Scorer(first.path) as scorer:
        relation = re.search(r'own = file\["relations"\]\["(\w+)"\]', code)
        assert relation is not None
        assert names["logit"] == pytest.approx(scorer.score([0], [0], relation[1])[0], rel=1e-5)


def test_a_flipped_level_is_noticed(run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaging(path: Path, run: TrainedRun) -> None:
        write_hdf5(path, run)
        with h5py.File(path, "r+") as file:
            file["nodes/drug/embedding"][3, 0] += 1

    monkeypatch.setattr("exporters.bundle.write_hdf5", damaging)
    with pytest.raises(ParityError, match=r"tables: head\.embedding"):
        export_run(run, dtype="int8", max_loss=100.0, out=tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
