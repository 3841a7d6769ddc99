"""Two bundles against each other: how each tail's ranking of the heads moved, on the nodes and relations both have.

Ranks are those among the heads of both bundles, best first; equal logits are broken by the head's id. A tail that
either model knows nothing of (every score the same) is left out, and counted.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from exporters.scorer import Scorer
from exporters.sorting import ranks_of
from flykd_console.errors import UserError

TOP = 20
_BLOCK_PAIRS = 1 << 21

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Moved:
    """A head of one tail whose place changed: ranks from 1, among the heads of both bundles.

    Attributes:
        known: What the first and the second bundle say of the pair: `train`, `validation`, `test`, or empty.
        why: New edges of the graph that explain it, in words; filled in by who has the graphs.
    """

    head_id: str
    head_name: str
    before: int
    after: int
    known: tuple[str, str] = ("", "")
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class TailDiff:
    """One tail under one relation.

    Attributes:
        correlation: Spearman's, of the ranks of all heads.
        new: Heads among the first `top` of the second bundle alone, best first; `lost`: of the first alone.
    """

    tail_id: str
    tail_name: str
    correlation: float
    new: Sequence[Moved]
    lost: Sequence[Moved]


@dataclass(frozen=True)
class RelationDiff:
    """One relation.

    Attributes:
        tails: Those that both models know something of, the most changed first.
        silent: How many tails were left out.
        correlation: Mean over the tails; `overlap`: mean share of the first `top` that both have. NaN without tails.
    """

    relation: str
    tails: Sequence[TailDiff]
    silent: int
    correlation: float
    overlap: float


@dataclass(frozen=True)
class BundleDiff:
    """Two bundles, `a` before and `b` after.

    Attributes:
        heads: How many both have; `only_a`, `only_b`: ids that one alone has, by `head` and `tail`.
        relations: Of both; `relations_apart`: names that one alone has.
    """

    a: str
    b: str
    top: int
    heads: int
    tails: int
    head_type: str
    tail_type: str
    only_a: dict[str, list[str]]
    only_b: dict[str, list[str]]
    relations: Sequence[RelationDiff]
    relations_apart: Sequence[str] = field(default_factory=list)


def diff_bundles(
    first: str | os.PathLike[str],
    second: str | os.PathLike[str],
    *,
    top: int = TOP,
    progress: Callable[[str, int, int], None] = lambda relation, done, total: None,
) -> BundleDiff:
    """Compare two bundles.

    Args:
        top: How many first heads of a tail are looked at.
        progress: Hears the relation, and how many of its tails are done.

    Raises:
        UserError: A folder is no bundle, or the two have no head, tail or relation in common.
    """
    if top < 1:
        raise UserError(f"{top} is not a number of results", "--top", "Give 1 or more.")
    with Scorer(first) as a, Scorer(second) as b:
        sides = {side: _matched(getattr(a, f"{side}s").ids, getattr(b, f"{side}s").ids) for side in ("head", "tail")}
        relations = [name for name in a.relations if name in b.relations]
        shared = {"relation": len(relations)} | {side: len(rows[0]) for side, rows in sides.items()}
        for what, count in shared.items():
            if count == 0:
                hint = "Compare bundles of one kind of graph."
                raise UserError(f"the two bundles have no {what} in common", f"{first}, {second}", hint)
        return BundleDiff(
            a=str(first),
            b=str(second),
            top=top,
            heads=len(sides["head"][0]),
            tails=len(sides["tail"][0]),
            head_type=b.manifest.head_type,
            tail_type=b.manifest.tail_type,
            only_a={side: _apart(getattr(a, f"{side}s").ids, getattr(b, f"{side}s").ids) for side in sides},
            only_b={side: _apart(getattr(b, f"{side}s").ids, getattr(a, f"{side}s").ids) for side in sides},
            relations=[_relation(name, a, b, sides["head"], sides["tail"], top, progress) for name in relations],
            relations_apart=sorted(set(a.relations) ^ set(b.relations)),
        )


def _matched(ours: Sequence[str], theirs: Sequence[str]) -> tuple[Indices, Indices]:
    """Rows of the ids that both have, in the order of the ids: [n] in the first, [n] in the second."""
    place = {key: row for row, key in enumerate(theirs)}
    shared = sorted((key, row) for row, key in enumerate(ours) if key in place)
    rows = np.array([row for _, row in shared], dtype=np.int64)
    return rows, np.array([place[key] for key, _ in shared], dtype=np.int64)


def _apart(ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    return sorted(set(ours) - set(theirs))


def _relation(
    name: str,
    a: Scorer,
    b: Scorer,
    heads: tuple[Indices, Indices],
    tails: tuple[Indices, Indices],
    top: int,
    progress: Callable[[str, int, int], None],
) -> RelationDiff:
    found: list[TailDiff] = []
    overlaps: list[float] = []
    count, silent = len(tails[0]), 0
    block = max(1, _BLOCK_PAIRS // len(heads[0]))
    for start in range(0, count, block):
        rows = tails[0][start : start + block], tails[1][start : start + block]
        logits = [_logits(scorer, name, heads[n], rows[n]) for n, scorer in enumerate((a, b))]
        for place in range(len(rows[0])):
            ours, theirs = logits[0][place], logits[1][place]
            if np.ptp(ours) == 0 or np.ptp(theirs) == 0:
                silent += 1
                continue
            before, after = ranks_of(ours), ranks_of(theirs)
            kept = min(top, len(before))
            overlaps.append(float(((before <= kept) & (after <= kept)).sum()) / kept)
            found.append(_tail(a, b, name, heads, (int(rows[0][place]), int(rows[1][place])), before, after, kept))
        progress(name, min(start + block, count), count)
    correlations = [tail.correlation for tail in found]
    return RelationDiff(
        relation=name,
        tails=sorted(found, key=lambda tail: (-len(tail.new), tail.correlation, tail.tail_id)),
        silent=silent,
        correlation=float(np.mean(correlations)) if found else math.nan,
        overlap=float(np.mean(overlaps)) if found else math.nan,
    )


def _logits(scorer: Scorer, relation: str, heads: Indices, tails: Indices) -> NDArray[np.float32]:
    """Every pair: float32 [tails, heads]."""
    logits, _ = scorer.score(np.tile(heads, len(tails)), np.repeat(tails, len(heads)), relation)
    return logits.reshape(len(tails), len(heads))


def _tail(
    a: Scorer,
    b: Scorer,
    relation: str,
    heads: tuple[Indices, Indices],
    rows: tuple[int, int],
    before: Indices,
    after: Indices,
    top: int,
) -> TailDiff:
    def moved(places: Indices) -> list[Moved]:
        pairs = [[(int(rows_of[place]), row) for place in places] for rows_of, row in zip(heads, rows, strict=True)]
        scored = [scorer.score_pairs(of_bundle, relation) for scorer, of_bundle in zip((a, b), pairs, strict=True)]
        return [
            Moved(new.head_id, new.head_name, int(before[place]), int(after[place]), (old.known, new.known))
            for place, old, new in zip(places, *scored, strict=True)
        ]

    new = np.flatnonzero((after <= top) & (before > top))
    lost = np.flatnonzero((before <= top) & (after > top))
    return TailDiff(
        tail_id=b.tails.ids[rows[1]],
        tail_name=b.tails.names[rows[1]],
        correlation=float(np.corrcoef(before, after)[0, 1]) if len(before) > 1 else 1.0,
        new=moved(new[np.argsort(after[new])]),
        lost=moved(lost[np.argsort(before[lost])]),
    )
