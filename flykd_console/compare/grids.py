"""A comparison as tables of text, the same wherever it is shown: a title, headings, rows, a caption."""

from __future__ import annotations

from collections.abc import Iterator

from flykd_console.compare.captions import worth_caption
from flykd_console.compare.distance_grids import distance_grids
from flykd_console.compare.figures import Block, Comparison, Gain, Row, RunFacts
from flykd_console.compare.grid import (
    Grid,
    interval_words,
    joined_seeds,
    name_of_seeds,
    p_words,
    seed_chunks,
    spread_words,
    won_words,
)
from flykd_console.compare.matrix_grids import matrix_grids
from flykd_console.compare.rivals import gain_labels, over_rivals
from flykd_console.compare.tail_grids import ap_gain_grids, ap_grids
from flykd_console.runs.events import MACRO_AP, MACRO_AUPRC
from flykd_console.runs.models import DISTILLED
from flykd_console.words import DASH, grouped, metric_words, per_cent, short_relation, signed, span

RANKING_WORDS = {
    "recall_at_10": "recall@10", "recall_at_20": "@20", "recall_at_50": "@50", "recall_at_100": "@100",
    "hits_at_10": "hits@10", "ap": "AP", "mrr": "MRR", "auroc": "AUROC",
}  # fmt: skip

_NAMED_IN_A_CELL = 5


def block_heading(comparison: Comparison, index: int) -> str:
    """What a block is of: graph, split, seeds and pairs, in one line."""
    block = comparison.blocks[index]
    pairs = [positives + negatives for found in block.pairs.values() for positives, negatives in found.values()]
    a_seed = grouped(sum(pairs) / len(block.seeds))
    only = f", only tails in {comparison.only}" if comparison.only else ""
    seeds = f"seed{'s' if len(block.seeds) > 1 else ''} {joined_seeds(block.seeds)}"
    return f"{block.graph} · {block.split} · {seeds} · {a_seed} {block.part} pairs a seed{only}"


def grids(block: Block) -> Iterator[Grid]:
    """Every table of a block, in reading order."""
    yield from headline_grids(block)
    yield from auprc_grids(block)
    yield from ap_grids(block)
    if any(row.gain for row in block.rows):
        yield from gain_grids(block)
        yield mean_gain_grid(block)
        yield worth_grid(block)
    yield from ap_gain_grids(block)
    if any(row.rival for row in block.rows):
        yield mean_gain_grid(block, rival=True)
        yield worth_grid(block, rival=True)
    yield relations_grid(block)
    yield from ranking_grids(block)
    yield from distance_grids(block)
    yield from matrix_grids(block)
    yield runs_grid(block)


def headline_grids(block: Block) -> Iterator[Grid]:
    """The metric that the runs put first, mean ± std, where it is not AUPRC and has no table of its own."""
    if block.headline == MACRO_AP and all(row.by_tail for row in block.rows):
        return
    rows = [(row.label, row.metrics[block.headline]) for row in block.rows if block.headline in row.metrics]
    if block.headline != MACRO_AUPRC and rows:
        yield Grid(
            title=f"{block.part.capitalize()} {metric_words(block.headline)}, per cent",
            headings=["model", "mean ± std"],
            rows=[[label, spread_words(spread, 100)] for label, spread in rows],
            caption="The runs' headline metric, from their results. What follows is of AUPRC, but where it says AP.",
            emphasised=(1,),
        )


def auprc_grids(block: Block) -> Iterator[Grid]:
    """AUPRC of every model per seed; in the last table mean ± std, and the paper's mean ± std."""
    *earlier, last = seed_chunks(block.seeds)
    title = f"{block.part.capitalize()} AUPRC, per cent"
    for seeds in earlier:
        rows = [[row.label, *_scores(row, seeds)] for row in block.rows]
        yield Grid(title=title + name_of_seeds(seeds), headings=["model", *map(str, seeds)], rows=rows)
    headings = ["model", *map(str, last), "mean ± std"]
    rows = [[row.label, *_scores(row, last), spread_words(row.auprc, 100)] for row in block.rows]
    if _has_paper(block):
        headings.append("paper")
        rows = [[*cells, _paper_auprc(row)] for cells, row in zip(rows, block.rows, strict=True)]
    yield Grid(
        title=title + name_of_seeds(last) if earlier else title,
        headings=headings,
        rows=rows,
        caption="Macro AUPRC: the mean over the relations.",
        emphasised=(len(last) + 1,),
    )


def _scores(row: Row, seeds: list[int]) -> list[str]:
    return [per_cent(row.seeds[seed].macro_auprc) for seed in seeds]


def gain_grids(block: Block) -> Iterator[Grid]:
    """Gains per seed in points, each with its interval over pairs below it."""
    *earlier, last = seed_chunks(block.seeds)
    title = f"Gain {_over(_gains(block, rival=False))}, points"
    for seeds in earlier:
        yield Grid(
            title=title + name_of_seeds(seeds), headings=["model", *map(str, seeds)], rows=_gain_rows(block, seeds)
        )
    yield Grid(
        title=title + name_of_seeds(last) if earlier else title,
        headings=["model", *map(str, last)],
        rows=_gain_rows(block, last),
        caption=f"Below each gain: 95 % interval, paired bootstrap over that seed's {block.part} pairs.",
    )


def _gain_rows(block: Block, seeds: list[int]) -> list[list[str]]:
    rows = []
    gaining = _gains(block, rival=False)
    for label, (_, gain) in zip(gain_labels(gaining), gaining, strict=True):
        found = [gain.seeds[seed] for seed in seeds]
        rows.append([label, *(f"{signed(one.points)}\n{interval_words(one.over_pairs, 1)}" for one in found)])
    return rows


def mean_gain_grid(block: Block, rival: bool = False) -> Grid:
    """Mean ± std of the gain in points and in per cent, the paper's, and in how many seeds it is above zero."""
    found = _gains(block, rival)
    title = f"Against {found[0][1].over}, same seed: mean" if rival else f"Mean gain {_over(found)}"
    columns = {
        "model": gain_labels(found),
        "points": [spread_words(gain.points, sign=True) for _, gain in found],
        "per cent": [spread_words(gain.percent, sign=True) for _, gain in found],
        "paper": [_paper_gain(gain) for _, gain in found],
        "seeds won": [won_words([one.points for one in gain.seeds.values()]) for _, gain in found],
    }
    if rival or not _has_paper(block):
        del columns["paper"]
    rows = [list(cells) for cells in zip(*columns.values(), strict=True)]
    return Grid(title=title, headings=list(columns), rows=rows, emphasised=(1,))


def worth_grid(block: Block, rival: bool = False) -> Grid:
    """The three intervals of the mean gain, and the sign-flip test."""
    found = _gains(block, rival)
    return Grid(
        title=f"Against {found[0][1].over}: what it is worth"
        if rival
        else f"What the gain {_over(found)} is worth, points",
        headings=["model", "gain", f"{block.part} pairs", f"{block.part} {block.tail_type}s", "seeds", "p"],
        rows=[
            [
                label,
                signed(gain.points.mean),
                interval_words(gain.over_pairs),
                interval_words(gain.over_tails),
                interval_words(gain.over_seeds),
                p_words(gain.sign_flip_p),
            ]
            for label, (_, gain) in zip(gain_labels(found), found, strict=True)
        ],
        caption=worth_caption(block, [(row.label, gain.over_seeds) for row, gain in found]),
        emphasised=(1,),
    )


def _over(found: list[tuple[Row, Gain]]) -> str:
    return over_rivals(gain for _, gain in found)


def _gains(block: Block, rival: bool) -> list[tuple[Row, Gain]]:
    chosen = [(row, row.rival if rival else row.gain) for row in block.rows]
    return [(row, gain) for row, gain in chosen if gain]


def relations_grid(block: Block) -> Grid:
    """AUPRC per relation, mean ± std, and what training took."""
    return Grid(
        title=f"{block.part.capitalize()} AUPRC by relation, per cent",
        headings=["model", "dim", *map(_relation, block.targets), "trained for"],
        rows=[
            [
                row.label,
                row.shape,
                *(spread_words(row.relations[relation], 100) for relation in block.targets),
                span(row.seconds),
            ]
            for row in block.rows
        ],
        caption="Training time is that of one seed, without pretraining.",
    )


def ranking_grids(block: Block) -> Iterator[Grid]:
    """Ranking per tail, one table for each relation, where the runs measured it."""
    part, earlier = "test", "training or validation"
    if block.part != "test":
        part, earlier = "validation part", "training"
    for relation in block.targets:
        rows = [row for row in block.rows if row.ranking.get(relation)]
        metrics = list(dict.fromkeys(metric for row in rows for metric in row.ranking[relation]))
        if not metrics:
            continue
        yield Grid(
            title=f"Ranking per {block.tail_type}, per cent: {relation}",
            headings=["model", *(RANKING_WORDS.get(metric, metric) for metric in metrics)],
            rows=[
                [row.label, *(spread_words(row.ranking[relation].get(metric), 100) for metric in metrics)]
                for row in rows
            ],
            caption=f"For each {block.tail_type} of the {part} all candidates are ranked but those that are true "
            f"pairs of it in {earlier}; mean over the {block.tail_type}s.",
        )


def runs_grid(block: Block) -> Grid:
    """Which run is which, the paper's row that its settings repeat, and settings in which the runs differ."""
    headings = ["run", "method", "the paper's row"]
    rows = [[run.name, _methods(block, run), run.paper_row or "none"] for run in block.runs]
    if any(run.differs for run in block.runs):
        headings.append("trained with")
        rows = [[*row, _settings(run.differs)] for row, run in zip(rows, block.runs, strict=True)]
    return Grid(title="Runs", headings=headings, rows=rows, words=True)


def _methods(block: Block, run: RunFacts) -> str:
    """The distilled models of a run by their labels."""
    labels = [row.label for row in block.rows if row.role in DISTILLED and run.name in row.runs]
    return ", ".join(labels) or run.label


def _has_paper(block: Block) -> bool:
    """Whether there is a column of the paper's figures, which are of a test."""
    return block.part == "test"


def _paper_auprc(row: Row) -> str:
    paper = row.paper
    if paper is None or paper.mean is None or paper.std is None:
        return DASH
    return f"{100 * paper.mean:.2f} ± {100 * paper.std:.2f}"


def _paper_gain(gain: Gain) -> str:
    return DASH if gain.paper is None else f"{signed(gain.paper[0])} ± {gain.paper[1]:.2f}"


def _relation(name: str) -> str:
    return name if len(name) <= 18 else short_relation(name)


def _settings(values: dict[str, object]) -> str:
    lines = [f"{key} = {value}" for key, value in values.items()]
    shown, rest = lines[:_NAMED_IN_A_CELL], len(lines) - _NAMED_IN_A_CELL
    if rest > 0:
        shown.append(f"and {rest} more")
    return "\n".join(shown)
