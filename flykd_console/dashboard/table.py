"""The rows of the seeds table: each model's AUPRC, the gain, relations and state; means through `runs.results`."""

from __future__ import annotations

from dataclasses import dataclass, field

from flykd_console.dashboard.scores import ModelScore, model_score, seed_words
from flykd_console.dashboard.state import MODELS, DashboardState
from flykd_console.dashboard.wording import per_cent, signed
from flykd_console.runs.results import Gain, ModelResult, ModelSummary, Scores, Spread, gain, summarise


@dataclass(frozen=True)
class SeedRow:
    """One seed.

    Attributes:
        scores: By model; absent before the first evaluation.
        gain: Student against baseline, both on the same part.
        gain_on_test: That part is the test.
        words: What the seed is doing.
    """

    seed: int
    scores: dict[str, ModelScore] = field(default_factory=dict)
    gain: Gain | None = None
    gain_on_test: bool = False
    words: str = ""


def seed_rows(state: DashboardState) -> list[SeedRow]:
    """The rows in the run's order."""
    rows = []
    for seed in state.seeds:
        scores = {m: score for m in MODELS if (score := model_score(state, seed, m)) is not None}
        on_test = all(m in scores and scores[m].on_test for m in ("baseline", "student"))
        found = gain(models_of(state, seed, "test" if on_test else "validation"))
        rows.append(SeedRow(seed, scores, found, on_test, seed_words(state, seed)))
    return rows


def summary(state: DashboardState) -> dict[str, ModelSummary]:
    """Means and deviations of the test scores over the seeds."""
    return summarise({str(seed): models_of(state, seed, "test") for seed in state.seeds})


def gain_sentence(state: DashboardState) -> str:
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


def models_of(state: DashboardState, seed: int, split: str) -> dict[str, ModelResult]:
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
