"""`flykd-console report`: one HTML file that stands alone, says what the runs found, and opens in a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from flykd_console.report.curves import read_curves, thinned
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import Epoch, Evaluation, StageFinished, StageStarted
from flykd_console.runs.log import EventWriter
from flykd_console.runs.models import ModelEntry, Role
from flykd_console.runs.stage import Phase
from tests.support.comparable_runs import comparable_run, edit_environment, rescore, take_rival
from tests.support.finished_run import forget_models
from tests.unit.test_cli_app import call

WORDS = {"original": ("original", "orig"), "pseudo_train": ("pseudo on train", "train"), "lsp": ("LSP", "lsp")}
VOID = {"meta", "br", "use"}


class Document(HTMLParser):
    """Parses strictly enough to find a tag that is never closed, and what the page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    def _note(self, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src", "xlink:href", "action", "data"):
                self.links.append(value or "")


def parsed(path: Path) -> Document:
    document = Document()
    document.feed(path.read_text(encoding="utf-8"))
    document.close()
    assert document.open == []
    return document


def log_training(
    run: RunDirectory, seeds: tuple[int, ...] = (45, 46, 47), epochs: int = 600, structure: bool = False
) -> None:
    """Append a student's training to a run's log: weights, two losses (and one of structure), validations."""
    log = EventWriter(run.events)
    for seed in seeds:
        schedule = {"original": [(0.0, 1.0), (600.0, 0.1)], "pseudo_train": [(0.0, 0.0), (600.0, 0.9)]}
        log.write(
            StageStarted(
                seed=seed, stage="student", phase=Phase.DISTILL, models=["student"], epochs=epochs, dim=8, parameters=9,
                schedule=schedule, loss_words=WORDS,
            )
        )  # fmt: skip
        for epoch in range(1, epochs + 1):
            losses = {"original": 1 / epoch, "pseudo_train": None if epoch < 100 else 0.5}
            losses |= {"lsp": 1e-3 / epoch} if structure else {}
            losses["total"] = 0.9 / epoch
            log.write(
                Epoch(seed=seed, stage="student", epoch=epoch, epochs=epochs, losses=losses, lr=1e-3, seconds=0.1)
            )
        for epoch in (200, 400, 600):
            log.write(
                Evaluation(
                    seed=seed, stage="student", model="student", epoch=epoch, split="validation",
                    metrics={"macro_auprc": 0.5 + epoch / 2000, "macro_auroc": 0.5},
                    macro_auprc=0.5 + epoch / 2000, macro_auroc=0.5,
                )
            )  # fmt: skip
    log.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    for name, method, student in (("flykd-1", "flykd", 1.5), ("plain-1", "a <b> & c", 0.5)):
        log_training(comparable_run(root, name, method, student=student, pairs=30))
    return root


@pytest.fixture
def two(made: Path, runs: Path) -> list[RunDirectory]:
    shutil.copytree(made, runs)
    return [RunDirectory(runs / "flykd-1"), RunDirectory(runs / "plain-1")]


def report(*arguments: str) -> None:
    assert call("report", *arguments, "--resamples", "100") == 0


def test_the_page_is_whole_and_needs_nothing_from_outside(two: list[RunDirectory], tmp_path: Path) -> None:
    report("flykd-1", "plain-1", "--out", "out.html")
    page = (tmp_path / "out.html").read_text()
    document = parsed(tmp_path / "out.html")
    assert len(document.ids) == len(set(document.ids))
    # Links lead to places of the page itself, and all of them are there.
    assert document.links
    assert {link[0] for link in document.links} == {"#"}
    assert {link[1:] for link in document.links} <= set(document.ids)
    assert set(re.findall(r"url\(([^)]*)\)", page)) <= {f"#{name}" for name in document.ids}
    without_names = re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    assert not re.search(r"(https?:)?//\w|@import|<script|<link", without_names)


def test_figures_take_their_colours_and_letters_from_the_page(two: list[RunDirectory], tmp_path: Path) -> None:
    report("flykd-1", "--out", "out.html")
    page = (tmp_path / "out.html").read_text()
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawings) == 6
    used = set(re.findall(r"var\(--([\w-]+)\)", page))
    assert used <= set(re.findall(r"--([\w-]+):", page))
    for drawing in drawings:
        assert not re.search(r"#[0-9a-f]{6}", drawing)
        assert "<text" in drawing
        assert "DejaVu" not in drawing


def test_what_was_found_is_said_first(two: list[RunDirectory], tmp_path: Path) -> None:
    report("flykd-1", "plain-1", "--out", "out.html")
    text = " ".join(parsed(tmp_path / "out.html").text)
    assert "The best of 2 methods, flykd, scores " in text
    assert "95 % intervals of the gain: " in text
    assert "flattering" not in text
    assert "picked here on the test scores themselves" in text
    assert (
        text.index("The best of 2") < text.index("Gain over the same seed's baseline") < text.index("Provenance", 2000)
    )


def test_gains_over_several_rivals_are_told_apart_and_no_best_is_picked_by_them(
    two: list[RunDirectory], tmp_path: Path
) -> None:
    take_rival(two[0], "student", "teacher")
    for run in two:
        for seed in (45, 46, 47):
            rescore(run, seed, "teacher", lambda label: label + 0.01 * np.arange(len(label)) / len(label))
    report("flykd-1", "plain-1", "--out", "out.html")
    text = " ".join(parsed(tmp_path / "out.html").text)
    assert "Gain over the same seed's baseline or teacher 12" in text
    # Its gain over the teacher is a loss, but none of the others has met that teacher.
    assert re.search(r"The best of 2 methods, flykd, scores [\d.]+ % test AUPRC, [\d.]+ points below teacher 12", text)


def test_the_page_has_every_part(two: list[RunDirectory], tmp_path: Path) -> None:
    edit_environment(two[0], command=["flykd-console", "run", "flykd"], device="cpu", libraries={"torch": "9.9"})
    report("flykd-1", "--out", "out.html")
    text = " ".join(parsed(tmp_path / "out.html").text)
    for words in (
        "Gain over the same seed's baseline", "What the gain over the same seed's baseline is worth",
        "Test AUPRC, per cent", "Validation while training",
        "Weights of the losses", "Losses of the students", "Precision and recall", "Calibration",
        "It is not the chance that a drug treats a disease", "flykd-console run flykd", "torch 9.9", "9f8c" * 16,
        "split of seed 45", 'kind = "complex_disease"',
    ):  # fmt: skip
        assert words in text, words


def test_losses_beside_the_curriculum_have_a_figure_of_their_own(two: list[RunDirectory], tmp_path: Path) -> None:
    report("flykd-1", "--out", "out.html")
    assert "Structure losses" not in (tmp_path / "out.html").read_text()
    log_training(two[0], structure=True)
    report("flykd-1", "--out", "out.html")
    text = " ".join(parsed(tmp_path / "out.html").text)
    _, of_labels, of_structure = re.split(r"Weights of the losses|Structure losses of the students", text)
    assert "pseudo on train" in of_labels
    assert "LSP" not in of_labels
    assert "LSP" in of_structure.partition("Precision and recall")[0]


def test_students_are_told_by_their_role_and_not_by_their_name(two: list[RunDirectory]) -> None:
    from flykd_console.compare.loading import load_run
    from flykd_console.compare.models import contenders_of
    from flykd_console.report.figures import looks, loss_looks

    run = load_run(two[0])
    contenders = contenders_of([run], run.seeds)
    assert [one.model for one in contenders if one.entry.distilled] == ["student"]
    assert len({style.colour for style in looks(contenders).values()}) == 3
    found = loss_looks(contenders, {run.name: read_curves(two[0])})
    assert [look.words for look in found.values()] == ["original", "pseudo on train", "total"]
    assert [look.weighed for look in found.values()] == [True, True, False]


def test_students_without_a_baseline_have_scores_and_no_gain(two: list[RunDirectory], tmp_path: Path) -> None:
    forget_models(two[0], "baseline")
    report("flykd-1", "--out", "out.html")
    text = " ".join(parsed(tmp_path / "out.html").text)
    assert "No baseline was trained, so no gain is told. Test AUPRC in per cent: teacher 12 " in text
    assert "Gain over the same seed's baseline" not in text
    assert "Losses of the students" in text


def test_every_student_of_a_run_is_reported_by_its_role(runs: Path, tmp_path: Path) -> None:
    tiny = ModelEntry(name="tiny", role=Role.CANDIDATE, label="tiny", dim=4, over="baseline")
    comparable_run(runs, "flykd-1", student=1.5, pairs=30, further=(tiny,))
    report("flykd-1", "--out", "out.html")
    text = " ".join(parsed(tmp_path / "out.html").text)
    assert "The best of 2 methods, flykd, scores " in text
    assert "tiny" in text


def test_names_are_text_and_never_markup(two: list[RunDirectory], tmp_path: Path) -> None:
    report("plain-1", "--out", "out.html")
    page = (tmp_path / "out.html").read_text()
    assert "a <b> & c" not in page
    assert "a &lt;b&gt; &amp; c" in page
    parsed(tmp_path / "out.html")


def test_runs_that_are_not_comparable_are_marked(two: list[RunDirectory], tmp_path: Path) -> None:
    edit_environment(two[1], splits={"45": "f" * 64})
    assert call("report", "flykd-1", "plain-1", "--out", "out.html") == 2
    report("flykd-1", "plain-1", "--out", "out.html", "--anyway")
    text = " ".join(parsed(tmp_path / "out.html").text)
    assert text.count("its runs must not be compared with those of the others") == 2


def test_a_report_of_one_run_lies_in_it(two: list[RunDirectory], capsys: pytest.CaptureFixture[str]) -> None:
    report("flykd-1")
    assert (two[0].path / "report.html").is_file()
    assert capsys.readouterr().out.startswith(f"Wrote {two[0].path / 'report.html'}")


def test_a_report_of_several_runs_lies_beside_them_and_not_in_the_current_folder(
    two: list[RunDirectory], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report("flykd-1", "plain-1")
    place = two[0].path.parent / "report.html"
    assert place.is_file()
    assert capsys.readouterr().out.startswith(f"Wrote {place} ")
    assert not (tmp_path / "report.html").exists()


def test_without_a_name_the_newest_finished_run_is_reported(
    two: list[RunDirectory], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flykd_console.runs.find._is_finished", lambda run: run.path == two[0].path)
    report()
    assert (two[0].path / "report.html").is_file()


def test_a_report_that_fails_leaves_the_old_one(two: list[RunDirectory], tmp_path: Path) -> None:
    (tmp_path / "out.html").write_text("old")
    two[0].test_scores(45).write_bytes(b"no parquet")
    assert call("report", "flykd-1", "--out", "out.html") == 2
    assert (tmp_path / "out.html").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir() if path.name != "runs"] == ["out.html"]


def test_a_run_whose_log_is_gone_still_has_its_scores(two: list[RunDirectory], tmp_path: Path) -> None:
    two[0].events.unlink()
    report("flykd-1", "--out", "out.html")
    assert "The event logs hold no curves." in " ".join(parsed(tmp_path / "out.html").text)


# Curves


def test_a_curve_is_thinned_to_means_and_gaps_stay_gaps() -> None:
    x, y = thinned(((i, float(i) if i >= 500 else np.nan) for i in range(1000)), limit=100)
    assert len(x) == 100
    assert np.isnan(y[:50]).all()
    assert y[50] == pytest.approx(504.5)
    assert x[50] == pytest.approx(504.5)
    assert thinned([(1.0, 2.0)])[1].tolist() == [2.0]


def test_epochs_that_are_trained_again_count_once(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    log = EventWriter(run.events)

    def epochs(first: int, last: int, value: float) -> None:
        log.write(StageStarted(seed=1, stage="student", epochs=6, first_epoch=first, dim=8, parameters=9))
        for epoch in range(first + 1, last + 1):
            losses: dict[str, float | None] = {"total": value}
            log.write(Epoch(seed=1, stage="student", epoch=epoch, epochs=6, losses=losses, lr=1e-3, seconds=0.1))

    epochs(0, 4, 1.0)
    epochs(2, 6, 2.0)
    log.close()
    assert read_curves(run)[(1, "student")].losses["total"] == [(1, 1.0), (2, 1.0), (3, 2), (4, 2), (5, 2), (6, 2)]


def test_curves_of_a_stage_taken_over_come_from_the_run_that_trained_it(two: list[RunDirectory]) -> None:
    log = EventWriter(two[1].events)
    log.write(StageFinished(seed=99, stage="student", epochs=600, seconds=1.0, reused_from="flykd-1"))
    log.close()
    log_training(two[0], seeds=(99,))
    assert len(read_curves(two[1])[(99, "student")].validation) == 3


# A real browser


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
@pytest.mark.timeout(100)
def test_a_browser_opens_it_without_a_word_of_complaint(two: list[RunDirectory], tmp_path: Path) -> None:
    report("flykd-1", "plain-1", "--out", "out.html")
    done = subprocess.run(
        [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={tmp_path / 'browser'}", "--enable-logging=stderr", "--window-size=400,800",
            "--dump-dom", (tmp_path / "out.html").as_uri(),
        ],
        capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    assert "The best of 2 methods" in done.stdout
    assert done.stdout.count("<svg") == 6
    assert "CONSOLE" not in done.stderr
