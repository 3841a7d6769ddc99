"""Macro average precision of rankings: the mean over the tails of a relation, over relations, then over seeds.

What a difference is worth is asked twice: had other tails (diseases) been tested (paired bootstrap over tails, these
trained models given), and had other seeds been drawn (paired t, corrected for overlapping training sets). A model is
held against the baseline of its own seed, and against every heuristic of its run: scorers without training, which a
model must beat to be worth training.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from flykd_console.compare.average_precision import Floats
from flykd_console.compare.bootstrap import LEVEL, TailValues, macro_tail_resamples, percentile_interval
from flykd_console.compare.comparable import restricted
from flykd_console.compare.figures import Interval, TailGain, TailScore
from flykd_console.compare.grid import joined_seeds
from flykd_console.compare.loading import LoadedRun
from flykd_console.compare.models import Contender, rival_of
from flykd_console.compare.over_seeds import sign_flip_p, t_interval
from flykd_console.compare.rankings import RANKING_KEYS, read_ranking, seeds_without
from flykd_console.errors import UserError
from flykd_console.runs.events import MACRO_AP
from flykd_console.runs.models import Role
from flykd_console.runs.results import Spread, spread

Tables = dict[int, dict[str, TailValues]]
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Question:
    """What is asked of the rankings.

    Attributes:
        only: Ids of the tails that are tested; None: all.
        test_to_train: What intervals over seeds are corrected by, a ratio; 0: nothing tells it.
        resamples: Of the bootstrap.
    """

    only: frozenset[str] | None
    test_to_train: float
    resamples: int


@dataclass(frozen=True)
class _Measured:
    """By seed and contender: macro AP (a fraction), that of each relation, and macro AP in every resample."""

    macro: dict[int, dict[Contender, float]]
    relations: dict[int, dict[Contender, dict[str, float]]]
    resampled: dict[int, dict[Contender, Floats]]
    tails: int
    test_to_train: float


def tail_scores(
    contenders: Sequence[Contender], seeds: Sequence[int], question: Question
) -> dict[Contender, TailScore]:
    """What the rankings say of each contender whose runs left them; empty where none did.

    Args:
        contenders: The models of a block.
        seeds: Those that are compared.

    Raises:
        UserError: As `read_ranking`; two runs rank other tails; a relation has no tail left.
    """
    sources = {one: run for one in contenders for run in reversed(one.runs) if not seeds_without(run, seeds)}
    if not sources:
        return {}
    known = list(sources)
    tables, tails = _tables(sources, seeds, question.only)
    resampled = macro_tail_resamples(tables, known, question.resamples, seeds[0])
    relations = {
        seed: {one: {relation: float(values.of[one].mean()) for relation, values in found.items()} for one in known}
        for seed, found in tables.items()
    }
    macro = {
        seed: {one: statistics.fmean(means.values()) for one, means in found.items()}
        for seed, found in relations.items()
    }
    measured = _Measured(macro, relations, resampled, tails, question.test_to_train)
    return {one: _score(one, known, measured) for one in known}


def notes_on_rankings(
    runs: Sequence[LoadedRun], seeds: Sequence[int], scores: Mapping[Contender, TailScore]
) -> list[str]:
    """Which runs left no rankings, and where the results say something else than the rankings give.

    Args:
        scores: Of all tails, as the results are; none where only some are tested.
    """
    notes = []
    absent = {run.name: seeds_without(run, seeds) for run in runs}
    old = [f"{name} (seeds: {joined_seeds(missing)})" for name, missing in absent.items() if missing]
    if old:
        first = runs[0]
        notes.append(
            f"No {first.part}-ranking.parquet: {', '.join(old)}. AP per {first.tail_type}, its gains and intervals are "
            "left out there; resuming the run writes it (flykd-console run --resume RUN)."
        )
    for one, score in scores.items():
        for seed, ap in score.seeds.items():
            stored = one.measured(seed).value(MACRO_AP)
            if stored is not None and abs(stored - ap) > _TOLERANCE:
                notes.append(
                    f"{one.label}, seed {seed}: results.json gives an AP of {stored:.6f}, its rankings {ap:.6f}."
                )
    return notes


def _tables(
    sources: Mapping[Contender, LoadedRun], seeds: Sequence[int], only: frozenset[str] | None
) -> tuple[Tables, int]:
    """By seed and relation every contender's AP, tails numbered alike in all seeds; and how many tails there are."""
    frames = {seed: _joined(sources, seed, only) for seed in seeds}
    ids = pl.concat([frame.select("tail_id") for frame in frames.values()]).unique().sort("tail_id")
    ids = ids.with_row_index("tail")
    any_run = next(iter(sources.values()))
    tables: Tables = {}
    for seed, frame in frames.items():
        numbered = frame.join(ids, on="tail_id", how="left", maintain_order="left")
        tables[seed] = {}
        for relation in sorted(any_run.targets):
            part = numbered.filter(pl.col("relation") == relation)
            if part.is_empty():
                raise UserError(
                    f"has no ranked {any_run.tail_type} of {relation} in seed {seed}", any_run.name, "Name more ids."
                )
            of = {one: part[str(i)].cast(pl.Float64).to_numpy() for i, one in enumerate(sources)}
            tables[seed][relation] = TailValues(part["tail"].cast(pl.Int64).to_numpy(), of)
    return tables, ids.height


def _joined(sources: Mapping[Contender, LoadedRun], seed: int, only: frozenset[str] | None) -> pl.DataFrame:
    """A seed's tails with each contender's AP in a column that its place names.

    Raises:
        UserError: Two runs rank other tails, or tails with other true pairs.
    """
    # By path: two runs may have one name.
    readers = {run.directory.path: run for run in sources.values()}
    read = {path: read_ranking(run, seed) for path, run in readers.items()}
    first, *others = read
    for path in others:
        if not read[path].select(RANKING_KEYS).equals(read[first].select(RANKING_KEYS)):
            raise UserError(
                f"ranks other tails than {first.name}, or with other true pairs (seed {seed})", path.name,
                "Resume both runs with this program, or add --anyway and compare them apart.",
            )  # fmt: skip
    columns = [read[run.directory.path][one.model].alias(str(i)) for i, (one, run) in enumerate(sources.items())]
    return restricted(read[first].select(RANKING_KEYS).with_columns(columns), only)


def _score(one: Contender, known: Sequence[Contender], measured: _Measured) -> TailScore:
    baseline = rival_of(one, known)
    heuristics = [] if one.entry.role is Role.HEURISTIC else [h for h in known if _is_heuristic_of(h, one)]
    seeds = {seed: found[one] for seed, found in measured.macro.items()}
    targets = next(iter(measured.relations.values()))[one]
    return TailScore(
        seeds=seeds,
        ap=_spread(list(seeds.values())),
        relations={r: _spread([found[one][r] for found in measured.relations.values()]) for r in targets},
        gain=_gain(one, baseline, measured) if baseline else None,
        heuristics=[_gain(one, other, measured) for other in heuristics],
    )


def _is_heuristic_of(other: Contender, one: Contender) -> bool:
    return other.entry.role is Role.HEURISTIC and any(run in one.runs for run in other.runs)


def _gain(one: Contender, other: Contender, measured: _Measured) -> TailGain:
    points = {seed: 100.0 * (found[one] - found[other]) for seed, found in measured.macro.items()}
    resampled = np.mean([100.0 * (found[one] - found[other]) for found in measured.resampled.values()], axis=0)
    # One tail is drawn alike every time; and where hardly a resample has all relations, none has an interval.
    told = measured.tails > 1 and bool(np.isfinite(resampled).any())
    differences = list(points.values())
    corrected, plain = t_interval(differences, LEVEL, measured.test_to_train), t_interval(differences, LEVEL)
    return TailGain(
        over=other.label,
        seeds=points,
        points=_spread(differences),
        over_tails=Interval.of(percentile_interval(resampled)) if told else None,
        over_seeds=Interval.of(corrected) if corrected else None,
        over_seeds_uncorrected=Interval.of(plain) if plain else None,
        sign_flip_p=sign_flip_p(differences),
    )


def _spread(values: Sequence[float]) -> Spread:
    found = spread(values)
    assert found is not None
    return found
