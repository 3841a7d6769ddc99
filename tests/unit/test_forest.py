"""Forest plots: what is drawn of a gain, where, and what is said of it."""

from __future__ import annotations

import pytest

from flykd_console.compare.forest import Forest, ForestRow, verdict
from flykd_console.dashboard.forest_text import forest_text
from flykd_console.dashboard.palette import look


def forest(*, paper: float | None = None) -> Forest:
    rows = (
        ForestRow("45", 2.0, (1.0, 3.0)),
        ForestRow("46", -1.0, None),
        ForestRow("mean", 0.5, (-2.0, 3.0), mean=True),
    )
    return Forest("student over baseline, AUPRC", rows, paper, verdict(0.5, (-2.0, 3.0)))


def test_marks_stand_in_the_order_of_their_values() -> None:
    lines = forest_text(forest(paper=2.5), look(True), 80).plain.split("\n")
    assert lines[0] == "student over baseline, AUPRC"
    first, second, mean, paper, said = lines[1:]
    zero = second.index("│")
    assert second.index("●") < zero < first.index("├") < first.index("●") < first.index("┤")
    assert mean.index("┣") < second.index("●") < mean.index("◆")
    assert mean.index("┫") == first.index("┤")
    assert mean.index("╋") == zero
    assert first.index("●") < paper.index("○") < first.index("┤")
    assert first.endswith("+2.00")
    assert paper.endswith("+2.50")
    assert said.strip() == "+0.50 [−2.00, +3.00]: not told from zero"
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize("width", [31, 40, 60, 200])
def test_every_line_fits(width: int) -> None:
    text = forest_text(forest(paper=9.0), look(False), width).plain
    assert text
    assert all(len(line) <= width for line in text.split("\n"))


def test_without_room_there_is_no_plot() -> None:
    assert forest_text(forest(), look(True), 30).plain == ""


def test_only_an_interval_without_zero_is_a_verdict() -> None:
    assert verdict(1.5, (0.5, 2.5)) == "+1.50 [+0.50, +2.50]: above zero"
    assert verdict(-1.5, (-2.5, -0.5)) == "−1.50 [−2.50, −0.50]: below zero"
    assert verdict(1.5, (0.0, 3.0)).endswith("not told from zero")
    assert verdict(1.5, None).endswith("one seed has no interval")


def test_equal_values_have_a_scale() -> None:
    rows = (ForestRow("45", 0.0, None), ForestRow("mean", 0.0, (0.0, 0.0), mean=True))
    text = forest_text(Forest("x over y, AP", rows, None, verdict(0.0, (0.0, 0.0))), look(True), 60).plain
    assert "●" in text
    assert "◆" in text
