"""Charts as text: labels at the ends of curves, ticks that fit, what zooming and the reading line show."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from flykd_console.dashboard.canvas import Canvas, Floats, linear_ticks, tick_words
from flykd_console.dashboard.chart_spec import GUTTER, ChartSpec, Curve
from flykd_console.dashboard.drawing import draw
from flykd_console.dashboard.palette import look
from flykd_console.dashboard.scales import visible, y_axis_of
from flykd_console.words import loss, significant

LOOK = look(True)


def floats(*values: float) -> Floats:
    return np.array(values, dtype=np.float64)


def line(name: str, *y: float, x: Floats | None = None) -> Curve:
    return Curve(name, name, np.linspace(0, 100, len(y)) if x is None else x, floats(*y), "#ffffff")


def lines_of(spec: ChartSpec, width: int, height: int) -> list[str]:
    return ["".join(text for text, _ in row) for row in draw(spec, width, height, LOOK)]


def rows_of_labels(spec: ChartSpec, width: int, height: int) -> dict[str, int]:
    """The row of each curve's label in the margin right of the plot."""
    found = {}
    for number, text in enumerate(lines_of(spec, width, height)):
        for curve in spec.curves:
            if curve.name in text[-6:]:
                found[curve.name] = number
    return found


@pytest.mark.parametrize("height", range(5, 20))
def test_labels_at_the_ends_keep_the_order_of_the_curves(height: int) -> None:
    spec = ChartSpec(
        (line("orig", 1.0, 0.02), line("train", 0.0, 0.49), line("rand", 0.0, 0.485)),
        x_high=100, y_low=0.0, y_high=1.0,
    )  # fmt: skip
    found = rows_of_labels(spec, 60, height)
    rows = [found[name] for name in ("train", "rand", "orig") if name in found]
    assert rows == sorted(rows)
    assert len(rows) >= 2
    assert height < 7 or len(rows) == 3


def test_crowded_labels_are_left_out_before_they_name_another_curve() -> None:
    spec = ChartSpec(
        tuple(line(f"c{i}", 0.0, 0.5 - 0.001 * i) for i in range(9)), x_high=100, y_low=0.0, y_high=1.0
    )  # fmt: skip
    found = rows_of_labels(spec, 60, 24)
    rows = [found[f"c{i}"] for i in range(9) if f"c{i}" in found]
    assert rows == sorted(rows)
    assert 3 <= len(rows) <= 7
    assert rows[-1] - rows[0] <= 7


@pytest.mark.parametrize(
    ("ticks", "words"),
    [
        ([0.0, 5e-4, 1e-3, 1.5e-3, 2e-3], ["0", "5e-4", "10e-4", "15e-4", "20e-4"]),
        ([1e-5, 1e-4, 1e-3], ["1e-5", "1e-4", "1e-3"]),
        ([0.0, 0.0025, 0.005], ["0", "25e-4", "50e-4"]),
        ([0.0, 10_000.0, 20_000.0], ["0", "10000", "20000"]),
        ([0.0, 1e6, 2e6], ["0", "1e6", "2e6"]),
        ([0.98, 1.0], ["0.98", "1.00"]),
    ],
)
def test_ticks_fit_their_room_without_losing_the_exponent(ticks: list[float], words: list[str]) -> None:
    assert tick_words(ticks, GUTTER - 1) == words


@pytest.mark.parametrize("end", [1, 2, 3, 5, 7.5, 10, 24, 1500])
def test_epochs_are_whole(end: float) -> None:
    for count in (2, 4, 9):
        ticks = linear_ticks(0.0, end, count, whole=True)
        assert ticks
        assert all(tick == round(tick) for tick in ticks)
    bottom = lines_of(ChartSpec((line("a", 0.0, 1.0),), x_high=end), 90, 12)[-1]
    assert "." not in bottom


def test_zooming_fits_the_height_to_what_is_seen() -> None:
    x = np.arange(0.0, 101.0)
    curve = Curve("a", "a", x, np.where(x < 50, 100.0, 1.0 + x / 1000), "#fff", raw=np.where(x < 50, 120.0, 1.0))
    spec = ChartSpec((curve,), x_low=60.0, x_high=80.0, band=(x, curve.y - 5.0 * (x < 50), curve.y))
    axis, _ = y_axis_of(spec, [visible(curve, spec, 60)])
    assert axis.high < 1.2


def test_between_two_points_the_height_is_that_of_the_line() -> None:
    curve = line("a", 70.0, 80.0, x=floats(100.0, 120.0))
    spec = ChartSpec((curve,), x_low=105.0, x_high=115.0)
    axis, _ = y_axis_of(spec, [visible(curve, spec, 60)])
    assert 70.0 < axis.low < 73.0
    assert 77.0 < axis.high < 80.0
    assert any(0x2800 < ord(sign) < 0x2900 for sign in "".join(lines_of(spec, 60, 12)))


def test_reading_line_says_when_that_was_measured_which_it_reads() -> None:
    one, other = line("45", 70.0, 76.3, x=floats(80, 100)), line("46", 70.0, 71.5, x=floats(80, 100))
    spec = ChartSpec((one, other), x_high=200, cursor=112.0, per_cent=True, read="measured")
    assert lines_of(spec, 80, 14)[0].startswith("112, eval 100:")
    exact = ChartSpec((one, other), x_high=200, cursor=100.0, per_cent=True, read="measured")
    assert lines_of(exact, 80, 14)[0].startswith("100:")
    ragged = ChartSpec((one, line("46", 70.0, 71.5, x=floats(90, 110))), x_high=200, cursor=112.0, per_cent=True,
                       read="measured")  # fmt: skip
    legend = lines_of(ragged, 80, 14)[0]
    assert legend.startswith("112:")
    assert "76.30 at 100" in legend
    assert "71.50 at 110" in legend


def test_reading_line_reads_a_planned_line_as_it_is_drawn() -> None:
    spec = ChartSpec((line("weight", 1.0, 0.0),), x_high=100, cursor=25.0, read="line")
    assert "weight 0.750" in lines_of(spec, 60, 12)[0]


def test_small_values_are_not_said_to_be_nothing() -> None:
    rate = Curve("learning rate", "", floats(0, 100), floats(2e-3, 2e-3), "#fff", short="rate")
    for width in (21, 26, 40, 90):
        assert "0.002" in "".join(lines_of(ChartSpec((rate,), x_high=100, significant=3), width, 9))
    assert [significant(v) for v in (0.002, 5e-4, 2.34567e-5, 41.733, 0.0512, 1204.4)] == [
        "0.002", "0.0005", "2.35e-5", "41.7", "0.0512", "1\u202f204"
    ]  # fmt: skip
    assert loss(0.002, 2) == "2.0e-3"
    assert loss(0.03, 2) == "0.03"


def levelled(*levels: tuple[str, float], width: int = 60, y: float = 10.0) -> str:
    curve = Curve("45", "45", np.array([0.0, 50.0]), np.array([y, y + 1.0]), "#00ff00")
    spec = ChartSpec(curves=(curve,), x_high=100.0, levels=levels)
    return "\n".join("".join(words for words, _ in row) for row in draw(spec, width, 16, look(True)))


def test_a_level_is_a_named_line_that_the_axis_holds() -> None:
    shown = levelled(("neighbours", 48.0), ("popularity", 30.0)).splitlines()
    (line,) = [row for row in shown if "neighbours 48.0" in row]
    assert line.count("╌") > 10
    assert shown.index(line) < next(i for i, row in enumerate(shown) if "popularity 30.0" in row)


def test_levels_of_one_row_share_its_words() -> None:
    assert "popularity 50.1, random 50.0" in levelled(("random", 50.0), ("popularity", 50.1))
    assert "popularity +2" in levelled(("random", 50.0), ("popularity", 50.1), ("disease popularity", 50.0), width=36)


def test_a_level_is_named_where_no_curve_runs() -> None:
    x = np.arange(100.0)
    curve = Curve("45", "45", x, np.where(x < 70, 20.0, 5.0), "#00ff00")
    spec = ChartSpec(curves=(curve,), x_high=100.0, levels=(("random", 20.0),))
    rows = ["".join(words for words, _ in row) for row in draw(spec, 90, 16, look(True))]
    (row,) = [row for row in rows if "random 20.0" in row]
    assert row.index("random 20.0") > 55


def drawn(x: list[float], y: list[float], width: int = 40, height: int = 12) -> NDArray[np.bool_]:
    canvas = Canvas(width, height)
    canvas.line(np.array(x), np.array(y), 0)
    return canvas.dots


def test_a_line_has_no_holes_however_steep_or_long_it_is() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        x = np.sort(rng.random(2))
        dots = drawn(list(x), list(rng.random(2)))
        rows, columns = np.nonzero(dots)
        across, down = np.ptp(columns), np.ptp(rows)
        # Each column, or each row of a steep line, has a dot: neighbours touch.
        if across >= down:
            assert set(columns) == set(range(columns.min(), columns.max() + 1))
        else:
            assert set(rows) == set(range(rows.min(), rows.max() + 1))


def test_what_is_far_outside_does_not_bend_what_is_inside() -> None:
    near, far = drawn([0.25, 0.75], [0.0, 1.0]), drawn([-9.75, 10.75], [-20.0, 21.0])
    inside = far.copy()
    columns = np.flatnonzero(near.any(axis=0))
    inside[:, : columns[0]] = inside[:, columns[-1] + 1 :] = False
    assert np.array_equal(inside, near)
    assert not drawn([-5.0, -4.0], [0.0, 1.0]).any()
    assert not drawn([0.1, 0.9], [4.0, 4.0]).any()
    assert drawn([0.5, 0.5], [-1e12, 1e12]).any(axis=1).all()


def test_a_smoothed_curves_legend_tells_what_was_measured() -> None:
    y = floats(*np.linspace(1.0, 0.58, 50))
    x = np.arange(50.0)
    curve = Curve("total", "total", x, y + 0.04, "#ffffff", raw=y)
    assert "total 0.580" in lines_of(ChartSpec(curves=(curve,), x_high=49.0, digits=3), 80, 12)[0]
    reading = ChartSpec(curves=(curve,), x_high=49.0, cursor=0.0)
    assert "total 1.000" in lines_of(reading, 80, 12)[0]
