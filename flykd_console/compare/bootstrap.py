"""Paired bootstrap within a seed: what a difference is worth against the choice of what is tested.

Either the test pairs are resampled with replacement, the positives and negatives of each relation among themselves
(stratified), or the tails with all their pairs: pairs of one tail share its embedding and rise and fall together, so
the first takes the tested tails as given and the second asks about other tails. Every model is scored on the same
resample, so that what they share cancels (Efron and Tibshirani 1993, percentile interval; Field and
Welsh 2007 for clusters).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from flykd_console.compare.average_precision import Counts, Floats, ScoreOrder

RESAMPLES = 2000
LEVEL = 0.95
_CHUNK = 250  # resamples at a time, so that a relation's counts stay near the processor

Unit = Literal["pairs", "tails"]
Model = TypeVar("Model", bound=Hashable)


@dataclass(frozen=True)
class RelationScores:
    """One relation's test pairs.

    Attributes:
        labels: 0 or 1, int8 [n].
        tails: Which tail each pair has, numbered alike in all relations, int64 [n].
        logits: Every model's, float32 [n].
        pairs: Which pair each is among those of its label, int64 [n]; None: in their order.
    """

    labels: NDArray[np.int8]
    tails: NDArray[np.int64]
    logits: Mapping[Any, NDArray[np.float32]]
    pairs: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Population:
    """What all seeds of a comparison test, from which their resamples are drawn together.

    A pair or a tail that several seeds test is easy or hard in all of them: drawn for each apart it would count as
    several, and the mean over seeds would look surer than it is.

    Attributes:
        tails: Their numbers, ascending, int64 [n].
        pairs: Per relation how many positives and negatives there are.
    """

    tails: NDArray[np.int64]
    pairs: Mapping[str, tuple[int, int]]

    @classmethod
    def of(cls, relations: Mapping[str, RelationScores]) -> Population:
        """That of one seed alone."""
        tails = np.unique(np.concatenate([scores.tails for scores in relations.values()]))
        counts = {}
        for name, scores in relations.items():
            positives = int((scores.labels == 1).sum())
            counts[name] = positives, len(scores.labels) - positives
        return cls(tails, counts)


@dataclass(frozen=True)
class TailValues:
    """One relation's tails in one seed.

    Attributes:
        tails: Which they are, numbered alike in all relations and seeds, int64 [n].
        of: Every model's value of each tail, float64 [n], such as its average precision.
    """

    tails: NDArray[np.int64]
    of: Mapping[Any, Floats]


def macro_resamples(
    relations: Mapping[str, RelationScores],
    models: Sequence[Model],
    resamples: int,
    seed: int,
    unit: Unit = "pairs",
    population: Population | None = None,
) -> dict[Model, Floats]:
    """Macro AUPRC of every model in every resample, float64 [resamples]; resample i is the same for all models.

    NaN in a resample that drew no positive of a relation, which happens with few tails alone.

    Args:
        relations: Each with at least one positive and one negative.
        models: Keys of `logits`.
        resamples: How many.
        seed: Of the resampling; equal inputs give equal figures.
        unit: What is drawn.
        population: From what; equal draws for all seeds that give the same seed of the resampling. None: these alone.
    """
    drawn_from = population or Population.of(relations)
    rng = np.random.default_rng(seed)
    macro: dict[Model, Floats] = {model: np.zeros(resamples) for model in models}
    positive = {name: scores.labels == 1 for name, scores in relations.items()}
    orders = {
        name: {model: ScoreOrder(s.logits[model][positive[name]], s.logits[model][~positive[name]]) for model in models}
        for name, s in relations.items()
    }
    tails = 1 + int(drawn_from.tails.max())
    numbers = {name: _numbers(scores) for name, scores in relations.items()}
    for start in range(0, resamples, _CHUNK):
        chunk = slice(start, min(start + _CHUNK, resamples))
        width = chunk.stop - start
        of_tail = np.zeros((width, tails), dtype=np.int32)
        if unit == "tails":
            of_tail[:, drawn_from.tails] = _counts(rng, len(drawn_from.tails), width)
        for name, scores in relations.items():
            true = positive[name]
            if unit == "tails":
                drawn = np.take(of_tail, scores.tails[true], axis=1), np.take(of_tail, scores.tails[~true], axis=1)
            else:
                positives, negatives = drawn_from.pairs[name]
                drawn = (
                    _counts(rng, positives, width)[:, numbers[name][true]],
                    _counts(rng, negatives, width)[:, numbers[name][~true]],
                )
            for model, order in orders[name].items():
                macro[model][chunk] += order.average_precision(*drawn) / len(relations)
    return macro


def macro_tail_resamples(
    seeds: Mapping[int, Mapping[str, TailValues]], models: Sequence[Model], resamples: int, seed: int
) -> dict[int, dict[Model, Floats]]:
    """By seed the macro mean of every model in every resample of the tails, float64 [resamples], unit of the values.

    Macro: the mean over a relation's tails, then over relations. Tails are drawn with replacement from those of all
    seeds, once for all seeds, relations and models: a tail that several seeds test is easy or hard in all of them, so
    that drawing it for each apart would take one disease for several. NaN where a relation of a seed had no tail drawn.

    Args:
        seeds: By seed and relation; trained models are taken as given.
        models: Keys of `of`.
        resamples: How many.
        seed: Of the resampling; equal inputs give equal figures.
    """
    rng = np.random.default_rng(seed)
    numbers = [values.tails for relations in seeds.values() for values in relations.values()]
    present = np.unique(np.concatenate(numbers))
    macro = {number: np.zeros((resamples, len(models))) for number in seeds}
    for start in range(0, resamples, _CHUNK):
        chunk = slice(start, min(start + _CHUNK, resamples))
        drawn = _counts(rng, len(present), chunk.stop - start)
        for number, relations in seeds.items():
            for values in relations.values():
                weights = drawn[:, np.searchsorted(present, values.tails)].astype(np.float64)
                total = weights.sum(axis=1, keepdims=True)
                table = np.stack([values.of[model] for model in models], axis=1)
                macro[number][chunk] += weights @ table / np.where(total > 0, total, np.nan) / len(relations)
    return {number: {model: found[:, i] for i, model in enumerate(models)} for number, found in macro.items()}


def percentile_interval(values: Floats, level: float = LEVEL) -> tuple[float, float]:
    """The central share `level` of the resampled values, NaN left out."""
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _numbers(scores: RelationScores) -> NDArray[np.int64]:
    """Which pair each is among those of its label."""
    if scores.pairs is not None:
        return scores.pairs
    positive = scores.labels == 1
    return np.where(positive, np.cumsum(positive), np.cumsum(~positive)) - 1


def _counts(rng: np.random.Generator, things: int, resamples: int) -> Counts:
    """How often each thing is drawn when as many are drawn as there are, int32 [resamples, things]."""
    drawn = rng.integers(things, size=(resamples, things), dtype=np.int64)
    drawn += things * np.arange(resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=resamples * things)
    return counts.reshape(resamples, things).astype(np.int32)
