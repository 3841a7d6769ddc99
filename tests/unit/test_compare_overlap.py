"""Intervals over seeds, corrected for overlapping training sets: by what, and how the tables say it."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Any

import polars as pl
import pytest

from flykd_console.compare.captions import no_difference
from flykd_console.compare.compare import compare
from flykd_console.compare.figures import Block, Interval, Overlap
from flykd_console.compare.grids import worth_grid
from flykd_console.compare.loading import load_runs
from flykd_console.compare.over_seeds import t_interval
from flykd_console.errors import UserError
from flykd_console.runs.directory import RunDirectory
from tests.support.comparable_runs import comparable_run

SEEDS = (45, 46, 47)


@pytest.fixture
def run(runs: Path) -> RunDirectory:
    return comparable_run(runs, "flykd-1", seeds=SEEDS)


def block_of(run: RunDirectory, part: str = "test") -> Block:
    (block,) = compare(load_runs([run], part), resamples=100).blocks
    return block


def without_labels(run: RunDirectory, **split: Any) -> None:
    for seed in SEEDS:
        run.labels(seed).unlink()
    if split:
        lines = "\n".join(f"{key} = {value}" for key, value in split.items())
        text = run.profile.read_text()
        run.profile.write_text(text.replace('kind = "complex_disease"', lines))


def test_the_ratio_is_counted_in_pairs_where_the_run_tells_them(run: RunDirectory) -> None:
    block = block_of(run)
    parts = [pl.read_parquet(run.labels(seed))["part"].to_list() for seed in SEEDS]
    ratio = fmean(part.count("test") / part.count("train") for part in parts)
    assert block.overlap == Overlap(test_to_train=ratio, taken_from="pairs")
    gain = block.rows[-1].gain
    assert gain is not None
    points = [one.points for one in gain.seeds.values()]
    assert gain.over_seeds == Interval.of(t_interval(points, test_to_train=ratio) or (0.0, 0.0))
    assert gain.over_seeds_uncorrected == Interval.of(t_interval(points) or (0.0, 0.0))
    assert gain.over_seeds.low < gain.over_seeds_uncorrected.low
    assert gain.over_seeds.margin == max(abs(gain.over_seeds.low), abs(gain.over_seeds.high))


def test_else_it_is_that_of_the_splits_fractions(run: RunDirectory) -> None:
    without_labels(run, fractions="[0.6, 0.1, 0.3]")
    block = block_of(run)
    assert block.overlap == Overlap(test_to_train=0.3 / 0.6, taken_from="fractions")
    assert "variance factor 1/3 + 0.500, the split's test by its training" in worth_grid(block).caption


def test_a_split_of_named_diseases_has_no_fractions_and_the_tables_say_so(run: RunDirectory) -> None:
    without_labels(run, kind='"disease"', diseases='["T0001"]')
    block = block_of(run)
    gain = block.rows[-1].gain
    assert block.overlap is None
    assert gain is not None
    assert gain.over_seeds == gain.over_seeds_uncorrected
    assert "not corrected for overlapping training sets" in worth_grid(block).caption


def test_labels_without_a_column_are_refused_in_a_line(run: RunDirectory) -> None:
    pl.read_parquet(run.labels(46)).drop("part").write_parquet(run.labels(46))
    with pytest.raises(UserError, match=r"labels\.parquet: has no column 'part'"):
        block_of(run)
    run.labels(46).write_bytes(b"PAR1")
    with pytest.raises(UserError, match="cannot be read"):
        block_of(run)


def test_what_an_interval_around_zero_excludes_is_told() -> None:
    apart, one, other = Interval.of((0.1, 0.4)), Interval.of((-1.63, 0.4)), Interval.of((-0.1, 0.7))
    assert no_difference([("a", apart), ("n", None), ("same", Interval.of((0.0, 0.0)))]) == []
    (words,) = no_difference([("a", apart), ("flykd", one)])
    assert words == "flykd, over seeds: no difference shown; differences beyond ±1.63 points are excluded."
    (words,) = no_difference([("flykd", one), ("basic", other)])
    assert words.endswith("differences beyond these points are excluded: ±1.63 (flykd), ±0.70 (basic).")
