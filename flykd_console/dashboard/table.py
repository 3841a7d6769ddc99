"""The rows of the seeds table: each model's AUPRC, the gain, relations and state; means through `runs.results`."""

from __future__ import annotations

from dataclasses import dataclass, field

from flykd_console.dashboard.scores import ModelScore, model_score, seed_words
from flykd_console.dashboard.spark import whole
from flykd_console.runs.results import Gain, ModelResult, ModelSummary, Scores, Spread, gain, summarise
from flykd_console.runs.state.run import MODELS, RunState
from flykd_console.words import per_cent, signed


@dataclass(frozen=True)
class SeedRow:
    """One seed.

    Attributes:
        scores: By model; absent before the first evaluation.
        gain: Student against baseline, both on the same part.
        gain_on_test: That part is the test.
        words: What the seed is doing.
        spark: Validation AUPRC of its last model so far, one line high.
    """

    seed: int
    scores: dict[str, ModelScore] = field(default_factory=dict)
    gain: Gain | None = None
    gain_on_test: bool = False
    words: str = ""
    spark: str = ""


def seed_rows(state: RunState, spark: int = 0) -> list[SeedRow]:
    """The rows in the run's order; `spark`: cells for a row's curve."""
    rows = []
    sparks = _sparks(state, spark) if spark else {}
    for seed in state.seeds:
        scores = {m: score for m in MODELS if (score := model_score(state, seed, m)) is not None}
        on_test = all(m in scores and scores[m].on_test for m in ("baseline", "student"))
        found = gain(models_of(state, seed, "test" if on_test else "validation"))
        rows.append(SeedRow(seed, scores, found, on_test, seed_words(state, seed), sparks.get(seed, "")))
    return rows


def _sparks(state: RunState, width: int) -> dict[int, str]:
    """A curve for each seed: of its newest model with evaluations; all on one scale, so that rows can be compared."""
    shown = {}
    for seed in state.seeds:
        found = [stage for m in reversed(MODELS) if (stage := state.get(seed, m)) is not None]
        newest = next((stage for stage in found if len(stage.validation) >= 2), None)
        if newest is not None:
            shown[seed] = newest
    values = [y for stage in shown.values() for y in stage.validation.y if y == y]
    if not values:
        return {}
    low, high = min(values), max(values)
    return {seed: whole(stage.validation, width, stage.epochs, low, high) for seed, stage in shown.items()}


def sorted_rows(rows: list[SeedRow], key: str, downwards: bool) -> list[SeedRow]:
    """The rows by a column of the table; those that have nothing there come last."""

    def value(row: SeedRow) -> float | str | None:
        if key in MODELS:
            return row.scores[key].macro if key in row.scores else None
        if key in ("points", "percent"):
            return None if row.gain is None else row.gain.points if key == "points" else row.gain.percent
        if key.startswith("relation "):
            return (
                row.scores["student"].relations.get(key.removeprefix("relation ")) if "student" in row.scores else None
            )
        return row.words if key == "state" else float(row.seed)

    known = [(found, row) for row in rows if (found := value(row)) is not None]
    missing = [row for row in rows if value(row) is None]
    return [row for _, row in sorted(known, key=lambda pair: pair[0], reverse=downwards)] + missing


def summary(state: RunState) -> dict[str, ModelSummary]:
    """Means and deviations of the test scores over the seeds."""
    return summarise({str(seed): models_of(state, seed, "test") for seed in state.seeds})


def gain_sentence(state: RunState) -> str:
    """The result in one sentence, empty where there is none."""
    student = summary(state).get("student")
    if student is None or student.gain_points is None or student.macro_auprc is None:
        return ""
    points = spread_words(student.gain_points, 1.0, sign=True)
    return f"{state.method}: AUPRC {spread_words(student.macro_auprc, 100.0)}, {points} points over the baseline."


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
    return per_cent(score.macro) + ("" if score.on_test else "v")


def models_of(state: RunState, seed: int, split: str) -> dict[str, ModelResult]:
    """A seed's models that were scored on `split`, in the form from which means and gains are computed."""
    found = {}
    for model in MODELS:
        stage = state.get(seed, model)
        evaluation = stage.evaluations.get(split) if stage is not None else None
        if stage is None or evaluation is None:
            continue
        scores = Scores(
            macro_auprc=evaluation.macro_auprc, macro_auroc=evaluation.macro_auroc, relations=evaluation.relations
        )
        found[model] = ModelResult(
            dim=stage.dim or 0, parameters=stage.parameters or 0, epochs=stage.epochs,
            seconds=stage.seconds or stage.wall, test=scores, reused_from=stage.reused_from,
        )  # fmt: skip
    return found
