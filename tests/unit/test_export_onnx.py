"""The ONNX heads: DistMult's values at any number of pairs, and rankings of any depth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporters.onnx_head import IR_VERSION, OPSET, metadata, write_ranking_head, write_scoring_head

# Slope and intercept of each relation's probability; the second has none.
CALIBRATION = np.array([[0.5, -1.0], [1.0, 0.0]], dtype=np.float32)
PROPERTIES = metadata(["treats", "härms"], "drug", "disease", "ab" * 32)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(0).standard_normal((2, 5), dtype=np.float32)


@pytest.fixture(scope="module")
def scoring(vectors: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> onnxruntime.InferenceSession:
    path = tmp_path_factory.mktemp("onnx") / "scoring.onnx"
    write_scoring_head(path, vectors, CALIBRATION, PROPERTIES)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def ranking(vectors: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> onnxruntime.InferenceSession:
    path = tmp_path_factory.mktemp("onnx") / "ranking.onnx"
    write_ranking_head(path, vectors, CALIBRATION, PROPERTIES)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@given(size=st.integers(0, 40), seed=st.integers(0, 1000))
@settings(deadline=None)
def test_scores_are_distmults_for_any_number_of_pairs_and_mixed_relations(
    scoring: onnxruntime.InferenceSession, vectors: np.ndarray, size: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    head, tail = (random.standard_normal((size, 5), dtype=np.float32) for _ in range(2))
    relation = random.integers(0, 2, size)
    logit, probability = scoring.run(None, {"head": head, "relation": relation, "tail": tail})
    expected = (head.astype(np.float64) * vectors[relation] * tail).sum(axis=1)
    assert logit.shape == probability.shape == (size,)
    np.testing.assert_allclose(logit, expected, atol=1e-5)
    log_odds = CALIBRATION[relation, 0] * expected + CALIBRATION[relation, 1]
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-log_odds)), atol=1e-6)


def ranking_feed(size: int, k: int, random: np.random.Generator, share: float) -> dict[str, np.ndarray]:
    """A node, so many candidates, and about a share of them left out."""
    return {
        "query": random.standard_normal(5, dtype=np.float32),
        "relation": np.array(1),
        "candidates": random.standard_normal((size, 5), dtype=np.float32),
        "excluded": random.random(size) < share,
        "k": np.array([k]),
    }


@given(size=st.integers(0, 40), k=st.integers(0, 60), seed=st.integers(0, 1000), share=st.sampled_from((0.0, 0.3, 1.0)))
@settings(deadline=None)
def test_rankings_are_a_full_sort_of_what_is_not_excluded_cut_at_k(
    ranking: onnxruntime.InferenceSession, vectors: np.ndarray, size: int, k: int, seed: int, share: float
) -> None:
    feed = ranking_feed(size, k, np.random.default_rng(seed), share)
    index, logit, probability = ranking.run(None, feed)
    scores = feed["candidates"] @ (feed["query"].astype(np.float64) * vectors[1])
    order = np.argsort(-scores)
    expected = order[~feed["excluded"][order]][:k]
    np.testing.assert_array_equal(index, expected)
    np.testing.assert_allclose(logit, scores[expected], atol=1e-5)
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-scores[expected])), atol=1e-6)


@pytest.mark.parametrize("size", [0, 1, 7, 4096])
def test_any_number_of_candidates_is_ranked(ranking: onnxruntime.InferenceSession, size: int) -> None:
    feed = ranking_feed(size, size + 1, np.random.default_rng(size), 0.5)
    index = ranking.run(["index"], feed)[0]
    assert sorted(index.tolist()) == np.flatnonzero(~feed["excluded"]).tolist()


def test_equal_scores_rank_in_the_order_of_the_table(ranking: onnxruntime.InferenceSession) -> None:
    feed = {"query": np.ones(5, np.float32), "relation": np.array(0), "candidates": np.ones((9, 5), np.float32)}
    feed |= {"excluded": np.arange(9) == 1, "k": np.array([4])}
    assert ranking.run(["index"], feed)[0].tolist() == [0, 2, 3, 4]


def test_graphs_say_what_they_are(scoring: onnxruntime.InferenceSession, ranking: onnxruntime.InferenceSession) -> None:
    for session in (scoring, ranking):
        facts = session.get_modelmeta().custom_metadata_map
        assert facts["schema"] == "3"
        assert facts["relations"] == '["treats", "härms"]'
        assert facts["embeddings_sha256"] == "ab" * 32


def test_graphs_are_of_a_version_that_old_runtimes_read_and_equal_byte_for_byte(
    vectors: np.ndarray, tmp_path: Path
) -> None:
    for write in (write_scoring_head, write_ranking_head):
        write(tmp_path / "a.onnx", vectors, CALIBRATION, PROPERTIES)
        write(tmp_path / "b.onnx", vectors, CALIBRATION, PROPERTIES)
        assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
        model = onnx.load(tmp_path / "a.onnx")
        assert (model.ir_version, model.opset_import[0].version) == (IR_VERSION, OPSET) == (7, 13)


def test_graphs_pass_the_full_check_and_load_without_a_warning(
    vectors: np.ndarray, tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    for write in (write_scoring_head, write_ranking_head):
        write(tmp_path / "head.onnx", vectors, CALIBRATION, PROPERTIES)
        model = onnx.load(tmp_path / "head.onnx")
        onnx.checker.check_model(model, full_check=True)
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        assert {one.name for one in inferred.graph.output} >= {"logit", "probability"}
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 2
        onnxruntime.InferenceSession(tmp_path / "head.onnx", options, providers=["CPUExecutionProvider"])
    assert capfd.readouterr().err == ""
    assert not recwarn.list
