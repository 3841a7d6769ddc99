"""A forest plot: what a model wins over another, a row a seed, and the mean with its interval; as data, not drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flykd_console.compare.figures import Block, Gain, Interval, Row, TailGain
from flykd_console.runs.events import MACRO_AP
from flykd_console.runs.models import Role
from flykd_console.words import signed


@dataclass(frozen=True, slots=True)
class ForestRow:
    """One row, in points.

    Attributes:
        label: Which seed, or `mean`.
        value: The gain.
        ends: Its 95 % interval; None: none is known.
        mean: Whether it is the mean over the seeds.
    """

    label: str
    value: float
    ends: tuple[float, float] | None
    mean: bool = False


@dataclass(frozen=True, slots=True)
class Forest:
    """What one model wins over another.

    Attributes:
        title: Whose gain, over whom, in what.
        rows: The seeds in their order, and the mean.
        paper: The mean that the paper gives; None where it has no such row.
        verdict: Whether the mean is told from zero, in words.
    """

    title: str
    rows: tuple[ForestRow, ...]
    paper: float | None
    verdict: str

    @property
    def range(self) -> tuple[float, float]:
        """From the least to the largest that is drawn, zero among it."""
        values = [0.0, *(row.value for row in self.rows)]
        values += [end for row in self.rows if row.ends is not None for end in row.ends]
        values += [] if self.paper is None else [self.paper]
        return min(values), max(values)


def forests(block: Block) -> Iterator[Forest]:
    """A forest for each trained model with a gain in the block's headline, teachers last; scorers have none."""
    trained = [row for row in block.rows if row.role is not Role.HEURISTIC]
    for row in sorted(trained, key=lambda row: row.role is Role.TEACHER):
        gain = headline_gain(block, row)
        if isinstance(gain, TailGain):
            yield _of_tails(row, gain)
        elif gain is not None:
            yield _of_pairs(row, gain)


def headline_gain(block: Block, row: Row) -> Gain | TailGain | None:
    """A model's gain over its rival in the metric that its block puts first; None where it has none."""
    if block.headline != MACRO_AP:
        return row.gain
    return row.by_tail.gain if row.by_tail is not None else None


def points_of(gain: Gain | TailGain) -> list[float]:
    """The gain of each seed, in points."""
    if isinstance(gain, TailGain):
        return list(gain.seeds.values())
    return [one.points for one in gain.seeds.values()]


def _of_pairs(row: Row, gain: Gain) -> Forest:
    rows = [ForestRow(str(seed), one.points, _ends(one.over_tails)) for seed, one in gain.seeds.items()]
    paper = gain.paper[0] if gain.paper is not None else None
    return _forest(f"{row.label} over {gain.over}, AUPRC", rows, gain, paper)


def _of_tails(row: Row, gain: TailGain) -> Forest:
    rows = [ForestRow(str(seed), points, None) for seed, points in gain.seeds.items()]
    return _forest(f"{row.label} over {gain.over}, AP", rows, gain, None)


def _forest(title: str, rows: list[ForestRow], gain: Gain | TailGain, paper: float | None) -> Forest:
    ends = _ends(gain.over_seeds)
    mean = ForestRow("mean", gain.points.mean, ends, mean=True)
    return Forest(title, (*rows, mean), paper, verdict(gain.points.mean, ends))


def verdict(mean: float, ends: tuple[float, float] | None) -> str:
    """Whether a mean gain is told from zero by its interval over seeds."""
    if ends is None:
        return f"{signed(mean)} points; one seed has no interval"
    interval = f"{signed(mean)} [{signed(ends[0])}, {signed(ends[1])}]"
    if ends[0] <= 0.0 <= ends[1]:
        return f"{interval}: not told from zero"
    return f"{interval}: {'above' if mean > 0.0 else 'below'} zero"


def _ends(interval: Interval | None) -> tuple[float, float] | None:
    return (interval.low, interval.high) if interval is not None else None
