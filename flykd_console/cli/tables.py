"""The tables of a run's results, for the terminal: test AUPRC in per cent, per seed and per relation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from flykd_console.cli.text import spread_text
from flykd_console.runs.events import MODELS
from flykd_console.runs.results import ModelResult, Results, Scores, gain, spread
from flykd_console.words import DASH, grouped, per_cent, signed

if TYPE_CHECKING:
    from rich.console import Console

    from flykd_console.compare.figures import Comparison
    from flykd_console.compare.grids import Grid
    from flykd_console.profile.keys import Key

_RANKING = {"recall_at_10": "recall@10", "recall_at_50": "@50", "recall_at_100": "@100", "ap": "AP", "mrr": "MRR"}
# What a first column has at least, where its longest word is longer.
_LABEL_WIDTH = 8
_NO_TEST = "No test part: validation AUPRC in per cent."
_TESTED = "Test AUPRC in per cent."
_GAIN = "Gain: student over the same seed's baseline, in points and in per cent of it."


def results_table(results: Results) -> Table:
    """One row a seed and one for the mean: each model's macro AUPRC, and the student's gain."""
    untested = _untested(results)
    # A run may leave the student out, and so its gain.
    shown = [model for model in MODELS if any(model in models for models in results.seeds.values())] or [*MODELS]
    caption = _NO_TEST if untested else f"{_TESTED} {_GAIN}" if "student" in shown else _TESTED
    table = _table(f"{results.method} on {results.graph.source}", caption=caption)
    table.add_column("seed", style="bold")
    for model in shown:
        table.add_column(_heading(results, model), justify="right")
    for heading in ("gain", "gain %") if "student" in shown else ():
        table.add_column(heading, justify="right")
    for seed, models in results.seeds.items():
        won = gain(models)
        gains = (signed(won.points if won else None), signed(won.percent if won else None))
        table.add_row(
            seed,
            *(per_cent(_shown(models[model], untested).macro_auprc) if model in models else DASH for model in shown),
            *(gains if "student" in shown else ()),
        )
    if len(results.seeds) > 1:
        table.add_section()
        student = results.summary.get("student")
        means = [
            spread(_shown(models[model], untested).macro_auprc for models in results.seeds.values() if model in models)
            for model in shown
        ]
        won_by = [(student.gain_points, student.gain_percent)] if student else []
        table.add_row(
            "mean",
            *(spread_text(mean, 100) for mean in means),
            *(spread_text(value, sign=True) for pair in won_by for value in pair),
            style="bold",
        )
    return table


def relations_table(results: Results) -> Table:
    """One row a relation: each model's AUPRC, mean ± deviation over the seeds."""
    table = _table(None)
    table.add_column("relation", style="bold", overflow="fold")
    shown = [model for model in MODELS if model in results.summary] or [*MODELS]
    for model in shown:
        table.add_column(_heading(results, model), justify="right")
    summaries = [results.summary.get(model) for model in shown]
    relations = dict.fromkeys(relation for summary in summaries if summary for relation in summary.relations)
    for relation in relations:
        spreads = [(summary.relations.get(relation, {}) if summary else {}) for summary in summaries]
        table.add_row(relation, *(spread_text(scores.get("auprc"), 100) for scores in spreads))
    return table


def ranking_table(results: Results) -> Table | None:
    """One row a relation and model: ranking metrics in per cent, mean ± deviation over the seeds; None without any."""
    found = {model: results.summary[model].ranking for model in MODELS if model in results.summary}
    relations = dict.fromkeys(relation for by_relation in found.values() for relation in by_relation)
    if not relations:
        return None
    ranks = [
        ranking
        for models in results.seeds.values()
        for model in models.values()
        for ranking in (model.test.ranking or {}).values()
    ]
    low, high = (grouped(pick(ranking.candidates for ranking in ranks)) for pick in (min, max))
    table = _table(
        None,
        caption=f"Heads ranked for each test tail, in per cent: of {low if low == high else f'{low} to {high}'} with "
        "training edges, without true pairs of training and validation.",
    )
    table.add_column("relation", style="bold", overflow="fold")
    table.add_column("model")
    for heading in _RANKING.values():
        table.add_column(heading, justify="right")
    for relation in relations:
        for place, model in enumerate(model for model in found if relation in found[model]):
            spreads = (found[model][relation].get(metric) for metric in _RANKING)
            name = relation if place == 0 else ""
            table.add_row(name, _heading(results, model), *(spread_text(one, 100) for one in spreads))
    return table


def _untested(results: Results) -> bool:
    """Whether models were measured, but none on a test part."""
    scores = [model for models in results.seeds.values() for model in models.values()]
    tested = any(model.test.macro_auprc is not None for model in scores)
    return not tested and any(model.validation.macro_auprc is not None for model in scores)


def _shown(model: ModelResult, untested: bool) -> Scores:
    return model.validation if untested else model.test


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


def _heading(results: Results, model: str) -> str:
    """`teacher 130`, `baseline 80`, `flykd rgat 3×80` in two lines: the student goes by the method's name."""
    trained: list[ModelResult] = [models[model] for models in results.seeds.values() if model in models]
    name = results.method if model == "student" else model
    if not trained:
        return name
    shape = trained[0].shape
    return f"{name} {shape}" if shape.isdigit() else f"{name}\n{shape}"


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
    from flykd_console.profile.keys import NOT_SET  # brings all of the profile's models

    table = Table(box=None, show_header=False, pad_edge=True, padding=(0, 1))
    table.add_column("key", no_wrap=True, style="bold", min_width=20)
    table.add_column("default", overflow="fold", min_width=18, max_width=30)
    table.add_column("what it is")
    for key in keys:
        default = Text(key.default, style="dim" if key.default == NOT_SET else "")
        table.add_row(key.name, default, Text.assemble(key.meaning, (f"\n{key.allowed}", "dim")))
    return table
