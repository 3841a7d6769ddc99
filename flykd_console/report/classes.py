"""The HTML report of runs that tell classes: gains over fair rivals, curves, agreement, calibration."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import PurePath
from typing import Any

from jinja2 import Environment, StrictUndefined

from flykd_console import __version__
from flykd_console.compare.class_grids import class_grids
from flykd_console.compare.figures import Interval
from flykd_console.compare.grid import Grid
from flykd_console.compare.samples import ClassComparison, ClassRow
from flykd_console.report import class_figures as figures
from flykd_console.report.class_answers import StoredAnswers, between, read_answers
from flykd_console.report.class_curves import read_class_curves
from flykd_console.report.page import Picture
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.models import Role
from flykd_console.runs.results import Results, read_results
from flykd_console.words import DASH, counted, metric_words, per_cent, signed

_GAINS = (
    "Diamond: mean over the seeds. Dots: the seeds. Line: 95 % interval over seeds (paired t). Bar: 95 % interval over "
    "test samples (paired bootstrap). A member's rival is the same network trained alone from the same initialisation; "
    "the ensemble's is the deep ensemble of those; the best's is the best of those. The best is chosen by validation."
)
_CURVES = "Thin: a seed. Bold: the mean over the seeds. Dashed: the mean of the rival, trained alone."
_AGREEMENT = "Share of validation samples that two members tell alike, mean over pairs. Thin: a seed."
_CALIBRATION = (
    "Test samples in fifteen bins of the probability of the class that is told, all seeds together; the larger a dot, "
    "the more samples. On the diagonal a probability means what it says. Dashed: the rival."
)
_CONFUSION = "Of the test samples of each class (rows) the share told as each class (columns), per cent, all seeds."


@dataclass(frozen=True)
class ClassSection:
    """One run, ready to be set."""

    name: str
    curves: list[Picture]
    together: list[Grid]
    calibration: list[Picture]
    provenance: dict[str, Any]


def page_of_classes(comparison: ClassComparison, directories: Sequence[RunDirectory]) -> str:
    """The whole document; it takes its looks from the report of runs that predict links."""
    package = resources.files(__package__)
    looks = package.joinpath("page.html.j2").read_text(encoding="utf-8")
    style = re.search(r"<style>.*?</style>", looks, re.DOTALL)
    macros = looks[: looks.index("<!doctype html>")]
    template = macros + package.joinpath("classes.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    loaded = {directory.name: read_results(directory.results) for directory in directories}
    colours = {
        (run, name): colour
        for run, results in loaded.items()
        for name, colour in figures.member_colours(results.models).items()
    }
    drawn = figures.gains(comparison.rows, colours, "all")
    return environment.from_string(template).render(
        style=style.group(0) if style else "",
        title=directories[0].name if len(directories) == 1 else f"{len(directories)} runs compared",
        headline=_headline(comparison),
        verdict=_verdict(comparison),
        what=_what(comparison),
        gains=Picture("Gain of each model over its rival", drawn, _GAINS, []) if drawn else None,
        tables=class_grids(comparison),
        sections=[
            _section(directory, loaded[directory.name], comparison.seeds, f"r{number}")
            for number, directory in enumerate(directories)
        ],
        version=__version__,
        written=time.strftime("%Y-%m-%d %H:%M"),
        resamples=comparison.resamples,
    )


# In words.


def _first(comparison: ClassComparison) -> ClassRow:
    """What the page is about: the best by validation of the first run, or its only member."""
    gaining = [row for row in comparison.rows if row.role in (Role.MEMBER, Role.ENSEMBLE)]
    named = [row for row in gaining if row.model == "best"]
    return (named or gaining or comparison.rows)[0]


def _headline(comparison: ClassComparison) -> str:
    row = _first(comparison)
    accuracy = row.metrics["accuracy"].mean
    which = (
        f"{row.method}: the member that validation puts first" if row.model == "best" else f"{row.method}: {row.label}"
    )
    if row.gain is None:
        return f"{which} tells {per_cent(accuracy)} % of test samples right."
    gain = row.gain.points.mean
    way = "more" if gain >= 0 else "fewer"
    return f"{which} tells {per_cent(accuracy)} % right, {abs(gain):.2f} points {way} than {row.gain.over}."


def _verdict(comparison: ClassComparison) -> str:
    row = _first(comparison)
    if row.gain is None:
        return "Nothing was trained alone, so no gain is told."
    said = [_interval_words(row.gain.over_samples, "other test samples")]
    if row.gain.over_seeds is not None:
        said.append(_interval_words(row.gain.over_seeds, "other seeds"))
    else:
        said.append("One seed says nothing of other seeds.")
    return " ".join(said)


def _interval_words(interval: Interval, what: str) -> str:
    span = f"{signed(interval.low)} to {signed(interval.high)} points"
    if interval.low > 0.0:
        return f"Over {what} the gain holds ({span})."
    if interval.high < 0.0:
        return f"Over {what} it is a loss ({span})."
    return f"Over {what} it may be none ({span})."


def _what(comparison: ClassComparison) -> str:
    sizes = sorted(set(comparison.samples.values()))
    many = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    return f"{PurePath(comparison.source).name} · {counted(len(comparison.seeds), 'seed')} · {many} test samples a seed"


# A run.


def _section(directory: RunDirectory, results: Results, seeds: Sequence[int], name: str) -> ClassSection:
    answers = read_answers(directory, seeds)
    curves = read_class_curves(directory)
    metric = metric_words(results.headline)
    drawn_losses, legend = figures.losses(results.models, curves, name)
    of_curves = [
        Picture(
            f"Validation {metric}", figures.validation(results.models, curves, results.headline, name), _CURVES, []
        ),
        Picture("Agreement of the members", figures.agreement(curves, name), _AGREEMENT, []),
        Picture("Losses while members learn together", drawn_losses, "Means over the seeds.", legend),
    ]
    names = [entry.name for entry in results.models]
    wanted: list[str] = ["best", "ensemble"]
    shown = [one for one in wanted if one in names] or [names[-1]]
    of_calibration = [
        Picture("Calibration", figures.calibration(answers, results.models, name), _CALIBRATION, []),
        Picture("Which class is told for which", figures.confusions(answers, shown, name), _CONFUSION, []),
    ]
    return ClassSection(
        name=directory.name,
        curves=[one for one in of_curves if one.svg],
        together=_together(answers, results),
        calibration=[one for one in of_calibration if one.svg],
        provenance=_provenance(directory, results),
    )


def _together(answers: Mapping[int, StoredAnswers], results: Results) -> list[Grid]:
    """How often members tell otherwise, and how alike their answers lie; beside them those trained alone."""
    grids = []
    for role, what in ((Role.MEMBER, "members"), (Role.BASELINE, "networks trained alone")):
        labels = {entry.name: entry.label for entry in results.models if entry.role is role}
        if len(labels) < 2:
            continue
        rows = []
        for first in labels:
            cells = [labels[first]]
            for second in labels:
                if first == second:
                    cells.append(DASH)
                    continue
                apart, alike = between(answers, first, second)
                cells.append(f"{100 * apart:.1f}\n{alike:.3f}")
            rows.append(cells)
        caption = "Above: share of test samples told otherwise, per cent. Below: linear CKA of their log-probabilities "
        caption += "(1: alike). Means over the seeds."
        grids.append(Grid(f"Between {what}", ["", *labels.values()], rows, caption))
    return grids


def _provenance(directory: RunDirectory, results: Results) -> dict[str, Any]:
    try:
        found = json.loads(directory.environment.read_bytes())
    except (OSError, ValueError):
        found = {}
    environment: Mapping[str, Any] = found if isinstance(found, dict) else {}
    libraries = environment.get("libraries") or {}
    splits = environment.get("splits") or {}
    facts = {
        "command": " ".join(map(str, environment.get("command") or [])),
        "device": environment.get("device", ""),
        "platform": environment.get("platform", ""),
        "flykd-console": environment.get("flykd_console", ""),
        "libraries": ", ".join(f"{name} {version}" for name, version in libraries.items() if version),
        "data": results.graph.source,
        "fingerprint": results.graph.fingerprint,
    }
    facts |= {f"split of seed {seed}": str(digest) for seed, digest in splits.items()}
    profile = directory.profile.read_text(encoding="utf-8")
    return {"facts": {key: value for key, value in facts.items() if value}, "profile": profile}
