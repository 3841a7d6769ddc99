"""Whatever a run calls its methods, models, relations and graphs: every command shows it, and none obeys it."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import polars as pl
import pytest

from flykd_console.cli.app import main
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.results import read_results, write_results
from tests.support.event_log import LogSpec, write_run
from tests.support.finished_run import RunSpec, make_finished_run

NAME = "[/nope] [bold red]x[link=http://example.org] \x1b[31m\x9b2J\u202egpj :smile:"
SHOWN = "[/nope] [bold red]x[link=http://example.org] gpj :smile:"
_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


@pytest.fixture
def strange(runs: Path) -> RunDirectory:
    """A finished run in which everything that can be named is named so."""
    spec = RunSpec(relations=(f"treats {NAME}", "indication"), names={"T0003": NAME, "H0003": f"={NAME}"})
    directory = make_finished_run(runs, spec)
    results = read_results(directory.results)
    models = [msgspec.structs.replace(entry, label=f"{entry.label} {NAME}") for entry in results.models]
    graph = msgspec.structs.replace(results.graph, source=f"kg {NAME}.csv")
    write_results(directory, msgspec.structs.replace(results, method=NAME, models=models, graph=graph))
    lines = directory.events.read_text().replace('"method":"flykd"', f'"method":{msgspec.json.encode(NAME).decode()}')
    directory.events.write_text(lines)
    return directory


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return int(left.value.code or 0)


@pytest.mark.parametrize(
    "command",
    [
        ("runs",),
        ("runs", "--json"),
        ("runs", "show", "RUN"),
        ("compare", "RUN"),
        ("compare", "RUN", "--csv"),
        ("compare", "RUN", "--markdown"),
        ("watch", "RUN", "--plain"),
    ],
)
def test_a_command_prints_names_as_text(
    command: tuple[str, ...], strange: RunDirectory, capfd: pytest.CaptureFixture[str]
) -> None:
    assert call(*(strange.name if word == "RUN" else word for word in command)) == 0
    out, err = capfd.readouterr()
    assert not _OBEYED.search(out + err)
    assert "[/nope]" in out


def test_a_bundle_with_strange_names_is_exported_and_scored(
    strange: RunDirectory, capfd: pytest.CaptureFixture[str]
) -> None:
    assert call("export", strange.name) == 0
    assert call("score", strange.name, "--tail", "T0003", "--top", "30") == 0
    assert call("score", strange.name, "--tail", "T0003", "--json") == 0
    assert call("score", strange.name, "--tail", f"nobody {NAME}") == 2
    out, err = capfd.readouterr()
    assert not _OBEYED.search(out + err)
    assert SHOWN in out
    assert not _OBEYED.search((strange.export / "README.md").read_text())


def test_no_cell_of_scores_is_a_formula(strange: RunDirectory, capfd: pytest.CaptureFixture[str]) -> None:
    assert call("export", strange.name) == 0
    capfd.readouterr()
    assert call("score", strange.name, "--tail", "T0003", "--csv", "--top", "30") == 0
    names = pl.read_csv(capfd.readouterr().out.encode())["name"]
    assert f"'={SHOWN}" in names.to_list()
    assert not any(name.startswith(("=", "+", "-", "@")) for name in names)


def test_a_report_holds_names_as_text(strange: RunDirectory, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    assert call("report", strange.name, "--out", str(out)) == 0
    assert not _OBEYED.search(out.read_text())


def test_one_runs_damaged_log_breaks_no_list(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = write_run(runs, LogSpec(state="finished"))
    damaged = make_finished_run(runs)
    damaged.events.write_bytes(b"[" * 100_000 + b"\n" + damaged.events.read_bytes() + b"[" * 100_000 + b"\n")
    assert call("runs") == 0
    assert call("runs", "show", damaged.name) == 0
    assert call("watch", damaged.name, "--plain") == 0
    assert whole.name in capsys.readouterr().out


def test_a_newer_log_is_one_line_in_every_command(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = make_finished_run(runs)
    directory.events.write_bytes(directory.events.read_bytes().replace(b'"v":1', b'"v":9'))
    for command in (("watch", directory.name, "--plain"), ("runs", "pause", directory.name)):
        assert call(*command) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert "Traceback" not in err
    assert call("runs") == 0
    assert "unreadable" in capsys.readouterr().out


def test_a_folder_elsewhere_that_holds_more_than_a_run_is_not_removed(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "home"
    elsewhere.mkdir()
    for name in ("profile.toml", "events.jsonl", "thesis.tex"):
        (elsewhere / name).write_text("")
    assert call("runs", "rm", "--yes", str(elsewhere)) == 2
    assert "'thesis.tex', which no run wrote" in capsys.readouterr().err
    assert (elsewhere / "thesis.tex").exists()
