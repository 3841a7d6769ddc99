"""`results.json`: what a run measured, per seed and model, and the one place where means and gains are computed.

Scores are fractions in [0, 1], by the name of the metric; the run's headline is the one that tables put first. A gain
compares a model with the one of the same seed that its entry names (a student with its baseline), in points (100 times
the difference of a metric) and in per cent of the other, and is then averaged over the seeds. Deviations are sample
deviations (n - 1); one seed has none. The field names are a promise to other programs; those of AUPRC and AUROC repeat
what `metrics` says of them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from flykd_console.errors import CHECK_PATH, UserError
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.distances import ByDistance, pooled_by_distance
from flykd_console.runs.events import MACRO_AUPRC, RelationScore
from flykd_console.runs.files import replace_file
from flykd_console.runs.model_shape import LAYER_KIND, LAYERS, model_shape
from flykd_console.runs.models import ModelEntry

SCHEMA = 1


class RankingScores(msgspec.Struct, frozen=True, kw_only=True):
    """How well true heads are found for a tail, averaged over the `tails` with a true pair of the part; fractions.

    All `candidates` (heads with a training edge of any relation) are ranked for each tail, except those that are true
    pairs of the relation in an earlier part. `recall_at_k`: share of the true heads among the first k; `hits_at_10`:
    share of the tails with a true head among the first ten; `ap`: average precision; `mrr`: 1 / rank of the first true
    head; `auroc`: share of the other candidates that a true head is ranked before. `ideal`: by the same names what the
    best order would reach, below 1 where true heads are no candidates or more than k. None: not measured.

    Of tails ranked for a head `tails` counts the heads, and `candidates` the tails.
    """

    recall_at_10: float
    recall_at_20: float | None = None
    recall_at_50: float
    recall_at_100: float
    hits_at_10: float | None = None
    ap: float
    mrr: float
    auroc: float | None = None
    tails: int
    candidates: int
    ideal: dict[str, float] = {}


RANKING_METRICS = (
    "recall_at_10", "recall_at_20", "recall_at_50", "recall_at_100", "hits_at_10", "ap", "mrr", "auroc",
)  # fmt: skip


class MatrixCut(msgspec.Struct, frozen=True, kw_only=True):
    """The first n pairs of all that a relation could have: `tasks/link_prediction/matrix.py` has the formulas.

    `recall`: share of the part's true pairs among them; `ideal_recall`: what the best order would reach. `heads`,
    `tails`: how many different ones they name; `head_entropy`, `tail_entropy`: how evenly, 0 to 1. `commonality`: by
    each seed of the run that was trained before, the share of the first n new pairs that both seeds have.
    """

    recall: float
    ideal_recall: float
    heads: int
    tails: int
    head_entropy: float
    tail_entropy: float
    commonality: dict[int, float] = {}


class MatrixScores(msgspec.Struct, frozen=True, kw_only=True):
    """All `pairs` of `heads` with `tails` (candidates: those with a training edge) ranked together, true pairs of the
    relation in an earlier part left out; `true`: the part's true pairs; `at`: by n, for every n below `pairs`.
    """

    pairs: int
    true: int
    heads: int
    tails: int
    at: dict[int, MatrixCut]


MATRIX_FIGURES = ("recall", "ideal_recall", "heads", "tails", "head_entropy", "tail_entropy", "commonality")


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """One model on one part. `macro_*`: mean over the relations; `micro_*`: all pairs pooled. None: not measured.

    `metrics`: every metric by name, those before among them. `ranking`: per relation, over the part's tails, heads
    ranked for each; `ranking_tails`: over the part's heads, tails ranked for each; `matrix`: all pairs ranked together;
    `by_distance`: heads ranked for each tail, by relation and the tail's distance to the nearest tail of training.
    """

    macro_auprc: float | None = None
    macro_auroc: float | None = None
    micro_auprc: float | None = None
    micro_auroc: float | None = None
    relations: dict[str, RelationScore] = {}
    ranking: dict[str, RankingScores] | None = None
    ranking_tails: dict[str, RankingScores] | None = None
    matrix: dict[str, MatrixScores] | None = None
    by_distance: ByDistance | None = None
    metrics: dict[str, float] = {}

    def value(self, metric: str) -> float | None:
        """A metric's value; None where it was not measured."""
        return self.metrics.get(metric)


class ModelResult(msgspec.Struct, frozen=True, kw_only=True):
    """A model of one seed: `seconds` of training; `reused_from` names the run it was taken over from.

    A heuristic has no width, no parameters and no epochs; its seconds are those of scoring.

    `layers` of `layer_kind` (`rgcn` or `rgat`), each `dim` wide; a file that names neither is of two `rgcn` layers.
    `kept_epoch`: the epoch whose weights stayed, where the best on validation was asked for; None: the last one.
    `added_epochs`: how many of `epochs` are beyond the profile's, added by hand while the stage was in training.
    """

    dim: int | None
    layers: int = LAYERS
    layer_kind: str = LAYER_KIND
    parameters: int
    epochs: int
    seconds: float
    test: Scores
    validation: Scores = Scores()
    reused_from: str | None = None
    kept_epoch: int | None = None
    added_epochs: int = 0

    @property
    def shape(self) -> str:
        """Width, and kind and depth where they are not the paper's: `130`, `rgat 3×130`."""
        return model_shape(self.dim, self.layers, self.layer_kind)


class GraphSource(msgspec.Struct, frozen=True, kw_only=True):
    """The graph: what it was read from, and the SHA-256 over its ids and edges."""

    source: str
    fingerprint: str = ""


class LeftOutLabels(msgspec.Struct, frozen=True, kw_only=True):
    """Labels that left training and validation, since their tail is within `hops` steps of a tested one.

    `over`: the relations that the steps go over; `tails`: how many tails lost a label; `labels`: how many, by relation.
    """

    hops: int
    over: list[str]
    tails: int
    labels: dict[str, int]


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Mean and sample deviation over `n` seeds; `std` is None for a single one."""

    mean: float
    std: float | None = None
    n: int


class ModelSummary(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One model over the seeds, test part. `relations`: per relation `auprc` and `auroc`.

    `ranking`, `ranking_tails`: per relation the fractions of `RankingScores`. `matrix`: per relation and n those of
    `MatrixCut`, commonality over the pairs of seeds. `by_distance`: average precision over the tails of all seeds, by
    relation and distance. `metrics`: every metric by name.
    `gains`: by metric, in points, over the model that its entry names; `gain_points` and `gain_percent` are those of
    macro AUPRC.
    """

    macro_auprc: Spread | None = None
    macro_auroc: Spread | None = None
    relations: dict[str, dict[str, Spread]] = {}
    ranking: dict[str, dict[str, Spread]] = {}
    ranking_tails: dict[str, dict[str, Spread]] = {}
    matrix: dict[str, dict[int, dict[str, Spread]]] = {}
    by_distance: ByDistance = {}
    gain_points: Spread | None = None
    gain_percent: Spread | None = None
    metrics: dict[str, Spread] = {}
    gains: dict[str, Spread] = {}


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file. Keys of `seeds` are the seeds as text; a seed in work lacks the models that are not done.

    `models` lists every model of the run in the order of tables; `headline` names the metric that comes first.
    `left_out`: by seed the labels that are in no part of its split (`split.hops`).
    """

    schema: int = SCHEMA
    run: str
    method: str
    graph: GraphSource
    headline: str = MACRO_AUPRC
    models: list[ModelEntry] = []
    seeds: dict[str, dict[str, ModelResult]] = {}
    summary: dict[str, ModelSummary] = {}
    left_out: dict[str, LeftOutLabels] = {}

    def trained(self) -> list[ModelEntry]:
        """The models that any seed has, in the order of the list."""
        return [entry for entry in self.models if any(entry.name in models for models in self.seeds.values())]


class Gain(msgspec.Struct, frozen=True, kw_only=True):
    """What a model wins over another one of its own seed."""

    points: float
    percent: float


def gain(models: Mapping[str, ModelResult], entry: ModelEntry, metric: str = MACRO_AUPRC) -> Gain | None:
    """A model's gain in one seed; None where one of the two is missing or the other scores 0."""
    if entry.name not in models or entry.over not in models:
        return None
    ours, theirs = models[entry.name].test.value(metric), models[entry.over].test.value(metric)
    if ours is None or theirs is None or not theirs:
        return None
    if not math.isfinite(ours) or not math.isfinite(theirs):
        return None
    return Gain(points=100.0 * (ours - theirs), percent=100.0 * (ours / theirs - 1.0))


def spread(values: Iterable[float | None]) -> Spread | None:
    """Mean and sample deviation of the values that were measured; None where there is none."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return None
    return Spread(mean=statistics.fmean(known), std=statistics.stdev(known) if len(known) > 1 else None, n=len(known))


def summarise(seeds: Mapping[str, Mapping[str, ModelResult]], models: Iterable[ModelEntry]) -> dict[str, ModelSummary]:
    """Means and deviations over the seeds per model, in the order of the list; one that no seed has is absent."""
    summary = {}
    for entry in models:
        tests = [found[entry.name].test for found in seeds.values() if entry.name in found]
        if tests:
            summary[entry.name] = _summary_of(entry, tests, seeds)
    return summary


def _summary_of(entry: ModelEntry, tests: list[Scores], seeds: Mapping[str, Mapping[str, ModelResult]]) -> ModelSummary:
    relations = list(dict.fromkeys(relation for test in tests for relation in test.relations))
    metrics = list(dict.fromkeys(metric for test in tests for metric in test.metrics))
    spreads = {metric: spread(test.value(metric) for test in tests) for metric in metrics}
    won = {metric: [gain(models, entry, metric) for models in seeds.values()] for metric in metrics}
    points = {metric: spread(one.points for one in gains if one is not None) for metric, gains in won.items()}
    percent = spread(one.percent for one in won.get(MACRO_AUPRC, []) if one is not None)
    return ModelSummary(
        macro_auprc=spread(test.macro_auprc for test in tests),
        macro_auroc=spread(test.macro_auroc for test in tests),
        relations={r: _relation_spread([t.relations[r] for t in tests if r in t.relations]) for r in relations},
        ranking=_ranking_spread([test.ranking for test in tests if test.ranking]),
        ranking_tails=_ranking_spread([test.ranking_tails for test in tests if test.ranking_tails]),
        matrix=matrix_spread([test.matrix for test in tests if test.matrix]),
        by_distance=pooled_by_distance([test.by_distance for test in tests if test.by_distance]),
        gain_points=points.get(MACRO_AUPRC),
        gain_percent=percent,
        metrics={metric: value for metric, value in spreads.items() if value is not None},
        gains={metric: value for metric, value in points.items() if value is not None},
    )


def build_results(
    run: str,
    method: str,
    graph: GraphSource,
    seeds: Mapping[int, Mapping[str, ModelResult]],
    models: Sequence[ModelEntry],
    headline: str = MACRO_AUPRC,
    left_out: Mapping[int, LeftOutLabels] | None = None,
) -> Results:
    """The results of the seeds so far, in ascending order of the seed, with their summary."""
    left = left_out or {}
    ordered = {str(seed): dict(seeds[seed]) for seed in sorted(seeds)}
    return Results(
        run=run,
        method=method,
        graph=graph,
        headline=headline,
        models=list(models),
        seeds=ordered,
        summary=summarise(ordered, models),
        left_out={str(seed): left[seed] for seed in sorted(left)},
    )


def write_results(directory: RunDirectory, results: Results) -> None:
    """Put `results.json` in place, with its summary computed anew; scores that are not finite are left out."""
    seeds = {seed: {name: _clean(model) for name, model in models.items()} for seed, models in results.seeds.items()}
    summary = summarise(seeds, results.models)
    results = msgspec.structs.replace(results, seeds=seeds, summary=summary)
    replace_file(directory.results, msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")


def read_results(path: Path) -> Results:
    """Read `results.json`.

    Raises:
        UserError: The file is missing, damaged, or written by a newer program.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"the results cannot be read ({error.strerror})", str(path), CHECK_PATH) from None
    try:
        schema = msgspec.json.decode(data, type=_SchemaOnly).schema
        if schema > SCHEMA:
            raise UserError(
                f"written by a newer program (schema {schema}; this one reads up to {SCHEMA})",
                str(path),
                "Update flykd-console.",
            )
        return msgspec.json.decode(data, type=Results)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"the file is damaged ({error})",
            str(path),
            "Resuming the run writes it anew: flykd-console run --resume RUN",
        ) from None


class _SchemaOnly(msgspec.Struct):
    schema: int


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _relation_spread(scores: list[RelationScore]) -> dict[str, Spread]:
    found = {"auprc": spread(s.auprc for s in scores), "auroc": spread(s.auroc for s in scores)}
    return {name: value for name, value in found.items() if value is not None}


def _ranking_spread(found: list[dict[str, RankingScores]]) -> dict[str, dict[str, Spread]]:
    relations = dict.fromkeys(relation for by_relation in found for relation in by_relation)
    return {
        relation: {
            metric: value
            for metric in RANKING_METRICS
            if (value := spread(getattr(one[relation], metric) for one in found if relation in one)) is not None
        }
        for relation in relations
    }


def matrix_spread(
    found: Sequence[Mapping[str, MatrixScores]], seeds: Sequence[int] | None = None
) -> dict[str, dict[int, dict[str, Spread]]]:
    """Per relation, n and figure of `MATRIX_FIGURES` the spread over seeds, of commonality over their pairs.

    Args:
        found: One entry a seed.
        seeds: Those that commonality may be with; None: any.
    """
    spreads: dict[str, dict[int, dict[str, Spread]]] = {}
    for relation in dict.fromkeys(relation for one in found for relation in one):
        matrices = [one[relation] for one in found if relation in one]
        # An n that only some seeds reach would compare others than the figures beside it.
        shared = [n for n in matrices[0].at if all(n in one.at for one in matrices)]
        spreads[relation] = {n: _cut_spread([one.at[n] for one in matrices], seeds) for n in shared}
    return spreads


def _cut_spread(cuts: Sequence[MatrixCut], seeds: Sequence[int] | None) -> dict[str, Spread]:
    values: dict[str, list[float]] = {
        name: [getattr(cut, name) for cut in cuts] for name in MATRIX_FIGURES if name != "commonality"
    }
    values["commonality"] = [
        value for cut in cuts for seed, value in cut.commonality.items() if seeds is None or seed in seeds
    ]
    return {name: known for name, of in values.items() if (known := spread(of)) is not None}


def _clean(model: ModelResult) -> ModelResult:
    """JSON has no NaN: macro and micro scores become null, a relation without a score is left out."""

    def scores(part: Scores) -> Scores:
        return Scores(
            macro_auprc=part.macro_auprc if _finite(part.macro_auprc) else None,
            macro_auroc=part.macro_auroc if _finite(part.macro_auroc) else None,
            micro_auprc=part.micro_auprc if _finite(part.micro_auprc) else None,
            micro_auroc=part.micro_auroc if _finite(part.micro_auroc) else None,
            relations={r: s for r, s in part.relations.items() if _finite(s.auprc) and _finite(s.auroc)},
            ranking=part.ranking,
            ranking_tails=part.ranking_tails,
            matrix=part.matrix,
            by_distance=part.by_distance,
            metrics={metric: value for metric, value in part.metrics.items() if _finite(value)},
        )

    return msgspec.structs.replace(model, test=scores(model.test), validation=scores(model.validation))
