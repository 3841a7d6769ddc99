"""The event log's records: one frozen struct per kind, written as one JSON object per line.

Field names are a promise to other programs. Readers skip what they cannot decode: a torn line, an unknown kind.
Losses, weights and rates are plain floats; a value that is not finite is written as null and read as NaN.
"""

from __future__ import annotations

import math
import time
from typing import Any, Literal

import msgspec

from flykd_console.errors import UserError
from flykd_console.plain_text import plain_json
from flykd_console.runs.model_shape import LAYER_KIND, LAYERS
from flykd_console.runs.models import ModelEntry
from flykd_console.runs.stage import Phase

SCHEMA = 1

# What AUPRC and AP go by among the named metrics.
MACRO_AUPRC = "macro_auprc"
MACRO_AP = "macro_ap"
# Share of the samples on which the members of a cohort tell the same class.
AGREEMENT = "agreement"


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", omit_defaults=False):
    """What every record carries: schema version `v` and the time of writing `t` (Unix seconds)."""

    v: int = SCHEMA
    t: float = msgspec.field(default_factory=time.time)


class PlannedStage(msgspec.Struct, frozen=True, kw_only=True):
    """One stage that the run will go through, in order; `models`: those that it trains, or that begin from it."""

    seed: int
    stage: str
    epochs: int
    phase: Phase = Phase.FINETUNE
    models: list[str] = []


class GraphFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The graph as the dashboard's header and the report name it."""

    source: str
    fingerprint: str = ""
    nodes: int = 0
    edges: int = 0
    targets: list[str] = []


class RunStarted(Event, frozen=True, kw_only=True, tag="run.started"):
    """First record of a run, and again after each resume (`resumed` is then true).

    Pretraining's length and most of `graph` follow in `run.prepared`. `pid` is a process of the machine named `host`.
    `models` lists every model of the run; `teacher_dim` and the like are the profile's two sizes. `headline` names the
    metric that comes first. `schedule`: the students' curriculum as it is planned, as in `stage.started`; None: none.
    """

    run: str
    name: str
    method: str
    seeds: list[int] = []
    stages: list[PlannedStage]
    device: str
    device_name: str = ""
    graph: GraphFacts
    teacher_dim: int
    student_dim: int
    teacher_layers: int = LAYERS
    student_layers: int = LAYERS
    teacher_kind: str = LAYER_KIND
    student_kind: str = LAYER_KIND
    models: list[ModelEntry] = []
    headline: str = MACRO_AUPRC
    schedule: dict[str, list[tuple[float, float]]] | None = None
    pid: int
    host: str = ""
    resumed: bool = False


class RunPrepared(Event, frozen=True, kw_only=True, tag="run.prepared"):
    """The graph is read, the stages and the device are known; `seconds` since the trainer began."""

    graph: GraphFacts
    stages: list[PlannedStage]
    device: str
    device_name: str
    seconds: float


class StageStarted(Event, frozen=True, kw_only=True, tag="stage.started"):
    """`schedule`: per loss source the whole curriculum as (epoch, normalised weight), for distilling stages only.

    `phase` and `models` as in the plan. `loss_words`: what each loss of the stage is called, whole and in five letters.
    """

    seed: int
    stage: str
    epochs: int
    phase: Phase = Phase.FINETUNE
    models: list[str] = []
    first_epoch: int = 0
    dim: int
    layers: int = LAYERS
    layer_kind: str = LAYER_KIND
    parameters: int
    schedule: dict[str, list[tuple[float, float]]] | None = None
    loss_words: dict[str, tuple[str, str]] = {}


class StageExtended(Event, frozen=True, kw_only=True, tag="stage.extended"):
    """The stage in training now has `epochs` epochs, `added` of them by an order just obeyed; the plan had `planned`.

    `schedule`: as in `stage.started`, up to the new end.
    """

    seed: int
    stage: str
    epochs: int
    added: int
    planned: int
    schedule: dict[str, list[tuple[float, float]]] | None = None


class Epoch(Event, frozen=True, kw_only=True, tag="epoch"):
    """`epoch` counts from 1 to `epochs` (pretraining: optimiser steps); `seconds` excludes evaluation."""

    seed: int
    stage: str
    epoch: int
    epochs: int
    losses: dict[str, float | None]
    weights: dict[str, float] | None = None
    lr: float
    seconds: float


class RelationScore(msgspec.Struct, frozen=True, kw_only=True):
    """Fractions in [0, 1]."""

    auprc: float
    auroc: float
    positives: int = 0
    negatives: int = 0


class Evaluation(Event, frozen=True, kw_only=True, tag="evaluation"):
    """Metrics of one model at one epoch on one part (`validation` or `test`).

    `metrics` holds every metric by name, fractions; `headline` names the first among them. The fields of AUPRC and
    AUROC repeat theirs, and are null where a task has none.
    """

    seed: int
    stage: str
    epoch: int
    split: str
    model: str = ""
    headline: str = MACRO_AUPRC
    metrics: dict[str, float | None] = {}
    macro_auprc: float | None = None
    macro_auroc: float | None = None
    relations: dict[str, RelationScore] = {}

    @property
    def score(self) -> float | None:
        """The headline metric's value; None where it was not measured."""
        return self.metrics.get(self.headline, self.macro_auprc)


class Threads(Event, frozen=True, kw_only=True, tag="threads"):
    """From the epoch after `epoch` on the stage has so many CPU threads; only where the trainer chooses them itself."""

    seed: int
    stage: str
    epoch: int
    threads: int


class Resources(Event, frozen=True, kw_only=True, tag="resources"):
    """At most once a second. CPU in per cent of one core, memory in bytes, power in watts; None where absent.

    `others`: CPU that other processes of the machine use.
    """

    cpu: float
    others: float | None = None
    rss: int
    memory_total: int | None = None
    gpu_utilisation: float | None = None
    gpu_memory: int | None = None
    gpu_memory_total: int | None = None
    gpu_temperature: float | None = None
    gpu_power: float | None = None


class Checkpoint(Event, frozen=True, kw_only=True, tag="checkpoint"):
    """A stage's resumable state was written."""

    seed: int
    stage: str
    epoch: int
    file: str


class Control(Event, frozen=True, kw_only=True, tag="control"):
    """The trainer acknowledges an order: it is obeyed, or `state` is refused (a log line says why).

    `state`: running, paused, stopping, refused. `abort` ends the run at once, without a checkpoint. `epochs`: of the
    stage from now on, where epochs were added (`extend`).
    """

    action: Literal["pause", "resume", "stop", "checkpoint", "evaluate", "extend", "abort"]
    state: str
    seed: int | None = None
    stage: str | None = None
    epochs: int | None = None


class Log(Event, frozen=True, kw_only=True, tag="log"):
    """One line of the run's log. `level`: debug, info, warning, error."""

    level: str
    message: str
    seed: int | None = None
    stage: str | None = None


class StageFinished(Event, frozen=True, kw_only=True, tag="stage.finished"):
    """`peak_rss`: most resident memory during the stage, bytes. `reused_from`: the run that it was taken over from.

    `kept_epoch`: the epoch whose weights stayed, where the best on validation was asked for; None: the last one.
    """

    seed: int
    stage: str
    epochs: int
    seconds: float
    peak_rss: int | None = None
    reused_from: str | None = None
    kept_epoch: int | None = None


class ExportFinished(Event, frozen=True, kw_only=True, tag="export.finished"):
    """A verified bundle was written, of one seed or of the mean of several."""

    seeds: list[int] = []
    bundle: str


class RunFinished(Event, frozen=True, kw_only=True, tag="run.finished"):
    """`outcome`: finished (every stage done) or stopped (by order); `seconds` over all its starts.

    `saved`: false where a run was stopped at once: what came after its last checkpoint is lost.
    """

    outcome: Literal["finished", "stopped"]
    seconds: float
    saved: bool = True


class RunFailed(Event, frozen=True, kw_only=True, tag="run.failed"):
    """`traceback` is empty for a mistake of the user's, whose whole story is `error`."""

    error: str
    traceback: str = ""


AnyEvent = (
    RunStarted
    | RunPrepared
    | StageStarted
    | StageExtended
    | Epoch
    | Evaluation
    | Threads
    | Resources
    | Checkpoint
    | Control
    | Log
    | StageFinished
    | ExportFinished
    | RunFinished
    | RunFailed
)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(AnyEvent)


class NewerSchemaError(UserError):
    """The log was written by a newer program.

    Attributes:
        versions: Its schema version and ours, in words.
    """

    def __init__(self, version: int) -> None:
        self.versions = f"schema {version}, this program reads up to {SCHEMA}"
        super().__init__(
            f"the event log was written by a newer program ({self.versions})", hint="Update flykd-console."
        )


def encode(event: Event) -> bytes:
    """One line of the log, with its newline. msgspec writes NaN and infinity as null."""
    return _encoder.encode(event) + b"\n"


def decode(line: bytes) -> AnyEvent | None:
    """The record of one line, or None for a torn line, garbage or an unknown kind.

    Raises:
        NewerSchemaError: The line's `v` is above this program's `SCHEMA`.
    """
    try:
        # What a stranger's log says is shown on terminals.
        event: AnyEvent = _decoder.decode(plain_json(line))
    except (ValueError, RecursionError):
        version = _version_of(line)
        if version > SCHEMA:
            raise NewerSchemaError(version) from None
        return None
    if event.v > SCHEMA:
        raise NewerSchemaError(event.v)
    return event


def _version_of(line: bytes) -> int:
    try:
        record = msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return 0
    version = record.get("v", 0) if isinstance(record, dict) else 0
    return version if isinstance(version, int) else 0


def finite(value: float | None) -> float:
    """A logged number as a float; what was not finite comes back as NaN."""
    return math.nan if value is None else value
