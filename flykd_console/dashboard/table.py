"""The rows of the seeds table: each model's score, gains, relations and state; means through `runs.results`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from flykd_console.dashboard.scores import ModelScore, model_score, seed_words
from flykd_console.dashboard.spark import whole
from flykd_console.runs.models import ModelEntry
from flykd_console.runs.results import Gain, ModelResult, ModelSummary, Scores, Spread, gain, spread, summarise
from flykd_console.runs.state.run import RunState
from flykd_console.runs.state.stage import Status
from flykd_console.words import metric_words, per_cent, signed


class ColumnKey(NamedTuple):
    """What a column of the seeds table holds: a model's score or gain, or a relation of the run's first model."""

    kind: Literal["seed", "model", "points", "percent", "relation", "spark", "state"]
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".rstrip()


@dataclass(frozen=True, slots=True)
class SeedGain:
    """What a model wins in one seed; `on_test`: both are scored on test, else both on validation."""

    gain: Gain
    on_test: bool


@dataclass(frozen=True)
class SeedRow:
    """One seed.

    Attributes:
        scores: By model; absent before the first evaluation.
        gains: By model, over the model that its entry names, both on the same part.
        about: The score of the model that the run is about, whose relations are shown.
        words: What the seed is doing.
        spark: Validation curve of its last model so far, one line high.
    """

    seed: int
    scores: dict[str, ModelScore] = field(default_factory=dict)
    gains: dict[str, SeedGain] = field(default_factory=dict)
    about: ModelScore | None = None
    words: str = ""
    spark: str = ""


def seed_rows(state: RunState, spark: int = 0) -> list[SeedRow]:
    """The rows in the run's order; `spark`: cells for a row's curve."""
    sparks = _sparks(state, spark) if spark else {}
    about = state.about
    rows = []
    for seed in state.seeds:
        found = {entry.name: model_score(state, seed, entry.name) for entry in state.trained}
        scores = {model: score for model, score in found.items() if score is not None}
        rows.append(
            SeedRow(
                seed,
                scores,
                _gains(state, seed, scores),
                scores.get(about.name) if about is not None else None,
                seed_words(state, seed),
                sparks.get(seed, ""),
            )
        )
    return rows


def gaining(state: RunState) -> list[ModelEntry]:
    """The models whose gain is told, that of the run's first model before the others."""
    names = [entry.name for entry in state.trained]
    about = state.about
    found = [entry for entry in state.trained if entry.over in names]
    return sorted(found, key=lambda entry: entry != about)


def _gains(state: RunState, seed: int, scores: dict[str, ModelScore]) -> dict[str, SeedGain]:
    tested = models_of(state, seed, "test")
    gains = {}
    for entry in gaining(state):
        on_test = all(model in scores and scores[model].on_test for model in (entry.name, entry.over))
        won = gain(tested, entry, state.headline) if on_test else _gain_so_far(state, seed, entry)
        if won is not None:
            gains[entry.name] = SeedGain(won, on_test)
    return gains


def _gain_so_far(state: RunState, seed: int, entry: ModelEntry) -> Gain | None:
    """What a model in training wins on validation over what its rival had at the same epoch.

    None where the rival was not measured then: held against a finished one, a model that has just begun only loses.
    A rival that is not trained is the same at every epoch.
    """
    mine, rival = state.get(seed, entry.name), state.get(seed, entry.over)
    if mine is None or rival is None or not len(mine.validation):
        return None
    ours, epoch = mine.validation.last, mine.validation.x[-1]
    theirs = rival.validation.at(epoch)
    if rival.status is Status.MEASURED and "validation" in rival.evaluations:
        theirs = rival.evaluations["validation"].score
    if theirs is None or not theirs or not math.isfinite(theirs) or not math.isfinite(ours):
        return None
    return Gain(points=100.0 * (ours - theirs), percent=100.0 * (ours / theirs - 1.0))


def _sparks(state: RunState, width: int) -> dict[int, str]:
    """A curve for each seed: of its newest model with evaluations; all on one scale, so that rows can be compared."""
    shown = {}
    for seed in state.seeds:
        found = [stage for entry in reversed(state.trained) if (stage := state.get(seed, entry.name)) is not None]
        newest = next((stage for stage in found if len(stage.validation) >= 2), None)
        if newest is not None:
            shown[seed] = newest
    values = [y for stage in shown.values() for y in stage.validation.y if y == y]
    if not values:
        return {}
    low, high = min(values), max(values)
    return {seed: whole(stage.validation, width, stage.epochs, low, high) for seed, stage in shown.items()}


def sorted_rows(rows: list[SeedRow], key: ColumnKey, downwards: bool) -> list[SeedRow]:
    """The rows by a column of the table; those that have nothing there come last."""
    known = [(found, row) for row in rows if (found := _sorted_by(row, key)) is not None]
    missing = [row for row in rows if _sorted_by(row, key) is None]
    return [row for _, row in sorted(known, key=lambda pair: pair[0], reverse=downwards)] + missing


def _sorted_by(row: SeedRow, key: ColumnKey) -> float | str | None:
    match key.kind:
        case "model":
            return row.scores[key.name].value if key.name in row.scores else None
        case "points" | "percent":
            if key.name not in row.gains:
                return None
            won = row.gains[key.name].gain
            return won.points if key.kind == "points" else won.percent
        case "relation":
            return row.about.relations.get(key.name) if row.about is not None else None
        case "state":
            return row.words
        case _:
            return float(row.seed)


def summary(state: RunState) -> dict[str, ModelSummary]:
    """Means and deviations of the test scores over the seeds."""
    return summarise({str(seed): models_of(state, seed, "test") for seed in state.seeds}, state.trained)


@dataclass(frozen=True, slots=True)
class MeanGain:
    """A model's gain on test over the seeds, in points and in per cent of the other's score."""

    points: Spread
    percent: Spread


def mean_gains(state: RunState) -> dict[str, MeanGain]:
    """By model the mean gain in the headline metric, as far as both models of a seed are tested."""
    seeds = [models_of(state, seed, "test") for seed in state.seeds]
    found = {}
    for entry in gaining(state):
        won = [one for models in seeds if (one := gain(models, entry, state.headline)) is not None]
        points, percent = spread(one.points for one in won), spread(one.percent for one in won)
        if points is not None and percent is not None:
            found[entry.name] = MeanGain(points, percent)
    return found


def gain_sentence(state: RunState) -> str:
    """The result of the run's first model in one sentence, empty where there is none."""
    about = state.about
    if about is None:
        return ""
    means = summary(state).get(about.name)
    score = means.metrics.get(state.headline) if means is not None else None
    if score is None:
        return ""
    said = f"{about.label}: {metric_words(state.headline)} {spread_words(score, 100.0)}"
    won, rival = mean_gains(state).get(about.name), state.entry(about.over)
    if won is None or rival is None:
        return f"{said}."
    return f"{said}, {spread_words(won.points, 1.0, sign=True)} points over the {rival.label}."


def spread_words(spread: Spread | None, scale: float = 1.0, sign: bool = False) -> str:
    """Mean ± deviation with two decimals; the mean alone for one seed."""
    if spread is None:
        return "–"
    mean = signed(scale * spread.mean) if sign else f"{scale * spread.mean:.2f}"
    return mean if spread.std is None else f"{mean} ± {scale * spread.std:.2f}"


def score_words(score: ModelScore | None) -> str:
    """A score in per cent; a validation value is marked with a v."""
    if score is None:
        return ""
    return per_cent(score.value) + ("" if score.on_test else "v")


def models_of(state: RunState, seed: int, split: str) -> dict[str, ModelResult]:
    """A seed's models that were scored on `split`, in the form from which means and gains are computed."""
    found = {}
    for entry in state.trained:
        stage = state.get(seed, entry.name)
        evaluation = stage.evaluations.get(split) if stage is not None else None
        if stage is None or evaluation is None:
            continue
        scores = Scores(
            macro_auprc=evaluation.macro_auprc,
            macro_auroc=evaluation.macro_auroc,
            relations=evaluation.relations,
            metrics={name: value for name, value in evaluation.metrics.items() if value is not None},
        )
        found[entry.name] = ModelResult(
            dim=stage.dim or 0, parameters=stage.parameters or 0, epochs=stage.epochs,
            seconds=stage.seconds or stage.wall, test=scores, reused_from=stage.reused_from,
        )  # fmt: skip
    return found
