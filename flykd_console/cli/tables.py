"""The tables of a run's results, for the terminal: test AUPRC in per cent, per seed and per relation."""

from __future__ import annotations

from rich import box
from rich.table import Table

from flykd_console.cli.text import spread_text
from flykd_console.dashboard.wording import DASH, per_cent, signed
from flykd_console.runs.events import MODELS
from flykd_console.runs.results import ModelResult, Results, gain

_CAPTION = "Test AUPRC in per cent. Gain: student over the same seed's baseline, in points and in per cent of it."


def results_table(results: Results) -> Table:
    """One row a seed and one for the mean: each model's macro AUPRC, and the student's gain."""
    table = _table(f"{results.method} on {results.graph.source}", caption=_CAPTION)
    table.add_column("seed", style="bold")
    for model in MODELS:
        table.add_column(_heading(results, model), justify="right")
    table.add_column("gain", justify="right")
    table.add_column("gain %", justify="right")
    for seed, models in results.seeds.items():
        won = gain(models)
        table.add_row(
            seed,
            *(per_cent(models[model].test.macro_auprc) if model in models else DASH for model in MODELS),
            signed(won.points if won else None),
            signed(won.percent if won else None),
        )
    if len(results.seeds) > 1:
        table.add_section()
        student = results.summary.get("student")
        means = [results.summary.get(model) for model in MODELS]
        table.add_row(
            "mean",
            *(spread_text(model.macro_auprc if model else None, 100) for model in means),
            spread_text(student.gain_points if student else None, sign=True),
            spread_text(student.gain_percent if student else None, sign=True),
            style="bold",
        )
    return table


def relations_table(results: Results) -> Table:
    """One row a relation: each model's AUPRC, mean ± deviation over the seeds."""
    table = _table(None)
    table.add_column("relation", style="bold", overflow="fold")
    for model in MODELS:
        table.add_column(_heading(results, model), justify="right")
    summaries = [results.summary.get(model) for model in MODELS]
    relations = dict.fromkeys(relation for summary in summaries if summary for relation in summary.relations)
    for relation in relations:
        spreads = [(summary.relations.get(relation, {}) if summary else {}) for summary in summaries]
        table.add_row(relation, *(spread_text(scores.get("auprc"), 100) for scores in spreads))
    return table


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
    """`teacher 130`, `baseline 80`, `flykd 80`: the student goes by the method's name."""
    trained: list[ModelResult] = [models[model] for models in results.seeds.values() if model in models]
    name = results.method if model == "student" else model
    return f"{name} {trained[0].dim}" if trained else name
