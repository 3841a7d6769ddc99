"""Probabilities are Platt's on validation pairs, or a bundle says why not; a mean of seeds is what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from exporters.agreement import ParityError
from exporters.bundle import export_run
from exporters.manifest import CARD, EMBEDDINGS, read_manifest
from exporters.scorer import Scorer
from flykd_console.calibration import FEWEST, NotCalibratedError, fit_platt
from flykd_console.cli.app import main
from flykd_console.errors import UserError
from flykd_console.runs.directory import RunDirectory
from tests.support.finished_run import RunSpec, logits_of, make_finished_run

Change = Callable[[pl.DataFrame], pl.DataFrame]
SPEC = RunSpec(seeds=(45, 46, 47), probe=64)


def _of_the_positive(count: int) -> list[int]:
    """Rows of the positives, which are 25 a relation, beside their own and their negatives' places."""
    return [place // 50 * 50 + place % 25 for place in range(count)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return make_finished_run(tmp_path_factory.mktemp("runs"), SPEC)


@pytest.fixture(scope="module")
def mean(run: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_run(run, ensemble=True, out=tmp_path_factory.mktemp("out") / "mean").path


def validation(run: RunDirectory, seed: int, relation: str) -> tuple[np.ndarray, np.ndarray]:
    table = pl.read_parquet(run.scores(seed, "validation")).filter(pl.col("relation") == relation)
    return table["student"].to_numpy(), table["label"].to_numpy()


# Platt's regression.


def test_the_base_rate_of_a_calibration_is_that_of_its_pairs() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([1, 0], [100, 300])
    scores = rng.standard_normal(400) + 2.0 * labels
    platt = fit_platt(scores, labels)
    assert (platt.positives, platt.negatives, platt.base_rate) == (100, 300, 0.25)
    probabilities = 1 / (1 + np.exp(-(platt.slope * scores + platt.intercept)))
    assert probabilities.mean() == pytest.approx(0.25, abs=1e-3)
    evens = fit_platt(scores, labels, np.where(labels == 1, 1.0, 1 / 3))
    assert evens.intercept == pytest.approx(platt.intercept + np.log(3), abs=0.2)


@pytest.mark.parametrize(
    ("scores", "labels", "says"),
    [
        (np.arange(30.0), np.repeat([1, 0], [FEWEST - 1, 30 - FEWEST + 1]), "9 true pairs are too few"),
        (np.arange(30.0), np.repeat([1, 0], [30 - FEWEST + 1, FEWEST - 1]), "9 other pairs are too few"),
        (np.empty(0), np.empty(0), "0 true pairs are too few"),
        (np.r_[np.nan, np.arange(29.0)], np.repeat([1, 0], 15), "a score is not a finite number"),
    ],
)
def test_pairs_that_teach_no_probability_are_refused(scores: np.ndarray, labels: np.ndarray, says: str) -> None:
    with pytest.raises(NotCalibratedError, match=says):
        fit_platt(scores, labels)


# In a bundle.


def test_a_bundles_probabilities_are_platts_on_the_runs_validation_pairs(run: RunDirectory, tmp_path: Path) -> None:
    path = export_run(run, seed=45, out=tmp_path / "b").path
    for relation, numbers in read_manifest(path).calibration.items():
        logits, labels = validation(run, 45, relation)
        fitted = LogisticRegression(C=1e6).fit(logits[:, None].astype(np.float64), labels)
        assert numbers["slope"] == pytest.approx(fitted.coef_[0, 0])
        assert numbers["intercept"] == pytest.approx(fitted.intercept_[0])
        assert (numbers["positives"], numbers["negatives"], numbers["base_rate"]) == (12, 12, 0.5)
        assert numbers["replaced"] == "tail"
    card = (path / CARD).read_text()
    assert "Platt's calibration on 12 true validation pairs and 12 others" in card
    assert "**Base rate 50.00 %**" in card
    assert "Brier score on the test pairs: " in card


def test_too_few_validation_pairs_leave_a_relation_without_probabilities_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_finished_run(tmp_path, RunSpec(seeds=(45,), probe=8, empty=(("indication", "validation"),)))
    monkeypatch.setenv("FLYKD_RUNS", str(tmp_path))
    with pytest.raises(SystemExit):
        main(["export", str(run.path)])
    said = "0 true pairs are too few to learn probabilities from, 10 needed"
    assert f"No probabilities of indication: {said}." in capsys.readouterr().out
    assert read_manifest(run.export).calibration["indication"] == {"problem": said}
    assert f"No probability under indication: {said}" in (run.export / CARD).read_text()
    with Scorer(run.export) as scorer:
        assert scorer.rank_heads(0, "indication")[0].probability is None
        assert scorer.rank_heads(0, "contraindication")[0].probability is not None


def test_a_model_whose_true_pairs_score_no_higher_has_no_probabilities(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, RunSpec(seeds=(45,), probe=8))
    table = pl.read_parquet(run.scores(45, "validation"))
    table.with_columns((1 - pl.col("label")).cast(pl.Int8).alias("label")).write_parquet(run.scores(45, "validation"))
    problem = "true validation pairs score no higher than others"
    found = read_manifest(export_run(run).path).calibration
    assert found == {relation: {"problem": problem} for relation in SPEC.relations}


def test_validation_scores_that_are_not_the_models_are_refused(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, RunSpec(seeds=(45,), probe=8))
    table = pl.read_parquet(run.scores(45, "validation"))
    table.with_columns(pl.col("student") + 0.1).write_parquet(run.scores(45, "validation"))
    with pytest.raises(ParityError, match=r"valid\. pairs: 'contraindication': 24 of 24 logits differ"):
        export_run(run)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table, "came with the split or stand in no one's place: guessing scores 50."),
        (
            # Of 25 negatives a relation 12 stay.
            lambda table: table.filter((pl.col("label") == 1) | (pl.int_range(pl.len()) % 2 == 0)),
            "guessing scores 67.57 for contraindication, 67.57 for indication.",
        ),
        (
            lambda table: table.with_columns(pl.col("head_id").gather(_of_the_positive(table.height))),
            "keep the head and replace the tail: guessing scores 50, and so does a score that knows the head alone.",
        ),
    ],
)
def test_the_card_says_what_guessing_scores_as_the_test_set_has_it(change: Change, said: str, tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, RunSpec(seeds=(45,), probe=8))
    table = change(pl.read_parquet(run.test_scores(45)))
    tables = load_file(run.embeddings(45, "student"))
    logits = [
        logits_of(
            tables["head.embedding"][[int(head[1:])]],
            tables[f"relation/{relation}"],
            tables[f"tail.embedding/{relation}"][[int(tail[1:])]],
        )[0]
        for relation, head, tail in table.select("relation", "head_id", "tail_id").iter_rows()
    ]
    table = table.with_columns(student=pl.Series(logits, dtype=pl.Float32))
    table.write_parquet(run.test_scores(45))
    results = json.loads(run.results.read_text())
    test = results["seeds"]["45"]["student"]["test"]
    for relation in SPEC.relations:
        part = table.filter(pl.col("relation") == relation)
        test["relations"][relation]["auprc"] = float(average_precision_score(part["label"], part["student"]))
    test["macro_auprc"] = float(np.mean([test["relations"][relation]["auprc"] for relation in SPEC.relations]))
    run.results.write_text(json.dumps(results))
    assert said in (export_run(run).path / CARD).read_text()


# The mean of several seeds.


def test_a_means_logits_are_the_mean_of_the_seeds(run: RunDirectory, mean: Path) -> None:
    heads, tails = np.divmod(np.arange(30 * 50), 50)
    with Scorer(mean) as scorer:
        assert scorer.manifest.seeds == [45, 46, 47]
        assert scorer.manifest.dim == 24
        for relation in SPEC.relations:
            tables = [load_file(run.embeddings(seed, "student")) for seed in SPEC.seeds]
            logits = [
                logits_of(t["head.embedding"][heads], t[f"relation/{relation}"], t[f"tail.embedding/{relation}"][tails])
                for t in tables
            ]
            np.testing.assert_allclose(scorer.score(heads, tails, relation)[0], np.mean(logits, axis=0), atol=1e-5)
            expected = np.argsort(-np.mean(logits, axis=0).reshape(30, 50)[:, 3])
            assert [one.index for one in scorer.rank_heads(3, relation, top=30)] == expected.tolist()


def test_a_means_probabilities_are_learnt_from_every_seeds_own_validation_pairs(run: RunDirectory, mean: Path) -> None:
    for relation, numbers in read_manifest(mean).calibration.items():
        found = [validation(run, seed, relation) for seed in SPEC.seeds]
        logits, labels = (np.concatenate([one[end] for one in found]) for end in (0, 1))
        assert numbers["slope"] == pytest.approx(fit_platt(logits, labels).slope)
        assert numbers["positives"] == 36


def test_a_mean_trained_on_what_any_of_its_seeds_trained_on(run: RunDirectory, mean: Path) -> None:
    labels = pl.concat([pl.read_parquet(run.labels(seed)) for seed in SPEC.seeds])
    mine = labels.filter(pl.col("relation") == "indication")
    parts = {
        part: set(mine.filter(pl.col("part") == part).select("head_id", "tail_id").iter_rows())
        for part in ("train", "validation", "test")
    }
    with h5py.File(mean / EMBEDDINGS) as file:
        pairs = {part: file[f"relations/indication/pairs/{part}"][:] for part in parts}
    named = {part: {(f"H{h:04d}", f"T{t:04d}") for h, t in rows} for part, rows in pairs.items()}
    assert named["train"] == parts["train"]
    assert named["validation"] == parts["validation"] - parts["train"]
    assert named["test"] == parts["test"] - parts["validation"] - parts["train"]


def test_neighbours_of_a_mean_are_the_mean_of_the_seeds_similarities(run: RunDirectory, mean: Path) -> None:
    tables = [pl.read_parquet(run.neighbours(seed)).filter(pl.col("relation") == "indication") for seed in SPEC.seeds]
    total = pl.concat(tables).group_by("tail").agg(pl.col("similarity").sum() / 3).sort("tail")
    with Scorer(mean) as scorer:
        nearest = scorer.tables.nearest("indication")
    assert nearest is not None
    sums = np.bincount(nearest.rows, weights=nearest.similarity, minlength=50)
    np.testing.assert_allclose(sums, total["similarity"], rtol=1e-5)


def test_the_card_of_a_mean_says_that_nothing_was_measured_of_it(mean: Path) -> None:
    card = (mean / CARD).read_text()
    assert "seeds 45, 46, 47 (the mean of the logits of all 3 finished seeds)" in card
    assert "was not measured, and cannot be" in card
    assert "- seed 46: macro AUPRC 51.00" in card
    assert "Over the 3 seeds of the run, each on its own test, mean ± deviation" in card
    assert "each pair scored by the model of its own seed" in card
    assert "guessing scores" not in card


def test_a_mean_of_a_seed_whose_logits_are_not_its_tables_is_refused(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, SPEC)
    path = run.embeddings(46, "student")
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    tensors["probe/indication/logit"][5] += 0.01
    save_file(tensors, path, metadata)
    with pytest.raises(ParityError, match="seeds: seed 46, 'indication': 1 of 64 logits differ"):
        export_run(run, ensemble=True)
    assert not run.export.exists()


def test_a_mean_of_one_seed_is_refused(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, RunSpec(seeds=(45,), probe=8))
    with pytest.raises(UserError, match="seed 45 alone has a finished student: there is nothing to average"):
        export_run(run, ensemble=True)


def test_a_seed_and_the_mean_of_all_are_not_asked_for_together(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["export", str(run.path), "--seed", "45", "--ensemble"])
    assert left.value.code == 2
    assert "--seed names one seed, --ensemble averages all" in capsys.readouterr().err
