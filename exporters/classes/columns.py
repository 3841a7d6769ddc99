"""Answers as columns of a table, and the numbers of the samples that are asked for as people write them."""

from __future__ import annotations

import csv
import sys
from typing import Any

from exporters.classes.scorer import Answers, ClassScorer
from flykd_console.errors import UserError
from flykd_console.plain_text import spreadsheet_cell


def sample_numbers(text: str) -> list[int]:
    """`0,5-9`: whole numbers and spans of them, both ends included.

    Raises:
        UserError: It is something else.
    """
    found: list[int] = []
    for word in text.split(","):
        first, dash, last = word.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise UserError(f"{word.strip()!r} is no number and no span of numbers", "--samples", "Such as 0,5-9.")
        end = int(last) if dash else int(first)
        if end - int(first) > 10_000_000:
            raise UserError(f"{word.strip()!r} is a span of more than ten million", "--samples", "Give --all.")
        found += range(int(first), end + 1)
    return found


def columns_of(scorer: ClassScorer, answers: Answers) -> dict[str, list[Any]]:
    """Columns by name, a value a sample."""
    manifest, many = scorer.manifest, len(answers.ids)
    labels = [int(label) if label >= 0 else None for label in answers.label]
    told = answers.told
    columns: dict[str, list[Any]] = {
        "sample": answers.ids,
        "part": answers.part,
        "label": labels,
        "told": told.tolist(),
        "probability": answers.probability.max(axis=1).tolist(),
    }
    for number in range(manifest.classes):
        columns[f"p{number}"] = answers.probability[:, number].tolist()
    same = {"calibrated": answers.calibrated, "model": answers.model, "seed": manifest.seed, "run": manifest.run}
    return columns | {name: [value] * many for name, value in same.items()} | {"method": [manifest.method] * many}


def print_csv(scorer: ClassScorer, answers: Answers) -> None:
    """CSV on standard output, safe to open in a spreadsheet."""
    columns = columns_of(scorer, answers)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for values in zip(*columns.values(), strict=True):
        writer.writerow([spreadsheet_cell(value) for value in values])
