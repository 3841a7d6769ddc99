"""Whole runs and what they leave of rankings: a table of each tail's AP a part, and every metric in the results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from flykd_console.graph.formats.kg import read_kg
from flykd_console.runs import events as ev
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.distances import distance_name
from flykd_console.runs.results import RANKING_METRICS, read_results
from flykd_console.training import worker
from flykd_console.words import metric_words
from tests.support.tiny_run import MODELS, events_of, make_run, small_kg, tiny_profile

SCHEMA = {"relation": pl.String, "tail_id": pl.String, "true": pl.Int64}
OTHERS = {"macro_auprc", "macro_auroc", "micro_auprc", "micro_auroc", "macro_auprc_head", "macro_auprc_head_degree"}
HEADS = {f"macro_{metric}" for metric in RANKING_METRICS} - {"macro_auroc"} | {"macro_ranking_auroc"}
TAILS = {f"macro_tail_{metric}" for metric in RANKING_METRICS}


def trained(root: Path, **sections: dict[str, Any]) -> RunDirectory:
    directory = make_run(root, tiny_profile(small_kg(root.parent), **sections))
    assert worker.main([str(directory.path)]) == 0
    return directory


def test_each_tails_average_precision_is_left_and_its_mean_is_the_results(tmp_path: Path) -> None:
    directory = trained(tmp_path / "runs")
    results = read_results(directory.results).seeds["45"]
    labels = pl.read_parquet(directory.labels(45))
    for part in ("test", "validation"):
        table = pl.read_parquet(directory.ranking(45, part))
        assert directory.ranking(45, part).name == f"{part}-ranking.parquet"
        assert dict(table.schema) == SCHEMA | dict.fromkeys(MODELS, pl.Float32)
        keys = ["relation", "tail_id"]
        counted = labels.filter(pl.col("part") == part).unique().group_by(keys).agg(true=pl.len().cast(pl.Int64))
        assert table.select(*keys, "true").sort(keys).equals(counted.sort(keys))
        for model in MODELS:
            ranking = getattr(results[model], part).ranking
            assert set(ranking) == set(table["relation"].unique())
            for (relation,), rows in table.group_by("relation"):
                assert ranking[relation].ap == pytest.approx(np.mean(rows[model].to_numpy()), abs=1e-6)
                assert ranking[relation].tails == rows.height


def test_every_metric_is_measured_and_has_a_name_for_people(tmp_path: Path) -> None:
    results = read_results(trained(tmp_path / "runs").results)
    for scores in (results.seeds["45"]["student"].test, results.seeds["45"]["student"].validation):
        assert set(scores.metrics) == OTHERS | HEADS | TAILS
        assert set(scores.ranking_tails or {}) == set(scores.ranking or {})
        assert all("macro" not in metric_words(metric) for metric in scores.metrics)
    assert set(results.summary["student"].ranking_tails["indication"]) == set(RANKING_METRICS)


def test_models_of_an_earlier_run_leave_the_same_table(tmp_path: Path) -> None:
    first = trained(tmp_path / "runs")
    again = trained(tmp_path / "runs")
    finished = {e.stage: e.reused_from for e in events_of(again) if isinstance(e, ev.StageFinished)}
    assert finished["teacher"] == finished["baseline"] == first.name
    for part in ("test", "validation"):
        assert pl.read_parquet(again.ranking(45, part)).equals(pl.read_parquet(first.ranking(45, part)))


def test_without_a_test_part_its_table_has_no_rows(tmp_path: Path) -> None:
    directory = trained(tmp_path / "runs", split={"kind": "full_graph"})
    table = pl.read_parquet(directory.ranking(45, "test"))
    assert (table.height, dict(table.schema)) == (0, SCHEMA | dict.fromkeys(MODELS, pl.Float32))
    assert pl.read_parquet(directory.ranking(45, "validation")).height > 0


@pytest.mark.parametrize("headline", ["macro_tail_ap", "macro_auprc_head_degree"])
def test_a_new_metric_may_be_the_headline_that_selects_the_epoch(tmp_path: Path, headline: str) -> None:
    directory = trained(tmp_path / "runs", evaluation={"headline": headline}, finetune={"select": "best"})
    found = [e for e in events_of(directory) if isinstance(e, ev.Evaluation)]
    assert all(event.headline == headline and event.score == event.metrics[headline] for event in found)


def test_a_heuristic_has_a_column_like_any_model(tmp_path: Path) -> None:
    directory = trained(tmp_path / "runs", evaluation={"heuristics": ["popularity"]})
    table = pl.read_parquet(directory.ranking(45, "test"))
    ranking = read_results(directory.results).seeds["45"]["popularity"].test.ranking
    assert table.schema["popularity"] == pl.Float32
    assert ranking is not None
    for (relation,), rows in table.group_by("relation"):
        assert ranking[str(relation)].ap == pytest.approx(np.mean(rows["popularity"].to_numpy()), abs=1e-6)


def test_the_whole_matrix_is_ranked_where_it_is_asked_for(tmp_path: Path) -> None:
    directory = trained(
        tmp_path / "runs", run={"seeds": [45, 46]}, evaluation={"heuristics": ["popularity"], "matrix": True}
    )
    results = read_results(directory.results)
    for seed in ("45", "46"):
        for model in (*MODELS, "popularity"):
            found = results.seeds[seed][model].test.matrix
            assert set(found or {}) == {"contraindication", "indication"}
            assert results.seeds[seed][model].validation.matrix is None
            pairs = pl.read_parquet(directory.top_pairs(int(seed), model))
            labels = pl.read_parquet(directory.labels(int(seed))).select("relation", "head_id", "tail_id")
            nodes = pl.read_parquet(directory.nodes)
            heads, tails = (nodes.filter(pl.col("type") == kind)["id"] for kind in ("drug", "disease"))
            named = pairs.with_columns(head_id=heads.gather(pairs["head"]), tail_id=tails.gather(pairs["tail"]))
            assert named.join(labels, on=["relation", "head_id", "tail_id"]).height == 0
            assert pairs.group_by("relation").len()["len"].to_list() == [1000, 1000]
    earlier, later = (results.seeds[seed]["student"].test.matrix or {} for seed in ("45", "46"))
    assert earlier["indication"].at[1000].commonality == {}
    (value,) = later["indication"].at[1000].commonality.values()
    lists = [
        set(pl.read_parquet(directory.top_pairs(seed, "student")).filter(pl.col("relation") == "indication").rows())
        for seed in (45, 46)
    ]
    assert value == len(lists[0] & lists[1]) / 1000
    assert results.summary["student"].matrix["indication"][1000]["commonality"].mean == value


def test_the_whole_matrix_is_left_out_unless_it_is_asked_for(tmp_path: Path) -> None:
    directory = trained(tmp_path / "runs")
    assert read_results(directory.results).seeds["45"]["student"].test.matrix is None
    assert not directory.top_pairs(45, "student").exists()


def test_without_a_test_part_the_matrix_is_of_validation(tmp_path: Path) -> None:
    directory = trained(tmp_path / "runs", split={"kind": "full_graph"}, evaluation={"matrix": True})
    student = read_results(directory.results).seeds["45"]["student"]
    assert student.test.matrix is None
    assert set(student.validation.matrix or {}) == {"contraindication", "indication"}


def test_ap_is_measured_some_ten_times_a_stage_whatever_the_headline(tmp_path: Path) -> None:
    directory = trained(tmp_path / "runs", finetune={"epochs": 30, "validate_every": 1}, run={"models": ["baseline"]})
    found = [e for e in events_of(directory) if isinstance(e, ev.Evaluation) and e.split == "validation"]
    assert len(found) == 30
    ranked = [event.epoch for event in found if "macro_ap" in event.metrics]
    assert ranked == list(range(3, 31, 3))
    scores = read_results(directory.results).seeds["45"]["baseline"].validation
    assert found[-1].metrics["macro_ap"] == pytest.approx(scores.metrics["macro_ap"], abs=1e-9)


def test_the_log_tells_what_heuristics_reach_on_validation(tmp_path: Path) -> None:
    directory = trained(tmp_path / "runs", evaluation={"heuristics": ["popularity"]})
    found = [e for e in events_of(directory) if isinstance(e, ev.Evaluation) and e.model == "popularity"]
    assert [event.split for event in found] == ["validation", "test"]
    measured = read_results(directory.results).seeds["45"]["popularity"]
    assert [event.metrics for event in found] == [measured.validation.metrics, measured.test.metrics]


@pytest.mark.parametrize("hops", [0, 1])
def test_average_precision_by_distance_is_that_of_the_tails_there(tmp_path: Path, hops: int) -> None:
    directory = trained(tmp_path / "runs", split={"hops": hops}, evaluation={"heuristics": ["neighbours"]})
    results = read_results(directory.results)
    graph = read_kg(small_kg(tmp_path))
    row = {id_: place for place, id_ in enumerate(graph.ids("disease"))}
    ends = next(pairs for edge_type, pairs in graph.edges.items() if edge_type.relation == "disease_disease")
    labels = pl.read_parquet(directory.labels(45))
    for part in ("test", "validation"):
        table = pl.read_parquet(directory.ranking(45, part))
        for (relation,), rows in table.group_by("relation"):
            near = {row[i] for i in labels.filter(part="train", relation=relation)["tail_id"]}
            steps = dict.fromkeys(near, 0)
            for far in range(1, 60):
                near = {b for a, b in _both_ways(ends) if a in near} - set(steps)
                steps |= dict.fromkeys(near, far)
            for model in ("student", "neighbours"):
                found = (getattr(results.seeds["45"][model], part).by_distance or {})[str(relation)]
                expected: dict[str, list[float]] = {}
                for tail, ap in zip(rows["tail_id"], rows[model], strict=True):
                    expected.setdefault(distance_name(steps.get(row[tail], -1)), []).append(ap)
                assert {name: scores.tails for name, scores in found.items()} == {
                    name: len(values) for name, values in expected.items()
                }
                for name, values in expected.items():
                    assert found[name].ap == pytest.approx(np.mean(values), abs=1e-6)
                if part == "test":
                    assert ("1" in found) == (hops == 0)


def _both_ways(pairs: tuple[np.ndarray, np.ndarray]) -> list[tuple[int, int]]:
    heads, tails = (end.tolist() for end in pairs)
    return [*zip(heads, tails, strict=True), *zip(tails, heads, strict=True)]
