"""The page of runs that tell classes: its figures are those of the comparison, and it needs no network."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from flykd_console.compare.samples import compare_classes
from flykd_console.report.class_answers import between, confusion, read_answers, reliability
from flykd_console.report.class_curves import read_class_curves
from flykd_console.report.classes import page_of_classes
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import StageStarted
from flykd_console.runs.log import EventWriter
from flykd_console.runs.results import read_results
from flykd_console.runs.stage import Phase
from tests.end_to_end.test_class_bundles import of_nodes, run_command
from tests.support.tiny_cohort import MEMBERS
from tests.support.tiny_run import events_of


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return of_nodes(tmp_path_factory.mktemp("report"), members=MEMBERS)


def test_the_page_has_every_model_its_rival_and_no_network(run: RunDirectory) -> None:
    comparison = compare_classes([run], resamples=200)
    page = page_of_classes(comparison, [run])
    for row in comparison.rows:
        assert f"{100 * row.metrics['accuracy'].mean:.2f} ± " in page
        if row.gain is not None:
            assert f">{row.gain.over}<" in page
    for title in ("Gain of each model", "Validation accuracy", "Agreement", "Calibration", "Which class is told"):
        assert title in page
    assert not re.search(r'(src|href)="(?!#)', page)
    assert "url(http" not in page
    assert page.count("<svg") >= 6


def test_its_numbers_follow_from_the_stored_answers(run: RunDirectory) -> None:
    results, answers = read_results(run.results), read_answers(run, [0, 1])
    for name in MEMBERS:
        table = confusion(answers, name)
        right = np.mean([results.seeds[seed][name].test.metrics["accuracy"] for seed in ("0", "1")])
        assert np.trace(table) / table.sum() == pytest.approx(right)
        confidence, share, count = reliability({0: answers[0]}, name)
        ece = float((np.abs(confidence - share) * count).sum() / count.sum())
        assert ece == pytest.approx(results.seeds["0"][name].test.metrics["ece"], abs=1e-6)
    apart = [between({0: answers[0]}, a, b) for a, b in (("gcn", "gat"), ("gcn", "sage"), ("gat", "sage"))]
    of_ensemble = results.seeds["0"]["ensemble"].test.metrics
    assert np.mean([one[0] for one in apart]) == pytest.approx(of_ensemble["disagreement"])
    assert np.mean([one[1] for one in apart]) == pytest.approx(of_ensemble["cka"], abs=1e-4)


def test_curves_are_of_every_model_and_a_resumed_stage_cuts_its_own_alone(run: RunDirectory, tmp_path: Path) -> None:
    curves = read_class_curves(run)
    for name in (*MEMBERS, "ensemble", "alone-gcn"):
        assert [epoch for epoch, _ in curves.validation[0, name]] == [1, 2, 3, 4, 5, 6]
    assert len(curves.agreement[1]) == 6
    assert {loss for _, loss in curves.losses} == {*MEMBERS, "total"}
    copy = RunDirectory(tmp_path / run.name)
    copy.path.mkdir()
    copy.events.write_bytes(run.events.read_bytes())
    started = next(e for e in events_of(run) if isinstance(e, StageStarted) and e.stage == "cohort" and e.seed == 0)
    assert started.phase is Phase.DISTILL
    import msgspec

    log = EventWriter(copy.events, cut=False)
    log.write(msgspec.structs.replace(started, first_epoch=2))
    log.close()
    cut = read_class_curves(copy)
    assert [epoch for epoch, _ in cut.validation[0, "gcn"]] == [1, 2]
    assert len(cut.validation[0, "alone-gcn"]) == 6
    assert len(cut.validation[1, "gcn"]) == 6


def test_several_runs_are_on_one_page_from_the_command_line(
    run: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "page.html"
    assert run_command(["report", str(run.path), "--resamples", "100", "--out", str(out)]) == 0
    assert "Wrote" in capsys.readouterr().out
    assert out.read_text().startswith("\n<!doctype html>") or "<!doctype html>" in out.read_text()[:200]
    assert run_command(["report", str(run.path), "--anyway", "--out", str(out)]) == 2
    assert "these runs tell classes" in capsys.readouterr().err
