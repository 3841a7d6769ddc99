"""What accuracies on changed graphs are called, among a model's metrics and in tables: `edges_removed@0.3`."""

from __future__ import annotations

from collections.abc import Iterable

_BETWEEN = "@"
_WORDS = {
    "edges_removed": "edges removed",
    "edges_added": "edges added",
    "features_masked": "features masked",
    "feature_noise": "feature noise",
}


def robustness_name(kind: str, strength: float) -> str:
    """The metric's name."""
    return f"{kind}{_BETWEEN}{strength:g}"


def is_robustness(metric: str) -> bool:
    """Whether a metric is an accuracy on changed graphs."""
    return metric.partition(_BETWEEN)[0] in _WORDS


def kinds_of(metrics: Iterable[str]) -> dict[str, dict[str, str]]:
    """By kind in words, by strength as text, the metric."""
    found: dict[str, dict[str, str]] = {}
    for metric in metrics:
        kind, _, strength = metric.partition(_BETWEEN)
        found.setdefault(_WORDS[kind], {})[strength] = metric
    return found
