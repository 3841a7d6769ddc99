"""Means, deviations, gains and `results.json`."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flykd_console.cli.tables import relations_table, results_table
from flykd_console.errors import UserError
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import RelationScore
from flykd_console.runs.models import ModelEntry, Role
from flykd_console.runs.results import (
    GraphSource,
    ModelResult,
    Results,
    Scores,
    build_results,
    gain,
    read_results,
    spread,
    summarise,
    write_results,
)

# The paper's first table: Baseline 130 and Baseline 80, seeds 45 to 49, in per cent.
TEACHER = (80.33, 73.66, 76.29, 84.19, 79.91)
BASELINE = (78.64, 71.97, 74.44, 82.74, 77.87)
STUDENT = ModelEntry(name="student", role=Role.STUDENT, label="flykd", dim=80, over="baseline")
ENTRIES = [
    ModelEntry(name="teacher", role=Role.TEACHER, label="teacher", dim=130),
    ModelEntry(name="baseline", role=Role.BASELINE, label="baseline", dim=80),
    STUDENT,
]


def model(auprc: float, dim: int = 80, **relations: float) -> ModelResult:
    scores = {
        name: RelationScore(auprc=value, auroc=value, positives=9, negatives=9) for name, value in relations.items()
    }
    metrics = {"macro_auprc": auprc, "macro_auroc": auprc}
    test = Scores(macro_auprc=auprc, macro_auroc=auprc, relations=scores, metrics=metrics)
    return ModelResult(dim=dim, parameters=652_000, epochs=2000, seconds=61.2, test=test)


def results(*gains: float) -> Results:
    seeds = {
        45 + i: {"teacher": model(t / 100, 130), "baseline": model(b / 100), "student": model((b + g) / 100)}
        for i, (t, b, g) in enumerate(zip(TEACHER, BASELINE, gains, strict=False))
    }
    return build_results("flykd-1", "flykd", GraphSource(source="embedded", fingerprint="ab"), seeds, ENTRIES)


def test_means_and_deviations_are_those_the_paper_prints() -> None:
    summary = results(1, 1, 1, 1, 1).summary
    for name, mean, std in (("teacher", 78.87, 4.04), ("baseline", 77.13, 4.13)):
        found = summary[name].macro_auprc
        assert found is not None
        assert found.std is not None
        assert 100 * found.mean == pytest.approx(mean, abs=0.0065)
        assert 100 * found.std == pytest.approx(std, abs=0.005)
        assert found.n == 5


def test_gain_is_taken_per_seed_in_points_and_in_per_cent_of_that_seeds_baseline() -> None:
    student = results(1.0, 2.0).summary["student"]
    assert student.gain_points is not None
    assert student.gain_percent is not None
    assert student.gain_points.mean == pytest.approx(1.5)
    assert student.gain_points.std == pytest.approx(math.sqrt(0.5))
    assert student.gain_percent.mean == pytest.approx((100 / 78.64 + 200 / 71.97) / 2)


def test_gain_belongs_to_the_student_alone() -> None:
    summary = results(1.0, 2.0).summary
    assert summary["teacher"].gain_points is None
    assert summary["baseline"].gain_percent is None


def test_a_gain_is_over_the_model_that_the_entry_names_and_of_any_metric() -> None:
    wide = ModelEntry(name="wide", role=Role.CANDIDATE, label="wide", dim=130, over="teacher")
    seeds = {"45": {"teacher": model(0.8), "baseline": model(0.7), "student": model(0.75), "wide": model(0.9)}}
    summary = summarise(seeds, [*ENTRIES, wide])
    assert list(summary) == ["teacher", "baseline", "student", "wide"]
    for metric in ("macro_auprc", "macro_auroc"):
        assert summary["wide"].gains[metric].mean == pytest.approx(10.0)
        assert summary["student"].gains[metric].mean == pytest.approx(5.0)
    assert gain(seeds["45"], wide, "macro_mrr") is None


def test_one_seed_has_a_mean_and_no_deviation(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    write_results(directory, results(1.0))
    student = json.loads(directory.results.read_text())["summary"]["student"]
    assert student["gain_points"] == {"mean": pytest.approx(1.0), "std": None, "n": 1}


def test_seeds_without_a_baseline_have_no_gain_and_do_not_spoil_the_others() -> None:
    seeds = {
        "45": {"baseline": model(0.5), "student": model(0.6)},
        "46": {"student": model(0.9)},
        "47": {"teacher": model(0.8)},
    }
    summary = summarise(seeds, ENTRIES)
    assert summary["student"].gain_points == spread([100 * (0.6 - 0.5)])
    assert summary["student"].macro_auprc == spread([0.6, 0.9])


@pytest.mark.parametrize("baseline", [0.0, math.nan, None])
def test_no_gain_over_a_baseline_that_says_nothing(baseline: float | None) -> None:
    test = Scores(macro_auprc=baseline, metrics={} if baseline is None else {"macro_auprc": baseline})
    empty = ModelResult(dim=80, parameters=1, epochs=1, seconds=1.0, test=test)
    assert gain({"baseline": empty, "student": model(0.5)}, STUDENT) is None


def test_relations_are_averaged_over_the_seeds_that_have_them() -> None:
    seeds = {"45": {"student": model(0.5, a=0.4, b=0.6)}, "46": {"student": model(0.7, a=0.6)}}
    summary = summarise(seeds, ENTRIES)
    assert summary["student"].relations["a"]["auprc"] == spread([0.4, 0.6])
    assert summary["student"].relations["b"]["auprc"].n == 1


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_spread_is_the_textbooks(values: list[float]) -> None:
    found = spread(values)
    assert found is not None
    assert found.std is not None
    mean = sum(values) / len(values)
    assert found.mean == pytest.approx(mean, abs=1e-12)
    assert found.std == pytest.approx(math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1)), abs=1e-9)


def test_written_results_read_back_equal(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    whole = results(1.0, 1.2, 0.8)
    write_results(directory, whole)
    assert read_results(directory.results) == whole


def test_seeds_are_in_ascending_order_whatever_order_they_finished_in() -> None:
    graph = GraphSource(source="embedded")
    assert list(build_results("r", "flykd", graph, {100: {}, 46: {}, 9: {}}, ENTRIES).seeds) == ["9", "46", "100"]


def test_scores_that_are_not_finite_are_left_out_of_the_file(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    broken = model(math.nan, a=math.nan, b=0.5)
    write_results(directory, build_results("r", "flykd", GraphSource(source="x"), {45: {"student": broken}}, ENTRIES))
    read = read_results(directory.results)
    assert read.seeds["45"]["student"].test.macro_auprc is None
    assert list(read.seeds["45"]["student"].test.relations) == ["b"]
    assert read.seeds["45"]["student"].test.metrics == {}
    assert read.summary["student"].macro_auprc is None


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = RunDirectory(tmp_path)
    write_results(directory, results(1.0))
    before = directory.results.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        write_results(directory, results(2.0))
    assert directory.results.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe\x00", b"[]", b'{"schema": 1}', b'{"schema": "one"}', b"null"])
def test_damaged_results_are_one_clear_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(data)
    with pytest.raises(UserError, match="damaged") as error:
        read_results(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_results_of_a_newer_program_are_refused_whatever_else_they_hold(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text('{"schema": 2, "all": "different"}')
    with pytest.raises(UserError, match="newer program"):
        read_results(path)


def test_missing_results_are_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_results(tmp_path / "results.json")


@pytest.mark.parametrize("width", [80, 120])
def test_tables_show_per_cents_and_fit_the_terminal(width: int) -> None:
    from io import StringIO

    from rich.console import Console

    seeds = {
        45 + i: {
            "teacher": model(t / 100, 130, contraindication=0.81, indication=0.79),
            "baseline": model(b / 100, 80, contraindication=0.8, indication=0.78),
            "student": model(b / 100 + 0.01, 80, contraindication=0.805, indication=0.785),
        }
        for i, (t, b) in enumerate(zip(TEACHER, BASELINE, strict=True))
    }
    whole = build_results("flykd-1", "flykd", GraphSource(source="embedded"), seeds, ENTRIES)
    out = StringIO()
    console = Console(file=out, width=width)
    console.print(results_table(whole))
    console.print(relations_table(whole))
    lines = out.getvalue().splitlines()
    rows = {line.split()[0]: line for line in reversed(lines) if line.startswith(("teacher ", "baseline ", "flykd 80"))}
    assert "78.88 ± 4.04" in rows["teacher"]
    assert "78.64" in rows["baseline"]
    assert "77.13 ± 4.13" in rows["baseline"]
    assert "+1.00 ± 0.00" in rows["flykd"]
    assert any("80.50 ± 0.00" in line for line in lines if line.startswith("flykd"))
    assert max(map(len, lines)) <= width


def test_the_table_of_many_students_cuts_no_figure_off() -> None:
    from io import StringIO

    from rich.console import Console

    further = [
        ModelEntry(name=name, role=Role.CANDIDATE, label=name, dim=16, over="baseline")
        for name in ("one", "two", "three")
    ]
    entries = [*ENTRIES, *further]
    seeds = {seed: {entry.name: model(0.5 + seed / 1000) for entry in entries} for seed in (45, 46)}
    out = StringIO()
    whole = build_results("r", "flykd", GraphSource(source="embedded"), seeds, entries)
    Console(file=out, width=100).print(results_table(whole))
    assert "…" not in out.getvalue()
    row = next(line for line in out.getvalue().splitlines() if line.startswith("three"))
    assert row.split() == ["three", "16", "54.50", "54.60", "54.55", "±", "0.07", "+0.00", "±", "0.00"]


def test_the_table_of_an_unfinished_seed_shows_dashes_not_zeros() -> None:
    from io import StringIO

    from rich.console import Console

    out = StringIO()
    whole = {"teacher": model(0.8, 130), "baseline": model(0.7, 80), "student": model(0.75, 80)}
    seeds = {45: {"teacher": model(0.8, 130)}, 46: whole}
    unfinished = build_results("r", "flykd", GraphSource(source="embedded"), seeds, ENTRIES)
    Console(file=out, width=80).print(results_table(unfinished))
    rows = {line.split()[0]: line.split() for line in out.getvalue().splitlines() if line.strip()}
    assert rows["teacher"][2:4] == ["80.00", "80.00"]
    assert rows["baseline"][2:4] == ["–", "70.00"]
