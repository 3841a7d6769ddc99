"""The whole matrix as tables of text: all pairs of a relation ranked together, two tables for each relation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from flykd_console.compare.figures import Block, Row
from flykd_console.compare.grid import Grid, spread_words
from flykd_console.runs.results import Spread
from flykd_console.words import DASH, grouped, per_cent

Figures = Mapping[str, Spread]


def matrix_grids(block: Block) -> Iterator[Grid]:
    """What the first n pairs are worth and have in common between seeds, and how many nodes they name; or nothing."""
    for relation in block.targets:
        rows = [row for row in block.rows if row.matrix.get(relation)]
        cuts = list(dict.fromkeys(n for row in rows for n in row.matrix[relation]))
        if cuts:
            yield _worth(block, relation, rows, cuts)
            yield _variety(block, relation, rows, cuts)


def _worth(block: Block, relation: str, rows: list[Row], cuts: list[int]) -> Grid:
    heads, tails = f"{block.head_type}s", f"{block.tail_type}s"
    earlier = "training or validation" if block.part == "test" else "training"
    grid = _grid(f"The whole matrix, per cent: {relation}", relation, rows, cuts, _found)
    best = [_best(rows[0].matrix[relation].get(n, {})) for n in cuts]
    caption = (
        f"All pairs of {heads} and {tails} with a training edge, ranked together, but true pairs of {earlier}. First "
        f"line: recall@n, the share of the {block.part}'s true pairs among the first n."
    )
    if len(block.seeds) > 1:
        caption += (
            " Second: commonality@n, the share of the first n new pairs (true in no part) that two seeds have both, "
            "mean over the pairs of seeds of a run."
        )
    return Grid(grid.title, grid.headings, [*grid.rows, ["the best order", *best]], caption)


def _variety(block: Block, relation: str, rows: list[Row], cuts: list[int]) -> Grid:
    grid = _grid(f"The whole matrix, whom the first n pairs name: {relation}", relation, rows, cuts, _named)
    caption = (
        f"First line: how many {block.head_type}s, with {block.head_type} entropy@n; second: the {block.tail_type}s. "
        "Entropy: 1 where all candidates are named alike, 0 where it is one alone. Means over the seeds."
    )
    return Grid(grid.title, grid.headings, grid.rows, caption)


def _grid(title: str, relation: str, rows: list[Row], cuts: list[int], cell: Callable[[Figures], str]) -> Grid:
    headings = ["model", *(f"n = {grouped(n)}" for n in cuts)]
    return Grid(title, headings, [[row.label, *(cell(row.matrix[relation].get(n, {})) for n in cuts)] for row in rows])


def _found(figures: Figures) -> str:
    """Recall, and below it what two seeds have in common."""
    recall = spread_words(figures.get("recall"), 100)
    if "commonality" not in figures:
        return recall
    return f"{recall}\ncommon {per_cent(figures['commonality'].mean, 1)}"


def _best(figures: Figures) -> str:
    return per_cent(figures["ideal_recall"].mean) if "ideal_recall" in figures else DASH


def _named(figures: Figures) -> str:
    """How many heads and, below, tails are named, and how evenly."""
    if not figures:
        return DASH
    return "\n".join(
        f"{grouped(figures[f'{side}s'].mean)} ({figures[f'{side}_entropy'].mean:.2f})" for side in ("head", "tail")
    )
