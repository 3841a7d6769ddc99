"""What is known of one stage of one seed: its curves, its scores, how far it is, and what its epochs cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from flykd_console.runs import events as ev
from flykd_console.runs.stage import Phase
from flykd_console.runs.state.series import Series

# Metrics that have a chart of their own, whatever a run's headline is.
DRAWN_METRICS = (ev.MACRO_AUPRC, ev.MACRO_AP, ev.AGREEMENT)


class Status(StrEnum):
    """Where a stage stands."""

    PENDING = "queued"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    DONE = "done"
    REUSED = "reused"
    MEASURED = "measured"
    """Nothing is trained: a heuristic, of which a score is all that there is."""


@dataclass(slots=True)
class LogLine:
    """One line of the log pane."""

    t: float
    level: str
    message: str


@dataclass
class StageState:
    """One stage of one seed: its curves and how far it is."""

    seed: int
    stage: str
    epochs: int
    phase: Phase = Phase.FINETUNE
    models: tuple[str, ...] = ()
    """Those that it trains, or that begin from what it leaves."""
    loss_words: dict[str, tuple[str, str]] = field(default_factory=dict)
    """What each loss is called, whole and in five letters."""
    status: Status = Status.PENDING
    dim: int | None = None
    shape: str = ""
    """Width, with kind and depth where they are not the paper's."""
    parameters: int | None = None
    epoch: int = 0
    furthest: int = 0
    """The last epoch that was ever reached: a resumed stage trains some of them again."""
    losses: dict[str, Series] = field(default_factory=dict)
    weights: dict[str, Series] = field(default_factory=dict)
    lr: Series = field(default_factory=Series)
    rate: Series = field(default_factory=Series)
    validation: Series = field(default_factory=Series)
    metrics: dict[str, Series] = field(default_factory=dict)
    """Validation by `DRAWN_METRICS`, where one was measured."""
    evaluations: dict[str, ev.Evaluation] = field(default_factory=dict)
    schedule: dict[str, list[tuple[float, float]]] | None = None
    reused_from: str | None = None
    checkpoint_epoch: int | None = None
    peak_rss: int | None = None
    wall: float = 0.0
    """Seconds of training and evaluation together, over all sessions, pauses left out."""
    seconds: float | None = None
    """Seconds as the trainer counted them, once the stage is over."""

    @property
    def pretrains(self) -> bool:
        return self.phase is Phase.PRETRAIN

    @property
    def over(self) -> bool:
        return self.status in (Status.DONE, Status.REUSED, Status.MEASURED)

    @property
    def fraction(self) -> float:
        """How much of the stage is done, 0 to 1."""
        if self.over:
            return 1.0
        return min(1.0, self.epoch / self.epochs) if self.epochs else 0.0

    def take(self, event: ev.Evaluation) -> None:
        """Take the scores of a model of a stage that trains several."""
        self.evaluations[event.split] = event
        if event.split == "validation":
            self.validate(event)

    def validate(self, event: ev.Evaluation) -> None:
        """Take the scores of an epoch, in place of those that it or a later one had before."""
        self.validation.cut_after(event.epoch - 1)
        self.validation.append(float(event.epoch), event.score)
        for metric in DRAWN_METRICS:
            value = event.metrics.get(metric)
            if value is not None:
                series = self.metrics.setdefault(metric, Series())
                series.cut_after(event.epoch - 1)
                series.append(float(event.epoch), value)

    @property
    def test(self) -> ev.Evaluation | None:
        return self.evaluations.get("test")

    def rewind(self, epoch: int) -> None:
        """Forget everything beyond `epoch`."""
        self.epoch = min(self.epoch, epoch)
        named = (*self.losses.values(), *self.weights.values(), *self.metrics.values())
        for series in (*named, self.lr, self.rate, self.validation):
            series.cut_after(epoch)
        if self.validation.last != self.validation.last:
            self.evaluations.pop("validation", None)


OPENING_EPOCHS = 10


@dataclass
class Cost:
    """What a kind of stage was measured to cost in one session, in seconds of the machine as it was when that began."""

    seconds: float = 0.0
    """Wall seconds of epochs and evaluations."""
    setup: float = 0.0
    """Wall seconds before the first epoch of stages, and what their first epochs took longer: paid once a stage."""
    stages: int = 0
    """Stages that came to their first epoch."""
    epochs: int = 0
    opening: list[float] = field(default_factory=list)
    """Seconds of the first epochs of the stage in training; buffers and plans make them slower than those to come."""
    whole: list[float] = field(default_factory=list)
    """Wall seconds of stages that this session trained from their first epoch to their last."""

    trained: float = 0.0
    """Seconds of the epochs in `seconds` alone."""
    usual_seconds: float = 0.0
    usual_epochs: int = 0
    """Of the epochs that tell the usual pace: those at a settled pace, the first few left out."""

    @property
    def overhead(self) -> float:
        """What an epoch costs with its share of the evaluations, as a multiple of itself."""
        return max(1.0, self.seconds / self.trained) if self.trained > 0 else 1.0

    @property
    def opens(self) -> bool:
        """Whether the stage in training is in its first epochs."""
        return len(self.opening) < OPENING_EPOCHS

    @property
    def usual_pace(self) -> float | None:
        """Seconds an epoch; None before any but the first few."""
        return self.usual_seconds / self.usual_epochs if self.usual_epochs else None

    def relearn(self, seconds: float) -> None:
        """From here on an epoch usually takes so long."""
        self.usual_seconds, self.usual_epochs = seconds, 1

    def take_opening(self, seconds: float) -> None:
        """Note an early epoch; when enough are there, book what they took longer than usual as setting up."""
        self.opening.append(seconds)
        if len(self.opening) == OPENING_EPOCHS:
            excess = max(0.0, sum(self.opening) - OPENING_EPOCHS * self.usual())
            excess = min(excess, self.seconds)
            self.setup += excess
            self.seconds -= excess
            self.trained -= min(excess, self.trained)

    def usual(self) -> float:
        """Seconds of an epoch by the quicker of the first ones."""
        return sorted(self.opening)[(len(self.opening) - 1) // 3]
