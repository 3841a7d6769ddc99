"""The words around the figures: which settings differ, what was left out, which figures of the paper stand beside."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from flykd_console.compare.figures import PaperFigure, RunFacts, SeedScore
from flykd_console.compare.loading import LoadedRun
from flykd_console.compare.models import Contender
from flykd_console.compare.paper import model_row, paper
from flykd_console.profile.distill import TABLES_OF_SOURCES
from flykd_console.profile.rooms import structure_losses
from flykd_console.runs.distances import ByDistance, pooled_by_distance
from flykd_console.runs.events import NewerSchemaError
from flykd_console.runs.likeness import likeness_words
from flykd_console.runs.models import trains_nothing
from flykd_console.runs.results import RANKING_METRICS, Spread, matrix_spread, spread
from flykd_console.runs.status import status_of

# How a run is called and carried out, and what the method itself is, is not a difference of training.
# Runs of a block have one graph, whatever it was read from.
_NOT_TRAINING = ("run.", "engine.", "distill.", "role", "finetune.validate_every", "graph.source", "graph.scale")
# But these are: a lower precision, how long the student is trained, and its own schedule.
_TRAINING = ("engine.precision", "distill.epochs", "distill.lr", "distill.lr_end", "distill.plateau.")
_TOLERANCE = 1e-6


def paper_figure(one: Contender) -> PaperFigure | None:
    """The row of the paper beside a model; None where it has none."""
    method = one.paper_row
    if method is not None:
        return PaperFigure(name=method.name, table=method.table)
    # Other depths and kinds of layer have no row, whatever their width.
    row = model_row(one.entry.role, one.dim) if one.shape == str(one.dim) else None
    if row is None:
        return None
    seeds = {seed: round(auprc / 100, 6) for seed, auprc in zip(paper().seeds, row.auprc, strict=True)}
    return PaperFigure(
        name=row.name, table=row.table, seeds=seeds, mean=round(row.mean / 100, 6), std=round(row.std / 100, 6)
    )


def metrics_of(one: Contender, seeds: Sequence[int]) -> dict[str, Spread]:
    """Every named metric of the run's results over the seeds."""
    measured = [one.measured(seed) for seed in seeds]
    names = dict.fromkeys(name for scores in measured for name in scores.metrics)
    spreads = {name: spread(scores.value(name) for scores in measured) for name in names}
    return {name: known for name, known in spreads.items() if known is not None}


def ranking_of(one: Contender, seeds: Sequence[int]) -> dict[str, dict[str, Spread]]:
    """Per relation and metric the spread over the seeds of the ranking figures in the run's results."""
    found: dict[str, dict[str, list[float]]] = {}
    for seed in seeds:
        ranked = one.measured(seed).ranking or {}
        for relation, figures in ranked.items():
            for metric in RANKING_METRICS:
                found.setdefault(relation, {}).setdefault(metric, []).append(getattr(figures, metric))
    return {
        relation: {metric: known for metric, values in metrics.items() if (known := spread(values)) is not None}
        for relation, metrics in found.items()
    }


def matrix_of(one: Contender, seeds: Sequence[int]) -> dict[str, dict[int, dict[str, Spread]]]:
    """Per relation, n and figure the spread of the whole matrix, of the first run that has it in all of the seeds."""
    for run in one.runs:
        found = [matrix for seed in seeds if (matrix := run.measured(seed, one.model).matrix)]
        if len(found) == len(seeds):
            return matrix_spread(found, seeds)
    return {}


def by_distance_of(one: Contender, seeds: Sequence[int]) -> ByDistance:
    """Average precision by relation and distance, of the first run that has it in all of the seeds."""
    for run in one.runs:
        found = [measured for seed in seeds if (measured := run.measured(seed, one.model).by_distance)]
        if len(found) == len(seeds):
            return pooled_by_distance(found)
    return {}


def describe_runs(runs: Sequence[LoadedRun], contenders: Sequence[Contender], seeds: Sequence[int]) -> list[RunFacts]:
    """Each run of a block; `differs` holds the training settings in which the runs are not all alike."""
    values = [run.settings for run in runs]
    if any(key.startswith("distill.plateau.") for known in values for key in known):
        values = [_with_students_plateau(known) for known in values]
    values = [_of_what_was_trained(run, known) for run, known in zip(runs, values, strict=True)]
    keys = sorted(key for key in set().union(*values) if _is_training(key) and _differs(key, values))
    usual = {key: _usual([known[key] for known in values if key in known]) for key in keys}
    composition = made_with(runs)
    facts = []
    for run, known in zip(runs, values, strict=True):
        absent = "nothing is trained" if trains_nothing(run.results.models) else "no student"
        student = next((c.label for c in contenders if c.entry.distilled and c.runs[0] is run), absent)
        rows = [f"{row.name} (Table {row.table})" for row in run.paper_rows.values()]
        facts.append(
            RunFacts(
                name=run.name,
                path=", ".join(str(directory.path) for directory in run.directories),
                label=student,
                method=run.results.method,
                paper_row=", ".join(rows) or None,
                seeds_left_out=sorted(set(run.seeds) - set(seeds)),
                differs={key: known[key] for key in keys if key in known and known[key] != usual[key]},
                made_with=composition.get(run.name, {}),
            )
        )
    return facts


def _of_what_was_trained(run: LoadedRun, known: Mapping[str, Any]) -> dict[str, Any]:
    """A run's settings, without those of models that it did not train."""
    trained = {entry.name for entry in run.models}
    absent = [f"models.{name}." for name in run.profile.models if name not in trained]
    if not run.distills:
        absent.append("distill.")
    return {key: value for key, value in known.items() if not key.startswith(tuple(absent))}


def _is_training(key: str) -> bool:
    """Whether a setting is one of training, and not of what makes a method."""
    own = key.split(".", 2)[-1] if key.startswith("models.") else key
    return own.startswith(_TRAINING) or not own.startswith(_NOT_TRAINING)


def _usual(values: Sequence[Any]) -> Any:
    """The value that all but few of at least three runs share: said of the others alone. None without one."""
    common = max(values, key=values.count)
    return common if len(values) > 2 and 3 * values.count(common) > 2 * len(values) else None


def made_with(runs: Sequence[LoadedRun]) -> dict[str, dict[str, Any]]:
    """By run, where several have students of one method's name: what they are made of, as far as that differs.

    What is not set is None. A structure loss that has no weight in any of them is left out, and so is the table of a
    label source that none of them has.
    """
    written = dict.fromkeys(key for run in runs for key in run.settings)
    composition = [key for key in written if key.startswith("distill.") and not key.startswith(_TRAINING)]
    found: dict[str, dict[str, Any]] = {}
    students = [run for run in runs if run.distills]
    for method in dict.fromkeys(run.results.method for run in students):
        alike = [run for run in students if run.results.method == method]
        values = [{key: run.settings.get(key) for key in composition} for run in alike]
        keys = [key for key in composition if any(known[key] != values[0][key] for known in values)]
        keys = [key for key in keys if _acts(key, values)]
        if keys:
            found |= {run.name: {key: known[key] for key in keys} for run, known in zip(alike, values, strict=True)}
    return found


def _acts(key: str, values: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a setting of the composition says anything of any run.

    That of a structure loss does where one has a weight, that of a label source where it is among the sources.
    """
    _, name, *inside = key.split(".")
    if inside and name in structure_losses():
        mine = f"distill.{name}."
        return any(known[k] for known in values for k in known if k.startswith(mine) and k.endswith("weight"))
    if inside and name in TABLES_OF_SOURCES:
        return any(TABLES_OF_SOURCES[name] in known["distill.sources"] for known in values)
    return True


def _differs(key: str, values: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the runs that a setting concerns have more than one value of it, and each of them has one.

    Outside of methods only `split` has settings without a value, and runs of a block have one split anyway.
    """
    table = re.match(r"distill\.|models\.[^.]+\.", key)
    concerned = values
    if table is not None:
        concerned = [known for known in values if any(other.startswith(table[0]) for other in known)]
    return all(key in known for known in concerned) and any(known[key] != concerned[0][key] for known in concerned)


def _with_students_plateau(known: dict[str, Any]) -> dict[str, Any]:
    """A student without a plateau of its own has that of `finetune`."""
    shared = {key.replace("finetune.", "distill.", 1): x for key, x in known.items() if "finetune.plateau." in key}
    return shared | known


def notes_of(
    runs: Sequence[LoadedRun], seeds: Sequence[int], scores: Mapping[int, Mapping[Contender, SeedScore]]
) -> list[str]:
    """What a reader must know before believing the tables, a sentence each."""
    notes = []
    if runs[0].part == "validation":
        notes.append(
            "Validation pairs: the figures to choose by. They flatter what is chosen; what it is worth, the test says."
        )
    for run in runs:
        if run.jobs:
            told = "; ".join(f"{job.name} ({_seeds(job.seeds)})" for job in run.jobs)
            notes.append(f"{run.name} are jobs of one training, whose settings are equal: {told}.")
        left = sorted(set(run.seeds) - set(seeds))
        if left:
            notes.append(f"{run.name} has also {_seeds(left)}, which another run lacks: left out.")
        notes += _unfinished(run)
        notes += _added_by_hand(run, seeds)
    if len(seeds) == 1:
        notes.append(f"One seed ({seeds[0]}): no deviation, and nothing is known about other seeds.")
    students = [run for run in runs if run.students and run.part == "test"]
    unmatched = [run.name for run in students if not run.paper_rows]
    if unmatched:
        notes.append(f"No row of the paper is made like {_listed(unmatched)}.")
    if len(unmatched) < len(students):
        first = runs[0]
        if first.results.graph.source != "primekg" or first.profile.split.kind != "complex_disease":
            notes.append(
                "The paper's figures are of full PrimeKG under the complex_disease split: "
                "look at signs and order, not values."
            )
        notes.append("The paper does not say whether its gains are points or per cent.")
    facts = describe_runs(runs, [], seeds)
    notes += [
        f"{run.name} is made with: {', '.join(f'{key} = {_shown(value)}' for key, value in run.made_with.items())}."
        for run in facts
        if run.made_with
    ]
    differing = sorted({key for run in facts for key in run.differs})
    if differing:
        notes.append(f"The runs are not trained alike in: {', '.join(differing)}.")
    alike = [(run, likeness_words(run.results)) for run in runs]
    notes += [f"{run.name}: {said}" for run, said in alike if said]
    notes += _disagreements(scores)
    return notes


def _unfinished(run: LoadedRun) -> list[str]:
    """Which of the seeds that the profile asks for are missing, and where a run that is not in training ended."""
    if run.jobs:
        return [note for job in run.jobs for note in _unfinished(job)]
    asked = run.profile.run.seeds
    missing = [seed for seed in asked if seed not in run.seeds]
    if not missing:
        return []
    try:
        status = status_of(run.directory)
    except NewerSchemaError:
        status = None
    state = ""
    if status is not None and status.seed in asked and status.state != "finished":
        state = f"{status.state} in seed {status.seed}, number {asked.index(status.seed) + 1} of {len(asked)}; "
    return [f"{run.name}: {state}{_seeds(missing)} not finished, left out."]


def _shown(value: Any) -> str:
    """A setting in few words; one without a value is not set."""
    if value is None:
        return "not set"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _added_by_hand(run: LoadedRun, seeds: Sequence[int]) -> list[str]:
    """Which of a run's models were trained longer than its profile asks for."""
    added: dict[tuple[str, int], list[int]] = {}
    for seed in seeds:
        for entry in run.models:
            more = run.results.seeds[str(seed)][entry.name].added_epochs
            if more:
                added.setdefault((entry.name, more), []).append(seed)
    return [
        f"{run.name}: the {model} was given {more} epochs by hand beyond its profile's in {_seeds(where)}."
        for (model, more), where in added.items()
    ]


def _disagreements(scores: Mapping[int, Mapping[Contender, SeedScore]]) -> list[str]:
    """Where a run's `results.json` says something else than its scores give."""
    return [
        f"{run.name}, seed {seed}: results.json gives the {one.model} {stored:.6f}, its scores {score.macro_auprc:.6f}."
        for seed, found in scores.items()
        for one, score in found.items()
        for run in one.runs
        if (stored := run.measured(seed, one.model).macro_auprc) is not None
        and abs(stored - score.macro_auprc) > _TOLERANCE
    ]


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {_listed(list(map(str, seeds)))}"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
