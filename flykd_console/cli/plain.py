"""A run as plain lines, for pipes, logs and terminals without a dashboard: the event log told one line at a time."""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
import time
from collections.abc import Callable
from typing import Literal, TextIO

from flykd_console.runs.batch import batch_of
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import (
    MACRO_AUPRC,
    AnyEvent,
    Control,
    Epoch,
    Evaluation,
    ExportFinished,
    Log,
    RunFailed,
    RunFinished,
    RunPrepared,
    RunStarted,
    StageFinished,
    StageStarted,
    encode,
    finite,
)
from flykd_console.runs.lock import is_alive
from flykd_console.runs.log import EventFollower
from flykd_console.runs.model_shape import model_width
from flykd_console.runs.stage import Phase
from flykd_console.runs.state.progress import progress
from flykd_console.runs.state.run import RunState
from flykd_console.runs.state.stage import StageState
from flykd_console.runs.status import status_of
from flykd_console.words import THIN, grouped, metric_words, per_cent, rate, span, to_go

_POLL_SECONDS = 0.1
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


# Where every epoch is validated, lines come no more often than this.
_EVERY_EPOCH_SECONDS = 2.0
# Room for the names of stages, where a run does not say them.
_STAGE_WIDTH = 7
# States of which nothing more is to be told.
_NOT_COMING = ("waiting", "finished", "stopped", "failed", "died")

Outcome = Literal["finished", "stopped", "failed", "died", "going"]


def follow_plain(
    directory: RunDirectory,
    stream: TextIO,
    *,
    worker: subprocess.Popen[bytes] | None = None,
    json: bool = False,
    until_done: bool = True,
    offset: int = 0,
    leave: Callable[[], bool] = lambda: False,
    tell_failure: bool = True,
) -> Outcome:
    """Follow a run's event log to its end.

    Returns:
        What became of the run: `died` where it ended without a last word, `going` where it goes on unwatched.

    Args:
        directory: The run; its log need not be there yet.
        stream: Where lines go; never an escape code.
        worker: The training process where it is ours; without it the run's lock says whether one lives.
        json: Write the events themselves, one JSON object a line.
        until_done: False: tell what is logged by now, then return.
        offset: Byte of the log to begin at.
        leave: Asked between reads; True ends the following, not the run.
        tell_failure: False where the caller says itself what a run failed of.

    Raises:
        NewerSchemaError: The log was written by a newer program.
    """
    follower = EventFollower(directory.events, offset)
    narrator = _Narrator(stream, directory.name, tell_failure)
    outcome: Outcome = "going"
    ended_before = False
    while True:
        try:
            events = follower.read()
        except FileNotFoundError:
            events = []
        for event in events:
            outcome = _fold(outcome, event)
            if json:
                stream.write(encode(event).decode())
            else:
                narrator.tell(event)
        if events:
            stream.flush()
            ended_before = False
            continue
        if outcome != "going" or not until_done or leave():
            return outcome
        if ended_before:
            return "died"
        # Looked at before the last read, so that nothing written in between is lost.
        ended_before = _ended(directory, worker, begun=follower.offset > 0)
        if not ended_before:
            time.sleep(_POLL_SECONDS)


def _ended(directory: RunDirectory, worker: subprocess.Popen[bytes] | None, begun: bool) -> bool:
    if worker is not None:
        return worker.poll() is not None
    if begun:
        return not is_alive(directory)
    # Nothing is logged: a run that was made just now, or waits for others of its batch, is still to come.
    state = status_of(directory).state
    if state == "waiting":
        return all(status_of(run).state in _NOT_COMING for run in batch_of(directory))
    return state in _NOT_COMING


def _fold(outcome: Outcome, event: AnyEvent) -> Outcome:
    match event:
        case RunStarted() | StageStarted():
            return "going"
        case RunFinished(outcome=kind):
            return kind
        case RunFailed():
            return "failed"
        case _:
            return outcome


_OBEYED = {"pause": "paused", "resume": "going on", "checkpoint": "checkpoint written", "evaluate": "evaluated"}


def _control_words(event: Control) -> str:
    if event.state == "refused":
        return f"not obeyed: {event.action}"
    if event.action == "extend":
        return f"epochs added: {grouped(event.epochs or 0)} in all"
    if event.action == "abort":
        return "stopping at once"
    return _OBEYED.get(event.action, event.state)


def _test_words(test: Evaluation) -> str:
    """`test AUPRC 80.33 (contraindication 82.13, indication 78.53)`; relations have AUPRC whatever comes first."""
    relations = ", ".join(f"{name} {per_cent(score.auprc)}" for name, score in test.relations.items())
    of_relations = "" if test.headline == MACRO_AUPRC else f"{metric_words(MACRO_AUPRC)} "
    said = f"test {metric_words(test.headline)} {per_cent(test.score)}"
    return f"{said} ({of_relations}{relations})" if relations else said


class _Narrator:
    """Turns events into lines: epochs at most once a second, and more seldom the longer a run takes."""

    def __init__(self, stream: TextIO, run: str, tell_failure: bool) -> None:
        self._stream = stream
        self._run = run
        self._tell_failure = tell_failure
        self._state = RunState()
        self._seeds: list[int] = []
        self._stage_width = _STAGE_WIDTH
        self._begun = 0.0
        self._last_line = float("-inf")
        self._last_epoch: Epoch | None = None
        self._last_validated: tuple[tuple[int, str], int] | None = None

    def tell(self, event: AnyEvent) -> None:
        """Say what there is to say about an event."""
        self._state.apply(event)
        match event:
            case RunStarted():
                self._start(event)
            case RunPrepared(graph=graph, device_name=name, seconds=seconds):
                amount = f"{grouped(graph.nodes)} nodes, {grouped(graph.edges)} edges"
                self._line("", f"{graph.source}: {amount}; {name or event.device}; ready after {span(seconds)}")
            case StageStarted(parameters=parameters, epochs=epochs, first_epoch=first):
                self._last_epoch = None
                if first >= epochs > 0:  # nothing is left to train; what it was reused from comes next
                    return
                steps = f"{grouped(epochs)} {'steps' if event.phase is Phase.PRETRAIN else 'epochs'}"
                again = f", from {first} on" if first else ""
                width = model_width(event.dim, event.layers, event.layer_kind)
                self._line(self._place(event), f"{width}, {grouped(parameters)} parameters, {steps}{again}")
            case Epoch():
                self._last_epoch = event
                if event.t - self._last_line >= min(30.0, max(1.0, (event.t - self._begun) / 60)):
                    self._progress(event)
            case Evaluation(split="test"):
                pass  # told where its stage ends
            case Evaluation(epoch=0):
                pass  # of a scorer without training: the table at the end has it
            case Evaluation() if self._of_every_epoch(event) and event.t - self._last_line < _EVERY_EPOCH_SECONDS:
                pass
            case Evaluation():
                whose = f"{event.model} " if event.model not in ("", event.stage) else ""
                score = f"{whose}{event.split} {metric_words(event.headline)} {per_cent(event.score)}"
                self._progress(event, score)
            case StageFinished():
                self._finish(event)
            case Control():
                self._line("", _control_words(event))
                self._last_line = event.t
            case Log(level=level, message=message):
                if level != "debug":
                    self._line("", message if level == "info" else f"{level}: {message}")
            case ExportFinished(bundle=bundle):
                self._line("", f"exported to {bundle}")
            case RunFinished(outcome=outcome, seconds=seconds):
                self._line("", f"{outcome} after {span(seconds)}{'' if event.saved else self._kept()}")
            case RunFailed(error=error) if self._tell_failure:
                self._line("", f"failed: {error}")
            case _:
                pass

    def _start(self, event: RunStarted) -> None:
        self._begun = event.t
        self._seeds = event.seeds
        self._stage_width = max((len(planned.stage) for planned in event.stages), default=_STAGE_WIDTH)
        seeds = ", ".join(map(str, event.seeds))
        self._line("", f"run {self._run}{' goes on' if event.resumed else ''}: {event.method} on {event.graph.source}")
        self._line("", f"{'seeds' if len(event.seeds) > 1 else 'seed'} {seeds}; device {event.device}")

    def _place(self, event: StageStarted | Epoch | Evaluation | StageFinished) -> str:
        position = f"({self._seeds.index(event.seed) + 1}/{len(self._seeds)})" if event.seed in self._seeds else ""
        return f"seed {event.seed} {position}".rstrip() + f"  {event.stage:<{self._stage_width}}  "

    def _progress(self, event: Epoch | Evaluation, score: str = "") -> None:
        last = self._last_epoch
        epochs = last.epochs if last else event.epoch
        parts = [f"{event.epoch:>{len(str(epochs))}}/{epochs}"]
        if self._state.its_per_second:
            parts.append(f"{rate(self._state.its_per_second):>9}")
        if last and last.losses:
            total = last.losses.get("total", next(iter(last.losses.values())))
            parts.append(f"loss {finite(total):.4f}")
        remaining = progress(self._state).remaining
        if remaining is not None:
            parts.append(f"ETA {to_go(remaining):<10}")
        parts += [busy] if (busy := self._state.busy_words) else []
        self._line(self._place(event), "  ".join([*parts, score]).rstrip())
        self._last_line = event.t

    def _of_every_epoch(self, event: Evaluation) -> bool:
        """Whether the epoch before this one, or another model of this one, was validated as well."""
        place, before = (event.seed, event.stage), self._last_validated
        self._last_validated = (place, event.epoch)
        return before is not None and before[0] == place and before[1] >= event.epoch - 1

    def _finish(self, event: StageFinished) -> None:
        done = f"reused from {event.reused_from}" if event.reused_from else f"done in {span(event.seconds)}"
        stage = self._state.get(event.seed, event.stage)
        if stage is not None and stage.test is not None:
            done += f"  {_test_words(stage.test)}"
        elif stage is not None:
            done += self._members_words(stage)
        self._line(self._place(event), done)
        self._last_line = event.t

    def _members_words(self, stage: StageState) -> str:
        """`  test accuracy: gcn 82.10, gat 82.40` of a stage that trains several models."""
        found = [(name, self._state.get(stage.seed, name)) for name in stage.models]
        tests = [(name, one.test) for name, one in found if one is not None and one.test is not None]
        if not tests:
            return ""
        values = ", ".join(f"{name} {per_cent(test.score)}" for name, test in tests)
        return f"  test {metric_words(tests[0][1].headline)}: {values}"

    def _kept(self) -> str:
        """What is left of the stage that a run was in when it was ended at once."""
        stage = self._state.stage
        if stage is None or stage.over:
            return ""
        epoch = stage.checkpoint_epoch
        return f", the checkpoint of epoch {grouped(epoch)} is kept" if epoch else ", without a checkpoint"

    def _line(self, place: str, text: str) -> None:
        line = _CONTROL_CHARACTERS.sub(" ", place + text)
        width = shutil.get_terminal_size().columns if self._stream.isatty() else 0
        if 0 < width < len(line):
            # A terminal would break it in the middle of a word.
            line = "\n".join(
                textwrap.wrap(
                    line, max(20, width), subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
                )
            )
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        try:
            line.encode(encoding)
        except UnicodeEncodeError:
            line = line.replace(THIN, " ").encode(encoding, "replace").decode(encoding)
        self._stream.write(f"{line}\n")
