"""The words below the tables of gains: what each interval asks, how it is corrected, and what it excludes."""

from __future__ import annotations

from collections.abc import Sequence

from flykd_console.compare.figures import Block, Interval


def worth_caption(block: Block, over_seeds: Sequence[tuple[str, Interval | None]]) -> str:
    """What the three intervals of a mean gain ask, and what they cannot say.

    Args:
        over_seeds: Each model's label and its interval over seeds, in points.
    """
    part, tails = block.part, f"{block.tail_type}s"
    return " ".join(
        [
            f"95 % intervals of the mean gain in points of macro AUPRC. {part.capitalize()} pairs, {part} {tails}: had "
            f"other pairs, or other {tails} with all their pairs, been tested with these trained models (paired "
            "bootstrap).",
            *seeds_words(block),
            "Not corrected for looking at several methods.",
            *no_difference(over_seeds),
        ]
    )


def seeds_words(block: Block) -> list[str]:
    """Sentences about the interval over seeds and the sign-flip test."""
    seeds = len(block.seeds)
    if seeds < 2:
        return ["Seeds, p: none with one seed."]
    bound = f", which cannot fall below {2 / 2**seeds:.4g} with {seeds} seeds" if seeds <= 16 else ""
    return [
        f"Seeds: had other seeds been drawn (paired t, {_correction(block)}).",
        f"p: exact sign-flip test over seeds{bound}, not corrected for the overlap.",
    ]


def no_difference(intervals: Sequence[tuple[str, Interval | None]]) -> list[str]:
    """A sentence about the intervals over seeds that contain zero, with the margin that each excludes; none without.

    Models that are equal in every seed have an interval of no width, which would exclude every difference: not told.
    """
    told = [(label, one) for label, one in intervals if one is not None and one.margin > 0.0]
    open_ones = [(label, one.margin) for label, one in told if one.low <= 0.0 <= one.high]
    if not open_ones:
        return []
    if len(open_ones) == 1:
        label, margin = open_ones[0]
        return [f"{label}, over seeds: no difference shown; differences beyond ±{margin:.2f} points are excluded."]
    margins = ", ".join(f"±{margin:.2f} ({label})" for label, margin in open_ones)
    return [f"Over seeds no difference shown; differences beyond these points are excluded: {margins}."]


def _correction(block: Block) -> str:
    """How the interval over seeds stands to the seeds' overlapping training sets."""
    if block.overlap is None:
        return "not corrected for overlapping training sets: the run does not tell its training pairs"
    words = {"pairs": f"{block.part} pairs by training pairs", "fractions": f"the split's {block.part} by its training"}
    return (
        "corrected for overlapping training sets after Nadeau and Bengio 2003: variance factor "
        f"1/{len(block.seeds)} + {block.overlap.test_to_train:.3f}, {words[block.overlap.taken_from]}"
    )
