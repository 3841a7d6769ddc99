"""Runs that tell classes, compared sample by sample: each model's gain in accuracy over its rival, and its intervals.

A gain is taken per seed and then averaged. Two intervals: had other samples been tested (paired bootstrap, these models
given; a sample that several seeds test is drawn once for all of them), and had other seeds been drawn (paired t,
corrected by n_test / n_train where seeds cut one set anew, see `over_seeds`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from flykd_console.compare.bootstrap import LEVEL, RESAMPLES, percentile_interval
from flykd_console.compare.figures import Interval
from flykd_console.compare.loading import unreadable
from flykd_console.compare.over_seeds import sign_flip_p, t_interval
from flykd_console.errors import UserError
from flykd_console.profile.load import load_profile
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.models import ModelEntry, Role
from flykd_console.runs.results import Results, Spread, gain, read_results, spread

Floats = NDArray[np.float64]
SCHEMA = 1


class ClassGain(msgspec.Struct, frozen=True, kw_only=True):
    """What a model wins over `over` in points of accuracy: by seed, mean and deviation, and intervals of the mean."""

    over: str
    seeds: dict[int, float]
    points: Spread
    over_samples: Interval
    over_seeds: Interval | None
    sign_flip_p: float | None


class ClassRow(msgspec.Struct, frozen=True, kw_only=True):
    """One model of one run; `accuracy` by seed, `metrics` over the seeds as the results have them, `gains` by metric
    over its rival, in points, of the same seeds."""

    run: str
    method: str
    model: str
    label: str
    role: Role
    accuracy: dict[int, float]
    metrics: dict[str, Spread]
    seconds: float
    gains: dict[str, Spread] = {}
    gain: ClassGain | None = None


class ClassComparison(msgspec.Struct, frozen=True, kw_only=True):
    """The whole; `samples`: how many the part has in each seed."""

    schema: int = SCHEMA
    level: float = LEVEL
    resamples: int
    part: str
    source: str
    fingerprint: str
    seeds: list[int]
    samples: dict[int, int]
    rows: list[ClassRow]


def tells_classes(directories: Sequence[RunDirectory]) -> bool:
    """Whether all these runs tell classes.

    Raises:
        UserError: Some do, and others predict links.
    """
    kinds = [directory.tells_classes for directory in directories]
    if any(kinds) and not all(kinds):
        odd = directories[kinds.index(True)].name
        raise UserError("this run tells classes, others predict links", odd, "Compare runs of one task.")
    return all(kinds)


def compare_classes(
    directories: Sequence[RunDirectory], part: str = "test", resamples: int = RESAMPLES
) -> ClassComparison:
    """Compare runs on the samples that they share.

    Raises:
        UserError: A run has no results, or not the same data, splits and seeds as the first.
    """
    loaded = [_Run(directory, part) for directory in directories]
    first = loaded[0]
    seeds = [seed for seed in first.seeds if all(seed in run.seeds for run in loaded)]
    if not seeds:
        raise UserError("no seed is finished in every run", first.name, "Let them train on, or resume them.")
    for run in loaded[1:]:
        if run.results.graph.fingerprint != first.results.graph.fingerprint:
            raise UserError(f"was trained on other data than {first.name}", run.name, "Compare runs on the same data.")
        for seed in seeds:
            if run.ids[seed] != first.ids[seed]:
                raise UserError(f"tests other samples in seed {seed} than {first.name}", run.name, "Same split wanted.")
    drawn = _draws(first, seeds, resamples)
    return ClassComparison(
        resamples=resamples,
        part=part,
        source=first.results.graph.source,
        fingerprint=first.results.graph.fingerprint,
        seeds=seeds,
        samples={seed: len(first.ids[seed]) for seed in seeds},
        rows=[row for run in loaded for row in run.rows(seeds, drawn)],
    )


class _Run:
    """A run's results, and by seed and model which samples it tells right."""

    def __init__(self, directory: RunDirectory, part: str) -> None:
        self.name = directory.name
        self.results: Results = read_results(directory.results)
        profile = load_profile(directory.profile)
        # Seeds that share one split differ by their draws alone; others cut one set into overlapping parts.
        self._ratio = 0.0 if profile.data.split in ("given", "by_time") else _test_to_train(profile.data.split)
        self._part = part
        self.right: dict[int, dict[str, Floats]] = {}
        self.ids: dict[int, list[str]] = {}
        for seed in sorted(int(seed) for seed in self.results.seeds):
            path = directory.samples(seed, part)
            if path.is_file():
                self._read(seed, path)

    @property
    def seeds(self) -> list[int]:
        return list(self.right)

    def _read(self, seed: int, path: Path) -> None:
        try:
            frame = pl.read_parquet(path, glob=False)
            names = [entry.name for entry in self.results.models]
            right = {name: (frame[name].list.arg_max() == frame["label"]).cast(pl.Float64).to_numpy() for name in names}
            ids = frame["sample_id"].to_list()
        except (OSError, pl.exceptions.PolarsError) as error:
            raise unreadable(path, str(error)) from None
        self.right[seed], self.ids[seed] = right, ids

    def rows(self, seeds: Sequence[int], drawn: dict[int, Floats]) -> list[ClassRow]:
        rows = []
        for entry in self.results.models:
            accuracy = {seed: float(self.right[seed][entry.name].mean()) for seed in seeds}
            found = [self.results.seeds[str(seed)][entry.name] for seed in seeds]
            parts = [one.validation if self._part == "validation" else one.test for one in found]
            metrics = {name: spread(part.value(name) for part in parts) for name in parts[0].metrics}
            rows.append(
                ClassRow(
                    run=self.name,
                    method=self.results.method,
                    model=entry.name,
                    label=entry.label,
                    role=entry.role,
                    accuracy=accuracy,
                    metrics={name: one for name, one in metrics.items() if one is not None},
                    seconds=sum(one.seconds for one in found) / len(found),
                    gains=self._gains(entry, list(metrics), seeds),
                    gain=self._gain(entry.name, entry.over, seeds, drawn) if entry.over else None,
                )
            )
        return rows

    def _gains(self, entry: ModelEntry, metrics: Sequence[str], seeds: Sequence[int]) -> dict[str, Spread]:
        """By metric of the test what a model wins over its rival."""
        if not entry.over or self._part == "validation":
            return {}
        found = {}
        for metric in metrics:
            won = [gain(self.results.seeds[str(seed)], entry, metric) for seed in seeds]
            points = spread(one.points for one in won if one is not None)
            if points is not None:
                found[metric] = points
        return found

    def _gain(self, model: str, over: str, seeds: Sequence[int], drawn: dict[int, Floats]) -> ClassGain:
        differences = {seed: 100.0 * (self.right[seed][model] - self.right[seed][over]) for seed in seeds}
        by_seed = {seed: float(values.mean()) for seed, values in differences.items()}
        resampled = [
            drawn[seed] @ values / np.maximum(drawn[seed].sum(axis=1), 1.0) for seed, values in differences.items()
        ]
        points = spread(by_seed.values())
        assert points is not None
        over_seeds = t_interval(list(by_seed.values()), test_to_train=self._ratio)
        return ClassGain(
            over=over,
            seeds=by_seed,
            points=points,
            over_samples=Interval.of(percentile_interval(np.mean(resampled, axis=0))),
            over_seeds=None if over_seeds is None else Interval.of(over_seeds),
            sign_flip_p=sign_flip_p(list(by_seed.values())),
        )


def _test_to_train(split: str) -> float:
    """n_test / n_train for the correction: a tenth is tested in ten folds; elsewhere little is trained on, and 1 is
    taken, since the test is nearly the whole set in every seed.
    """
    return 1.0 / 9.0 if split == "folds" else 1.0


def _draws(run: _Run, seeds: Sequence[int], resamples: int) -> dict[int, Floats]:
    """By seed how often each of its samples is drawn, [resamples, n]; a sample of several seeds alike in all."""
    every = sorted({sample for seed in seeds for sample in run.ids[seed]})
    place = {sample: number for number, sample in enumerate(every)}
    rng = np.random.default_rng(seeds[0])
    counts = rng.multinomial(len(every), np.full(len(every), 1.0 / len(every)), size=resamples).astype(np.float64)
    return {seed: counts[:, [place[sample] for sample in run.ids[seed]]] for seed in seeds}
