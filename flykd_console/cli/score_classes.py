"""`flykd-console score` with a bundle that tells classes: of known samples by number, or of a file of new ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flykd_console.errors import UserError
from flykd_console.plain_text import shown_json
from flykd_console.words import DASH

if TYPE_CHECKING:
    from exporters.classes.scorer import Answers, ClassScorer

# As many columns of classes, and rows, as a terminal shows.
_MOST_CLASSES, _MOST_ROWS = 8, 50


@dataclass(frozen=True)
class Asked:
    """Options of bundles that tell classes, as they were given."""

    samples: str | None
    data: Path | None
    everything: bool
    model: str | None
    raw: bool

    @property
    def given(self) -> list[str]:
        """Those that no other bundle takes."""
        options = {
            "--samples": self.samples is not None,
            "--data": self.data is not None,
            "--model": self.model is not None,
            "--raw": self.raw,
        }
        return [name for name, is_given in options.items() if is_given]


def refuse_classes(asked: Asked) -> None:
    """Refuse options of bundles that tell classes, for one that ranks.

    Raises:
        UserError: There are some.
    """
    if asked.given:
        raise UserError(
            f"{asked.given[0]} asks for classes of nodes or graphs, and this bundle ranks pairs",
            "flykd-console score",
            "Give --disease, --drug or --pairs.",
        )


def score_classes(
    folder: Path, asked: Asked, others: Mapping[str, bool], to: Path | None, json: bool, csv: bool
) -> None:
    """Tell the classes and print or write them.

    Args:
        others: Options of bundles that rank, by name whether each was given.

    Raises:
        UserError: Options that do not fit the bundle, or a file or number that does not.
    """
    from exporters.classes.columns import sample_numbers
    from exporters.classes.scorer import ClassScorer

    wrong = [name for name, given in others.items() if given]
    if wrong:
        raise UserError(
            f"{wrong[0]} asks for drugs and diseases, and this bundle tells classes of nodes or graphs",
            "flykd-console score",
            "Give --samples, --data or --all.",
        )
    ways = [asked.samples is not None, asked.data is not None, asked.everything]
    if sum(ways) != 1:
        title = "nothing to score is named" if not any(ways) else "--samples, --data and --all are three questions"
        raise UserError(title, "flykd-console score", "Give one of --samples 0,5-9, --data FILE, --all.")
    if to is not None:
        from exporters.table_files import check_target

        check_target(to)
    with ClassScorer(folder) as scorer:
        if asked.data is not None:
            answers = scorer.new(asked.data, asked.model, asked.raw)
        else:
            rows = None if asked.samples is None else sample_numbers(asked.samples)
            answers = scorer.known(rows, asked.model, asked.raw)
        if to is not None:
            _write(scorer, answers, to)
            print(f"Wrote {len(answers.ids)} rows to {to}")
        elif json:
            import json as form

            print(shown_json(form.dumps(_records(scorer, answers), indent=2, ensure_ascii=False)))
        elif csv:
            from exporters.classes.columns import print_csv

            print_csv(scorer, answers)
        else:
            _print(scorer, answers)


def _records(scorer: ClassScorer, answers: Answers) -> list[dict[str, Any]]:
    from exporters.classes.columns import columns_of

    columns = columns_of(scorer, answers)
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _write(scorer: ClassScorer, answers: Answers, to: Path) -> None:
    import numpy as np

    from exporters.classes.columns import columns_of
    from exporters.table_files import Words, table_file

    columns: dict[str, Any] = {}
    for name, values in columns_of(scorer, answers).items():
        if values and isinstance(values[0], str):
            words = sorted(set(values))
            place = {word: number for number, word in enumerate(words)}
            columns[name] = Words(words, np.array([place[value] for value in values]))
        elif name == "label":
            columns[name] = answers.label
        else:
            columns[name] = np.array(values)
    with table_file(to) as table:
        table.write(columns, {"label": answers.label < 0})


def _print(scorer: ClassScorer, answers: Answers) -> None:
    from rich.text import Text

    from flykd_console.cli.titled import Titled, plain_table, table_console

    manifest = scorer.manifest
    shown = range(manifest.classes) if manifest.classes <= _MOST_CLASSES else range(0)
    table = plain_table()
    for heading in (manifest.what, "part", "class", "told", "p", *map(str, shown)):
        table.add_column(heading, justify="left" if heading == "part" else "right", no_wrap=True)
    for row, sample in enumerate(answers.ids[:_MOST_ROWS]):
        probability, label, told = answers.probability[row], int(answers.label[row]), int(answers.told[row])
        style = "" if label in (-1, told) else "yellow"
        cells = [sample, answers.part[row] or DASH, str(label) if label >= 0 else DASH, str(told)]
        cells += [f"{probability[told]:.3f}", *(f"{probability[number]:.3f}" for number in shown)]
        table.add_row(*(Text(cell, style=style) for cell in cells))
    more = f"{len(answers.ids) - _MOST_ROWS} more are left out here: --to FILE has them all. " * (
        len(answers.ids) > _MOST_ROWS
    )
    temperature = manifest.temperature[answers.model]
    how = f"calibrated on validation (T = {temperature:.2f})" if answers.calibrated else "as the model gives them, raw"
    trained = "" if "train" not in answers.part else " Samples of train are those that it learnt from."
    caption = f"{more}p: probability of the class that is told; probabilities {how}.{trained}"
    title = f"{manifest.run}, seed {manifest.seed}, by {answers.model}"
    table_console().print(Titled(table, title, caption))
