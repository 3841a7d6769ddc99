"""A block's result in a sentence or two, as careful as its intervals: what a reader should take away."""

from __future__ import annotations

from flykd_console.compare.figures import Block, Gain, Row
from flykd_console.compare.rivals import several_rivals
from flykd_console.runs.models import DISTILLED, Role
from flykd_console.words import per_cent, signed


def headline(block: Block) -> str:
    """The best student, its gain over its rival, and what its intervals say."""
    students = _students(block)
    if not students:
        means = (f"{row.label} {per_cent(row.auprc.mean)}" for row in block.rows)
        if all(row.role is Role.HEURISTIC for row in block.rows):
            return f"Scorers without training alone; nothing was trained. Test AUPRC in per cent: {', '.join(means)}."
        learnt = any(row.role in DISTILLED for row in block.rows)
        why = "No baseline was trained, so no gain is told." if learnt else "No student was trained."
        return f"{why} Test AUPRC in per cent: {', '.join(means)}."
    row, gain = _best(students)
    best = f"The best of {len(students)} methods, {row.label}," if len(students) > 1 else row.label
    return f"{best} {_result(block, row, gain)}"


def verdict(block: Block) -> str:
    """What the intervals say of the headline's gain and of the other methods."""
    students = _students(block)
    if not students:
        return ""
    row, gain = _best(students)
    sentences = [_worth(gain, len(block.seeds), f"{block.tail_type}s")]
    if len(students) > 1:
        above = [r.label for r, g in students if g.over_seeds and g.over_seeds.low > 0]
        below = [r.label for r, g in students if g.over_seeds and g.over_seeds.high < 0]
        if len(block.seeds) > 1:
            sentences.append(
                f"Of all methods, the interval over seeds lies above zero for {_listed(above)} "
                f"and below zero for {_listed(below)}."
            )
        sentences.append(f"{row.label} was picked here on the test scores themselves, so its own gain flatters it.")
    return " ".join(sentences)


def _students(block: Block) -> list[tuple[Row, Gain]]:
    """The models that learn from others and have a gain."""
    return [(row, row.gain) for row in block.rows if row.role in DISTILLED and row.gain]


def _best(students: list[tuple[Row, Gain]]) -> tuple[Row, Gain]:
    """The one with the largest mean gain; by AUPRC where gains over several rivals say nothing of each other."""
    if several_rivals(gain for _, gain in students):
        return max(students, key=lambda pair: pair[0].auprc.mean)
    return max(students, key=lambda pair: pair[1].points.mean)


def _result(block: Block, row: Row, gain: Gain) -> str:
    mean = gain.points.mean
    rival = next(other for other in block.rows if other.label == gain.over)
    how = f"{abs(mean):.2f} points {'above' if mean >= 0 else 'below'} {gain.over}"
    return f"scores {per_cent(row.auprc.mean)} % test AUPRC, {how} at {per_cent(rival.auprc.mean)} %."


def _worth(gain: Gain, seeds: int, ends: str) -> str:
    pairs = f"{signed(gain.over_pairs.low)} to {signed(gain.over_pairs.high)} over test pairs"
    tails = f"{signed(gain.over_tails.low)} to {signed(gain.over_tails.high)} over test {ends}"
    if gain.over_seeds is None:
        return f"95 % intervals of the gain: {pairs}, {tails}. One seed says nothing about other seeds."
    low, high = gain.over_seeds.low, gain.over_seeds.high
    told = (
        f"these {seeds} seeds do not tell it from zero"
        if low <= 0 <= high
        else f"these {seeds} seeds tell it from zero"
    )
    return f"95 % intervals of the gain: {signed(low)} to {signed(high)} over seeds, {tails}, {pairs}: {told}."


def _listed(words: list[str]) -> str:
    if len(words) < 2:
        return words[0] if words else "none"
    return f"{', '.join(words[:-1])} and {words[-1]}"
