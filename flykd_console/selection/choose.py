"""Which of the measured candidates is taken, which lie on the Pareto front, and why each of the others is turned down.

Quality, latency and size are weighed as the order says: within `max_loss` of the ceiling the smallest is taken; without
that limit the best that keeps to the others. Quality is measured on validation pairs: the test plays no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flykd_console.selection.measure import Cost
from flykd_console.selection.order import Choose
from flykd_console.words import grouped


@dataclass(frozen=True)
class Candidate:
    """A candidate with what was measured of it.

    Attributes:
        quality: The metric on validation, a fraction, the mean over the seeds; None where it failed.
        cost: Of its bundle; None where it failed.
        failed: Why it could not be measured; empty where it was.
    """

    label: str
    quality: float | None
    cost: Cost | None
    failed: str = ""


@dataclass(frozen=True)
class Verdict:
    """What became of a candidate.

    Attributes:
        front: No other is at least as good in quality, latency and size, and better in one.
        chosen: It is the one that is taken.
        why: Why it is turned down; of the chosen one why it is taken.
    """

    candidate: Candidate
    front: bool
    chosen: bool
    why: str


def verdicts(candidates: Sequence[Candidate], ceiling: float | None, rule: Choose) -> list[Verdict]:
    """A verdict on every candidate, in their order.

    Args:
        ceiling: The best teacher's quality, a fraction; None: that of the best candidate.
        rule: What they must keep to.
    """
    measured = [one for one in candidates if one.quality is not None and one.cost is not None]
    top = ceiling if ceiling is not None else max((_quality(one) for one in measured), default=0.0)
    kept = [one for one in measured if not _broken(one, top, rule)]
    if rule.max_loss is not None:
        chosen = min(kept, key=lambda one: (_cost(one).bytes, -_quality(one)), default=None)
    else:
        chosen = max(kept, key=lambda one: (_quality(one), -_cost(one).bytes), default=None)
    front = [one for one in measured if not any(_dominates(other, one, rule) for other in measured)]
    found = []
    for one in candidates:
        if one.failed or one not in measured:
            found.append(Verdict(one, False, False, f"failed: {one.failed or 'nothing was measured'}"))
            continue
        broken = _broken(one, top, rule)
        if broken:
            why = "; ".join(broken)
        elif one is chosen:
            why = _praise(rule, len(kept))
        else:
            assert chosen is not None
            why = _less_than(one, chosen, rule)
        found.append(Verdict(one, one in front, one is chosen, why))
    return found


def loss_points(one: Candidate, ceiling: float) -> float:
    """How far below the ceiling, in points; negative above it."""
    return 100.0 * (ceiling - _quality(one))


def latency_of(cost: Cost, rule: Choose) -> float:
    """Milliseconds by the percentile that the rule looks at."""
    return cost.p50 if rule.percentile == 50 else cost.p99


def _broken(one: Candidate, ceiling: float, rule: Choose) -> list[str]:
    """Every limit that a measured candidate does not keep to, in words."""
    cost, reasons = _cost(one), []
    loss = loss_points(one, ceiling)
    if rule.max_loss is not None and loss > rule.max_loss:
        reasons.append(f"{loss:.2f} points below the ceiling, more than {rule.max_loss:g}")
    latency = latency_of(cost, rule)
    if rule.max_latency_ms is not None and latency > rule.max_latency_ms:
        reasons.append(f"p{rule.percentile} of {latency:.2f} ms, more than {rule.max_latency_ms:g}")
    if rule.max_bytes is not None and cost.bytes > rule.max_bytes:
        reasons.append(f"{grouped(cost.bytes)} bytes, more than {grouped(rule.max_bytes)}")
    return reasons


def _praise(rule: Choose, kept: int) -> str:
    among = "the only one" if kept == 1 else ("the smallest" if rule.max_loss is not None else "the best")
    limits = [
        f"{rule.max_loss:g} points of the ceiling" if rule.max_loss is not None else "",
        f"{rule.max_latency_ms:g} ms" if rule.max_latency_ms is not None else "",
        f"{grouped(rule.max_bytes)} bytes" if rule.max_bytes is not None else "",
    ]
    return f"{among} within {' and '.join(limit for limit in limits if limit)}"


def _less_than(one: Candidate, chosen: Candidate, rule: Choose) -> str:
    """Why a candidate that keeps to every limit is not the chosen one."""
    if rule.max_loss is not None and _cost(one).bytes > _cost(chosen).bytes:
        return f"larger than {chosen.label} by {grouped(_cost(one).bytes - _cost(chosen).bytes)} bytes"
    points = 100.0 * (_quality(chosen) - _quality(one))
    if points > 0:
        return f"{points:.2f} points below {chosen.label}"
    return f"as good as {chosen.label}, and no smaller"


def _dominates(other: Candidate, one: Candidate, rule: Choose) -> bool:
    theirs, ours = _cost(other), _cost(one)
    pairs = [
        (_quality(other), _quality(one)),
        (-latency_of(theirs, rule), -latency_of(ours, rule)),
        (-float(theirs.bytes), -float(ours.bytes)),
    ]
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


def _quality(one: Candidate) -> float:
    assert one.quality is not None
    return one.quality


def _cost(one: Candidate) -> Cost:
    assert one.cost is not None
    return one.cost
