"""`flykd-console select`: train teachers and candidates, measure what each is worth and costs, and pick one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from flykd_console.cli.titled import Titled
    from flykd_console.plans.job import Job
    from flykd_console.selection.select import Chosen


def command(
    order: Annotated[Path, typer.Argument(metavar="FILE.toml", help="What the candidates are, and what is chosen by.")],
    jobs: Annotated[str, typer.Option(metavar="N|auto", help="So many side by side, on one thread each.")] = "1",
    engine: Annotated[str, typer.Option(metavar="local|ray", help="Where: here, or on a Ray cluster.")] = "local",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Train teachers, then candidates; export each, measure quality, latency and size; pick one and say why.

    Quality is that of the validation pairs: the test plays no part. A candidate that fails sinks nothing, and the same
    command goes on where it was stopped. docs/select.md has the file's keys.

    * `flykd-console select profiles/select.toml --jobs auto`
    """
    from flykd_console.profile.files import SELECTION, shipped_selection
    from flykd_console.selection.order import read_order
    from flykd_console.selection.select import as_data, select

    # The shipped example by its name, as shipped profiles have names.
    path = shipped_selection() if str(order) in ("select", f"profiles/{SELECTION}") and not order.is_file() else order
    selection = read_order(path)
    from flykd_console.cli.plan import carry_out_jobs, conclude

    failed = False

    def carry(ours: Sequence[Job]) -> bool:
        nonlocal failed
        outcomes = carry_out_jobs(ours, at_once=jobs, engine=engine, fresh=False, quiet=json)
        failed = bool(conclude(outcomes, quiet=json)) or failed
        return not any(outcome.state in ("stopped", "waiting", "elsewhere") for outcome in outcomes)

    def say(label: str) -> None:
        print(f"  measures {label}", file=sys.stderr if json else sys.stdout)

    found = select(selection, carry, say)
    if found is None:
        raise typer.Exit(0)
    from flykd_console.cli.compare import write_whole
    from flykd_console.report.selection import page

    report = found.folder / "selection.html"
    write_whole(report, page(found))
    if json:
        import json as jsonlib

        typer.echo(jsonlib.dumps(as_data(found), indent=2, ensure_ascii=False))
    else:
        from flykd_console.cli.titled import table_console

        _show(table_console(), found, report)
    raise typer.Exit(1 if found.chosen is None else 0)


def _show(console: Console, found: Chosen, report: Path) -> None:
    from rich.text import Text

    from flykd_console.cli.checked import shown_path
    from flykd_console.cli.scatter import scatter
    from flykd_console.words import metric_words

    console.print()
    console.print(_table(found))
    drawn = [
        (str(number), float(cost.bytes), 100 * verdict.candidate.quality, verdict.front)
        for number, verdict in enumerate(found.verdicts, 1)
        if (cost := verdict.candidate.cost) is not None and verdict.candidate.quality is not None
    ]
    if len(drawn) > 1:
        console.print()
        y = f"validation {metric_words(found.metric)}, per cent; on the Pareto front in green"
        console.print(scatter(drawn, x_label="bytes of the bundle, logarithmic", y_label=y))
    console.print()
    for number, verdict in enumerate(found.verdicts, 1):
        mark = "taken" if verdict.chosen else "turned down"
        console.print(Text(f"{number:>3}  {verdict.candidate.label}: {mark}, {verdict.why}"), soft_wrap=True)
    chosen = found.chosen
    console.print()
    if chosen is None or chosen.candidate.cost is None:
        console.print("No candidate keeps to the limits of [choose].")
    else:
        place = shown_path(chosen.candidate.cost.bundle)
        console.print(Text(f"Taken: {chosen.candidate.label}, in {place}"), soft_wrap=True)
    console.print(Text(f"Report: {shown_path(report.absolute())}"), soft_wrap=True)


def _table(found: Chosen) -> Titled:
    from rich.text import Text

    from flykd_console.cli.text import spread_text
    from flykd_console.cli.titled import Titled, plain_table
    from flykd_console.plans.points import rivals_of
    from flykd_console.runs.events import MACRO_AUPRC
    from flykd_console.words import DASH, grouped, metric_words, per_cent

    table = plain_table()
    table.add_column("", justify="right")
    table.add_column("candidate", overflow="fold", min_width=10)
    metrics = list(dict.fromkeys([found.metric, MACRO_AUPRC]))
    for metric in metrics:
        table.add_column(metric_words(metric), justify="right")
    for heading in ("p50 ms", "p99 ms", "bytes", "front"):
        table.add_column(heading, justify="right")
    for point in found.teachers:
        cells = [spread_text(point.validation.get(metric), 100) for metric in metrics]
        label = f"teacher {point.label}".strip()
        table.add_row("", Text(label), *cells, "", "", "", "", style="dim")
    if found.teachers:
        table.add_section()
    for number, (point, verdict) in enumerate(zip(found.points, found.verdicts, strict=True), 1):
        cost = verdict.candidate.cost
        costs = [DASH] * 3 if cost is None else [f"{cost.p50:.2f}", f"{cost.p99:.2f}", grouped(cost.bytes)]
        table.add_row(
            str(number),
            Text(verdict.candidate.label),
            *(spread_text(point.validation.get(metric), 100) for metric in metrics),
            *costs,
            "●" if verdict.front else "",
            style="bold" if verdict.chosen else "",
        )
    rivals = rivals_of(found.points)
    if rivals:
        table.add_section()
    for rival in rivals:
        cells = [spread_text(rival.validation.get(metric), 100) for metric in metrics]
        table.add_row("", Text(rival.name), *cells, "", "", "", "", style="dim")
    ceiling = f" Ceiling: {per_cent(found.ceiling)}, of {found.teacher}." if found.ceiling is not None else ""
    caption = (
        "Quality on validation pairs in per cent, mean ± deviation over the seeds; answers of the bundle on this "
        f"machine's CPU: the first {_top()} heads for one tail.{ceiling}"
    )
    return Titled(table, f"Candidates of {found.selection.order.name}", caption)


def _top() -> int:
    from flykd_console.selection.measure import TOP

    return TOP
