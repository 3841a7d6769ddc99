"""What a comparison finds, as plain frozen records: blocks of comparable runs, a row for each model, its gains.

AUPRC and AUROC are fractions in [0, 1]; gains and their intervals are in points (100 times a difference of macro AUPRC)
unless they say per cent. The field names are a promise to programs that read `--json`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from flykd_console.runs.distances import ByDistance
from flykd_console.runs.events import MACRO_AUPRC
from flykd_console.runs.models import Role
from flykd_console.runs.results import Spread

SCHEMA = 1


class Interval(msgspec.Struct, frozen=True):
    """From `low` to `high`. `margin`: the further end's distance from zero, and so the smallest margin of equivalence
    that the interval stays within: differences beyond ± `margin` are excluded.
    """

    low: float
    high: float
    margin: float

    @classmethod
    def of(cls, ends: tuple[float, float]) -> Interval:
        """The interval between two ends, the lower one first."""
        return cls(*ends, max(map(abs, ends)))


class Overlap(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the pairs is tested beside what is trained on.

    `test_to_train`: a ratio, as `compare.overlap` takes it; `taken_from`: `pairs` that were counted, or `fractions` of
    the split.
    """

    test_to_train: float
    taken_from: str


class SeedScore(msgspec.Struct, frozen=True, kw_only=True):
    """One model in one seed."""

    macro_auprc: float
    relations: dict[str, float]


class SeedGain(msgspec.Struct, frozen=True, kw_only=True):
    """A gain in one seed; intervals in points, by paired bootstrap over test pairs, or tails with all their pairs."""

    points: float
    percent: float
    over_pairs: Interval
    over_tails: Interval


class Gain(msgspec.Struct, frozen=True, kw_only=True):
    """What a model wins over another, `over`, seed by seed.

    Attributes:
        seeds: By seed.
        points: Mean and sample deviation over the seeds.
        percent: The same in per cent of the other's AUPRC.
        over_pairs: 95 % interval of the mean, these seeds given: paired bootstrap over test pairs.
        over_tails: The same over tails with all their pairs.
        over_seeds: 95 % interval of the mean over further seeds: paired t, corrected for overlapping training sets
            where the block says its `overlap` (variance factor 1/n + n_test/n_train); None for one seed.
        over_seeds_uncorrected: The plain paired t (1/n), which takes seeds for independent; None for one seed.
        sign_flip_p: Two-sided, exact; None for one seed.
        paper: Mean and deviation that the paper gives, points or per cent; None where it has no such row.
    """

    over: str
    seeds: dict[int, SeedGain]
    points: Spread
    percent: Spread
    over_pairs: Interval
    over_tails: Interval
    over_seeds: Interval | None
    over_seeds_uncorrected: Interval | None
    sign_flip_p: float | None
    paper: tuple[float, float] | None = None


class TailGain(msgspec.Struct, frozen=True, kw_only=True):
    """What a model wins over another, `over`, in points of macro AP.

    Attributes:
        seeds: By seed.
        points: Mean and sample deviation over the seeds.
        over_tails: 95 % interval of the mean, these seeds given: paired bootstrap over the part's tails; None for fewer
            than two of them.
        over_seeds: As that of `Gain`.
        over_seeds_uncorrected: As that of `Gain`.
        sign_flip_p: As that of `Gain`.
    """

    over: str
    seeds: dict[int, float]
    points: Spread
    over_tails: Interval | None
    over_seeds: Interval | None
    over_seeds_uncorrected: Interval | None
    sign_flip_p: float | None


class TailScore(msgspec.Struct, frozen=True, kw_only=True):
    """A model's macro AP, a fraction: the mean over the tails of a relation, then over relations.

    Attributes:
        seeds: By seed.
        ap: Over the seeds.
        relations: Over the seeds by relation.
        gain: Over its own rival; None for baselines and in runs without one.
        heuristics: Over each scorer without training of its run, in the order of the run; none for such scorers.
    """

    seeds: dict[int, float]
    ap: Spread
    relations: dict[str, Spread]
    gain: TailGain | None = None
    heuristics: list[TailGain] = []


class PaperFigure(msgspec.Struct, frozen=True, kw_only=True):
    """The row of the paper that a model repeats; `auprc` (fractions by seed, mean, deviation) for Table 1 alone."""

    name: str
    table: str
    seeds: dict[int, float] = {}
    mean: float | None = None
    std: float | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One model of a block.

    Attributes:
        label: As the tables name it, unique in the block.
        model: Its name in its runs.
        role: What it is there for.
        runs: Names of the runs that it stands for; several where all have the same teacher or baseline.
        shape: The width, with kind and depth of the layers where they are not the paper's; empty without a width.
        auprc: Macro AUPRC over the seeds.
        relations: AUPRC over the seeds by relation.
        metrics: Every named metric over the seeds, as the results have them; none where only some tails are tested.
        ranking: Per-tail ranking metrics over the seeds by relation and metric, where the runs measured them.
        matrix: All pairs ranked together: by relation, n and figure (those of `runs.results.MatrixCut`) over the seeds,
            commonality over the pairs of seeds; none where no run measured it in all of them.
        by_distance: Average precision of its rankings by relation and the tail's distance to the nearest tail that the
            relation was trained on, over the tails of all seeds; none where only some tails are tested, and where no
            run measured it in all of the seeds.
        seconds: Mean training time a seed.
        gain: Over its own rival, of the same run; None for baselines and in runs without one.
        rival: Over the model that the caller named; None without one and for that model itself.
        by_tail: Macro AP of its rankings; None where its runs left none.
    """

    label: str
    model: str
    role: Role
    runs: list[str]
    dim: int | None
    shape: str
    seeds: dict[int, SeedScore]
    auprc: Spread
    relations: dict[str, Spread]
    metrics: dict[str, Spread] = {}
    ranking: dict[str, dict[str, Spread]] = {}
    matrix: dict[str, dict[int, dict[str, Spread]]] = {}
    by_distance: ByDistance = {}
    seconds: float
    paper: PaperFigure | None = None
    gain: Gain | None = None
    rival: Gain | None = None
    by_tail: TailScore | None = None


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A run of a block.

    Attributes:
        label: That of its first distilled model.
        paper_row: The paper's row that its student repeats; several where it has several such students.
        seeds_left_out: Of its own seeds.
        differs: Training settings in which it differs from the others; where most agree, those alone that do not.
        made_with: What its student is made of, as far as another run of the same method's name differs in it.
    """

    name: str
    path: str
    label: str
    method: str
    paper_row: str | None
    seeds_left_out: list[int]
    differs: dict[str, Any]
    made_with: dict[str, Any] = {}


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """Runs that are compared pair by pair.

    `pairs`: (positives, negatives) by seed and relation; `tail_type`: the graph's word for tails, such as disease, and
    `head_type` for heads;
    `part`: whose pairs, `test` or `validation`; `headline`: the metric that the runs put first; `overlap`: what
    intervals over seeds are corrected by, None: they are not.
    """

    graph: str
    fingerprint: str
    split: str
    targets: list[str]
    seeds: list[int]
    pairs: dict[int, dict[str, tuple[int, int]]]
    runs: list[RunFacts]
    rows: list[Row]
    notes: list[str]
    tail_type: str = "tail"
    head_type: str = "head"
    part: str = "test"
    headline: str = MACRO_AUPRC
    overlap: Overlap | None = None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The whole. More than one block: they must not be compared with one another."""

    schema: int = SCHEMA
    level: float
    resamples: int
    only: str | None
    blocks: list[Block]
