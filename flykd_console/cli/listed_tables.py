"""The figures of listed pairs as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from flykd_console.compare.grid import Grid
from flykd_console.words import DASH, grouped

if TYPE_CHECKING:
    from rich.console import Console

    from flykd_console.cli.listed import ListTable
    from flykd_console.compare.listed import Figure, Outcome

_WORDS: dict[Outcome, str] = {"positive": "positive", "open": "in trial", "negative": "negative"}
_WITHIN = (
    "AUROC of positive against negative pairs, per cent (chance 50); enrichment: positives in the first tenth of both, "
    "as a multiple of chance. In brackets 95 % intervals: bootstrap over tails, these trained models given."
)
_AGAINST = (
    "Each pair against all other heads of its tail but known ones: AUROC, per cent (chance 50), and the share of pairs "
    "in the first hundredth, as a multiple of chance."
)


def print_tables(console: Console, tables: Sequence[ListTable]) -> None:
    """Every run or bundle, relation by relation."""
    from flykd_console.cli.comparison import GridTable

    for place, table in enumerate(tables):
        if place:
            console.print()
        many = "s" if len(table.seeds) > 1 else ""
        seeds = f", seed{many} {', '.join(map(str, table.seeds))}" if table.seeds else ""
        console.print(f"{table.of}{seeds}: {table.relation}, {_counts(table)}", style="bold", markup=False)
        for note in table.notes:
            console.print(f"· {note}", style="dim", markup=False)
        for grid in grids(table):
            console.print()
            console.print(GridTable(grid))


def grids(table: ListTable) -> Iterator[Grid]:
    """Within the list, where it has both kinds of pairs; and against all others."""
    if any(one.auroc is not None for one in table.models):
        rows = [[one.model, shown(one.auroc, 100.0), shown(one.enrichment, 1.0)] for one in table.models]
        yield Grid("Within the list", ["model", "AUROC", "enrichment"], rows, _WITHIN, (1,))
    present = [outcome for outcome in _WORDS if outcome in table.counts]
    for outcome in present:
        rows = [
            [one.model, shown(one.against_all.get(outcome), 100.0), shown(one.enriched.get(outcome), 1.0)]
            for one in table.models
        ]
        title = f"{_WORDS[outcome].capitalize()} pairs against all others"
        caption = _AGAINST if outcome == present[-1] else ""
        yield Grid(title, ["model", "AUROC", "enrichment"], rows, caption, (1,))


def shown(figure: Figure | None, times: float) -> str:
    """`78.6 [74.1, 82.0]`."""
    if figure is None:
        return DASH
    value = f"{times * figure.value:.1f}"
    if figure.low is None or figure.high is None:
        return value
    return f"{value} [{times * figure.low:.1f}, {times * figure.high:.1f}]"


def _counts(table: ListTable) -> str:
    found = [f"{grouped(table.counts[outcome])} {word}" for outcome, word in _WORDS.items() if outcome in table.counts]
    return f"{', '.join(found) or 'no'} pairs"
