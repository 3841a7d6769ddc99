"""The YAML header of the model card, as model hubs read it: library, task, tags, and the test figures as `model-index`.

Values are written as JSON strings and numbers, which YAML reads as they are. No licence is named: the weights are the
user's, and the terms of their graph are not ours to state.
"""

from __future__ import annotations

import json
import math

from exporters.trained_run import TrainedRun

_TAGS = ("graph-ml", "knowledge-graph", "drug-repurposing", "link-prediction", "knowledge-distillation", "onnx")
_METRICS = {"macro_auprc": "average_precision", "macro_auroc": "roc_auc", "macro_ap": "mean_average_precision"}


def front_matter(run: TrainedRun) -> str:
    """The header with its fences, ready to stand before the card."""
    lines = ["---", "library_name: flykd-console", "pipeline_tag: graph-ml", "tags:"]
    lines += [f"- {tag}" for tag in _TAGS]
    measured = {
        metric: value
        for metric in _METRICS
        if (value := run.result.test.value(metric)) is not None and math.isfinite(value)
    }
    if measured:
        lines += [
            "model-index:",
            f"- name: {_quoted(f'{run.results.method} {run.model}')}",
            "  results:",
            "  - task:",
            "      type: graph-ml",
            f"      name: {_quoted('link prediction of ' + ', '.join(run.relations))}",
            "    dataset:",
            f"      type: {_quoted(str(run.graph['source']))}",
            f"      name: {_quoted(str(run.graph['source']))}",
            "      split: test",
            "    metrics:",
        ]
    for metric, value in measured.items():
        lines += [f"    - type: {_METRICS[metric]}", f"      name: {metric}", f"      value: {round(value, 6)!r}"]
    return "\n".join([*lines, "---", "", ""])


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
