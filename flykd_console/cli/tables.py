"""The tables of a run's results and of a profile's keys, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from flykd_console.cli.text import spread_text
from flykd_console.cli.titled import Titled, plain_table
from flykd_console.runs.likeness import likeness_words
from flykd_console.runs.models import ModelEntry, Role
from flykd_console.runs.results import ModelResult, Results, Scores, Spread, gain, spread
from flykd_console.words import DASH, grouped, metric_words, per_cent

if TYPE_CHECKING:
    from flykd_console.profile.keys import Key

_RANKING = {"ap": "AP", "mrr": "MRR", "hits_at_10": "Hits@10", "recall_at_10": "R@10", "recall_at_100": "R@100"}
# What a first column has at least, where its longest word is longer.
_LABEL_WIDTH = 8
_FIGURE_WIDTH = 6  # of −12.34, and of the second half of a mean
# So that five seeds, their mean and a gain fit in 80 columns.
_TIGHT = (0, 0)
_SCORE_WIDTH = 5  # of 66.39
_ONE_LINE = 18  # of disease popularity
# Seeds that have columns of their own; of more, the mean alone is shown.
_SEED_COLUMNS = 6


def results_table(results: Results) -> Titled:
    """One row a model, heuristics first: its headline metric per seed, their mean, and what distilled models gain."""
    shown = _heuristics_first(results.trained() or results.models)
    gaining = [entry for entry in shown if entry.over in [other.name for other in shown]]
    table = plain_table(padding=_TIGHT)
    table.add_column("model", style="bold", overflow="fold", min_width=_LABEL_WIDTH)
    seeds = list(results.seeds) if len(results.seeds) <= _SEED_COLUMNS else []
    for seed in seeds:
        table.add_column(seed, justify="right", min_width=_SCORE_WIDTH)
    if len(results.seeds) > 1:
        table.add_column("mean", justify="right", overflow="fold", min_width=_FIGURE_WIDTH)
    if gaining:
        table.add_column("gain", justify="right", overflow="fold", min_width=_FIGURE_WIDTH)
    for place, entry in enumerate(shown):
        cells = [_heading(entry), *(_score(results, results.seeds[seed], entry) for seed in seeds)]
        if len(results.seeds) > 1:
            cells.append(_mean(results, entry))
        if gaining:
            cells.append(_gain(results, entry) if entry in gaining else "")
        last_heuristic = entry.role is Role.HEURISTIC and shown[place + 1 : place + 2] != []
        ends = last_heuristic and shown[place + 1].role is not Role.HEURISTIC
        table.add_row(*cells, end_section=ends)
    title = f"{results.method} on {Path(results.graph.source).name}"
    return Titled(table, title, _caption(results, gaining))


def _heuristics_first(entries: Sequence[ModelEntry]) -> list[ModelEntry]:
    """What a model has to beat stands above it."""
    return sorted(entries, key=lambda entry: entry.role is not Role.HEURISTIC)


def _score(results: Results, models: Mapping[str, ModelResult], entry: ModelEntry) -> str:
    """A model's headline metric in one seed, in per cent."""
    if entry.name not in models:
        return DASH
    return per_cent(_part(results, models[entry.name]).value(results.headline))


def _mean(results: Results, entry: ModelEntry) -> str:
    """A model's headline metric over the seeds, mean ± deviation, in per cent."""
    measured = [_part(results, models[entry.name]) for models in results.seeds.values() if entry.name in models]
    return spread_text(spread(part.value(results.headline) for part in measured), 100)


def _gain(results: Results, entry: ModelEntry) -> str:
    """A model's gain in points, mean ± deviation over the seeds."""
    won = [gain(models, entry, results.headline) for models in results.seeds.values()]
    return spread_text(spread(one.points for one in won if one is not None), sign=True)


def _caption(results: Results, gaining: Sequence[ModelEntry]) -> str:
    metric = metric_words(results.headline)
    if _untested(results):
        return f"No test part: validation {metric} in per cent."
    if not gaining:
        return f"Test {metric} in per cent."
    # Each member of a cohort has a rival of its own: one word stands for all of them.
    kinds = ("network trained alone" if one.over == f"alone-{one.name}" else one.over for one in gaining)
    rivals = " and ".join(dict.fromkeys(kinds))
    return f"Test {metric} in per cent. Gain: over the same seed's {rivals}, in points."


def relations_table(results: Results) -> Titled | None:
    """One row a model: its AUPRC in each relation, mean ± deviation over the seeds; None without any."""
    table = plain_table()
    table.add_column("model", style="bold", overflow="fold")
    shown = _heuristics_first(results.trained())
    found = [results.summary[entry.name].relations for entry in shown]
    relations = list(dict.fromkeys(relation for by_relation in found for relation in by_relation))
    if not relations:
        return None
    for relation in relations:
        table.add_column(relation, justify="right")
    for entry, by_relation in zip(shown, found, strict=True):
        cells = [spread_text(by_relation.get(relation, {}).get("auprc"), 100) for relation in relations]
        table.add_row(_heading(entry), *cells)
    caption = "AUPRC of each relation, the tail replaced in negatives; guessing scores about 50."
    return Titled(table, caption=f"{caption} {likeness_words(results)}".rstrip())


# Of classes: how each is named in a table; in per cent but for the likelihood.
_CLASSES = {"accuracy": "accuracy", "macro_f1": "macro-F1", "rarest_class": "rarest", "ece": "ECE", "nll": "NLL"}


def classes_table(results: Results) -> Titled | None:
    """One row a model: how well it tells classes, means over the seeds; None where there are none."""
    shown = [(entry, results.summary[entry.name].metrics) for entry in results.trained()]
    if not any("nll" in metrics for _, metrics in shown):
        return None
    table = plain_table(padding=_TIGHT)
    table.add_column("model", style="bold", overflow="fold", min_width=_LABEL_WIDTH)
    for heading in (*_CLASSES.values(), "disagree", "CKA"):
        table.add_column(heading, justify="right")
    for entry, metrics in shown:
        cells = [_mean_alone(metrics.get(name)) for name in _CLASSES if name != "nll"]
        nll = metrics.get("nll")
        cells.append(f"{nll.mean:.3f}" if nll is not None else DASH)
        cells += [_mean_alone(metrics.get(name)) if name in metrics else "" for name in ("disagreement", "cka")]
        table.add_row(entry.label, *cells)
    return Titled(
        table,
        caption="Test, mean over the seeds. Rarest: accuracy of training's rarest class. ECE and NLL: lower is better. "
        "Disagree: samples on which two members differ; CKA: how alike their answers lie.",
    )


def ranking_table(results: Results) -> Titled | None:
    """One row a relation and model: ranking metrics in per cent, means over the seeds; None without any."""
    found = [(entry, results.summary[entry.name].ranking) for entry in _heuristics_first(results.trained())]
    relations = dict.fromkeys(relation for _, by_relation in found for relation in by_relation)
    if not relations:
        return None
    table = plain_table()
    table.add_column("model", overflow="fold", min_width=_LABEL_WIDTH)
    for heading in _RANKING.values():
        table.add_column(heading, justify="right")
    for relation in relations:
        table.add_row(relation, style="bold")
        ranked = [(entry, by_relation[relation]) for entry, by_relation in found if relation in by_relation]
        for entry, spreads in ranked:
            cells = [_mean_alone(spreads.get(metric)) for metric in _RANKING]
            table.add_row("\n".join(f"  {line}" for line in _heading(entry).split("\n")), *cells)
        table.add_section()
    return Titled(
        table,
        caption=f"Heads ranked for each test tail, in per cent, mean over the seeds: of {_candidates(results)} with "
        "training edges, without true pairs of training and validation.",
    )


def _mean_alone(one: Spread | None) -> str:
    """A mean in per cent, without its deviation."""
    return per_cent(one.mean if one else None)


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


def _heading(entry: ModelEntry) -> str:
    """`teacher 130`, `lists table 80`, or in two lines what is longer than the heuristics' names."""
    one_line = f"{entry.label} {entry.shape}".rstrip()
    return one_line if len(one_line) <= _ONE_LINE else f"{entry.label}\n{entry.shape}".rstrip()


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
