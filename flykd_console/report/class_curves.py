"""The curves of a run that tells classes, from its event log: every model's validation, and the members' losses."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from flykd_console.errors import UserError
from flykd_console.report.curves import Points
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import Epoch, Evaluation, NewerSchemaError, StageFinished, StageStarted, finite
from flykd_console.runs.log import EventFollower

COHORT = "cohort"


@dataclass
class ClassCurves:
    """Of one run, (epoch, value) by (seed, model), or by (seed, loss) of the cohort; `stages`: who trained a model."""

    validation: dict[tuple[int, str], Points] = field(default_factory=lambda: defaultdict(list))
    agreement: dict[int, Points] = field(default_factory=lambda: defaultdict(list))
    losses: dict[tuple[int, str], Points] = field(default_factory=lambda: defaultdict(list))
    stages: dict[tuple[int, str], str] = field(default_factory=dict)
    reused: dict[tuple[int, str], str] = field(default_factory=dict)

    def cut_after(self, seed: int, stage: str, epoch: int) -> None:
        """Forget what lies beyond: a resumed stage trains those epochs again."""
        for (of_seed, model), points in self.validation.items():
            if of_seed == seed and self.stages.get((seed, model)) == stage:
                _cut(points, epoch)
        if stage == COHORT:
            _cut(self.agreement[seed], epoch)
            for (of_seed, _), points in self.losses.items():
                if of_seed == seed:
                    _cut(points, epoch)


def read_class_curves(directory: RunDirectory) -> ClassCurves:
    """The curves; those of stages taken over come from the run beside it that trained them.

    Raises:
        UserError: The log was written by a newer program.
    """
    curves = _read(directory)
    others: dict[str, ClassCurves] = {}
    for (seed, stage), run in curves.reused.items():
        if run not in others:
            others[run] = _read(RunDirectory(directory.path.parent / run))
        if not curves.validation.get((seed, stage)) and (seed, stage) in others[run].validation:
            curves.validation[seed, stage] = others[run].validation[seed, stage]
    return curves


def _cut(points: Points, epoch: int) -> None:
    while points and points[-1][0] > epoch:
        points.pop()


def _read(directory: RunDirectory) -> ClassCurves:
    curves, follower = ClassCurves(), EventFollower(directory.events)
    try:
        while events := follower.read():
            for event in events:
                match event:
                    case StageStarted():
                        curves.cut_after(event.seed, event.stage, event.first_epoch)
                    case Epoch(stage="cohort"):
                        for name, value in event.losses.items():
                            curves.losses[event.seed, name].append((event.epoch, finite(value)))
                    case Evaluation(split="validation") if event.epoch > 0:
                        model = event.model or event.stage
                        curves.stages[event.seed, model] = event.stage
                        curves.validation[event.seed, model].append((event.epoch, finite(event.score)))
                        agreement = event.metrics.get("agreement")
                        if agreement is not None:
                            curves.agreement[event.seed].append((event.epoch, agreement))
                    case StageFinished(reused_from=str() as name):
                        curves.reused[event.seed, event.stage] = name
    except FileNotFoundError:
        return curves
    except NewerSchemaError as error:
        raise UserError(
            f"written by a newer program ({error.versions})", str(directory.events), "Update flykd-console."
        ) from None
    return curves
