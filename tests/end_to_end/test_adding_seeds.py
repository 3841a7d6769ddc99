"""Seeds that are added to a finished run: they alone are trained, and every view of the run knows of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from flykd_console.cli.app import main
from flykd_console.cli.resume import resumable
from flykd_console.compare.compare import compare
from flykd_console.compare.loading import load_runs
from flykd_console.graph.knowledge_graph import KnowledgeGraph
from flykd_console.profile.load import load_profile
from flykd_console.runs import events as ev
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.results import read_results
from flykd_console.runs.state.run import RunState
from flykd_console.runs.status import status_of
from flykd_console.training import worker
from tests.support.small_graph import INDICATION, small_graph, write_kg_csv
from tests.support.tiny_run import MODELS, events_of, make_run, small_kg, tiny_profile


@pytest.fixture
def finished(runs: Path) -> RunDirectory:
    """A finished run of one seed."""
    directory = make_run(runs, tiny_profile(small_kg(runs.parent)))
    assert worker.main([str(directory.path)]) == 0
    return directory


def resume(directory: RunDirectory, *arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["run", "--resume", directory.name, "--headless", *arguments])
    assert isinstance(left.value.code, int)
    return left.value.code


def files_of_seed(directory: RunDirectory, seed: int) -> dict[str, tuple[int, bytes]]:
    return {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in sorted(directory.seed(seed).iterdir())}


def test_added_seeds_alone_are_trained_and_the_results_have_all(
    finished: RunDirectory, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    before, told = files_of_seed(finished, 45), len(events_of(finished))
    first = read_results(finished.results).seeds["45"]
    assert resume(finished, "--seeds", "46-47") == 0

    assert load_profile(finished.profile).run.seeds == [45, 46, 47]
    results = read_results(finished.results)
    assert list(results.seeds) == ["45", "46", "47"]
    assert results.seeds["45"] == first
    assert results.summary["student"].macro_auprc is not None
    assert results.summary["student"].macro_auprc.n == 3
    assert files_of_seed(finished, 45) == before
    new = events_of(finished)[told:]
    assert {e.seed for e in new if isinstance(e, ev.StageStarted | ev.Epoch | ev.Evaluation)} == {46, 47}
    assert "seed 46 (2/3)" in capsys.readouterr().out

    status = status_of(finished)
    assert (status.state, status.seed_position) == ("finished", 3)
    state = RunState().fold(events_of(finished))
    assert state.finished
    assert state.seeds == [45, 46, 47]
    assert all(state.stages[(seed, model)].over for seed in (45, 46, 47) for model in MODELS)
    assert state.stages[(45, "student")].test is not None


def test_added_seeds_are_those_that_a_run_of_all_would_have_trained(finished: RunDirectory, runs: Path) -> None:
    whole = make_run(runs, tiny_profile(small_kg(runs.parent), run={"name": "whole", "seeds": [45, 46]}))
    assert worker.main([str(whole.path), "--fresh"]) == 0
    (again,) = resumable(finished.name, [46])
    assert worker.main([str(again.path), "--fresh"]) == 0
    ours, theirs = read_results(finished.results), read_results(whole.results)
    for seed in ("45", "46"):
        for model in MODELS:
            assert ours.seeds[seed][model].test == theirs.seeds[seed][model].test


def test_a_run_that_is_resumed_measures_none_of_its_finished_seeds_again(runs: Path) -> None:
    directory = make_run(runs, tiny_profile(small_kg(runs.parent), run={"name": "two", "seeds": [45, 46]}))
    assert worker.main([str(directory.path)]) == 0
    directory.weights(46, "student").unlink()
    told = len(events_of(directory))
    assert worker.main([str(directory.path)]) == 0
    new = events_of(directory)[told:]
    assert {e.seed for e in new if isinstance(e, ev.StageStarted)} == {46}
    assert any("left as they are" in e.message for e in new if isinstance(e, ev.Log))


@pytest.mark.parametrize("missing", ["weights", "embeddings", "scores", "ranking", "labels"])
def test_a_seed_that_lacks_a_file_is_measured_again(missing: str, finished: RunDirectory) -> None:
    paths = {
        "weights": finished.weights(45, "student"), "embeddings": finished.embeddings(45, "teacher"),
        "scores": finished.scores(45, "test"), "ranking": finished.ranking(45, "validation"),
        "labels": finished.labels(45),
    }  # fmt: skip
    paths[missing].unlink()
    assert worker.main([str(finished.path)]) == 0
    assert all(path.is_file() for path in paths.values())


def test_seeds_of_another_graph_are_refused(
    finished: RunDirectory, runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    graph = small_graph()
    heads, tails = graph.edges[INDICATION]
    smaller = dict(graph.edges) | {INDICATION: (heads[:-3], tails[:-3])}
    write_kg_csv(KnowledgeGraph(graph.nodes, smaller, "smaller"), runs.parent / "kg.csv")
    before = finished.results.read_bytes()
    assert resume(finished, "--seeds", "46") == 2
    assert "the graph is not the one that the run's other seeds were trained on" in capsys.readouterr().err
    assert finished.results.read_bytes() == before


def test_a_seed_that_is_there_is_refused_and_changes_nothing(
    finished: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {p: p.read_bytes() for p in finished.path.rglob("*") if p.is_file()}
    assert resume(finished, "--seeds", "46,45") == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "the run has seed 45 already. Its seeds are 45; name others." in err
    assert {p: p.read_bytes() for p in finished.path.rglob("*") if p.is_file()} == before


def test_runs_whose_seeds_differ_are_compared_on_those_in_common_and_it_is_said(
    finished: RunDirectory, runs: Path
) -> None:
    other = make_run(runs, tiny_profile(small_kg(runs.parent), run={"name": "other", "seeds": [45, 46]}))
    assert worker.main([str(other.path)]) == 0
    comparison = compare(load_runs([finished, other]), resamples=100)
    (block,) = comparison.blocks
    assert block.seeds == [45]
    assert [run.seeds_left_out for run in block.runs] == [[], [46]]
    assert any(f"{other.name} has also seed 46, which another run lacks: left out." == note for note in block.notes)
