"""The curves of a finished run, from its event log: losses, rates and validation scores by stage and seed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flykd_console.errors import UserError
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import Epoch, Evaluation, NewerSchemaError, StageFinished, StageStarted, finite
from flykd_console.runs.log import EventFollower
from flykd_console.runs.stage import Phase

Floats = NDArray[np.float64]
Points = list[tuple[float, float]]

POINTS = 240  # a curve is drawn with at most this many


@dataclass
class StageCurves:
    """What a stage of one seed logged; epochs ascend, and a repeated epoch counts once.

    Attributes:
        phase: What the stage does with its model; None before it began.
        losses: By name, (epoch, value).
        validation: (epoch, the run's headline metric as a fraction).
        schedule: Normalised loss weights by source, (epoch, weight); empty but for distilled models.
        loss_words: What each loss is called, whole and in five letters.
        reused_from: The run that the stage was taken over from.
    """

    phase: Phase | None = None
    losses: dict[str, Points] = field(default_factory=lambda: defaultdict(list))
    validation: Points = field(default_factory=list)
    schedule: dict[str, Points] = field(default_factory=dict)
    loss_words: dict[str, tuple[str, str]] = field(default_factory=dict)
    reused_from: str | None = None

    def cut_after(self, epoch: int) -> None:
        """Forget what lies beyond: a resumed stage trains those epochs again."""
        for points in (*self.losses.values(), self.validation):
            while points and points[-1][0] > epoch:
                points.pop()


Curves = dict[tuple[int, str], StageCurves]


def read_curves(directory: RunDirectory) -> Curves:
    """Every stage's curves by (seed, stage); those of stages taken over come from the run beside it that trained them.

    Raises:
        UserError: The log was written by a newer program.
    """
    curves = _read(directory)
    others: dict[str, Curves] = {}
    for key, stage in list(curves.items()):
        name = stage.reused_from
        if name is None or stage.validation:
            continue
        if name not in others:
            others[name] = _read(RunDirectory(directory.path.parent / name))
        if key in others[name]:
            curves[key] = others[name][key]
    return curves


def thinned(points: Iterable[tuple[float, float]], limit: int = POINTS) -> tuple[Floats, Floats]:
    """Epochs and values, averaged in equal runs of points where there are more than `limit`; NaN stays out of means."""
    found = np.asarray(list(points), dtype=np.float64).reshape(-1, 2)
    if len(found) <= limit:
        return found[:, 0], found[:, 1]
    parts = np.array_split(found, limit)
    known = [part[np.isfinite(part[:, 1])] for part in parts]
    means = [part[:, 1].mean() if len(part) else np.nan for part in known]
    return np.array([part[:, 0].mean() for part in parts]), np.array(means)


def _read(directory: RunDirectory) -> Curves:
    curves: Curves = defaultdict(StageCurves)
    follower = EventFollower(directory.events)
    try:
        while events := follower.read():
            for event in events:
                match event:
                    case StageStarted():
                        stage = curves[(event.seed, event.stage)]
                        stage.cut_after(event.first_epoch)
                        stage.phase = event.phase
                        stage.schedule = event.schedule or stage.schedule
                        stage.loss_words = event.loss_words or stage.loss_words
                    case Epoch() if curves[(event.seed, event.stage)].phase is not Phase.PRETRAIN:
                        for name, value in event.losses.items():
                            curves[(event.seed, event.stage)].losses[name].append((event.epoch, finite(value)))
                    case Evaluation(split="validation"):
                        curves[(event.seed, event.stage)].validation.append((event.epoch, finite(event.score)))
                    case StageFinished(reused_from=str() as name):
                        curves[(event.seed, event.stage)].reused_from = name
    except FileNotFoundError:
        return curves
    except NewerSchemaError as error:
        raise UserError(
            f"written by a newer program ({error.versions})", str(directory.events), "Update flykd-console."
        ) from None
    return curves
