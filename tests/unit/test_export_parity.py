"""Every check refuses what it is there to refuse, says by how much it differs, and lets rounding pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from sklearn.metrics import average_precision_score

from exporters import bundle as bundling
from exporters.agreement import ParityError, same_auprc, same_logits, same_order, same_ranking, tie_slack
from exporters.bundle import export_run
from exporters.hdf5 import write_hdf5
from exporters.manifest import RANKING_HEAD, SCORING_HEAD
from exporters.metrics import average_precision
from flykd_console.runs.directory import RunDirectory
from tests.support.finished_run import RunSpec, make_finished_run

SPEC = RunSpec(seeds=(45,), probe=64)


def change_tensors(run: RunDirectory, change: Callable[[dict[str, NDArray[Any]]], None]) -> None:
    path = run.embeddings(45, "student")
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata)


def refused(run: RunDirectory) -> str:
    """What the export says; nothing may be left of it."""
    with pytest.raises(ParityError) as caught:
        export_run(run)
    assert not run.export.exists()
    assert not list(run.path.glob(".export*"))
    return str(caught.value)


def test_a_probe_logit_that_differs_is_refused(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, SPEC)

    def change(tensors: dict[str, NDArray[Any]]) -> None:
        tensors["probe/indication/logit"][5] += 0.001

    change_tensors(run, change)
    assert "random pairs: 'indication': 1 of 7 logits differ" in refused(run)


def test_a_relation_vector_of_another_relation_is_refused(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, SPEC)

    def change(tensors: dict[str, NDArray[Any]]) -> None:
        tensors["relation/indication"] = tensors["relation/contraindication"].copy()

    change_tensors(run, change)
    assert refused(run).startswith("random pairs: 'indication': 1 of 1 logits differ")


def test_a_model_that_diverged_is_refused(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, SPEC)

    def change(tensors: dict[str, NDArray[Any]]) -> None:
        tensors["head.embedding"][2, 1] = np.nan

    change_tensors(run, change)
    assert "head.embedding of the run holds 1 values that are not finite" in refused(run)


def test_a_test_score_that_differs_is_refused(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, SPEC)
    table = pl.read_parquet(run.test_scores(45))
    table.with_columns(pl.col("student") * 1.001).write_parquet(run.test_scores(45))
    assert "test pairs: 'contraindication'" in refused(run)


@pytest.mark.parametrize("key", ["macro_auprc", "relations"])
def test_a_stated_auprc_that_differs_is_refused(key: str, tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, SPEC)
    results = json.loads(run.results.read_text())
    test = results["seeds"]["45"]["student"]["test"]
    if key == "relations":
        test["relations"]["indication"]["auprc"] += 1e-5
    else:
        test["macro_auprc"] += 1e-5
    run.results.write_text(json.dumps(results))
    assert "off by -1.0e-05" in refused(run)


def test_missing_figures_are_refused(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, SPEC)
    results = json.loads(run.results.read_text())
    del results["seeds"]["45"]["student"]["test"]["relations"]["indication"]
    run.results.write_text(json.dumps(results))
    assert "results.json has no figure" in refused(run)


def spoil(monkeypatch: pytest.MonkeyPatch, name: str, change: Callable[[onnx.ModelProto], None]) -> None:
    """Have the writer of one graph write it changed."""
    writer = "write_scoring_head" if name == SCORING_HEAD else "write_ranking_head"
    write = getattr(bundling, writer)

    def spoilt(path: Path, *arguments: Any) -> None:
        write(path, *arguments)
        model = onnx.load(path)
        change(model)
        onnx.save(model, path)

    monkeypatch.setattr(bundling, writer, spoilt)


def swap_relations(model: onnx.ModelProto) -> None:
    for tensor in model.graph.initializer:
        if tensor.name == "vectors":
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor)[::-1].copy(), "vectors"))


def fix_batch(model: onnx.ModelProto) -> None:
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 7


def rename_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "score"
    for node in model.graph.node:
        node.output[:] = ["score" if name == "logit" else name for name in node.output]
        node.input[:] = ["score" if name == "logit" else name for name in node.input]


def smallest_first(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "largest":
                attribute.i = 0


def other_tables(model: onnx.ModelProto) -> None:
    for entry in model.metadata_props:
        if entry.key == "embeddings_sha256":
            entry.value = "0" * 64


def no_sigmoid(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        if node.op_type == "Sigmoid":
            node.op_type = "Tanh"


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        (SCORING_HEAD, swap_relations, "random pairs: 'contraindication'"),
        (SCORING_HEAD, fix_batch, "graphs: head of the inputs is"),
        (SCORING_HEAD, rename_output, "graphs: the outputs are score, probability"),
        (SCORING_HEAD, other_tables, "metadata: scoring_head.onnx says embeddings_sha256"),
        (SCORING_HEAD, no_sigmoid, "probabilities: 'contraindication'"),
        (RANKING_HEAD, swap_relations, "ranking: 'contraindication'"),
        (RANKING_HEAD, smallest_first, "ranking: 'contraindication'"),
        (RANKING_HEAD, other_tables, "metadata: ranking_head.onnx says embeddings_sha256"),
    ],
)
def test_a_wrong_graph_is_refused(
    name: str, change: Callable[[onnx.ModelProto], None], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_finished_run(tmp_path, SPEC)
    spoil(monkeypatch, name, change)
    assert refused(run).startswith(says)


def test_a_graph_that_cannot_be_loaded_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_finished_run(tmp_path, SPEC)
    monkeypatch.setattr(bundling, "write_ranking_head", lambda path, *_: path.write_bytes(b"not a graph"))
    assert refused(run).startswith("graphs: ranking_head.onnx cannot be loaded")


def test_a_table_that_reads_back_differently_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import h5py

    run = make_finished_run(tmp_path, SPEC)
    write = write_hdf5

    def spoilt(path: Path, *arguments: Any) -> None:
        write(path, *arguments)
        with h5py.File(path, "r+") as file:
            file["relations/indication/tail_embedding"][4, 2] += 1e-3

    monkeypatch.setattr(bundling, "write_hdf5", spoilt)
    assert refused(run) == "tables: tail.embedding/indication: 1 of 400 values on disk differ from the run's"


def test_rounding_of_another_summation_order_passes(tmp_path: Path) -> None:
    """Scores of a device that sums in float32 in another order, with pairs that all but tie."""
    run = make_finished_run(tmp_path, SPEC)
    table = pl.read_parquet(run.test_scores(45))
    noise = np.random.default_rng(0).uniform(-1e-6, 1e-6, table.height).astype(np.float32)
    noisy = table.with_columns((pl.col("student") + pl.Series(noise)).cast(pl.Float32))
    noisy.write_parquet(run.test_scores(45))
    assert export_run(run).manifest.seeds == [45]


def test_pairs_that_tie_but_for_rounding_may_change_places(tmp_path: Path) -> None:
    """A model that has learnt nothing scores many pairs alike; the last bits of its logits then order the list."""
    run = make_finished_run(tmp_path, SPEC)
    random = np.random.default_rng(0)

    def flatten(tensors: dict[str, NDArray[Any]]) -> None:
        for name, tensor in tensors.items():
            if "embedding" in name:
                tensor[:] = 1 + 1e-7 * random.standard_normal(tensor.shape)
            if name.startswith("relation/"):
                tensor[:] = 0.1
            if name.endswith("/logit"):
                tensor[:] = 0.8

    change_tensors(run, flatten)
    flat = pl.read_parquet(run.scores(45, "validation")).with_columns(student=pl.lit(0.8, dtype=pl.Float32))
    flat.write_parquet(run.scores(45, "validation"))
    scores = pl.read_parquet(run.test_scores(45))
    logits = (0.8 + 1e-7 * random.integers(-3, 4, scores.height)).astype(np.float32)
    scores = scores.with_columns(student=pl.Series(logits))
    scores.write_parquet(run.test_scores(45))
    results = json.loads(run.results.read_text())
    test = results["seeds"]["45"]["student"]["test"]
    for relation in SPEC.relations:
        part = scores.filter(pl.col("relation") == relation)
        test["relations"][relation]["auprc"] = float(average_precision_score(part["label"], part["student"]))
    test["macro_auprc"] = float(np.mean([test["relations"][relation]["auprc"] for relation in SPEC.relations]))
    run.results.write_text(json.dumps(results))
    (detail,) = (check.detail for check in export_run(run).checks if check.name == "test AUPRC")
    assert detail.endswith("by test pairs that tie but for rounding")


scores = st.floats(-50, 50, width=32)


@given(
    st.integers(2, 60).flatmap(
        lambda n: st.tuples(
            hnp.arrays(np.int8, n, elements=st.integers(0, 1)),
            hnp.arrays(np.float32, n, elements=st.one_of(scores, st.sampled_from([0.0, 1.0, -1.0]))),
        )
    )
)
@settings(deadline=None)
def test_average_precision_is_scikit_learns(sample: tuple[NDArray[np.int8], NDArray[np.float32]]) -> None:
    labels, logits = sample
    labels[0] = 1
    assert average_precision(labels, logits) == pytest.approx(average_precision_score(labels, logits), abs=1e-12)


@given(st.integers(0, 2**32 - 1), st.floats(1e-7, 1e-1))
@settings(deadline=None, max_examples=50)
def test_the_tie_slack_bounds_what_moved_logits_can_change(seed: int, size: float) -> None:
    random = np.random.default_rng(seed)
    labels = np.append(random.integers(0, 2, 40), 1).astype(np.int8)
    expected = random.standard_normal(41).astype(np.float32)
    found = (expected + random.uniform(-size, size, 41)).astype(np.float32)
    change = abs(average_precision(labels, found) - average_precision(labels, expected))
    assert change <= tie_slack(labels, expected, found) + 1e-12


def test_equal_logits_leave_no_slack() -> None:
    logits = np.array([1.0, 1.0, 0.0], dtype=np.float32)
    assert tie_slack(np.array([1, 0, 0]), logits, logits) == 0.0
    with pytest.raises(ParityError, match=r"off by \+1.0e-05"):
        same_auprc("the bundle", 0.50001, 0.5)


def test_a_logit_that_is_not_a_number_is_refused() -> None:
    expected = np.zeros(3, dtype=np.float32)
    found = np.array([0.0, np.nan, 0.0], dtype=np.float32)
    with pytest.raises(ParityError, match="1 of 3 logits differ; the worst is nan"):
        same_logits("x", found, expected, np.full(3, 1e-5))


def test_a_changed_order_is_refused_and_a_tie_is_not() -> None:
    expected = np.array([3.0, 2.0, 1.0], dtype=np.float32)
    tolerance = np.full(3, 1e-5)
    same_order("x", np.array([3.0, 2.0, 2.000001], dtype=np.float32), expected, tolerance)
    with pytest.raises(ParityError, match="1 neighbours"):
        same_order("x", np.array([3.0, 1.0, 2.0], dtype=np.float32), expected, tolerance)


def test_a_ranking_that_misses_the_best_is_refused() -> None:
    wanted = np.array([5.0, 4.0, 3.0, 2.0])
    tolerance = np.full(4, 1e-5)

    def rank(*index: int) -> None:
        rows = np.array(index)
        same_ranking("x", rows, wanted[rows].astype(np.float32), wanted, tolerance)

    rank(0, 1)
    with pytest.raises(ParityError, match="place 1 of the best 2"):
        rank(1, 2)
    with pytest.raises(ParityError, match="place twice"):
        rank(0, 0)
