"""Runs in, figures out: blocks of comparable runs, each model's AUPRC per seed, gains, and what a difference is worth.

Scores, gains and intervals are of macro AUPRC, for scores files hold logits of stored pairs; and of macro AP, where a
run left what its rankings say of each tail (`by_tail`). Every other metric is what the results say of it.

A gain is taken per seed against that seed's rival (a baseline, or what the model's entry names) and then averaged.
Three intervals answer three questions: had other pairs of these tails been tested, had other tails been tested
(paired bootstrap, these trained models given), and had other seeds been drawn (paired t, corrected for overlapping
training sets).
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from flykd_console.compare.average_precision import Floats, average_precision
from flykd_console.compare.bootstrap import (
    LEVEL,
    RESAMPLES,
    RelationScores,
    macro_resamples,
    percentile_interval,
)
from flykd_console.compare.by_tail import Question, notes_on_rankings, tail_scores
from flykd_console.compare.comparable import blocks_of, common_seeds
from flykd_console.compare.describe import (
    by_distance_of,
    describe_runs,
    matrix_of,
    metrics_of,
    notes_of,
    paper_figure,
    ranking_of,
)
from flykd_console.compare.figures import Block, Comparison, Gain, Interval, Row, SeedGain, SeedScore
from flykd_console.compare.loading import LoadedRun
from flykd_console.compare.models import Contender, contender_of, contenders_of, rival_of
from flykd_console.compare.over_seeds import sign_flip_p, t_interval
from flykd_console.compare.overlap import overlap_of
from flykd_console.compare.population import Restriction, tested_pairs
from flykd_console.errors import UserError
from flykd_console.runs.models import ModelEntry, headliner, trains_nothing
from flykd_console.runs.results import Spread, spread


def compare(
    runs: Sequence[LoadedRun],
    *,
    anyway: bool = False,
    only: Restriction | None = None,
    against: LoadedRun | None = None,
    resamples: int = RESAMPLES,
) -> Comparison:
    """Compare runs.

    Args:
        runs: At least one.
        anyway: Runs that are not comparable go into blocks of their own.
        only: Leave out test pairs of other tails.
        against: A run of `runs` whose headliner every other model is compared with as well.
        resamples: Of the bootstrap.

    Raises:
        UserError: The runs are not comparable; a relation has no test pairs left; `against` trained no model.
    """
    if against is not None and _about(against) is None:
        raise UserError(
            "this run has no trained model to compare with", against.name, "Name another run: flykd-console runs"
        )
    blocks = [_block(block, only, against, resamples) for block in blocks_of(runs, anyway)]
    return Comparison(level=LEVEL, resamples=resamples, only=only.name if only else None, blocks=blocks)


@dataclass(frozen=True)
class _Measured:
    """By seed and contender: scores, and macro AUPRC in every resample of the pairs and of the tails.

    `test_to_train` is what intervals over seeds are corrected by, 0 where nothing tells it.
    """

    scores: dict[int, dict[Contender, SeedScore]]
    by_pairs: dict[int, dict[Contender, Floats]]
    by_tails: dict[int, dict[Contender, Floats]]
    test_to_train: float


def _block(runs: Sequence[LoadedRun], only: Restriction | None, against: LoadedRun | None, resamples: int) -> Block:
    seeds = common_seeds(runs)
    contenders = contenders_of(runs, seeds)
    population, pairs = tested_pairs(runs, contenders, seeds, only)
    overlap = overlap_of(runs, seeds)
    measured = _Measured(
        {seed: _score(pairs[seed], contenders) for seed in seeds},
        {seed: macro_resamples(pairs[seed], contenders, resamples, seeds[0], "pairs", population) for seed in seeds},
        {seed: macro_resamples(pairs[seed], contenders, resamples, seeds[0], "tails", population) for seed in seeds},
        overlap.test_to_train if overlap else 0.0,
    )
    rival = _headliner_of(against, contenders)
    ranked = tail_scores(contenders, seeds, Question(only.ids if only else None, measured.test_to_train, resamples))
    first = runs[0]
    return Block(
        graph=first.results.graph.source,
        fingerprint=first.fingerprint,
        split=first.profile.split.kind,
        targets=sorted(pairs[seeds[0]]),
        tail_type=first.tail_type,
        head_type=first.head_type,
        part=first.part,
        headline=first.results.headline,
        overlap=overlap,
        seeds=seeds,
        pairs={
            seed: {r: (int((s.labels == 1).sum()), int((s.labels == 0).sum())) for r, s in sorted(found.items())}
            for seed, found in pairs.items()
        },
        runs=describe_runs(runs, contenders, seeds),
        rows=[
            msgspec.structs.replace(
                _row(one, measured, rival_of(one, contenders), rival, whole=only is None), by_tail=ranked.get(one)
            )
            for one in contenders
        ],
        notes=_without_rival(against, rival)
        + _restricted(runs, pairs, only)
        + notes_of(runs, seeds, measured.scores if only is None else {})
        + notes_on_rankings(runs, seeds, ranked if only is None else {}),
    )


def _headliner_of(run: LoadedRun | None, contenders: Sequence[Contender]) -> Contender | None:
    """The model that a run is about, where the run is of the block."""
    entry = _about(run) if run is not None else None
    if run is None or entry is None:
        return None
    return contender_of(run, entry.name, contenders)


def _about(run: LoadedRun) -> ModelEntry | None:
    """The model that a run is about; of one that trains nothing, its strongest scorer without training."""
    return headliner(run.models, untrained=trains_nothing(run.results.models))


def _row(one: Contender, measured: _Measured, baseline: Contender | None, rival: Contender | None, whole: bool) -> Row:
    """A model's row; `whole`: all tails are tested, as they were for the results."""
    scores = {seed: found[one] for seed, found in measured.scores.items()}
    targets = sorted(next(iter(scores.values())).relations)
    tested = one.runs[0].part == "test"  # the paper's figures are of a test part
    paper = one.paper_row if tested else None
    return Row(
        label=one.label,
        model=one.model,
        role=one.entry.role,
        runs=[run.name for run in one.runs],
        dim=one.dim,
        shape=one.shape,
        seeds=scores,
        auprc=_spread([score.macro_auprc for score in scores.values()]),
        relations={r: _spread([score.relations[r] for score in scores.values()]) for r in targets},
        metrics=metrics_of(one, list(scores)) if whole else {},
        ranking=ranking_of(one, list(scores)) if whole else {},
        matrix=matrix_of(one, list(scores)) if whole else {},
        by_distance=by_distance_of(one, list(scores)) if whole else {},
        seconds=statistics.fmean(one.result(seed).seconds for seed in scores),
        paper=paper_figure(one) if tested else None,
        gain=_gain(one, baseline, measured, paper.gain if paper else None) if baseline else None,
        rival=_gain(one, rival, measured) if rival and rival is not one else None,
    )


def _without_rival(against: LoadedRun | None, rival: Contender | None) -> list[str]:
    """Why a block has no table against the run that was asked for."""
    if against is None or rival is not None:
        return []
    return [f"Nothing here is compared with {against.name}, which is of another graph, split or seeds."]


def _restricted(
    runs: Sequence[LoadedRun], pairs: Mapping[int, Mapping[str, RelationScores]], only: Restriction | None
) -> list[str]:
    """What a restriction leaves, what it does not know, and that chance is no longer one half."""
    if only is None:
        return []
    part = runs[0].part
    tested = {tail for frame in runs[0].scores.values() for tail in frame["tail_id"].unique()}
    strange = sorted(only.ids - tested)
    named = ", ".join(strange[:5]) + (", ..." if len(strange) > 5 else "")
    unknown = f"{len(strange)} of {len(only.ids)} ids in {only.name} are in no {part} pair: {named}. "
    labels = np.concatenate([scores.labels for found in pairs.values() for scores in found.values()])
    true = int(labels.sum())
    return [
        f"Only {part} pairs of tails in {only.name}: {true} true and {len(labels) - true} false ones over all seeds, "
        f"so that chance scores about {100 * true / len(labels):.0f} %; over all pairs it scores 50 %. "
        f"{unknown if strange else ''}The results' rankings are of all tails, and left out here."
    ]


def _score(relations: dict[str, RelationScores], contenders: Sequence[Contender]) -> dict[Contender, SeedScore]:
    found = {}
    for one in contenders:
        auprc = {
            relation: average_precision(scores.logits[one][scores.labels == 1], scores.logits[one][scores.labels == 0])
            for relation, scores in relations.items()
        }
        found[one] = SeedScore(macro_auprc=statistics.fmean(auprc.values()), relations=auprc)
    return found


def _gain(one: Contender, other: Contender, measured: _Measured, paper: tuple[float, float] | None = None) -> Gain:
    by_pairs, by_tails = (
        {seed: 100.0 * (found[one] - found[other]) for seed, found in resampled.items()}
        for resampled in (measured.by_pairs, measured.by_tails)
    )
    seeds = {}
    for seed, found in measured.scores.items():
        ours, theirs = found[one].macro_auprc, found[other].macro_auprc
        seeds[seed] = SeedGain(
            points=100.0 * (ours - theirs),
            percent=100.0 * (ours / theirs - 1.0),
            over_pairs=Interval.of(percentile_interval(by_pairs[seed])),
            over_tails=Interval.of(percentile_interval(by_tails[seed])),
        )
    points = [gain.points for gain in seeds.values()]
    corrected, plain = t_interval(points, LEVEL, measured.test_to_train), t_interval(points, LEVEL)
    # Seeds are resampled together, so the mean of the i-th resamples is one draw of the mean.
    return Gain(
        over=other.label,
        seeds=seeds,
        points=_spread(points),
        percent=_spread([gain.percent for gain in seeds.values()]),
        over_pairs=Interval.of(percentile_interval(np.mean(list(by_pairs.values()), axis=0))),
        over_tails=Interval.of(percentile_interval(np.mean(list(by_tails.values()), axis=0))),
        over_seeds=Interval.of(corrected) if corrected else None,
        over_seeds_uncorrected=Interval.of(plain) if plain else None,
        sign_flip_p=sign_flip_p(points),
        paper=paper,
    )


def _spread(values: Sequence[float]) -> Spread:
    found = spread(values)
    assert found is not None
    return found
