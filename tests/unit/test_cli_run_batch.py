"""`flykd-console run A.toml B.toml ...` around a training process that is played by a script."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest

from flykd_console.cli.prepare import prepare
from flykd_console.profile.load import load_profile
from flykd_console.runs.batch import Queue, batch_of, read_queue, waiting_after, write_queue
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.find import find_run, list_runs
from flykd_console.runs.lock import held
from flykd_console.runs.status import status_of
from tests.unit.test_cli_run import fake_worker, press_when, run

__all__ = ["fake_worker"]
pytestmark = pytest.mark.usefixtures("fake_worker")


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Three profiles in the current folder."""
    for name in "abc":
        text = f'extends = "flykd"\n[run]\nname = "{name}"\nseeds = [45]\n[distill]\nmethod = "m-{name}"\n'
        (tmp_path / f"{name}.toml").write_text(text)
    return ["a.toml", "b.toml", "c.toml"]


def by_name(root: Path) -> dict[str, RunDirectory]:
    return {load_profile(directory.profile).run.name: directory for directory in list_runs(root)}


def states(root: Path) -> dict[str, str]:
    return {name: status_of(directory).state for name, directory in sorted(by_name(root).items())}


def test_several_profiles_are_trained_in_order_by_one_process(
    runs: Path, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*files) == 0
    out = capsys.readouterr().out
    found = by_name(runs)
    assert states(runs) == {"a": "finished", "b": "finished", "c": "finished"}
    names = [found[name].name for name in "abc"]
    for position, name in enumerate("abc"):
        assert read_queue(found[name]) == Queue(runs=names, position=position)
    assert [out.index(f"run {name}:") for name in names] == sorted(out.index(f"run {name}:") for name in names)
    assert f"flykd-console compare {' '.join(names)}" in out
    pids = {json.loads(d.events.read_text().splitlines()[0])["pid"] for d in found.values()}
    assert len(pids) == 1


def test_a_single_profile_makes_no_batch(runs: Path, files: list[str]) -> None:
    assert run("a.toml") == 0
    (directory,) = list_runs(runs)
    assert not directory.queue.exists()
    assert read_queue(directory) is None
    assert batch_of(directory) == [directory]


def test_set_and_seeds_hold_for_every_profile(runs: Path, files: list[str]) -> None:
    assert run(*files, "--seeds", "7", "--set", "distill.epochs=3") == 0
    for directory in list_runs(runs):
        profile = load_profile(directory.profile)
        assert (profile.run.seeds, profile.distill.epochs) == ([7], 3)


def test_json_streams_the_events_of_all(runs: Path, files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*files, "--json") == 0
    kinds = [json.loads(line)["kind"] for line in capsys.readouterr().out.splitlines()]
    assert kinds.count("run.started") == kinds.count("run.finished") == 3


def test_one_that_fails_does_not_stop_the_next(
    runs: Path, files: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAKE_WORKER", "crash,user-error,finish")
    assert run(*files) == 1
    assert states(runs) == {"a": "failed", "b": "failed", "c": "finished"}
    captured = capsys.readouterr()
    found = by_name(runs)
    assert f"{found['c'].name}\nm-c on embedded" in captured.out
    assert f"{found['a'].name} failed: ValueError: a bug. The whole story:" in captured.err
    assert f"{found['b'].name} was not trained: kg.csv: the column x_id is missing." in captured.err


def test_a_users_mistake_in_one_of_several_is_exit_code_2(
    runs: Path, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_WORKER", "finish,user-error,finish")
    assert run(*files) == 2
    assert states(runs) == {"a": "finished", "b": "failed", "c": "finished"}


def test_ctrl_c_stops_the_run_in_work_and_leaves_the_rest_waiting(
    runs: Path, files: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAKE_WORKER", "finish,stop,finish")
    before = signal.getsignal(signal.SIGINT)
    thread = press_when(runs, times=1, needle='"run.finished"')
    assert run(*files) == 0
    thread.join()
    assert signal.getsignal(signal.SIGINT) is before
    assert states(runs) == {"a": "finished", "b": "stopped", "c": "waiting"}
    found = by_name(runs)
    out = capsys.readouterr().out
    assert "then with the one that waits" in out
    assert f"flykd-console run --resume {found['b'].name}" in out
    assert waiting_after(found["b"]) == [found["c"]]

    monkeypatch.setenv("FAKE_WORKER", "finish")
    assert run("--resume", found["b"].name) == 0
    assert f"After {found['b'].name} come the runs that wait: {found['c'].name}." in capsys.readouterr().out
    assert states(runs) == {"a": "finished", "b": "finished", "c": "finished"}


def test_a_waiting_run_can_be_resumed_itself(
    runs: Path, files: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAKE_WORKER", "die")
    assert run(*files) == 1
    found = by_name(runs)
    assert states(runs) == {"a": "died", "b": "waiting", "c": "waiting"}
    err = capsys.readouterr().err
    assert f"{found['a'].name} ended without a last word" in err
    assert f"--resume {found['a'].name}" in err
    monkeypatch.setenv("FAKE_WORKER", "finish")
    assert run("--resume", found["c"].name) == 0
    assert states(runs) == {"a": "died", "b": "waiting", "c": "finished"}


def test_runs_that_another_process_will_train_are_not_taken(
    runs: Path, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_WORKER", "crash,die")
    assert run(*files) == 1
    found = by_name(runs)
    monkeypatch.setenv("FAKE_WORKER", "finish")
    with held(found["b"]):
        assert run("--resume", found["a"].name) == 0
    assert states(runs)["c"] == "waiting"


def test_the_run_in_work_of_a_batch_counts_as_the_newest(runs: Path, files: list[str]) -> None:
    assert run(*files) == 0
    assert find_run(None).name.startswith("c-")
    for waiting in ("c", "b"):
        next(runs.glob(f"{waiting}-*/events.jsonl")).unlink()
        assert find_run(None).name.startswith({"c": "b-", "b": "a-"}[waiting])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.toml", "nowhere.toml"], "nowhere.toml: there is no such profile"),
        (["a.toml", "bad.toml"], "bad.toml, teacher.dim: must be at least 2"),
        (["a.toml", "gone.toml"], "there is no such graph file"),
        (["a.toml", "area.toml"], "area.toml, split.area ="),
        (["a.toml", "b.toml", "a.toml"], "a.toml: comes twice"),
        (["a.toml", "same.toml"], "a.toml and same.toml name their runs alike, 'a'. Give each a run.name of its own"),
        (["a.toml", "b.toml", "--name", "x"], "a.toml and b.toml name their runs alike, 'x'"),
    ],
)
def test_a_bad_profile_among_several_is_refused_before_anything_starts(
    arguments: list[str],
    message: str,
    runs: Path,
    files: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "bad.toml").write_text("[run]\nname = 'bad'\n[teacher]\ndim = 1\n")
    (tmp_path / "gone.toml").write_text("[run]\nname = 'gone'\n[graph]\nsource = 'gone.csv'\n")
    (tmp_path / "area.toml").write_text("[run]\nname = 'r'\n[split]\nkind = 'disease_area'\narea = 'gone.csv'\n")
    (tmp_path / "same.toml").write_text("[run]\nname = 'a'\n")
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert not runs.exists()


def test_a_folder_that_cannot_be_made_leaves_none_of_the_batch(
    runs: Path, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import flykd_console.runs.batch as queue

    def full(batch: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(queue, "write_queue", full)
    with pytest.raises(OSError, match="No space"):
        prepare(files, [])
    assert list_runs(runs) == []


@pytest.mark.parametrize(
    "text", ["", "{", '{"schema": 1, "runs": ["a"], "position": 7}', '{"schema": 9, "runs": ["a"], "position": 0}']
)
def test_a_queue_that_cannot_be_read_is_no_batch(tmp_path: Path, text: str) -> None:
    directory = RunDirectory(tmp_path)
    directory.queue.write_text(text)
    assert read_queue(directory) is None


def test_a_run_removed_from_a_batch_is_left_out(tmp_path: Path) -> None:
    batch = [RunDirectory(tmp_path / name) for name in "abc"]
    for directory in batch:
        directory.path.mkdir()
        directory.profile.write_text("")
    write_queue(batch)
    batch[1].profile.unlink()
    assert batch_of(batch[0]) == [batch[0], batch[2]]
    assert waiting_after(batch[0]) == [batch[2]]


def test_a_waiting_run_can_be_removed(runs: Path, files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from flykd_console.cli.app import main

    monkeypatch.setenv("FAKE_WORKER", "die")
    assert run(*files) == 1
    with pytest.raises(SystemExit) as left:
        main(["runs", "rm", by_name(runs)["b"].name, "--yes"])
    assert left.value.code == 0
    assert set(by_name(runs)) == {"a", "c"}


def test_the_dashboard_opens_on_the_first_of_a_batch(
    runs: Path, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[RunDirectory] = []

    def run_dashboard(directory: RunDirectory, *, worker: object = None) -> None:
        seen.append(directory)
        worker.wait()  # type: ignore[attr-defined]

    module = type(sys)("flykd_console.dashboard.app")
    module.run_dashboard = run_dashboard  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "flykd_console.dashboard.app", module)
    monkeypatch.setattr("flykd_console.cli.training._on_terminal", lambda: True)
    assert run(*files) == 0
    (directory,) = seen
    assert [d.name[0] for d in batch_of(directory)] == ["a", "b", "c"]
