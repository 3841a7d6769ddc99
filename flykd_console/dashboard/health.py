"""What is going on with the run as a whole, in words: from the folded events, the lock, the worker and the silence."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from flykd_console.runs import events as ev
from flykd_console.runs.directory import ORDERS, RunDirectory
from flykd_console.runs.models import trains_nothing
from flykd_console.runs.state.feed import Source
from flykd_console.runs.state.run import RunState
from flykd_console.words import clipped, grouped, span

DEAD_AFTER = 10.0
KNOWN_DEAD_AFTER = 1.0
QUIET_AFTER = 30.0
WAITING_AFTER = 5.0
_ORDER_WORDS = {
    "pause": "to pause", "resume": "to go on", "stop": "to stop with a checkpoint", "abort": "to stop at once",
    "checkpoint": "to write a checkpoint", "evaluate": "to evaluate", "extend": "to add epochs",
}  # fmt: skip


class Phase(StrEnum):
    """The run's life as a screen can show it."""

    READING = "reading its log"
    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    PAUSING = "pausing…"
    PAUSED = "paused"
    CONTINUING = "continuing…"
    STOPPING = "stopping…"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    DIED = "died"
    REPLAY = "replay"
    UNREADABLE = "unreadable"

    @property
    def obeys(self) -> bool:
        """Whether a worker is there that takes orders."""
        return self in (self.STARTING, self.RUNNING, self.PAUSING, self.PAUSED, self.CONTINUING, self.STOPPING)


@dataclass(frozen=True, slots=True)
class Orders:
    """Orders that lie in the control folder, not obeyed yet.

    Attributes:
        unanswered: Those that lie there longer than an order should, with the seconds since they were first seen; also
            `resume`, for a pause that was withdrawn.
    """

    pause: bool = False
    stop: bool = False
    checkpoint: bool = False
    evaluate: bool = False
    extend: bool = False
    abort: bool = False
    unanswered: tuple[tuple[str, float], ...] = ()


def pending_orders(directory: RunDirectory) -> Orders:
    """Look into the control folder."""
    return Orders(**{name: directory.order_file(name).exists() for name in ORDERS})  # type: ignore[arg-type]


class OrderClock:
    """Since when each order waits to be obeyed, by the clock of the one who looks: disks may have another."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def __call__(self, orders: Orders, control: str, now: float) -> Orders:
        """The orders with those that wait too long. `control`: what the trainer last said."""
        waiting = {name for name in ORDERS if getattr(orders, name)}
        if control == "paused":
            # The file of an obeyed pause stays; without it training is to go on.
            waiting = waiting - {"pause"} if orders.pause else waiting | {"resume"}
        if control == "stopping":
            waiting -= {"stop", "abort"}
        self._since = {name: self._since.get(name, now) for name in waiting}
        late = sorted((since, name) for name, since in self._since.items() if now - since >= WAITING_AFTER)
        return replace(orders, unanswered=tuple((name, now - since) for since, name in late))


def phase_of(state: RunState, source: Source, orders: Orders, alive: bool, dead_after: float = DEAD_AFTER) -> Phase:
    """The phase.

    Args:
        state: What the log says.
        source: Where it comes from.
        orders: What lies in the control folder.
        alive: A worker holds the lock here, or its process is known to run.
        dead_after: Seconds of silence after which a run without a worker here is dead; it may train on another machine.
    """
    if source.problem and not (source.problem.endswith("vanished") and state.ended is not None):
        return Phase.UNREADABLE
    if source.replaying and not source.over:
        return Phase.REPLAY  # an end in the middle of the log was not the last word
    if state.finished:
        return Phase.FINISHED
    if state.stopped:
        return Phase.STOPPED
    if state.failed:
        return Phase.FAILED
    if source.replaying:
        return Phase.REPLAY
    if not alive and source.behind == 0 and source.quiet_for() > dead_after:
        return Phase.DIED
    if orders.stop or orders.abort or state.control == "stopping":
        return Phase.STOPPING
    if state.control == "paused":
        return Phase.PAUSED if orders.pause else Phase.CONTINUING
    if orders.pause:
        return Phase.PAUSING
    return Phase.STARTING if state.current is None else Phase.RUNNING


@dataclass(frozen=True, slots=True)
class Turn:
    """What a waiting run of a batch waits for.

    Attributes:
        training: The run of the batch that is trained now; empty where nobody trains.
        broken_off: The run before it that was left unfinished, if there is one; `how` it was.
    """

    training: str = ""
    broken_off: str = ""
    how: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """What the banner says.

    Attributes:
        tone: How serious it is: good, bad, warn or plain.
        heading: In a word.
        text: In a sentence or two.
        command: What to type next, kept on one line so that it can be copied.
        keys: What to press next, each an action's id and words.
    """

    tone: str
    heading: str
    text: str
    command: str = ""
    keys: tuple[tuple[str, str], ...] = ()


def notice(
    phase: Phase,
    state: RunState,
    source: Source,
    directory: RunDirectory,
    gain: str = "",
    orders: Orders = Orders(),
    elsewhere: str = "",
    turn: Turn | None = None,
) -> Notice | None:
    """What the user must be told, None while training simply goes on.

    Args:
        phase: The run's.
        state: What the log says.
        source: Where it comes from.
        directory: The run.
        gain: What a finished run has gained, in a sentence.
        orders: Those that nobody has obeyed yet.
        elsewhere: The machine that trains the run, where it is another one.
        turn: What a waiting run waits for.
    """
    resume = f"flykd-console run --resume {directory.name}"
    log = near(directory.worker_log)
    if phase is Phase.UNREADABLE:
        return _unreadable(source.problem, directory)
    if phase is Phase.FINISHED:
        assert isinstance(state.ended, ev.RunFinished)
        if state.exports:
            bundle = shlex.quote(near(state.exports[-1].bundle))
            relation = "indication" if "indication" in state.relations else next(iter(state.relations), "")
            option = f" --relation {shlex.quote(relation)}" if relation else ""
            return Notice(
                "good",
                "Exported.",
                "Score with it:",
                f"flykd-console score {bundle} --disease NAME{option}",
                (("results", "results"),),
            )
        keys: tuple[tuple[str, str], ...] = (("results", "results"),)
        if not trains_nothing(state.models):
            keys = (("export", "export"), *keys)
        took = f" in {span(state.ended.seconds)}."
        return Notice(
            "good",
            "Finished",
            f"{took.lstrip()} {gain}".rstrip(),
            keys=keys,
        )
    if phase is Phase.WAITING and turn is not None:
        return _turn_words(turn, directory)
    if phase is Phase.REPLAY and source.over:
        return Notice("warn", "Died", f"{_where(state)}The log ends here, without a last word. Go on:", resume)
    if phase is Phase.STOPPED:
        return Notice("warn", "Stopped", f"{_where(state)}{_saved(state)} Go on:", resume)
    if phase is Phase.FAILED:
        assert isinstance(state.ended, ev.RunFailed)
        more = f" The traceback is in {log}." if state.ended.traceback else ""
        error = (state.ended.error.strip() or "no reason given").splitlines()[0].rstrip(".")
        return Notice("bad", "Failed", f"{error}.{more} Go on:", resume)
    if phase is Phase.DIED:
        ended = "The worker ended without a last word."
        if elsewhere:
            quiet = span(source.quiet_for())
            ended = f"No word from {elsewhere} for {quiet}, and a trainer writes every second."
        words = f"{ended}{_last_line(directory)}{_unanswered(orders)} Its output: {log}. Go on:"
        return Notice("bad", "Died", words, resume)
    quiet_for = source.quiet_for()
    if phase in (Phase.RUNNING, Phase.STARTING) and quiet_for > QUIET_AFTER:
        there = f"it may still train on {elsewhere}" if elsewhere else "the worker is still there"
        return Notice("warn", "Quiet", f"No news for {span(quiet_for)}; {there}.{_unanswered(orders)}")
    if phase.obeys and orders.unanswered:
        return _waiting(phase, state, orders)
    if source.skipped and phase is not Phase.REPLAY:
        count = "1 line" if source.skipped == 1 else f"{grouped(source.skipped)} lines"
        return Notice("plain", "Note", f"{count} of the event log could not be read and was left out.")
    return None


def _turn_words(turn: Turn, directory: RunDirectory) -> Notice:
    if turn.training:
        return Notice("plain", "Waiting", f"Its turn comes after {turn.training}.")
    if turn.broken_off:
        words = (
            f"Nobody trains this batch now: {turn.broken_off} has {turn.how}. Go on with it, and then with this one:"
        )
        return Notice("warn", "Waiting", words, f"flykd-console run --resume {turn.broken_off}")
    return Notice(
        "warn", "Waiting", "Nobody trains this batch now. Go on:", f"flykd-console run --resume {directory.name}"
    )


def _waiting(phase: Phase, state: RunState, orders: Orders) -> Notice:
    name, seconds = orders.unanswered[0]
    others = len(orders.unanswered) - 1
    more = f" (and {others} more)" if others else ""
    if state.current is None:
        when = "It looks for orders once it trains."
    elif phase is Phase.PAUSED:
        obeyed = name in ("checkpoint", "evaluate")
        when = "It looks for such orders while paused, too." if obeyed else "It will when training goes on."
    else:
        when = "It looks for orders after each epoch."
    text = f"The trainer has not answered the order {_ORDER_WORDS[name]}{more} for {span(seconds)}. {when}"
    return Notice("warn", "Waiting", text)


def _unanswered(orders: Orders) -> str:
    """Orders that nobody obeyed, in a sentence after a space."""
    words = " and ".join(_ORDER_WORDS[name] for name, _ in orders.unanswered)
    return f" Unanswered: the order {words}." if words else ""


def _saved(state: RunState) -> str:
    """What a stop has kept."""
    if not isinstance(state.ended, ev.RunFinished) or state.ended.saved:
        return "A checkpoint was written."
    epoch = state.stage.checkpoint_epoch if state.stage is not None else None
    if epoch is None:
        return "Ended at once; this stage has no checkpoint and begins anew."
    return f"Ended at once; the last checkpoint is that of epoch {grouped(epoch)}."


def near(path: Path | str) -> str:
    """The path from here, where it lies below the current folder."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def _last_line(directory: RunDirectory) -> str:
    """What the worker printed last, in quotation marks after a space; empty where it printed nothing."""
    try:
        with open(directory.worker_log, "rb") as file:
            file.seek(max(0, file.seek(0, 2) - 4096))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    said = [" ".join(line.split()) for line in lines if line.strip() and line.isprintable()]
    return f" It printed: “{clipped(said[-1], 100)}”." if said else ""


def _where(state: RunState) -> str:
    stage = state.stage
    return f"Seed {stage.seed}, {stage.stage}, epoch {grouped(stage.epoch)}. " if stage is not None else ""


def _unreadable(problem: str, directory: RunDirectory) -> Notice:
    if problem.startswith("newer: "):
        text = f"The log was written by a newer flykd-console ({problem.removeprefix('newer: ')}). Update this one."
        return Notice("bad", "Too new", text)
    if problem.endswith("vanished"):
        what = "The run's folder" if problem == "vanished" else "The event log"
        text = f"{what} is gone: {directory.path}. What was read so far is shown; looking for it to come back."
        return Notice("bad", "Gone", text)
    return Notice("bad", "Unreadable", f"{directory.events}: {problem.removeprefix('unreadable: ')}")
