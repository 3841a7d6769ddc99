"""Average precision by the distance to what was trained on: groups, pooling, and the tables."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from flykd_console.compare.compare import compare
from flykd_console.compare.grids import grids
from flykd_console.compare.loading import load_runs
from flykd_console.compare.population import Restriction
from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph
from flykd_console.graph.split.relatives import kin_relations, steps_from
from flykd_console.report.text import to_csv
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.distances import (
    ByDistance,
    DistanceScores,
    distance_name,
    grouped_by_distance,
    pooled_by_distance,
)
from flykd_console.runs.results import read_results, write_results
from tests.support.comparable_runs import add_heuristic, comparable_run
from tests.support.small_graph import small_graph
from tests.unit.test_cli_app import call


def at(ap: float, tails: int) -> DistanceScores:
    return DistanceScores(ap=ap, tails=tails)


def test_steps_are_the_fewest_over_all_relations_between_the_nodes() -> None:
    graph = small_graph()
    edges = {
        EdgeType("disease", "is a", "disease"): (np.array([0, 2, 5]), np.array([1, 1, 6])),
        EdgeType("disease", "looks like", "disease"): (np.array([3, 0]), np.array([2, 0])),
        EdgeType("gene/protein", "protein_protein", "gene/protein"): (np.array([0]), np.array([9])),
    }
    graph = KnowledgeGraph(graph.nodes, edges, "g")
    assert [edge_type.relation for edge_type in kin_relations(graph, "disease")] == ["is a", "looks like"]
    start = np.zeros(60, dtype=bool)
    start[[0, 6]] = True
    assert steps_from(graph, "disease", start)[:8].tolist() == [0, 1, 2, 3, -1, 1, 0, -1]
    assert steps_from(graph, "disease", start, most=2)[:8].tolist() == [0, 1, 2, -1, -1, 1, 0, -1]
    assert (steps_from(graph, "disease", np.zeros(60, dtype=bool)) == -1).all()


def test_tails_are_grouped_nearest_first_and_those_out_of_reach_last() -> None:
    assert [distance_name(steps) for steps in (0, 1, 2, 3, 17, -1)] == ["0", "1", "2", "3+", "3+", "unreachable"]
    found = grouped_by_distance([3, 1, -1, 9, 1], [0.5, 0.25, 1.0, 0.0, 0.75])
    assert list(found) == ["1", "3+", "unreachable"]
    assert found == {"1": at(0.5, 2), "3+": at(0.25, 2), "unreachable": at(1.0, 1)}


def test_seeds_are_pooled_by_their_tails() -> None:
    seeds: list[ByDistance] = [
        {"indication": {"3+": at(0.5, 1), "1": at(0.2, 4)}},
        {"indication": {"1": at(0.8, 1)}, "contraindication": {"2": at(0.1, 2)}},
    ]
    found = pooled_by_distance(seeds)
    assert list(found["indication"]) == ["1", "3+"]
    assert found["indication"]["1"].tails == 5
    assert found["indication"]["1"].ap == pytest.approx(0.32)
    assert found["contraindication"] == seeds[1]["contraindication"]


def put_distances(directory: RunDirectory, model: str, ap: float) -> None:
    """Give a model AP by distance in every seed: one tail more each, nearer tails easier."""
    results = read_results(directory.results)
    seeds = dict(results.seeds)
    for place, seed in enumerate(results.seeds, start=1):
        found = {"indication": {"1": at(ap, place), "unreachable": at(ap / 2, 1)}}
        models = dict(seeds[seed])
        test = msgspec.structs.replace(models[model].test, by_distance=found)
        models[model] = msgspec.structs.replace(models[model], test=test)
        seeds[seed] = models
    write_results(directory, msgspec.structs.replace(results, seeds=seeds))


@pytest.fixture
def run(runs: Path) -> RunDirectory:
    directory = comparable_run(runs, "flykd-1")
    add_heuristic(directory, "neighbours")
    put_distances(directory, "student", 0.25)
    put_distances(directory, "neighbours", 0.5)
    return directory


def test_compare_has_a_table_with_the_scorers_beside_the_models(run: RunDirectory) -> None:
    (block,) = compare(load_runs([run]), resamples=100).blocks
    (grid,) = [grid for grid in grids(block) if "distance" in grid.title]
    assert grid.title == "AP by distance to the nearest disease of training, per cent: indication"
    assert grid.headings == ["model", "1 step", "unreachable"]
    assert grid.rows == [["neighbours", "50.00", "25.00"], ["flykd", "25.00", "12.50"], ["diseases", "6", "3"]]
    summary = read_results(run.results).summary["student"].by_distance
    assert summary == {"indication": {"1": at(0.25, 6), "unreachable": at(0.125, 3)}}


def test_every_form_carries_it_and_chosen_tails_leave_it_out(
    run: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    comparison = compare(load_runs([run]), resamples=100)
    rows = {(r["model"], r["figure"]): r for r in csv.DictReader(io.StringIO(to_csv(comparison)))}
    ap, tails = rows["neighbours", "ap at distance 1"], rows["neighbours", "tails at distance unreachable"]
    assert (float(ap["value"]), ap["unit"], ap["relation"]) == (0.5, "fraction", "indication")
    assert (float(tails["value"]), tails["unit"]) == (3.0, "nodes")
    assert call("compare", "flykd-1", "--resamples", "100", "--json") == 0
    found = json.loads(capsys.readouterr().out)["blocks"][0]["rows"]
    (student,) = [row for row in found if row["model"] == "student"]
    assert student["by_distance"]["indication"]["1"] == {"ap": 0.25, "tails": 6}
    target = tmp_path / "report.html"
    assert call("report", "flykd-1", "--resamples", "100", "--out", str(target)) == 0
    assert "AP by distance to the nearest disease of training" in target.read_text("utf-8")

    ids = frozenset(load_runs([run])[0].scores[45]["tail_id"])
    (block,) = compare(load_runs([run]), resamples=100, only=Restriction("ids.csv", ids)).blocks
    assert not [grid for grid in grids(block) if "distance" in grid.title]
    assert all(row.by_distance == {} for row in block.rows)


def test_a_run_that_lacks_it_in_a_seed_has_none(run: RunDirectory) -> None:
    results = read_results(run.results)
    models = dict(results.seeds["46"])
    test = msgspec.structs.replace(models["student"].test, by_distance=None)
    models["student"] = msgspec.structs.replace(models["student"], test=test)
    write_results(run, msgspec.structs.replace(results, seeds={**results.seeds, "46": models}))
    (block,) = compare(load_runs([run]), resamples=100).blocks
    (grid,) = [grid for grid in grids(block) if "distance" in grid.title]
    assert [row[0] for row in grid.rows] == ["neighbours", "diseases"]
