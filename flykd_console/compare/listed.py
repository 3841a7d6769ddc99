"""What models are worth on a list of pairs with outcomes: approved, failed or in trial; or uses beyond the label.

Two questions, each answered with an interval:

    within      AUROC of positive against negative pairs of the list, and enrichment of positives in its first tenth
    against all AUROC of a pair against all other heads of its tail, and enrichment in the first hundredth of these

The enrichment of a fraction f is the share of pairs found in the first f of the ranking, divided by f: chance is 1. The
interval is a bootstrap over tails (diseases): pairs of one tail are not independent. Every model of a list is held
against the same pairs. numpy alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Rows = NDArray[np.int64]
# Scores of every head with one tail under one relation, float [n_heads].
HeadScores = Callable[[int], NDArray[np.floating]]
Outcome = Literal["positive", "negative", "open"]
OUTCOMES: tuple[Outcome, ...] = ("positive", "open", "negative")

LEVEL = 0.95
WITHIN, AGAINST_ALL = 0.1, 0.01
# Resamples in work at a time: a matrix of this many rows and a column a pair.
_BLOCK = 128


@dataclass(frozen=True)
class Known:
    """What a model may know of the pairs of one relation.

    Attributes:
        train: Training pairs (head, tail), int64 [n, 2].
        heads: Whether the model knows something of each head, bool [n_heads].
        tails: The same of each tail, bool [n_tails].
    """

    train: Rows
    heads: NDArray[np.bool_]
    tails: NDArray[np.bool_]


@dataclass(frozen=True)
class Listed:
    """The pairs of a list that one set of models is asked about, under one relation.

    Attributes:
        tails: A label of each pair's tail, alike over seeds: text [n].
        outcomes: Of each pair.
        scores: By model of each pair, float64 [n].
        places: By model the share of the tail's other candidates that score below the pair, equal ones counted half,
            float64 [n].
        trained: Pairs of the list that were left out because they were trained on.
        unknown: Those left out because no training edge leads to one of their ends.
    """

    tails: list[str]
    outcomes: list[Outcome]
    scores: Mapping[str, Doubles]
    places: Mapping[str, Doubles]
    trained: int
    unknown: int


@dataclass(frozen=True)
class Figure:
    """A figure, the mean over the seeds, and its interval over resampled tails; None where nothing gives it."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ModelFigures:
    """What the list says of one model.

    Attributes:
        auroc: Of positives against negatives, a fraction; None where the list lacks one of them.
        enrichment: Of positives in the first tenth of positives and negatives together.
        against_all: By outcome the AUROC against all other heads; `enriched` the enrichment in the first hundredth.
    """

    model: str
    auroc: Figure | None
    enrichment: Figure | None
    against_all: dict[Outcome, Figure]
    enriched: dict[Outcome, Figure]


def ask(
    pairs: Sequence[tuple[int, int]],
    outcomes: Sequence[Outcome],
    ids: Sequence[str],
    known: Known,
    models: Mapping[str, HeadScores],
) -> Listed:
    """Score a list's pairs and place each among the other candidates of its tail.

    Candidates are the heads of which something is known, without those that the tail has training pairs with, and
    without the tail's other positives of the list.

    Args:
        pairs: Rows (head, tail), distinct.
        outcomes: One a pair.
        ids: Of the tails, by row.
        known: What was trained on.
        models: By name the scores of all heads with a tail.
    """
    trained = _by_tail(known.train)
    positives = _by_tail(np.array([p for p, o in zip(pairs, outcomes, strict=True) if o == "positive"]).reshape(-1, 2))
    nothing = np.zeros(0, dtype=np.int64)
    kept, seen, blind = [], 0, 0
    for number, (head, tail) in enumerate(pairs):
        if head in trained.get(tail, nothing):
            seen += 1
        elif not known.heads[head] or not known.tails[tail]:
            blind += 1
        else:
            kept.append(number)
    kept.sort(key=lambda number: pairs[number][1])
    scores = {name: np.zeros(len(kept)) for name in models}
    places = {name: np.zeros(len(kept)) for name in models}
    last, block = -1, {}
    for row, number in enumerate(kept):
        head, tail = pairs[number]
        if tail != last:
            last, block = tail, {name: np.asarray(of(tail), dtype=np.float64) for name, of in models.items()}
        others = known.heads.copy()
        others[trained.get(tail, nothing)] = False
        others[positives.get(tail, nothing)] = False
        others[head] = False
        for name, values in block.items():
            scores[name][row] = values[head]
            places[name][row] = _place(values[head], values[others])
    return Listed(
        tails=[ids[pairs[number][1]] for number in kept],
        outcomes=[outcomes[number] for number in kept],
        scores=scores,
        places=places,
        trained=seen,
        unknown=blind,
    )


def figures(asked: Sequence[Listed], resamples: int = 2000, seed: int = 0) -> list[ModelFigures]:
    """The figures of every model over the seeds.

    Args:
        asked: One a seed, of the same models.
        resamples: Of the bootstrap.
        seed: Of the resampling.
    """
    names = sorted({tail for one in asked for tail in one.tails})
    number = {tail: place for place, tail in enumerate(names)}
    tails = [np.array([number[tail] for tail in one.tails], dtype=np.int64) for one in asked]
    rng = np.random.default_rng([seed, 1])
    weights = [np.ones((1, len(names)))]
    if len(names) > 1:
        weights.append(rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples).astype(float))
    drawn = np.concatenate(weights)
    return [_figures_of(model, asked, tails, drawn, seed) for model in asked[0].scores]


def _figures_of(model: str, asked: Sequence[Listed], tails: Sequence[Rows], drawn: Doubles, seed: int) -> ModelFigures:
    auroc, enrichment = [], []
    place: dict[Outcome, list[Doubles]] = {outcome: [] for outcome in OUTCOMES}
    first: dict[Outcome, list[Doubles]] = {outcome: [] for outcome in OUTCOMES}
    for one, tail in zip(asked, tails, strict=True):
        outcomes = np.array(one.outcomes, dtype=object)
        told = outcomes != "open"
        positive = outcomes[told] == "positive"
        if positive.any() and not positive.all():
            order = _order(one.scores[model][told], seed)
            scores = one.scores[model][told]
            auroc.append(_blockwise(drawn, tail[told], partial(auroc_of, scores, positive)))
            enrichment.append(_blockwise(drawn, tail[told], partial(enrichment_of, order, positive, WITHIN)))
        for outcome in OUTCOMES:
            mine = outcomes == outcome
            if mine.any():
                values = one.places[model][mine]
                place[outcome].append(_mean(values, drawn, tail[mine]))
                top = (values >= 1.0 - AGAINST_ALL).astype(np.float64) / AGAINST_ALL
                first[outcome].append(_mean(top, drawn, tail[mine]))
    return ModelFigures(
        model=model,
        auroc=_figure(auroc),
        enrichment=_figure(enrichment),
        against_all={outcome: found for outcome in OUTCOMES if (found := _figure(place[outcome])) is not None},
        enriched={outcome: found for outcome in OUTCOMES if (found := _figure(first[outcome])) is not None},
    )


def auroc_of(scores: Doubles, positive: NDArray[np.bool_], weights: Doubles) -> Doubles:
    """Weighted AUROC, equal scores counted half: float64 [r] for scores [n] and weights [r, n]; NaN without a class."""
    values, group = np.unique(scores, return_inverse=True)
    of_class = []
    for mine in (positive, ~positive):
        summed = np.zeros((len(weights), len(values)))
        np.add.at(summed.T, group[mine], weights[:, mine].T)
        of_class.append(summed)
    true, false = of_class
    below = np.cumsum(false, axis=1) - 0.5 * false
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Doubles = (true * below).sum(axis=1) / (true.sum(axis=1) * false.sum(axis=1))
    return found


def enrichment_of(order: Rows, positive: NDArray[np.bool_], fraction: float, weights: Doubles) -> Doubles:
    """Share of the positives in the first `fraction` of the order, divided by it: float64 [r]; NaN without positives.

    Args:
        order: Places of the pairs, best first.
        positive: Which are, bool [n].
        fraction: Above 0, at most 1.
        weights: Of the pairs, float64 [r, n]; one at the border counts with the part of its weight that is within.
    """
    ordered, true = weights[:, order], positive[order]
    end = np.cumsum(ordered, axis=1)
    border = fraction * end[:, -1:]
    inside = np.clip(border - (end - ordered), 0.0, ordered)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Doubles = inside[:, true].sum(axis=1) / ordered[:, true].sum(axis=1) / fraction
    return found


def _order(scores: Doubles, seed: int) -> Rows:
    """Best first; one draw orders equal scores, for all models alike."""
    tie = np.random.default_rng([seed, 2]).permutation(len(scores))
    return np.lexsort((tie, -scores)).astype(np.int64)


def _place(score: float, others: Doubles) -> float:
    if not len(others):
        return 0.5
    below, same = np.count_nonzero(others < score), np.count_nonzero(others == score)
    return float((below + 0.5 * same) / len(others))


def _blockwise(drawn: Doubles, tail: Rows, statistic: Callable[[Doubles], Doubles]) -> Doubles:
    """A statistic of the pairs' weights in every resample of the tails, float64 [r]."""
    parts = [statistic(drawn[start : start + _BLOCK][:, tail]) for start in range(0, len(drawn), _BLOCK)]
    return np.concatenate(parts)


def _mean(values: Doubles, drawn: Doubles, tail: Rows) -> Doubles:
    def mean(weights: Doubles) -> Doubles:
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Doubles = weights @ values / weights.sum(axis=1)
        return found

    return _blockwise(drawn, tail, mean)


def _figure(seeds: Sequence[Doubles]) -> Figure | None:
    """The mean over seeds; the first of each is of the list itself, the others of resamples."""
    if not seeds:
        return None
    mean = np.mean(seeds, axis=0)
    resampled = mean[1:][np.isfinite(mean[1:])]
    if len(resampled) < 0.5 * max(1, len(mean) - 1) or not len(resampled):
        return Figure(float(mean[0]), None, None)
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Figure(float(mean[0]), float(low), float(high))


def _by_tail(pairs: Rows) -> dict[int, Rows]:
    """The heads of every tail of pairs [n, 2]."""
    order = np.argsort(pairs[:, 1], kind="stable")
    tails, starts = np.unique(pairs[order, 1], return_index=True)
    heads = np.split(pairs[order, 0].astype(np.int64), starts[1:])
    return dict(zip(tails.tolist(), heads, strict=True)) if len(tails) else {}
