"""Macro AP of rankings as tables of text: scores, gains over rivals, and what is won over heuristics."""

from __future__ import annotations

from collections.abc import Iterator

from flykd_console.compare.captions import no_difference, seeds_words
from flykd_console.compare.figures import Block, Row, TailGain, TailScore
from flykd_console.compare.grid import (
    Grid,
    interval_words,
    name_of_seeds,
    p_words,
    seed_chunks,
    spread_words,
    won_words,
)
from flykd_console.compare.rivals import gain_labels, over_rivals
from flykd_console.runs.models import DISTILLED
from flykd_console.words import per_cent, signed


def ap_grids(block: Block) -> Iterator[Grid]:
    """AP of every model per seed, in the last table with mean ± std; none where no run left its rankings."""
    found = _ranked(block)
    if not found:
        return
    *earlier, last = seed_chunks(block.seeds)
    title = f"{block.part.capitalize()} AP per {block.tail_type}, per cent"
    for seeds in earlier:
        rows = [[row.label, *(per_cent(score.seeds[seed]) for seed in seeds)] for row, score in found]
        yield Grid(title=title + name_of_seeds(seeds), headings=["model", *map(str, seeds)], rows=rows)
    yield Grid(
        title=title + name_of_seeds(last) if earlier else title,
        headings=["model", *map(str, last), "mean ± std"],
        rows=[
            [row.label, *(per_cent(score.seeds[seed]) for seed in last), spread_words(score.ap, 100)]
            for row, score in found
        ],
        caption=f"Macro AP: average precision of each {block.tail_type}'s ranking, the mean over the "
        f"{block.tail_type}s of a relation, then over the relations.",
        emphasised=(len(last) + 1,),
    )


def ap_gain_grids(block: Block) -> Iterator[Grid]:
    """What the AP wins over the rival of the same seed, and over each heuristic of the run."""
    gains = [(row, score.gain) for row, score in _ranked(block) if score.gain]
    if gains:
        yield _over_rivals(block, gains)
    rows = [(row, score) for row, score in _ranked(block) if score.heuristics]
    if rows:
        yield _over_heuristics(block, rows)


def _over_rivals(block: Block, gains: list[tuple[Row, TailGain]]) -> Grid:
    return Grid(
        title=f"Gain in AP {over_rivals(gain for _, gain in gains)}, points",
        headings=["model", "gain", "seeds won", f"{block.part} {block.tail_type}s", "seeds", "p"],
        rows=[
            [
                label,
                spread_words(gain.points, sign=True),
                won_words(list(gain.seeds.values())),
                interval_words(gain.over_tails),
                interval_words(gain.over_seeds),
                p_words(gain.sign_flip_p),
            ]
            for label, (_, gain) in zip(gain_labels(gains), gains, strict=True)
        ],
        caption=" ".join(
            [
                *_asked(block),
                *seeds_words(block),
                "Not corrected for looking at several methods.",
                *no_difference([(row.label, gain.over_seeds) for row, gain in gains]),
            ]
        ),
        emphasised=(1,),
    )


def _over_heuristics(block: Block, rows: list[tuple[Row, TailScore]]) -> Grid:
    """A column for each heuristic; a cell holds the difference, and below it its two intervals."""
    names = list(dict.fromkeys(gain.over for _, score in rows for gain in score.heuristics))
    cells = [(row.label, {gain.over: gain for gain in score.heuristics}) for row, score in rows]
    verdicts = [_verdict(row.label, score) for row, score in rows if row.role in DISTILLED]
    return Grid(
        title="AP against scorers without training, points",
        headings=["model", *names],
        rows=[[label, *(_cell(gains.get(name)) for name in names)] for label, gains in cells],
        caption=" ".join(
            [
                f"The model's AP less the scorer's, mean over the seeds; below it its 95 % interval over {block.part} "
                f"{block.tail_type}s, and that over seeds (both as above).",
                *verdicts,
            ]
        ),
    )


def _cell(gain: TailGain | None) -> str:
    if gain is None:
        return interval_words(None)
    return "\n".join([signed(gain.points.mean), interval_words(gain.over_tails, 1), interval_words(gain.over_seeds, 1)])


def _verdict(label: str, score: TailScore) -> str:
    """Which scorers a model beats, which beat it, and which it is not told from; both intervals must say so.

    With one seed there is none over seeds, and nothing is told.
    """
    if any(gain.over_seeds is None for gain in score.heuristics):
        return f"{label}: one seed alone tells nothing."
    kinds: dict[str, list[str]] = {"beats": [], "falls behind": [], "is not told from": []}
    for gain in score.heuristics:
        both = [one for one in (gain.over_tails, gain.over_seeds) if one is not None]
        if all(one.low > 0 for one in both):
            kinds["beats"].append(gain.over)
        elif all(one.high < 0 for one in both):
            kinds["falls behind"].append(gain.over)
        else:
            kinds["is not told from"].append(gain.over)
    said = [f"{verb} {', '.join(names)}" for verb, names in kinds.items() if names]
    return f"{label} {'; '.join(said)}."


def _asked(block: Block) -> list[str]:
    tails = f"{block.tail_type}s"
    return [
        f"95 % intervals of the mean gain in points of macro AP. {block.part.capitalize()} {tails}: had other {tails} "
        f"been ranked with these trained models (paired bootstrap over {tails}, one draw for all seeds and models)."
    ]


def _ranked(block: Block) -> list[tuple[Row, TailScore]]:
    return [(row, row.by_tail) for row in block.rows if row.by_tail]
