"""Everything that is known of a run: a fold over the events of one run, pure Python, drawn by widgets that add nothing.

`RunState.apply(event)` takes the records in the order of the log, whatever their number. Curves are kept by
(seed, stage) in bounded memory; a resumed stage forgets the epochs that it trains again.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from flykd_console.runs import events as ev
from flykd_console.runs.model_shape import model_shape
from flykd_console.runs.models import ModelEntry, Role, headliner, trains_nothing
from flykd_console.runs.state.pace import Machine, PresentPace
from flykd_console.runs.state.series import Series
from flykd_console.runs.state.stage import Cost, LogLine, StageState, Status
from flykd_console.words import grouped, metric_words, per_cent, span

__all__ = ["LOG_LINES", "Cost", "Key", "LogLine", "RunState", "StageState", "Status"]

LOG_LINES = 5_000
# A library may have coloured its warning; an escape code must not reach the screen.
_CONTROL_CODES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_CONTROL_WORDS = {
    "pause": "Training is paused", "resume": "Training goes on", "stop": "Stopping, with a checkpoint",
    "abort": "Stopping at once",
}  # fmt: skip
_LEVELS = ("debug", "info", "warning", "error")

Key = tuple[int, str]


class RunState:
    """The fold. Attributes are read by widgets and never written by them.

    Attributes:
        started: The last `run.started`, None before the first.
        stages: By (seed, stage), in the order in which the run goes through them.
        current: The stage that is being trained, or was last.
        control: `running`, `paused` or `stopping`, as the trainer last said.
        control_count: Orders that it obeyed, by action; `refusals` those that it did not.
        ended: The last word of the run, None while it goes on.
        costs: By kind of stage, measured in this session; `earlier_costs` before the last resume.
        machine: How slow it is at present; costs are in its unit.
        version: Grows with every event that was taken.
    """

    def __init__(self) -> None:
        self.started: ev.RunStarted | None = None
        self.first_t: float | None = None
        self.last_t: float | None = None
        self.stages: dict[Key, StageState] = {}
        # Models that are trained with others: (seed, model), with scores of their own and the stage's progress.
        self.members: dict[Key, StageState] = {}
        self.current: Key | None = None
        self.control = "running"
        self.control_count: dict[str, int] = {}
        self.refusals: dict[str, int] = {}
        self.ended: ev.RunFinished | ev.RunFailed | None = None
        self.log: deque[LogLine] = deque(maxlen=LOG_LINES)
        self.log_total = 0
        self.warnings = 0
        self.errors = 0
        self.resources: ev.Resources | None = None
        self.resource_series: dict[str, Series] = {}
        self.exports: list[ev.ExportFinished] = []
        self.costs: dict[str, Cost] = {}
        self.earlier_costs: dict[str, Cost] = {}
        self.resumes = 0
        self.version = 0
        self.machine = Machine()
        self._present = PresentPace()
        self._mark: float | None = None
        self._first_epoch_here = 0
        self._wall_here = 0.0
        self._setting_up = False
        self._prepared_on = ""
        self._apply: dict[type, Callable[[Any], None]] = {
            ev.RunStarted: self._run_started,
            ev.RunPrepared: self._run_prepared,
            ev.StageStarted: self._stage_started,
            ev.StageExtended: self._stage_extended,
            ev.Epoch: self._epoch,
            ev.Evaluation: self._evaluation,
            ev.Resources: self._resources,
            ev.Checkpoint: self._checkpoint,
            ev.Control: self._control,
            ev.Log: self._log,
            ev.StageFinished: self._stage_finished,
            ev.ExportFinished: self._export_finished,
            ev.RunFinished: self._run_over,
            ev.RunFailed: self._run_over,
        }

    def fold(self, events: Iterable[ev.AnyEvent]) -> RunState:
        """Take the events in order; returns itself."""
        for event in events:
            self.apply(event)
        return self

    def apply(self, event: ev.AnyEvent) -> None:
        """Take one event."""
        if self.first_t is None:
            self.first_t = event.t
        self.last_t = event.t
        take = self._apply.get(type(event))
        if take is not None:
            take(event)
        self.version += 1

    # What widgets ask.

    @property
    def seeds(self) -> list[int]:
        """The run's seeds in order."""
        if self.started is not None:
            return list(self.started.seeds)
        return list(dict.fromkeys(seed for seed, _ in self.stages))

    @property
    def models(self) -> list[ModelEntry]:
        """The models of the run, in the order of tables."""
        return list(self.started.models) if self.started is not None else []

    @property
    def trained(self) -> list[ModelEntry]:
        """The models that a stage trains, or that were measured, in the order of tables; no mean of teachers."""
        stages = {stage for _, stage in (*self.stages, *self.members)}
        return [entry for entry in self.models if entry.name in stages]

    @property
    def about(self) -> ModelEntry | None:
        """The model that the run is about; None before anything is known."""
        return headliner(self.trained, untrained=trains_nothing(self.models))

    @property
    def headline(self) -> str:
        """The metric that comes first."""
        return self.started.headline if self.started is not None else ev.MACRO_AUPRC

    @property
    def stage(self) -> StageState | None:
        return self.stages.get(self.current) if self.current is not None else None

    @property
    def method(self) -> str:
        return self.started.method if self.started is not None else "student"

    @property
    def finished(self) -> bool:
        return isinstance(self.ended, ev.RunFinished) and self.ended.outcome == "finished"

    @property
    def stopped(self) -> bool:
        return isinstance(self.ended, ev.RunFinished) and self.ended.outcome == "stopped"

    @property
    def failed(self) -> bool:
        return isinstance(self.ended, ev.RunFailed)

    @property
    def relations(self) -> list[str]:
        """The scored relations, in the run's order."""
        if self.started is not None and self.started.graph.targets:
            return list(self.started.graph.targets)
        for stage in self.stages.values():
            for evaluation in stage.evaluations.values():
                return list(evaluation.relations)
        return []

    @property
    def its_per_second(self) -> float | None:
        """Epochs a second at present, evaluation left out."""
        seconds = self.seconds_an_epoch
        return 1.0 / seconds if seconds else None

    @property
    def seconds_an_epoch(self) -> float | None:
        """Seconds an epoch of the stage in training takes at present; None before the first."""
        return self._present.seconds_an_epoch(self.last_t if self.control == "running" else None)

    @property
    def busy_words(self) -> str:
        """That training is slower than it was, by how much, and whether others use the machine; else empty."""
        return self.machine.words(self.resources.others if self.resources is not None else None)

    def get(self, seed: int, stage: str) -> StageState | None:
        """A stage, or what is known of a model that is trained with others."""
        return self.stages.get((seed, stage)) or self.members.get((seed, stage))

    @property
    def is_cohort(self) -> bool:
        """Whether models are trained together."""
        return any(entry.role is Role.MEMBER for entry in self.models)

    def entry(self, model: str) -> ModelEntry | None:
        """A model of the list."""
        return next((entry for entry in self.models if entry.name == model), None)

    def dim(self, model: str) -> int | None:
        """The width of a model."""
        entry = self.entry(model)
        return entry.dim if entry is not None else None

    def shape(self, model: str) -> str:
        """A model's width, with kind and depth where they are not the paper's; empty while it is unknown."""
        entry = self.entry(model)
        return entry.shape if entry is not None else ""

    def scheduled(self) -> StageState | None:
        """The newest stage whose curriculum is known."""
        begun = (stage for stage in reversed(self.stages.values()) if stage.status is not Status.PENDING)
        return next((stage for stage in begun if stage.schedule), None)

    # How each kind is taken.

    def _run_started(self, event: ev.RunStarted) -> None:
        if self.started is not None:
            self.resumes += 1
            self._say(event.t, "info", "Resumed")
            for kind, cost in self.costs.items():
                if cost.epochs:
                    self.earlier_costs[kind] = cost
            self.costs = {}
        self.started = event
        self.ended = None
        self.control = "running"
        self._mark = None
        self._present.clear()
        self.machine = Machine()
        for stage in self.stages.values():
            if stage.status is Status.RUNNING:
                stage.status = Status.INTERRUPTED
        self._plan(event.stages)

    def _plan(self, stages: list[ev.PlannedStage]) -> None:
        """Bring the stages into the order of the plan; what is known of them stays."""
        known, self.stages = self.stages, {}
        for plan in stages:
            key = (plan.seed, plan.stage)
            stage = known.pop(key, None) or StageState(plan.seed, plan.stage, plan.epochs)
            stage.phase, stage.models = plan.phase, tuple(plan.models)
            if stage.status is Status.PENDING:
                stage.epochs = plan.epochs
            self.stages[key] = stage
        self.stages.update(known)

    def _run_prepared(self, event: ev.RunPrepared) -> None:
        self._plan(event.stages)
        graph = event.graph
        size = f"{grouped(graph.nodes)} nodes, {grouped(graph.edges)} edges"
        self._say(event.t, "info", f"Graph {graph.source}: {size}; ready after {span(event.seconds)}")
        device = f"{event.device} {event.device_name}"
        if self._prepared_on and device != self._prepared_on:
            # What another device took says nothing about this one.
            self.earlier_costs = {}
        self._prepared_on = device
        if self.started is not None:
            self.started = msgspec.structs.replace(
                self.started, graph=event.graph, device=event.device, device_name=event.device_name
            )

    def _key(self, seed: int, stage: str, epochs: int = 0) -> StageState:
        key = (seed, stage)
        found = self.stages.get(key)
        if found is None:
            found = self.stages[key] = StageState(seed, stage, epochs)
        return found

    def _stage_started(self, event: ev.StageStarted) -> None:
        stage = self._key(event.seed, event.stage, event.epochs)
        stage.status = Status.RUNNING
        stage.epochs = event.epochs
        stage.dim, stage.parameters = event.dim, event.parameters
        stage.phase, stage.models = event.phase, tuple(event.models)
        # A stage that is loaded when its run goes on says nothing of its losses; their curves are there all the same.
        stage.loss_words = event.loss_words or stage.loss_words
        stage.shape = model_shape(event.dim, event.layers, event.layer_kind)
        stage.rewind(event.first_epoch)
        for model in stage.models:
            if (event.seed, model) in self.members and model != event.stage:
                self.members[event.seed, model].rewind(event.first_epoch)
        stage.epoch = event.first_epoch
        if event.schedule:
            stage.schedule = event.schedule
        self.current = (event.seed, event.stage)
        self._present.clear()
        self.machine.new_stage()
        self._mark = event.t
        self._first_epoch_here = event.first_epoch
        self._wall_here = 0.0
        self._setting_up = True
        self.costs.setdefault(event.stage, Cost()).opening.clear()

    def _stage_extended(self, event: ev.StageExtended) -> None:
        stage = self._key(event.seed, event.stage, event.epochs)
        stage.epochs = event.epochs
        if event.schedule:
            stage.schedule = event.schedule

    def _epoch(self, event: ev.Epoch) -> None:
        stage = self._key(event.seed, event.stage, event.epochs)
        self.current = (event.seed, event.stage)
        if stage.status is not Status.RUNNING:
            stage.status = Status.RUNNING
        if event.epoch <= stage.epoch:
            stage.rewind(event.epoch - 1)
        x = float(event.epoch)
        for name, value in event.losses.items():
            (stage.losses.get(name) or stage.losses.setdefault(name, Series())).append(x, value)
        for name, value in (event.weights or {}).items():
            (stage.weights.get(name) or stage.weights.setdefault(name, Series())).append(x, value)
        stage.lr.append(x, event.lr)
        stage.rate.append(x, 1.0 / event.seconds if event.seconds > 0 else None)
        step = max(0, event.epoch - stage.epoch)
        stage.epoch, stage.epochs = event.epoch, event.epochs
        stage.furthest = max(stage.furthest, event.epoch)
        cost = self.costs.setdefault(event.stage, Cost())
        if event.seconds > 0 and step:
            self._present.add(event.t, event.seconds, step)
            self._follow_pace(cost, event.t, event.seconds, step)
        self._spend(stage, event.t, unless_marked=event.seconds, epoch=step * event.seconds)
        cost.epochs += step
        cost.trained += step * event.seconds / self.machine.slow
        if cost.opens:
            cost.take_opening(event.seconds / self.machine.slow)
            if not cost.opens and cost.usual() > 0:
                self._present.restart(cost.usual() * self.machine.slow)

    def _follow_pace(self, cost: Cost, t: float, seconds: float, epochs: int) -> None:
        """Hold an epoch against what is usual for its kind."""
        usual, present = cost.usual_pace, self.seconds_an_epoch
        if cost.opens:
            # The first epochs of a stage are slower by nature; the quicker of them tell whether the machine is.
            present = self._present.quick()
        elif usual is None:
            usual = cost.usual()
        if present is None or not usual:
            return
        changed = self.machine.follow(t, present, usual, self.resources.others if self.resources is not None else None)
        if changed is not None:
            cost.relearn(changed)
        elif not cost.opens and self.machine.is_usual(seconds, usual):
            cost.usual_seconds += epochs * seconds / self.machine.slow
            cost.usual_epochs += epochs

    def _spend(self, stage: StageState, t: float, unless_marked: float = 0.0, epoch: float | None = None) -> None:
        """Book the time since the last sign of life on the stage; pauses were cut out by moving the mark.

        `epoch`: seconds of the epochs that end here; what the first of them does not explain was spent on setting up.
        """
        spent = max(0.0, t - self._mark) if self._mark is not None else unless_marked
        self._mark = t
        stage.wall += spent
        spent /= self.machine.slow
        self._wall_here += spent
        cost = self.costs.setdefault(stage.stage, Cost())
        if self._setting_up:
            setup = spent if epoch is None else max(0.0, spent - epoch / self.machine.slow)
            cost.setup += setup
            spent -= setup
            if epoch is not None:
                cost.stages += 1
                self._setting_up = False
        cost.seconds += spent

    def _evaluation(self, event: ev.Evaluation) -> None:
        unknown = (event.seed, event.stage) not in self.stages
        stage = self._key(event.seed, event.stage)
        if unknown:
            # Neither planned nor begun: nothing of it is trained, and nothing more will come.
            stage.status = Status.MEASURED
        if event.model != event.stage and event.model in stage.models and len(stage.models) > 1:
            self._member(stage, event.model).take(event)
            if self.current == (event.seed, event.stage) and stage.status is Status.RUNNING:
                self._spend(stage, event.t)
            return
        stage.evaluations[event.split] = event
        if event.split == "validation" and stage.status is not Status.MEASURED:
            # What is only measured has a level, and no course.
            stage.validate(event)
        if self.current == (event.seed, event.stage) and stage.status is Status.RUNNING:
            self._spend(stage, event.t)
            self._present.evaluated(event.t)

    def _member(self, stage: StageState, model: str) -> StageState:
        """A model of a stage that trains several."""
        key = (stage.seed, model)
        if key not in self.members:
            self.members[key] = StageState(stage.seed, model, stage.epochs, stage.phase, (model,))
        self._follow(stage)
        return self.members[key]

    def _follow(self, stage: StageState) -> None:
        """Bring the models of a stage to where it stands."""
        for model in stage.models:
            member = self.members.get((stage.seed, model))
            if member is not None:
                member.status, member.epoch, member.epochs = stage.status, stage.epoch, stage.epochs

    def _resources(self, event: ev.Resources) -> None:
        self.resources = event
        for name in ("cpu", "rss", "gpu_utilisation", "gpu_memory", "gpu_temperature", "gpu_power"):
            value = getattr(event, name)
            if value is not None:
                (self.resource_series.get(name) or self.resource_series.setdefault(name, Series())).append(
                    event.t, float(value)
                )

    def _checkpoint(self, event: ev.Checkpoint) -> None:
        self._key(event.seed, event.stage).checkpoint_epoch = event.epoch
        self._say(event.t, "info", f"Seed {event.seed}: {event.stage}, checkpoint at epoch {grouped(event.epoch)}")

    def _control(self, event: ev.Control) -> None:
        if event.state == "refused":
            self.refusals[event.action] = self.refusals.get(event.action, 0) + 1
            self._say(event.t, "warning", f"Not obeyed: the order {event.action}")
            return
        self.control_count[event.action] = self.control_count.get(event.action, 0) + 1
        was, self.control = self.control, event.state
        if event.action in _CONTROL_WORDS:
            self._say(event.t, "info", _CONTROL_WORDS[event.action])
        if was == "paused" or event.state == "paused":
            # A pause is no time of training: the clock starts anew when it ends.
            stage = self.stage
            if was != "paused" and stage is not None and stage.status is Status.RUNNING:
                self._spend(stage, event.t)
            self._mark = event.t
            self._present.paused(event.t)

    def _log(self, event: ev.Log) -> None:
        self._say(event.t, event.level if event.level in _LEVELS else "info", event.message)

    def _say(self, t: float, level: str, message: str) -> None:
        for line in message.splitlines() or [""]:
            self.log.append(LogLine(t, level, _CONTROL_CODES.sub("", line)))
            self.log_total += 1
        self.warnings += level == "warning"
        self.errors += level == "error"

    def _stage_finished(self, event: ev.StageFinished) -> None:
        stage = self._key(event.seed, event.stage, event.epochs)
        stage.seconds, stage.peak_rss, stage.reused_from = event.seconds, event.peak_rss, event.reused_from
        if event.reused_from is not None:
            stage.status = Status.REUSED
        else:
            if stage.status is Status.RUNNING and self.current == (event.seed, event.stage):
                self._spend(stage, event.t)
            stage.status = Status.DONE
            stage.epoch = max(stage.epoch, stage.epochs)
            if self._first_epoch_here == 0:
                self.costs.setdefault(event.stage, Cost()).whole.append(self._wall_here)
        self._follow(stage)
        self._present.clear()
        how = f"reused from {event.reused_from}" if event.reused_from is not None else f"done in {span(event.seconds)}"
        score = ""
        if stage.test is not None:
            score = f", test {metric_words(stage.test.headline)} {per_cent(stage.test.score)}"
        self._say(event.t, "info", f"Seed {event.seed}: {event.stage} {how}{score}")

    def _export_finished(self, event: ev.ExportFinished) -> None:
        self.exports.append(event)
        seeds = ", ".join(map(str, event.seeds))
        which = "" if not seeds else f" seed {seeds}" if len(event.seeds) == 1 else f" the mean of seeds {seeds}"
        self._say(event.t, "info", f"Exported{which} to {event.bundle}")

    def _run_over(self, event: ev.RunFinished | ev.RunFailed) -> None:
        self.ended = event
        self.control = "running"
        stage = self.stage
        if stage is not None and stage.status is Status.RUNNING:
            stage.status = Status.INTERRUPTED
            self._follow(stage)
        if isinstance(event, ev.RunFailed):
            self._say(event.t, "error", event.error)
        else:
            self._say(event.t, "info", f"Run {event.outcome} after {span(event.seconds)}")
