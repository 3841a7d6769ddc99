"""Several jobs of one plan: carried out one after another or side by side, told in lines, and shown as a table."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.text import Text

from flykd_console.cli.batch import complain
from flykd_console.cli.console import PlainConsole
from flykd_console.cli.prepare import check_files
from flykd_console.cli.text import spread_text
from flykd_console.cli.titled import Titled, plain_table, table_console
from flykd_console.errors import UserError
from flykd_console.plans.job import Job, label_of, make_job, shard_of
from flykd_console.plans.local import Outcome, carry_out, is_finished
from flykd_console.plans.machine import gpus_for, jobs_at_once
from flykd_console.plans.points import Point, points_of, rivals_of
from flykd_console.plans.sweep import combinations_of
from flykd_console.profile.load import Override, load_profile
from flykd_console.runs.batch import write_queue
from flykd_console.runs.events import MACRO_AUPRC
from flykd_console.runs.results import Spread
from flykd_console.words import DASH, grouped, metric_words, span

ENGINES = ("local", "ray")


@dataclass
class Teller:
    """Says in one line each what begins and how it ends."""

    console: Console
    total: int
    _over: int = 0
    _failed: list[Outcome] = field(default_factory=list)

    def start(self, job: Job) -> None:
        """A job begins."""
        self.console.print(Text(f"  begins   {job.directory.name}"))

    def end(self, outcome: Outcome) -> None:
        """A job is over."""
        if outcome.state == "waiting":
            return
        self._over += 1
        word = "was done" if outcome.reused else outcome.state
        line = f"{self._over}/{self.total} {word:<8} {outcome.job.directory.name}"
        self.console.print(Text(f"{line}: {outcome.error}" if outcome.error else line))


def make_plan(profiles: list[str], settings: list[str], options: list[str | Override], a_seed_each: bool) -> list[Job]:
    """The jobs: every profile under every combination of settings, and by seed where they run side by side."""
    jobs = []
    for profile in profiles:
        for combination in combinations_of(settings):
            overrides = [*combination.settings, *options]
            loaded = load_profile(profile, overrides)
            check_files(loaded, profile)
            values = dict(combination.values)
            if len(profiles) > 1:
                values = {"profile": loaded.run.name} | values
            label = label_of(combination.values)
            for seed in loaded.run.seeds if a_seed_each else [None]:
                jobs.append(make_job(profile, overrides, label=label, seed=seed, values=values))
    refuse_equal_jobs(jobs)
    return jobs


def refuse_equal_jobs(jobs: list[Job]) -> None:
    names = [job.directory.name for job in jobs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError("two jobs of the plan are the same", twice, "Name each profile and value once.")


def carry_out_plan(
    plan: list[Job], jobs: str | None, shard: str | None, engine: str, *, fresh: bool, headless: bool, json: bool
) -> int:
    """Train the jobs of a plan and show settings against results; the exit code."""
    ours = plan if shard is None else shard_of(plan, shard)
    told = False
    # Where JSON is asked for, nothing else may stand on standard output.
    if json or jobs is not None or shard is not None or engine != "local":
        outcomes = carry_out_jobs(ours, at_once=jobs or "1", engine=engine, fresh=fresh, quiet=json)
        code = conclude(outcomes, quiet=json)
    elif all_finished(ours):
        code = 0
    else:
        from flykd_console.cli.training import train

        for job in ours:
            job.prepare()
        batch = [job.directory for job in ours]
        write_queue(batch)
        code = train(batch, new=False, fresh=fresh, headless=headless, json=False)
        told = True
    show_points(ours, as_json=json, compare=not told)
    return code


def carry_out_jobs(jobs: Sequence[Job], *, at_once: str, engine: str, fresh: bool, quiet: bool) -> list[Outcome]:
    """Bring jobs to their end by an engine, telling each begin and end on standard output (`quiet`: error).

    Raises:
        UserError: `at_once` or `engine` is none of those that there are, or a folder cannot be made.
    """
    if engine not in ENGINES:
        raise UserError(f"there is no engine {engine!r}", "--engine", f"There are {' and '.join(ENGINES)}.")
    console = PlainConsole(file=sys.stderr if quiet else sys.stdout, soft_wrap=True)
    teller = Teller(console, len(jobs))
    if engine == "ray":
        from flykd_console.plans.ray_engine import carry_out_on_ray

        return carry_out_on_ray(jobs, fresh=fresh, on_start=teller.start, on_end=teller.end)
    gpus = gpus_for(jobs)
    count = jobs_at_once(at_once, jobs, gpus)
    return carry_out(jobs, at_once=count, gpus=gpus, fresh=fresh, on_start=teller.start, on_end=teller.end)


def conclude(outcomes: Sequence[Outcome], *, quiet: bool) -> int:
    """Say what went wrong and what is left to do; the exit code: 1 where a job failed."""
    failed = [outcome for outcome in outcomes if outcome.state in ("failed", "died")]
    left = [outcome for outcome in outcomes if outcome.state in ("stopped", "waiting", "elsewhere")]
    for outcome in failed:
        complain(f"{outcome.job.directory.name} {outcome.state}: {outcome.error}")
    if left:
        jobs = f"{len(left)} of {len(outcomes)} jobs"
        print(f"{jobs} are left. The same command goes on with them.", file=sys.stderr if quiet else sys.stdout)
    return 1 if failed else 0


def all_finished(jobs: Sequence[Job]) -> bool:
    """Whether there is nothing to train."""
    return all(is_finished(job) for job in jobs)


def show_points(jobs: Sequence[Job], *, as_json: bool, compare: bool = True) -> None:
    """Print settings against results; `compare`: and how to see them side by side."""
    points = points_of(jobs)
    if as_json:
        print(jsonlib.dumps([_plain(point) for point in points], indent=2, ensure_ascii=False))
        return
    console = table_console()
    console.print()
    console.print(points_table(points))
    missing = [point for point in points if point.missing]
    for point in missing:
        console.print(Text(f"{point.label or 'the run'}: {point.missing}"), soft_wrap=True)
    names = [job.directory.name for job in jobs if job.directory.results.is_file()]
    alike = len({tuple(job.seeds) for job in jobs}) == 1  # runs without a seed in common are not compared
    if compare and alike and 1 < len(names) <= 6:
        console.print("\nSide by side, with intervals")
        console.print(f"  flykd-console compare {' '.join(names)}", style="bold", markup=False, soft_wrap=True)


def points_table(points: Sequence[Point]) -> Titled:
    """A row a candidate: its settings, the headline metric and the paper's on test, its size and its training time."""
    keys = list(dict.fromkeys(key for point in points for key in point.values))
    lasts = [key.rpartition(".")[2] for key in keys]
    table = plain_table()
    if not keys:
        table.add_column("run")
    for key, last in zip(keys, lasts, strict=True):
        table.add_column(last if lasts.count(last) == 1 else key, justify="right", overflow="fold")
    metrics = list(dict.fromkeys([*(point.headline for point in points), MACRO_AUPRC]))
    tested = any(point.test for point in points)
    part = "test" if tested else "validation"
    for metric in metrics:
        table.add_column(f"{part} {metric_words(metric)}", justify="right")
    if len({seed for point in points for seed in point.seeds}) > 1:
        table.add_column("seeds", justify="right")
    table.add_column("parameters", justify="right")
    table.add_column("training", justify="right")
    several = len(table.columns) == len(keys or [""]) + len(metrics) + 3
    for point in points:
        measured = point.test if tested else point.validation
        cells = [point.values.get(key, DASH) for key in keys] or [point.label or point.jobs[0].profile.run.name]
        cells += [spread_text(measured.get(metric), 100) for metric in metrics]
        if several:
            cells.append(str(len(point.seeds)))
        cells.append(grouped(point.parameters) if point.parameters is not None else DASH)
        cells.append(span(point.seconds))
        table.add_row(*map(Text, cells))
    rivals = rivals_of(points)
    if rivals:
        table.add_section()
    for rival in rivals:
        measured = rival.test if tested else rival.validation
        # Its name takes the place of the settings.
        cells = [rival.name, *[""] * (len(keys or [""]) - 1)]
        cells += [spread_text(measured.get(metric), 100) for metric in metrics]
        table.add_row(*map(Text, cells), style="dim")
    models = dict.fromkeys(point.model for point in points if point.model)
    caption = f"Of {' and '.join(models)}, in per cent; mean ± deviation over the seeds." if models else ""
    return Titled(table, "Settings against results", caption)


def _plain(point: Point) -> dict[str, object]:
    def spreads(found: Mapping[str, Spread]) -> dict[str, object]:
        return {name: {"mean": one.mean, "std": one.std, "n": one.n} for name, one in found.items()}

    return {
        "label": point.label,
        "settings": dict(point.values),
        "runs": [str(job.directory.path) for job in point.jobs],
        "seeds": list(point.seeds),
        "model": point.model or None,
        "headline": point.headline,
        "test": spreads(point.test),
        "validation": spreads(point.validation),
        "rivals": {
            rival.name: {"test": spreads(rival.test), "validation": spreads(rival.validation)} for rival in point.rivals
        },
        "parameters": point.parameters,
        "seconds": point.seconds,
        "missing": point.missing or None,
    }
