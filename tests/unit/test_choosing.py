"""Which candidate is taken, the Pareto front, and the reasons; and the file that says what there is to choose from."""

from __future__ import annotations

from pathlib import Path

import pytest

from flykd_console.cli.scatter import scatter
from flykd_console.errors import UserError
from flykd_console.selection.choose import Candidate, Verdict, verdicts
from flykd_console.selection.measure import Cost
from flykd_console.selection.order import Choose, read_order


def candidate(label: str, quality: float, p50: float, size: int) -> Candidate:
    return Candidate(label, quality, Cost(Path(label), size, p50, 2 * p50, 100))


SMALL = candidate("small", 0.60, 0.2, 100)
MIDDLE = candidate("middle", 0.695, 0.3, 200)
LARGE = candidate("large", 0.70, 0.5, 400)
SLOW = candidate("slow", 0.69, 0.9, 500)
FAILED = Candidate("failed", None, None, "seed 45: the loss is NaN")
ALL = [SMALL, MIDDLE, LARGE, SLOW, FAILED]


def judged(ceiling: float | None, **rule: float) -> dict[str, Verdict]:
    found = verdicts(ALL, ceiling, Choose.model_validate(rule))
    return {verdict.candidate.label: verdict for verdict in found}


def chosen(found: dict[str, Verdict]) -> list[str]:
    return [label for label, verdict in found.items() if verdict.chosen]


def test_within_a_loss_the_smallest_is_taken_and_every_other_has_its_reason() -> None:
    found = judged(0.71, max_loss=2.5)
    assert chosen(found) == ["middle"]
    assert found["middle"].why == "the smallest within 2.5 points of the ceiling"
    assert found["small"].why == "11.00 points below the ceiling, more than 2.5"
    assert found["large"].why == "larger than middle by 200 bytes"
    assert found["failed"].why == "failed: seed 45: the loss is NaN"


def test_without_a_loss_the_best_that_keeps_to_the_limits_is_taken() -> None:
    assert chosen(judged(0.71, max_bytes=450)) == ["large"]
    assert chosen(judged(0.71, max_latency_ms=0.7, percentile=99)) == ["middle"]
    found = judged(0.71, max_latency_ms=0.7, percentile=50)
    assert chosen(found) == ["large"]
    assert found["slow"].why == "p50 of 0.90 ms, more than 0.7"
    assert found["middle"].why == "0.50 points below large"


def test_where_nothing_keeps_to_the_limits_nothing_is_taken() -> None:
    found = judged(0.99, max_loss=0.1)
    assert chosen(found) == []
    assert all("below the ceiling" in found[one.label].why for one in (SMALL, MIDDLE, LARGE, SLOW))


def test_without_teachers_the_best_candidate_is_the_ceiling() -> None:
    assert chosen(judged(None, max_loss=0.6)) == ["middle"]


def test_the_front_has_whom_no_other_beats_in_everything() -> None:
    found = judged(0.71, max_loss=1.0)
    assert [label for label, verdict in found.items() if verdict.front] == ["small", "middle", "large"]


def write(folder: Path, text: str) -> Path:
    path = folder / "select.toml"
    path.write_text(text)
    return path


def test_an_order_is_spread_out_over_its_grids_and_candidates_by_hand(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('extends = "flykd"\n')
    found = read_order(
        write(
            tmp_path,
            'profile = "mine.toml"\nmetric = "macro_ap"\nset = { "finetune.epochs" = 3 }\n'
            '[teachers]\n"teacher.dim" = [8, 16]\n[candidates]\n"student.dim" = [4, 8]\n"student.kind" = ["rgcn"]\n'
            '[[candidate]]\nname = "table"\nprofile = "best"\nset = { "student.dim" = 6 }\n[choose]\nmax_loss = 1.0\n',
        )
    )
    assert [one.label for one in found.teachers] == ["dim=8", "dim=16"]
    assert [one.label for one in found.candidates] == ["dim=4 kind=rgcn", "dim=8 kind=rgcn", "table"]
    last = found.candidates[-1]
    assert last.profile == "best"
    assert found.candidates[0].profile == str(tmp_path / "mine.toml")
    assert {one.key: one.value for one in last.settings} == {
        "finetune.epochs": 3, "evaluation.headline": "macro_ap", "student.dim": 6
    }  # fmt: skip


CHOOSE = "[choose]\nmax_loss = 1.0\n"
GRID = '[candidates]\n"student.dim" = [8]\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GRID, "choose: is needed"),
        (CHOOSE, "there is no candidate"),
        (GRID + "[choose]\n", "needs max_loss, max_latency_ms or max_bytes"),
        (GRID + "[choose]\nmax_los = 1\n", "choose.max_los: unknown key. Known here: max_loss"),
        ('profil = "x"\n' + GRID + CHOOSE, "profil: unknown key"),
        ('profile = "nowhere"\n' + GRID + CHOOSE, "profile = 'nowhere': there is no such profile"),
        ("seeds = [1, 1]\n" + GRID + CHOOSE, "a seed is named twice"),
        ('metric = "macro"\n' + GRID + CHOOSE, "metric: "),
        ('[candidates]\n"student.dim" = []\n' + CHOOSE, "candidates.student.dim"),
        ("no toml", "not valid TOML"),
    ],
)
def test_a_bad_order_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        read_order(write(tmp_path, text))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_scatter_shows_every_mark_with_small_left_and_good_up() -> None:
    points = [("1", 10.0, 1.0, True), ("2", 1000.0, 5.0, False)]
    lines = scatter(points, x_label="bytes", y_label="AP").plain.splitlines()
    places = {mark: (row, column) for mark in "12" for row, column in _places(lines, mark)}
    assert places["2"][0] < places["1"][0]
    assert places["2"][1] > places["1"][1]
    assert "AP" in lines[0]


def _places(lines: list[str], mark: str) -> list[tuple[int, int]]:
    """Rows and columns of a mark inside the axes."""
    inside = [(row, line[10:]) for row, line in enumerate(lines) if " │" in line]
    return [(row, text.index(mark)) for row, text in inside if mark in text]
