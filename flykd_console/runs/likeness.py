"""How alike the members of a cohort of students order pairs, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flykd_console.runs.results import Results

# Spearman's rank correlation of members' scores of the stored test pairs, among the metrics of their mean.
RANK_CORRELATION = "rank_correlation"


def likeness_words(results: Results) -> str:
    """A sentence, with means over the seeds; empty where no models were measured together."""
    found = []
    for entry in results.models:
        summary = results.summary.get(entry.name)
        measured = summary.metrics.get(RANK_CORRELATION) if summary is not None else None
        if measured is not None:
            found.append(f"{entry.label} {measured.mean:.3f}")
    if not found:
        return ""
    return f"Rank correlation between the models of an ensemble, on the stored pairs: {', '.join(found)}."
