"""The tables of accuracy on graphs changed at test time, of one run and of a comparison: strengths by kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rich.table import Table

from flykd_console.cli.titled import Titled, plain_table
from flykd_console.compare.samples import ClassComparison, ClassRow
from flykd_console.runs.results import Results
from flykd_console.runs.robustness import is_robustness, kinds_of
from flykd_console.words import per_cent, signed

# By metric a model's cell.
_Cell = Callable[[str], str]


def robustness_table(results: Results) -> Titled | None:
    """One row a model under every kind of change; None where nothing was changed."""
    found = {entry.label: results.summary[entry.name].metrics for entry in results.trained()}
    names = _names(found.values())
    if not names:
        return None

    def cell_of(label: str) -> _Cell:
        return lambda metric: per_cent(found[label][metric].mean if metric in found[label] else None)

    caption = "Accuracy on graphs changed at test time, in per cent, mean over draws and seeds; 0: unchanged."
    return Titled(_table(names, [(label, cell_of(label)) for label in found]), caption=caption)


def robustness_comparison_table(comparison: ClassComparison) -> Titled | None:
    """The same of every run's models, with what each gains over its rival on the same changed graphs."""
    names = _names(row.metrics for row in comparison.rows)
    if not names:
        return None

    def cell_of(row: ClassRow) -> _Cell:
        def cell(metric: str) -> str:
            accuracy = per_cent(row.metrics[metric].mean if metric in row.metrics else None)
            return f"{accuracy} {signed(row.gains[metric].mean)}" if metric in row.gains else accuracy

        return cell

    caption = (
        "Accuracy on graphs changed at test time, in per cent, mean over draws and seeds; 0: unchanged. Behind it the "
        "mean gain over the model's rival on the same graphs, in points."
    )
    rows = [(f"{row.method} {row.label}", cell_of(row)) for row in comparison.rows]
    return Titled(_table(names, rows), caption=caption)


def _names(found: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(name for metrics in found for name in metrics if is_robustness(name)))


def _table(names: Sequence[str], rows: Sequence[tuple[str, _Cell]]) -> Table:
    kinds = kinds_of(names)
    table = plain_table(padding=(0, 1))
    table.add_column("model", overflow="fold", min_width=12)
    for _ in range(1 + max(len(strengths) for strengths in kinds.values())):
        table.add_column("", justify="right")
    for kind, strengths in kinds.items():
        table.add_row(kind, "0", *strengths, style="bold")
        for label, cell in rows:
            table.add_row(f"  {label}", cell("accuracy"), *(cell(metric) for metric in strengths.values()))
        table.add_section()
    return table
