"""The tables of a run's results, for the terminal: test AUPRC in per cent, per seed and per relation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from flykd_console.cli.text import spread_text
from flykd_console.runs.models import ModelEntry, Role
from flykd_console.runs.results import ModelResult, Results, Scores, gain, spread
from flykd_console.words import DASH, grouped, metric_words, per_cent, signed

if TYPE_CHECKING:
    from rich.console import Console

    from flykd_console.compare.figures import Comparison
    from flykd_console.compare.grids import Grid
    from flykd_console.profile.keys import Key

_RANKING = {"recall_at_10": "recall@10", "recall_at_50": "@50", "recall_at_100": "@100", "ap": "AP", "mrr": "MRR"}
# What a first column has at least, where its longest word is longer.
_LABEL_WIDTH = 8
_FIGURE_WIDTH = 6  # of −12.34, and of the second half of a mean


def results_table(results: Results) -> Table:
    """One row a seed and one for the mean: each model's headline metric, and what distilled models gain.

    A gain is told in points, and in per cent too where only one model has any.
    """
    shown = results.trained() or results.models
    gaining = [entry for entry in shown if entry.over in [other.name for other in shown]]
    table = _table(f"{results.method} on {results.graph.source}", caption=_caption(results, gaining))
    table.add_column("seed", style="bold")
    headings = [_heading(entry) for entry in shown]
    if len(gaining) == 1:
        headings += ["gain", "gain %"]
    else:
        headings += [f"{entry.label}\ngain" for entry in gaining]
    for heading in headings:
        # On a narrow terminal a mean goes on in the next line, between words: no figure is ever cut.
        table.add_column(heading, justify="right", overflow="fold", min_width=_FIGURE_WIDTH)
    for seed, models in results.seeds.items():
        won = [gain(models, entry, results.headline) for entry in gaining]
        cells = [_score(results, models, entry) for entry in shown]
        cells += [signed(one.points if one else None) for one in won]
        if len(gaining) == 1:
            cells += [signed(one.percent if one else None) for one in won]
        table.add_row(seed, *cells)
    if len(results.seeds) > 1:
        table.add_section()
        table.add_row("mean", *_means(results, shown, gaining), style="bold")
    return table


def _score(results: Results, models: Mapping[str, ModelResult], entry: ModelEntry) -> str:
    """A model's headline metric in one seed, in per cent."""
    if entry.name not in models:
        return DASH
    return per_cent(_part(results, models[entry.name]).value(results.headline))


def _means(results: Results, shown: Sequence[ModelEntry], gaining: Sequence[ModelEntry]) -> list[str]:
    seeds = list(results.seeds.values())
    cells = []
    for entry in shown:
        measured = [_part(results, models[entry.name]) for models in seeds if entry.name in models]
        cells.append(spread_text(spread(part.value(results.headline) for part in measured), 100))
    for entry in gaining:
        won = [one for models in seeds if (one := gain(models, entry, results.headline)) is not None]
        cells.append(spread_text(spread(one.points for one in won), sign=True))
        if len(gaining) == 1:
            cells.append(spread_text(spread(one.percent for one in won), sign=True))
    return cells


def _caption(results: Results, gaining: Sequence[ModelEntry]) -> str:
    metric = metric_words(results.headline)
    if _untested(results):
        return f"No test part: validation {metric} in per cent."
    if not gaining:
        return f"Test {metric} in per cent."
    if len(gaining) > 1:
        return f"Test {metric} in per cent. Gain: model over the same seed's baseline, in points."
    role = "student" if gaining[0].role is Role.STUDENT else "model"
    gained = f"Gain: {role} over the same seed's {gaining[0].over}, in points and in per cent of it."
    return f"Test {metric} in per cent. {gained}"


def relations_table(results: Results) -> Table:
    """One row a relation: each model's AUPRC, mean ± deviation over the seeds."""
    table = _table(None)
    table.add_column("relation", style="bold", overflow="fold")
    shown = results.trained()
    for entry in shown:
        table.add_column(_heading(entry), justify="right")
    summaries = [results.summary[entry.name] for entry in shown]
    relations = dict.fromkeys(relation for summary in summaries for relation in summary.relations)
    for relation in relations:
        spreads = [summary.relations.get(relation, {}) for summary in summaries]
        table.add_row(relation, *(spread_text(scores.get("auprc"), 100) for scores in spreads))
    return table


def ranking_table(results: Results) -> Table | None:
    """One row a relation and model: ranking metrics in per cent, mean ± deviation over the seeds; None without any."""
    found = [(entry, results.summary[entry.name].ranking) for entry in results.trained()]
    relations = dict.fromkeys(relation for _, by_relation in found for relation in by_relation)
    if not relations:
        return None
    table = _table(
        None,
        caption=f"Heads ranked for each test tail, in per cent: of {_candidates(results)} with "
        "training edges, without true pairs of training and validation.",
    )
    table.add_column("relation", style="bold", overflow="fold")
    table.add_column("model")
    for heading in _RANKING.values():
        table.add_column(heading, justify="right")
    for relation in relations:
        ranked = [(entry, by_relation[relation]) for entry, by_relation in found if relation in by_relation]
        for place, (entry, spreads) in enumerate(ranked):
            name = relation if place == 0 else ""
            cells = [spread_text(spreads.get(metric), 100) for metric in _RANKING]
            table.add_row(name, _heading(entry), *cells)
    return table


def _candidates(results: Results) -> str:
    """How many heads were ranked: one number, or from the fewest to the most."""
    rankings = [model.test.ranking or {} for models in results.seeds.values() for model in models.values()]
    counts = [ranking.candidates for by_relation in rankings for ranking in by_relation.values()]
    low, high = grouped(min(counts)), grouped(max(counts))
    return low if low == high else f"{low} to {high}"


def _untested(results: Results) -> bool:
    """Whether models were measured, but none on a test part."""
    scores = [model for models in results.seeds.values() for model in models.values()]
    tested = any(model.test.metrics for model in scores)
    return not tested and any(model.validation.metrics for model in scores)


def _part(results: Results, model: ModelResult) -> Scores:
    """The part that the tables show: the test, or validation where there is no test."""
    return model.validation if _untested(results) else model.test


def _table(title: str | None, caption: str | None = None) -> Table:
    return Table(
        title=title,
        caption=caption,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )


def _heading(entry: ModelEntry) -> str:
    """`teacher 130`, `baseline 80`, or in two lines `flykd` and `rgat 3×80`."""
    if not entry.shape:
        return entry.label
    return f"{entry.label} {entry.shape}" if entry.shape.isdigit() else f"{entry.label}\n{entry.shape}"


def print_comparison(console: Console, comparison: Comparison) -> None:
    """Every table of a comparison, block by block, with what a reader must know before them."""
    from flykd_console.compare.grids import block_heading, grids

    count = len(comparison.blocks)
    for index, block in enumerate(comparison.blocks):
        if count > 1:
            console.rule(f"Block {index + 1} of {count}: not comparable with the others", style="yellow")
        console.print(block_heading(comparison, index), style="bold", markup=False)
        for note in block.notes:
            console.print(f"· {note}", style="dim", markup=False)
        for grid in grids(block):
            console.print()
            console.print(grid_table(grid))
        if index + 1 < count:
            console.print()


def grid_table(grid: Grid) -> Table:
    """A grid for the terminal: numbers to the right, the columns that carry the result in bold."""
    table = _table(grid.title, caption=grid.caption or None)
    text = grid.title == "Runs"
    for index, heading in enumerate(grid.headings):
        left = index == 0 or text
        # On a narrow terminal figures go on in the next line, between words: none is ever cut.
        words = [word for cell in (heading, *(row[index] for row in grid.rows)) for word in cell.split()]
        longest = max(map(len, words), default=0)
        table.add_column(
            Text(heading),
            justify="left" if left else "right",
            style="bold" if index == 0 or index in grid.emphasised else "",
            overflow="fold",
            min_width=min(_LABEL_WIDTH, longest) if left else longest,
        )
    for row in grid.rows:
        table.add_row(*map(Text, row))
    return table


def keys_table(keys: list[Key]) -> Table:
    """A profile's keys, a row each; what a value may be stands below what it is for."""
    table = Table(box=None, show_header=False, pad_edge=True, padding=(0, 1))
    table.add_column("key", no_wrap=True, style="bold", min_width=20)
    table.add_column("default", overflow="fold", min_width=18, max_width=30)
    table.add_column("what it is")
    for key in keys:
        default = Text(key.default, style="" if key.has_default else "dim")
        table.add_row(key.name, default, Text.assemble(key.meaning, (f"\n{key.allowed}", "dim")))
    return table
