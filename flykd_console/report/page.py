"""The HTML report: one file that needs nothing else, in the order a reader asks: result, gains, curves, provenance."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined

from flykd_console import __version__
from flykd_console.compare.comparable import blocks_of
from flykd_console.compare.distance_grids import distance_grids
from flykd_console.compare.figures import Block, Comparison
from flykd_console.compare.forest import headline_gain
from flykd_console.compare.grid import Grid
from flykd_console.compare.grids import (
    auprc_grids,
    block_heading,
    gain_grids,
    mean_gain_grid,
    ranking_grids,
    relations_grid,
    runs_grid,
    worth_grid,
)
from flykd_console.compare.loading import LoadedRun
from flykd_console.compare.matrix_grids import matrix_grids
from flykd_console.compare.models import Contender, contenders_of
from flykd_console.compare.population import Restriction, tested_pairs
from flykd_console.compare.rivals import over_rivals
from flykd_console.report import figures
from flykd_console.report.curves import Curves, read_curves
from flykd_console.report.headline import headline, verdict
from flykd_console.words import counted, grouped

_GAINS = (
    "Diamond: mean over the seeds. Dots: the seeds. Line: 95 % interval over seeds (paired t, corrected as the table "
    "below says). Bar: 95 % interval over test {tails} (paired bootstrap)."
)
_CALIBRATION = (
    "Share of true pairs among test pairs of about the same predicted probability, in ten bins of equal size, all "
    "seeds together. On the diagonal a probability means what it says, but says it of this test, in which half of the "
    "pairs are true: 0.8 means that four in five pairs scored so are true here. It is not the chance that a drug "
    "treats a disease, which is far smaller, because among all pairs hardly any is true."
)
_CURRICULUM = "Share of each label source in the loss, as trained."


@dataclass(frozen=True)
class Picture:
    """A figure with its heading, caption and legend of (words, CSS colour, dashed)."""

    title: str
    svg: str
    caption: str
    legend: list[tuple[str, str, bool]]


@dataclass(frozen=True)
class Section:
    """A block of the comparison, ready to be set."""

    heading: str
    headline: str
    verdict: str
    notes: list[str]
    gains: Picture | None
    scores: list[Grid]
    worth: list[Grid]
    curves: list[Picture]
    tests: list[Picture]
    calibration: Grid
    ranking: list[Grid]
    runs: Grid
    provenance: list[dict[str, Any]]


def page(
    comparison: Comparison, runs: Sequence[LoadedRun], anyway: bool = False, only: Restriction | None = None
) -> str:
    """The whole document.

    Args:
        comparison: Of these runs.
        runs: As they were compared.
        anyway: As in the comparison.
        only: As in the comparison.
    """
    blocks = blocks_of(runs, anyway)
    sections = [_section(comparison, index, members, only) for index, members in enumerate(blocks)]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = resources.files(__package__).joinpath("page.html.j2").read_text(encoding="utf-8")
    names = [run.name for run in runs]
    return environment.from_string(template).render(
        title=names[0] if len(names) == 1 else f"{len(names)} runs compared",
        sections=sections,
        version=__version__,
        written=time.strftime("%Y-%m-%d %H:%M"),
        resamples=comparison.resamples,
    )


def _section(comparison: Comparison, index: int, runs: Sequence[LoadedRun], only: Restriction | None) -> Section:
    block = comparison.blocks[index]
    contenders = contenders_of(runs, block.seeds)
    _, pairs = tested_pairs(runs, contenders, block.seeds, only)
    legend = _legend(contenders)
    drawn = figures.gains(block, contenders, f"b{index}")
    paper = any(row.gain and row.gain.paper for row in block.rows)
    title = f"Gain {over_rivals(gain for row in block.rows if (gain := headline_gain(block, row)) is not None)}"
    gains = _GAINS.format(tails=f"{block.tail_type}s") + (" Ring: the paper's mean." if paper else "")
    return Section(
        heading=block_heading(comparison, index),
        headline=headline(block),
        verdict=verdict(block),
        notes=block.notes,
        gains=Picture(title, drawn, gains, []) if drawn else None,
        scores=[*auprc_grids(block), relations_grid(block)],
        worth=_worth(block),
        curves=_curves(block, contenders, runs, f"b{index}"),
        tests=[
            Picture(
                "Precision and recall",
                figures.precision_recall(contenders, pairs, block.targets, f"b{index}"),
                "Test pairs; each line is the mean over the seeds. Grey: what chance gives.",
                legend,
            ),
            Picture(
                "Calibration",
                figures.calibration(contenders, pairs, block.targets, f"b{index}"),
                _CALIBRATION,
                legend,
            ),
        ],
        calibration=Grid(
            title="Expected calibration error, per cent",
            headings=["model", *block.targets],
            rows=[
                [one.label, *(f"{100 * figures.calibration_error(pairs, r, one):.1f}" for r in block.targets)]
                for one in contenders
            ],
            caption="Mean distance from the diagonal, weighted by the bins' pairs.",
        ),
        ranking=[*ranking_grids(block), *distance_grids(block), *matrix_grids(block)],
        runs=runs_grid(block),
        provenance=[_provenance(job) for run in runs for job in run.jobs or (run,)],
    )


def _worth(block: Block) -> list[Grid]:
    grids: list[Grid] = []
    if any(row.gain for row in block.rows):
        grids += [mean_gain_grid(block), *gain_grids(block), worth_grid(block)]
    if any(row.rival for row in block.rows):
        grids += [mean_gain_grid(block, rival=True), worth_grid(block, rival=True)]
    return grids


def _curves(block: Block, contenders: Sequence[Contender], runs: Sequence[LoadedRun], name: str) -> list[Picture]:
    curves = {run.name: _curves_of(run) for run in runs}
    looks = list(figures.loss_looks(contenders, curves).values())
    validation = "Thin: a seed. Bold: the mean over the seeds, with one standard deviation to each side."
    losses = "Mean over the seeds, with the range between them; the total is weighted. Logarithmic axis."
    structure = "Mean over the seeds, with the range between them, before their weights. Logarithmic axis."
    found = [
        ("Validation while training", figures.validation(contenders, curves, block.seeds, name), validation, []),
        (
            "Weights of the losses",
            figures.weights(contenders, curves, name),
            _CURRICULUM,
            [look.legend for look in looks if look.weighed],
        ),
        (
            "Losses of the students",
            figures.losses(contenders, curves, block.seeds, name),
            losses,
            [look.legend for look in looks if not look.structure],
        ),
        (
            "Structure losses of the students",
            figures.losses(contenders, curves, block.seeds, name, structure=True),
            structure,
            [look.legend for look in looks if look.structure],
        ),
    ]
    return [Picture(title, svg, caption, legend) for title, svg, caption, legend in found if svg]


def _curves_of(run: LoadedRun) -> Curves:
    """The curves of a run, each seed's from the folder that holds it."""
    found: Curves = {}
    for directory in run.directories:
        found |= read_curves(directory)
    return found


def _legend(contenders: Sequence[Contender]) -> list[tuple[str, str, bool]]:
    return [
        (one.label, figures.css(style.colour), style.dashes is not None)
        for one, style in figures.looks(contenders).items()
    ]


def _provenance(run: LoadedRun) -> dict[str, Any]:
    found = run.environment
    graph = found.get("graph") or {}
    libraries = found.get("libraries") or {}
    started = found.get("started")
    facts = {
        "started": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(started))
        if isinstance(started, int | float)
        else "",
        "command": " ".join(map(str, found.get("command") or [])),
        "device": ", ".join(str(found[key]) for key in ("device", "device_name") if found.get(key)),
        "platform": found.get("platform", ""),
        "flykd-console": " · ".join(str(found[key]) for key in ("flykd_console", "git_commit") if found.get(key)),
        "libraries": ", ".join(f"{name} {version}" for name, version in libraries.items() if version),
        "graph": graph.get("source", run.results.graph.source),
        "size": ", ".join(f"{grouped(graph[part])} {part}" for part in ("nodes", "edges") if part in graph),
        "graph fingerprint": run.fingerprint,
    }
    facts |= {f"split of seed {seed}": run.splits.get(str(seed), "") for seed in run.seeds}
    facts |= {f"labels left out, seed {seed}": _left_out(run, seed) for seed in run.seeds}
    profile = run.directory.profile.read_text(encoding="utf-8")
    return {"name": run.name, "facts": {key: value for key, value in facts.items() if value}, "profile": profile}


def _left_out(run: LoadedRun, seed: int) -> str:
    """How many labels near the test are in no part of a seed's split; nothing where there are none such."""
    left = run.results.left_out.get(str(seed))
    if left is None:
        return ""
    labels = counted(sum(left.labels.values()), "label")
    return f"{labels} of {counted(left.tails, 'node')} within {left.hops} of a tested one over {', '.join(left.over)}"
