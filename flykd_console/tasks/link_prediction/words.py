"""What the log says of a graph and a split before anything is trained."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from flykd_console.graph.split.negatives import true_negatives
from flykd_console.graph.summary import twins_of
from flykd_console.words import grouped

if TYPE_CHECKING:
    from flykd_console.tasks.link_prediction.data import LinkData

# A relation with fewer true test pairs has an AUPRC that one of them can move by points.
_FEW_PAIRS = 20
# Above this share of stored test negatives that are true pairs after all, the AUPRC of even a perfect model is low.
_DOUBTFUL = 0.2
# Above this share of test pairs with an end that the model knows nothing of, figures say more of the data than of it.
_UNKNOWN = 0.1


def opening(data: LinkData) -> Iterator[tuple[str, str]]:
    """Lines of the log with their levels: pooling, parts, and what weakens the test."""
    if data.pooling is None and data.profile.graph.pooling.enabled:
        names = ", ".join(data.profile.graph.pooling.relations)
        yield f"disease pooling is off: the graph has no training edges of {names}", "warning"
    split = data.split
    yield split.in_words, "info"
    for note in split.notes:
        yield note, "info"
    if any(len(split.test[target][0]) for target in split.targets):
        yield from _about_the_test(data)
    else:
        yield "no test part: models are measured on validation alone", "info"


def _about_the_test(data: LinkData) -> Iterator[tuple[str, str]]:
    told = trained = total = 0
    for target, pairs in zip(data.split.targets, data.evaluation("test"), strict=True):
        found = true_negatives(data.graph, data.split, target, pairs)
        told, trained, total = told + found.count, trained + found.trained, total + found.stored
        if found.count > _DOUBTFUL * found.stored:
            stored = target in data.split.negatives.get("test", {})
            yield (
                f"{pairs.relation}: {found.count} of {found.stored} stored test negatives are true pairs"
                f"{_remedy(data, stored)}",
                "warning",
            )
        if pairs.positives == 0:
            yield f"{pairs.relation} has no test pairs: the macro mean leaves it out", "warning"
        elif pairs.positives < _FEW_PAIRS:
            yield f"{pairs.relation} has {pairs.positives} test pairs: its AUPRC says little", "warning"
    yield from _unknown_ends(data)
    yield (
        f"test: {grouped(told)} of {grouped(total)} stored negatives are true pairs of their relation, "
        f"{grouped(trained)} of them training pairs; they count as negatives",
        "info",
    )


def _unknown_ends(data: LinkData) -> Iterator[tuple[str, str]]:
    """Test pairs with an end that no training edge leads to: every model scores them all alike, at chance."""
    split = data.split
    known = {node_type: split.linked(node_type) for node_type in (split.targets.head, split.targets.tail)}
    suspects: set[str] = set()
    for target in split.targets:
        blind = {
            node_type: ~np.isin(nodes, known[node_type])
            for node_type, nodes in zip((target.head, target.tail), split.test[target], strict=True)
        }
        count = int(np.logical_or.reduce(list(blind.values())).sum())
        if count == 0:
            continue
        total = len(split.test[target][0])
        many = count > _UNKNOWN * total
        ends = " or ".join(node_type for node_type, unknown in blind.items() if unknown.any())
        suspects |= {node_type for node_type, unknown in blind.items() if many and unknown.any()}
        yield (
            f"{target.relation}: {grouped(count)} of {grouped(total)} test pairs have a {ends} that no training edge "
            "leads to: the model knows nothing of it",
            "warning" if many else "info",
        )
    for node_type in sorted(suspects):
        twins = twins_of(data.graph, node_type)
        if twins is not None:
            shown = " and ".join(map(repr, twins.examples[0]))
            yield (
                f"{grouped(twins.groups)} times several {node_type} nodes look like one under different spellings of "
                f"its id, such as {shown}: flykd-console graph info {shlex.quote(data.graph.source)}",
                "warning",
            )


def _remedy(data: LinkData, stored: bool) -> str:
    """Why doubtful negatives stay, or what draws others; nothing where they came with the split."""
    if data.profile.split.filter_negatives:
        return ", since nothing else can take their place"
    if stored:
        return ""
    return "; split.filter_negatives = true draws others"
