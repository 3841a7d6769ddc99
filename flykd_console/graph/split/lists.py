"""Splits that test a list from the field: pairs with outcomes, uses beyond the label, a later release's new pairs.

The graph trains without what is tested. A tested pair leaves every relation between head type and tail type, so that
no other label tells of it; 5 % of the other target edges validate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flykd_console.errors import UserError
from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph, Pairs, Targets
from flykd_console.graph.node_lookup import NodeLookup, rows_of
from flykd_console.graph.split.edge_split import Edges, EdgeSplit
from flykd_console.graph.split.random import hold_out, joins
from flykd_console.pair_lists import ListedPair, read_list
from flykd_console.relation_names import is_meant
from flykd_console.words import counted, grouped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flykd_console.profile import sections

_VALIDATING = 0.05
# A drawn negative that keeps its head takes another tail of the test; among fewer than this it is often a true pair.
_FEW_TAILS = 10

Keys = Mapping[EdgeType, "NDArray[np.int64]"]


@dataclass(frozen=True)
class Tested:
    """What a list tests: pairs as numbers head · n_tails + tail, distinct and ascending, by target.

    Attributes:
        true: Pairs that are to be found.
        false: Pairs that are known to be none; of a target without true pairs there are none.
        notes: What was left out and why.
    """

    true: Keys
    false: Keys
    notes: tuple[str, ...]


def split_by_list(
    graph: KnowledgeGraph, edges: Edges, targets: Targets, settings: sections.Split, seed: int
) -> EdgeSplit:
    """The split that tests a list (`split.test` alone) or a later release (`split.later`).

    Args:
        edges: The graph's, those of a target distinct.

    Raises:
        UserError: A file is damaged or of another form, or nothing of it can be tested.
    """
    if settings.later is not None:
        path = Path(settings.later).expanduser()
        tested = later_release(graph, targets, path)
    else:
        assert settings.test is not None
        path = Path(settings.test).expanduser()
        tested = listed_pairs(graph, targets, path)
    if not tested.true:
        why = f" ({'; '.join(tested.notes)})" if tested.notes else ""
        raise UserError(f"no pair of it can be tested{why}", str(path), "Ids must be those of the graph.")
    count = graph.count(targets.tail)
    every = np.unique(np.concatenate(list(tested.true.values())))
    train: dict[EdgeType, Pairs] = {}
    validation: dict[EdgeType, Pairs] = {}
    test: dict[EdgeType, Pairs] = {}
    held = 0
    for edge_type, (heads, tails) in edges.items():
        nothing = np.zeros(0, dtype=np.int64)
        train[edge_type], validation[edge_type] = (heads, tails), (nothing, nothing)
        test[edge_type] = nothing, nothing
        if joins(edge_type, targets):
            ends = (heads, tails) if edge_type.tail == targets.tail else (tails, heads)
            out = np.isin(ends[0] * count + ends[1], every)
            share = _VALIDATING if edge_type in targets else 0.0
            part = hold_out(out, share, edge_type, targets, seed, settings.validation_seed)
            train[edge_type] = heads[part == 0], tails[part == 0]
            validation[edge_type] = heads[part == 1], tails[part == 1]
            held += int(out.sum())
        if edge_type in tested.true:
            test[edge_type] = _pairs(tested.true[edge_type], count)
    few = min(len(np.unique(test[target][1])) for target in tested.true) < _FEW_TAILS
    negatives = {target: _pairs(keys, count) for target, keys in tested.false.items()}
    taken = (f"{counted(held, 'edge')} of tested pairs taken out of training",) if held else ()
    return EdgeSplit(
        targets,
        train,
        validation,
        test,
        kind="files",
        negatives={"test": negatives} if negatives else {},
        replaced="head" if few else "tail",
        notes=(*tested.notes, *taken),
    )


def listed_pairs(graph: KnowledgeGraph, targets: Targets, path: Path) -> Tested:
    """The pairs of a list with outcomes (`pair_lists`); one without is of true pairs alone.

    A failed pair that the graph has as a true one is left out, and so is one whose outcome is open.

    Raises:
        UserError: The list cannot be read; a row names no target; a pair has two outcomes.
    """
    rows = read_list(path, targets.head, targets.tail, outcomes=True)
    lookups = [NodeLookup(graph.nodes[node_type]) for node_type in (targets.head, targets.tail)]
    count = graph.count(targets.tail)
    outcomes: dict[EdgeType, dict[int, str]] = {}
    strange: list[str] = []
    open_ones = 0
    for row in rows:
        target = _target(row, targets, path)
        found = [lookup.find(text) for lookup, text in zip(lookups, (row.head, row.tail), strict=True)]
        if any(len(nodes) != 1 for nodes in found):
            strange.append(row.head if len(found[0]) != 1 else row.tail)
            continue
        outcome = row.outcome or "positive"
        if outcome == "open":
            open_ones += 1
            continue
        of_target = outcomes.setdefault(target, {})
        key = found[0][0] * count + found[1][0]
        if of_target.setdefault(key, outcome) != outcome:
            raise UserError(
                f"line {row.line} gives {row.head} with {row.tail} another outcome than a line before", str(path),
                "Keep one of the two.",
            )  # fmt: skip
    notes = []
    if strange:
        notes.append(f"{counted(len(strange), 'row')} of {path.name} name no single node, first {strange[0]!r}")
    if open_ones:
        notes.append(f"{counted(open_ones, 'row')} of {path.name} of open outcome (in trial) are not tested")
    true, false = (
        {
            target: np.array(sorted(key for key, outcome in of.items() if outcome == wanted), dtype=np.int64)
            for target, of in outcomes.items()
        }
        for wanted in ("positive", "negative")
    )
    doubtful = 0
    for target, keys in false.items():
        heads, tails = graph.edges[target]
        known = np.isin(keys, heads * count + tails)
        false[target] = keys[~known]
        doubtful += int(known.sum())
    if doubtful:
        notes.append(f"{counted(doubtful, 'negative pair')} of {path.name} left out that the graph has as true ones")
    true = {target: keys for target, keys in true.items() if len(keys)}
    false = {target: keys for target, keys in false.items() if len(keys) and target in true}
    return Tested(true, false, tuple(notes))


def later_release(graph: KnowledgeGraph, targets: Targets, path: Path) -> Tested:
    """The target pairs of a later release between nodes that the graph knows, and that it has not.

    Raises:
        UserError: The release cannot be read, or lacks every target.
    """
    from flykd_console.graph.load import load_graph
    from flykd_console.profile.sections import Graph

    later = load_graph(Graph(source=str(path)))
    count = graph.count(targets.tail)
    true = {}
    added = lost = 0
    for target in targets:
        keys = []
        for edge_type, pairs in later.edges.items():
            if is_meant(target.relation, *edge_type) and joins(edge_type, targets):
                heads, tails = pairs if edge_type.tail == targets.tail else pairs[::-1]
                head_of = rows_of(later.nodes[targets.head]["id"], graph.ids(targets.head)).fill_null(-1).to_numpy()
                tail_of = rows_of(later.nodes[targets.tail]["id"], graph.ids(targets.tail)).fill_null(-1).to_numpy()
                heads, tails = head_of[heads], tail_of[tails]
                known = (heads >= 0) & (tails >= 0)
                lost += int((~known).sum())
                keys.append(heads[known] * count + tails[known])
        if not keys:
            continue
        old_heads, old_tails = graph.edges[target]
        new = np.setdiff1d(np.concatenate(keys), old_heads * count + old_tails)
        added += len(new)
        if len(new):
            true[target] = new
    notes = [f"{path.name} has {grouped(added)} target pairs that {Path(graph.source).name} lacks: the test"]
    if lost:
        notes.append(f"{counted(lost, 'target edge')} of {path.name} left out with an end that the graph lacks")
    return Tested(true, {}, tuple(notes))


def _target(row: ListedPair, targets: Targets, path: Path) -> EdgeType:
    """The target that a row is of.

    Raises:
        UserError: It names none, or there are several and it does not say which.
    """
    if row.relation is None and len(targets) == 1:
        return targets[0]
    names = ", ".join(target.relation for target in targets)
    if row.relation is None:
        raise UserError(
            f"line {row.line} names no relation, and there are {len(targets)} targets", str(path),
            f"Add a column relation ({names}), or name one relation in graph.targets.",
        )  # fmt: skip
    found = next((target for target in targets if is_meant(row.relation, *target)), None)
    if found is None:
        raise UserError(
            f"line {row.line} names the relation {row.relation!r}, which is no target", str(path), f"Targets: {names}."
        )
    return found


def _pairs(keys: NDArray[np.int64], count: int) -> Pairs:
    return keys // count, keys % count
