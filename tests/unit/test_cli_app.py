"""The command line as a whole: help, errors, exit codes; and `runs`, `profiles`, `doctor`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flykd_console import __version__
from flykd_console.cli import app as cli
from flykd_console.cli.app import ENTRIES, main
from flykd_console.errors import UserError
from flykd_console.profile.files import shipped_profiles
from flykd_console.profile.load import load_profile
from flykd_console.runs.lock import held
from flykd_console.runs.models import ModelEntry, Role
from flykd_console.runs.results import GraphSource, ModelResult, Scores, build_results, write_results
from tests.support.event_log import LogSpec, write_run
from tests.support.graph_files import write_rows


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    code = left.value.code
    assert isinstance(code, int)
    return code


def test_help_lists_every_command_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--help") == 0
    out = capsys.readouterr().out
    assert all(f" {name} " in out for name in ENTRIES)
    assert out.index("Train and watch") < out.index("Use a trained student") < out.index("Look around")


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert call() == 0
    assert "Train and watch" in capsys.readouterr().out


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--version") == 0
    assert capsys.readouterr().out == f"flykd-console {__version__}\n"


@pytest.mark.parametrize("name", ENTRIES)
def test_every_command_can_be_asked_for_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(name, "--help") == 0
    captured = capsys.readouterr()
    assert f"flykd-console {name}" in captured.out
    assert captured.err == ""


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["rum"], "flykd-console: No such command 'rum'. Did you mean 'run'? See: flykd-console --help"),
        (["--colour"], "flykd-console: No such option: --colour"),
        (["run", "flykd", "--sedes", "3"], "flykd-console run: No such option: --sedes"),
        (["profiles", "show", "flykd", "twice"], "flykd-console profiles show: Got unexpected extra argument"),
        (["profiles", "show"], "flykd-console profiles show: Missing argument"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(line)
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_a_command_that_cannot_be_imported_breaks_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(ENTRIES, "watch", cli.Entry("no_such_module", "Look around", "Broken."))
    assert call("watch") == 2
    assert capsys.readouterr().err.startswith("flykd-console watch: cannot start: No module named")
    assert call("--help") == 0
    assert call("profiles", "list") == 0


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UserError("wrong", "file.toml, key", "Mend it."), 2, "file.toml, key: wrong. Mend it.\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_errors_become_one_line_and_an_exit_code(
    error: BaseException, code: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def raising(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("flykd_console.profile.files.shipped_profiles", raising)
    assert call("profiles", "list") == code
    assert capsys.readouterr().err == line


def test_a_reader_that_leaves_early_gets_no_traceback() -> None:
    command = f"{sys.executable} -m flykd_console profiles show flykd | true; exit ${{PIPESTATUS[0]}}"
    for _ in range(3):
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
        assert done.stderr == ""
        assert done.returncode in (0, 1, 141)


def test_the_module_runs_as_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flykd_console", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"flykd-console {__version__}\n"


# runs


@pytest.fixture
def two_runs(runs: Path) -> Path:
    finished = write_run(runs, LogSpec(state="finished", seeds=(45,), epochs=20), folder="done-1")
    entries = [
        ModelEntry(name="baseline", role=Role.BASELINE, label="baseline", dim=80),
        ModelEntry(name="student", role=Role.STUDENT, label="flykd", dim=80, over="baseline"),
    ]
    models = {}
    for name, auprc in (("baseline", 0.7864), ("student", 0.7993)):
        test = Scores(macro_auprc=auprc, macro_auroc=0.8, metrics={"macro_auprc": auprc, "macro_auroc": 0.8})
        models[name] = ModelResult(dim=80, parameters=1, epochs=20, seconds=1.0, test=test)
    write_results(finished, build_results("done-1", "flykd", GraphSource(source="embedded"), {45: models}, entries))
    stopped = write_run(runs, LogSpec(state="stopped", seeds=(45, 46), epochs=20), folder="half-1")
    os.utime(finished.profile, (1, 1))
    os.utime(stopped.profile, (2, 2))
    return runs


def test_runs_are_listed_with_state_progress_and_gain(two_runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("runs") == 0
    head, _, half, done = capsys.readouterr().out.splitlines()
    assert half.split()[:2] == ["half-1", "stopped"]
    assert half.split()[3] == "%"
    assert done.split()[:8] == ["done-1", "finished", "1/1", "79.93", "+1.29", "baseline", *done.split()[6:8]]
    assert "AUPRC" in head


def test_runs_as_json_hold_fractions_and_paths(two_runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("runs", "--json") == 0
    half, done = json.loads(capsys.readouterr().out)
    assert (done["seeds_done"], half["seeds_done"]) == (1, 0)
    assert done["score"] == pytest.approx(0.7993)
    assert done["gain_points"] == pytest.approx(1.29)
    assert (half["state"], half["seed"], half["stage"], half["progress"] < 1) == ("stopped", 46, "student", True)
    assert done["path"] == str(two_runs / "done-1")


def test_no_runs_say_how_to_get_one(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("runs") == 0
    assert "flykd-console run flykd" in capsys.readouterr().out
    assert call("runs", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_a_damaged_run_does_not_hide_the_others(two_runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (two_runs / "half-1" / "events.jsonl").write_bytes(b"\x00garbage\n\xff")
    (two_runs / "done-1" / "results.json").write_text("{")
    newer = two_runs / "newer-1"
    newer.mkdir()
    (newer / "profile.toml").write_text("")
    (newer / "events.jsonl").write_text('{"kind":"run.started","v":9}\n')
    assert call("runs") == 0
    out = capsys.readouterr().out
    assert "unreadable" in out
    assert "half-1" in out
    assert "done-1" in out


def test_show_tells_one_run_and_its_table(two_runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("runs", "show", "done") == 0
    out = capsys.readouterr().out
    assert "flykd on embedded" in out
    assert "79.93" in out


def test_rm_asks_unless_told_and_spares_what_is_running(two_runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from flykd_console.runs.directory import RunDirectory

    assert call("runs", "rm", "half-1") == 2
    assert "--yes" in capsys.readouterr().err
    with held(RunDirectory(two_runs / "half-1")):
        assert call("runs", "rm", "half-1", "--yes") == 2
    assert "is being trained" in capsys.readouterr().err
    assert call("runs", "rm", "half-1", "--yes") == 0
    assert [path.name for path in two_runs.iterdir()] == ["done-1"]


def test_stop_orders_a_stop_and_lets_a_pause_go(two_runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from flykd_console.runs.directory import RunDirectory

    directory = RunDirectory(two_runs / "half-1")
    assert call("runs", "stop", "half-1") == 2
    directory.order("pause")
    with held(directory):
        assert call("runs", "stop", "half-1") == 0
    assert directory.order_file("stop").exists()
    assert not directory.order_file("pause").exists()
    assert "--resume half-1" in capsys.readouterr().out


# profiles


def test_profiles_are_listed_with_what_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("profiles", "list") == 0
    out = capsys.readouterr().out
    lines = {line.split()[0]: line for line in out.splitlines() if line and line.split()[0] in shipped_profiles()}
    assert set(lines) == set(shipped_profiles())
    assert "drawn once" in lines["primekg/flykd-fixed-graph"]
    assert not any(line.endswith(" ") for line in out.splitlines())
    assert out.index("embedded/lsp-2") < out.index("primekg/baseline") < out.index("primekg/reference/baseline")


def test_show_prints_toml_that_resolves_to_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("profiles", "show", "flykd", "--set", "distill.epochs=7") == 0
    path = tmp_path / "shown.toml"
    path.write_text(capsys.readouterr().out)
    assert load_profile(path) == load_profile("flykd", ["distill.epochs=7"])


def test_copy_keeps_the_comments_and_spares_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "mine.toml"
    assert call("profiles", "copy", "flykd", str(target)) == 0
    assert target.read_text().startswith("# FlyKD on the embedded graph")
    target.write_text("")
    assert call("profiles", "copy", "flykd", str(target)) == 2
    assert target.read_text() == ""
    assert call("profiles", "copy", "flykd", str(target), "--force") == 0
    assert load_profile(target) == load_profile("flykd")
    assert call("profiles", "copy", "flykd", str(tmp_path / "no" / "where.toml")) == 2


@pytest.mark.parametrize("name", ["primekg/lsp-2", "embedded/lsp-2", "primekg/reference/basic-kd"])
def test_a_copy_elsewhere_still_extends_what_the_original_did(tmp_path: Path, name: str) -> None:
    target = tmp_path / "mine.toml"
    assert call("profiles", "copy", name, str(target)) == 0
    assert load_profile(target) == load_profile(name)


def test_a_copy_of_an_own_profile_extends_by_absolute_path(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "base.toml").write_text("[teacher]\ndim = 12\n")
    (tmp_path / "a" / "mine.toml").write_text('extends = [\n  "base.toml",\n  "flykd",\n]\n')
    target = tmp_path / "copy.toml"
    assert call("profiles", "copy", str(tmp_path / "a" / "mine.toml"), str(target)) == 0
    assert f'"{tmp_path / "a" / "base.toml"}", "flykd"]' in target.read_text()
    assert load_profile(target).run.name == "copy"
    assert load_profile(target, ["run.name=mine"]) == load_profile(tmp_path / "a" / "mine.toml")


def test_check_says_sound_or_why_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("profiles", "check", "flykd") == 0
    assert "flykd is sound" in capsys.readouterr().out
    (tmp_path / "bad.toml").write_text("[run]\nseeds = 3\n")
    assert call("profiles", "check", str(tmp_path / "bad.toml")) == 2
    assert "run.seeds: must be a list" in capsys.readouterr().err


def test_check_says_what_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLYKD_DATA", str(tmp_path / "data"))
    kg = write_rows(tmp_path / "kg.csv", [("indication", "drug", "d0", "disease", "s0")])
    for profile, setting, told in (
        ("flykd", f"graph.source={tmp_path / 'nowhere.csv'}", "graph.source = /"),
        ("flykd", f"graph.source={tmp_path}/nowhere", "there is no such graph file"),
        ("primekg/flykd", "run.name=mine", "PrimeKG has not been fetched yet"),
        ("mutual/gml-node", f"data.source={tmp_path / 'nowhere.npz'}", "there is no such file"),
        ("by-time", f"graph.source={kg}", "there is no column 'year'"),
        ("flykd", 'graph.where=["score > 1"]', "no columns of evidence"),
    ):
        extra = ["--set", f"graph.source={kg}"] if setting.startswith("graph.where") else []
        assert call("profiles", "check", profile, "--set", setting, *extra) == 2, setting
        said = capsys.readouterr()
        assert told in said.err
        assert said.err.count("\n") == 1
        assert not said.out


# doctor


def test_doctor_finds_this_machine_fit(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("doctor", "--json") == 0
    findings = {finding["subject"]: finding for finding in json.loads(capsys.readouterr().out)}
    assert {"python", "cores", "memory", "libraries", "torch", "dgl", "runs", "graphs", "cache"} <= set(findings)
    assert findings["libraries"]["level"] == findings["torch"]["level"] == "ok"


def test_doctor_reports_the_load_and_tries_what_threads_are_worth(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from flykd_console.cli import doctor, thread_trial

    monkeypatch.setattr(thread_trial, "cpu_in_use", lambda: 1.3)
    monkeypatch.setattr(thread_trial, "try_threads", lambda threads: thread_trial.Trial(threads, 0.05))
    monkeypatch.setattr(doctor, "_dgl", lambda: doctor.Finding("ok", "dgl", "2.1.0"))
    monkeypatch.setattr("flykd_console.runs.spawn.usable_cpus", lambda: 2)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert call("doctor", "--json") == 0
    findings = {finding["subject"]: finding for finding in json.loads(capsys.readouterr().out)}
    assert findings["load"]["found"].startswith("other processes use 1.3 of ")
    assert findings["threads"]["level"] == "warn"
    assert findings["threads"]["found"] == "one is 20.0 times as fast as 2 at present"
    assert "a run takes fewer threads by itself" in findings["threads"]["remedy"]


@pytest.mark.parametrize(
    ("gain", "threads", "asked", "used", "level", "says"),
    [
        (1.5, 2, False, 0.0, "ok", ""),
        (1.5, 1, True, 0.1, "ok", "A run takes 1 (OMP_NUM_THREADS); on a machine at rest more are faster."),
        (1.5, 1, True, 1.0, "ok", ""),
        (1.05, 1, True, 0.0, "ok", ""),
        (0.5, 1, True, 1.0, "ok", ""),
        (0.5, 2, False, 1.0, "warn", "The machine is busy."),
    ],
)
def test_doctor_never_advises_more_threads_on_a_busy_machine(
    gain: float, threads: int, asked: bool, used: float, level: str, says: str
) -> None:
    from flykd_console.cli.doctor import _worth
    from flykd_console.cli.thread_trial import Trial

    finding = _worth(Trial(2, gain), threads, asked, used)
    assert finding.level == level
    assert finding.remedy.startswith(says)
    assert bool(finding.remedy) == bool(says)


def test_threads_are_tried_in_a_process_of_their_own() -> None:
    from flykd_console.cli.thread_trial import cpu_in_use, try_threads

    assert try_threads(1) is None
    trial = try_threads(2)
    assert trial is not None
    assert trial.threads == 2
    assert trial.gain > 0
    assert cpu_in_use() >= 0


def test_doctor_ends_with_2_and_a_remedy_where_something_needed_is_missing(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from importlib import metadata

    from flykd_console.cli import doctor

    version = metadata.version

    def without_polars(name: str) -> str:
        if name == "polars":
            raise metadata.PackageNotFoundError(name)
        return "0.1" if name == "onnx" else version(name)

    monkeypatch.setattr(metadata, "version", without_polars)
    monkeypatch.setattr(doctor, "_dgl", lambda: doctor.Finding("ok", "dgl", "2.1.0"))
    assert call("doctor") == 2
    out = capsys.readouterr().out
    assert "polars is missing" in out
    assert "onnx 0.1 (wants >=" in out
    assert "make install" in out
