"""The names of this task's metrics, and of the parts that they are measured on."""

from __future__ import annotations

from flykd_console.runs.results import RANKING_METRICS

# Parts whose pairs every model is scored on; the test's files are the last that a seed leaves.
SCORED = ("validation", "test")

# Metrics over the stored pairs.
_OF_PAIRS = ("macro_auprc", "macro_auroc", "micro_auprc", "micro_auroc")
# AUPRC over pairs whose negatives keep the tail: by name whether their heads are drawn by degree.
REPLACED_HEADS = {"macro_auprc_head": False, "macro_auprc_head_degree": True}
# What the mean over relations of a ranking metric is called; `macro_auroc` is that of stored pairs.
RANKING_NAMES = {metric: f"macro_{metric}" for metric in RANKING_METRICS} | {"auroc": "macro_ranking_auroc"}
TAIL_RANKING_NAMES = {metric: f"macro_tail_{metric}" for metric in RANKING_METRICS}


def of_pairs(metric: str) -> bool:
    """Whether the scores of the stored pairs tell a metric; every other one asks which head, or which tail."""
    return metric in _OF_PAIRS


def ranks_tails(metric: str) -> bool:
    """Whether a metric asks for the order of all tails of each head."""
    return metric in TAIL_RANKING_NAMES.values()
