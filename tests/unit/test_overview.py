"""One line about each run: right in every state, never raising, read again only where something changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flykd_console.dashboard.run_table import columns, ordered, state_words
from flykd_console.runs import overview
from flykd_console.runs.batch import write_queue
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import RunFinished, encode
from flykd_console.runs.find import list_runs
from flykd_console.runs.lock import held
from flykd_console.runs.overview import Outcome, RunList, RunOverview, overview_of
from flykd_console.runs.results import read_results
from tests.support.event_log import LogSpec, write_run
from tests.support.finished_run import RunSpec, make_finished_run


def test_finished_run_tells_best_mean_and_gain(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path)
    line = overview_of(run)
    results = read_results(run.results)
    scores = [models["student"].test.macro_auprc for models in results.seeds.values()]
    assert (line.state, line.method, line.graph, line.seeds, line.seeds_done) == ("finished", "flykd", "embedded", 2, 2)
    outcome = line.outcome
    assert outcome is not None
    assert outcome.best == max(score for score in scores if score is not None)
    summary = results.summary["student"]
    assert summary.macro_auprc is not None
    assert summary.gain_points is not None
    assert (outcome.mean, outcome.std, outcome.gain) == (
        summary.macro_auprc.mean,
        summary.macro_auprc.std,
        summary.gain_points.mean,
    )
    assert (outcome.model, outcome.metric, outcome.over) == ("flykd", "macro_auprc", "baseline")


@pytest.mark.parametrize(("state", "said"), [("failed", "failed"), ("stopped", "stopped"), ("running", "died")])
def test_run_without_results_tells_how_far_it_came(tmp_path: Path, state: str, said: str) -> None:
    run = write_run(tmp_path, LogSpec(state=state, epochs=40, seeds=(45, 46)))
    line = overview_of(run)
    assert (line.state, line.seed, line.stage, line.seeds, line.outcome) == (said, 46, "student", 2, None)
    assert 0.5 < line.progress < 1.0
    assert ("CUDA out of memory" in line.error) == (state == "failed")


def test_waiting_run_of_a_batch_is_described_by_its_profile(tmp_path: Path) -> None:
    first = write_run(tmp_path, LogSpec(state="running", epochs=40, seeds=(45,)), "first-20260101-000000")
    second = RunDirectory(tmp_path / "second-20260101-000001")
    second.path.mkdir()
    second.profile.write_text('[run]\nseeds = [45, 46, 47]\n[graph]\nsource = "a/kg.csv"\n[distill]\nmethod = "lsp"\n')
    write_queue([first, second])
    with held(first):
        line = overview_of(second)
    assert (line.state, line.method, line.graph, line.seeds) == ("waiting", "lsp", "kg.csv", 3)
    assert line.batch == (2, 2)


@pytest.mark.parametrize("harm", ["newer", "results", "profile", "nothing"])
def test_what_is_wrong_with_a_run_stands_in_its_line(tmp_path: Path, harm: str) -> None:
    run = make_finished_run(tmp_path)
    if harm == "newer":
        run.events.write_bytes(run.events.read_bytes().replace(b'"v":1', b'"v":99'))
    elif harm == "results":
        run.results.write_text("{")
    elif harm == "profile":
        run.profile.write_text("= broken")
        run.events.unlink()
    else:
        for path in (run.events, run.results, run.profile):
            path.unlink()
    line = overview_of(run)
    assert line.name == run.name
    if harm == "newer":
        assert line.state == "unreadable"
    if harm in ("newer", "results"):
        assert line.error


def test_only_what_changed_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(5):
        make_finished_run(tmp_path, RunSpec(name=f"run-{seed}-20260101-000000", seeds=(45,), probe=8))
    asked: list[str] = []

    def counted(run: RunDirectory) -> RunOverview:
        asked.append(run.name)
        return overview_of(run)

    monkeypatch.setattr(overview, "overview_of", counted)
    runs = RunList(tmp_path)
    batches = list(runs.read(list_runs(tmp_path), batch=2))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert len(asked) == 5
    list(runs.read(list_runs(tmp_path)))
    assert len(asked) == 5
    changed = list_runs(tmp_path)[0]
    with open(changed.events, "ab") as log:
        log.write(encode(RunFinished(outcome="finished", seconds=1.0)))
    list(runs.read(list_runs(tmp_path)))
    assert asked[5:] == [changed.name]


def outcome(mean: float, metric: str = "macro_auprc", over: str = "o" * 40) -> Outcome:
    return Outcome("student", metric, 2, best=mean + 0.1, mean=mean, std=0.1, gain=-1.2, over=over)


def line(name: str, **facts: object) -> RunOverview:
    return RunOverview(RunDirectory(Path("runs") / name), **{"state": "finished", **facts})  # type: ignore[arg-type]


def test_filter_wants_every_word_somewhere() -> None:
    run = line("flykd-20260101-000000", method="flykd", graph="primekg", device="cuda")
    assert run.matches("")
    assert run.matches("FLY finished")
    assert run.matches("prime cuda")
    assert not run.matches("flykd running")


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 200])
def test_columns_fit_and_keep_name_state_score_and_gain(width: int) -> None:
    layout = columns(width)
    assert {"name", "state", "mean", "gain"} <= {column.key for column in layout}
    assert sum(column.width + 2 for column in layout) + 3 <= width
    run = line("a" * 90, method="m" * 40, graph="g" * 40, device="d" * 40, outcome=outcome(0.5))
    assert all(len(column.text(run)) <= column.width for column in layout)


def test_names_get_the_room_that_other_columns_do_not_fill() -> None:
    runs = [line("primekg-flykd-with-a-long-name-20260101-000000", method="flykd", graph="primekg", device="cpu")]
    layout = columns(120, runs)
    assert layout[0].text(runs[0]) == runs[0].name
    assert layout[0].width > columns(120)[0].width
    assert sum(column.width + 2 for column in layout) + 3 <= 120


def test_scores_stand_under_their_metric_or_beside_it_and_gains_beside_their_rival() -> None:
    alike = [line("a", outcome=outcome(0.5, "macro_ap", "neighbours")), line("b")]
    heads = {column.key: column for column in columns(80, alike)}
    assert heads["mean"].head == "AP"
    assert "metric" not in heads
    assert [heads["over"].text(run) for run in alike] == ["neighbours", ""]
    several = [*alike, line("c", outcome=outcome(0.7, over="baseline"))]
    heads = {column.key: column for column in columns(80, several)}
    assert heads["mean"].head == "score"
    assert [heads["metric"].text(run) for run in several] == ["AP", "", "AUPRC"]


def test_rows_are_sorted_with_unknown_values_last_either_way() -> None:
    runs = [line("a", outcome=outcome(0.5)), line("b"), line("c", outcome=outcome(0.7))]
    column = next(column for column in columns(200) if column.key == "mean")
    assert [run.name for run in ordered(runs, column, turned=False)] == ["c", "a", "b"]
    assert [run.name for run in ordered(runs, column, turned=True)] == ["a", "c", "b"]
    assert [run.name for run in ordered(runs, None, turned=True)] == ["c", "b", "a"]


def test_state_is_told_by_a_sign_as_well() -> None:
    signs = {state_words(line("a", state=state))[0] for state in ("running", "finished", "failed", "paused")}
    assert len(signs) == 4


def test_results_of_another_shape_do_not_raise(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path)
    results = json.loads(run.results.read_text())
    for models in results["seeds"].values():
        del models["student"]
    results["summary"].pop("student")
    run.results.write_text(json.dumps(results))
    found = overview_of(run)
    assert found.outcome is not None
    assert (found.seeds_done, found.outcome.gain, found.outcome.over) == (2, None, "")
    assert found.outcome.mean is not None
