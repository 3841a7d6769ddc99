"""Orders to a run in training: `flykd-console runs pause`, `continue`, `checkpoint`, `evaluate`, `extend` and `stop`.

Each says what the trainer answered; where it has not within a few seconds, that it was ordered and is not obeyed yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flykd_console.cli.console import say
from flykd_console.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from flykd_console.runs.directory import RunDirectory
    from flykd_console.runs.events import Control

ANSWER_SECONDS = 5.0

RunName = Annotated[
    str | None, typer.Argument(metavar="RUN", help="Name, its beginning, or path; default: the newest.")
]


def pause(run: RunName = None) -> None:
    """Pause training after this epoch; `continue` goes on."""
    directory = _in_training(run)
    answer = _give(directory, "pause", lambda: directory.order("pause"))
    again = f"Go on: flykd-console runs continue {directory.name}"
    _say(directory, answer, f"is paused. {again}", "pauses after this epoch")


def go_on(run: RunName = None) -> None:
    """Go on with a paused run."""
    directory = _in_training(run)
    if not directory.order_file("pause").exists():
        raise UserError("this run is not paused", directory.name, "See: flykd-console runs")
    _say(directory, _give(directory, "resume", lambda: directory.withdraw("pause")), "goes on.", "is to go on")


def checkpoint(run: RunName = None) -> None:
    """Write a checkpoint now."""
    directory = _in_training(run)
    answer = _give(directory, "checkpoint", lambda: directory.order("checkpoint"))
    _say(directory, answer, "has written a checkpoint.", "writes a checkpoint after this epoch")


def evaluate(run: RunName = None) -> None:
    """Measure the model in training on the validation part now."""
    directory = _in_training(run)
    answer = _give(directory, "evaluate", lambda: directory.order("evaluate"))
    _say(directory, answer, "has evaluated: see flykd-console watch", "evaluates after this epoch")


def extend(
    epochs: Annotated[int, typer.Argument(metavar="EPOCHS", min=1, max=1_000_000, help="How many more.")],
    run: RunName = None,
) -> None:
    """Give the stage in training more epochs than the profile asks for.

    For finetuning and distilling. The curriculum keeps its last weights in the added epochs, and the plateau watches to
    the new end. The results say how long was trained, and no other run takes such a stage over.
    """
    from flykd_console.runs.more_epochs import MoreEpochs, order_more_epochs
    from flykd_console.runs.stage import Phase
    from flykd_console.runs.status import status_of

    directory = _in_training(run)
    status = status_of(directory)
    if status.stage is None or status.seed is None:
        raise UserError(
            "no stage is in training yet", directory.name, "Wait until the graph is read: flykd-console runs"
        )
    if status.phase is Phase.PRETRAIN:
        raise UserError(f"{status.stage} keeps its length", directory.name, "Only finetuning and distilling can grow.")
    more = MoreEpochs(epochs=epochs, seed=status.seed, stage=status.stage)
    answer = _give(directory, "extend", lambda: order_more_epochs(directory, more))
    what = f"{status.stage} of seed {status.seed}"
    total = answer.epochs if answer is not None and answer.epochs else 0
    _say(directory, answer, f"trains {what} for {total} epochs.", f"adds {epochs} epochs to {what} after this one")


def stop(
    run: RunName = None,
    now: Annotated[
        bool, typer.Option("--now", help="At once, without a checkpoint: what came after the last one is lost.")
    ] = False,
) -> None:
    """Stop a running run with a checkpoint."""
    directory = _in_training(run)
    again = f"Go on later: flykd-console run --resume {directory.name}"
    if now:
        answer = _give(directory, "abort", lambda: directory.order("abort"))
        _say(directory, answer, f"has ended at once. {again}", "is to end at once")
        return
    directory.order("stop")
    directory.withdraw("pause")
    say(f"{directory.name} stops after this epoch. {again}")


COMMANDS: dict[str, Callable[..., None]] = {
    "pause": pause,
    "continue": go_on,
    "checkpoint": checkpoint,
    "evaluate": evaluate,
    "extend": extend,
    "stop": stop,
}


def _in_training(name: str | None) -> RunDirectory:
    from flykd_console.runs.find import find_run
    from flykd_console.runs.status import in_training

    directory = find_run(name)
    if not in_training(directory):
        raise UserError("this run is not being trained", directory.name, "See: flykd-console runs")
    return directory


def _give(directory: RunDirectory, action: str, order: Callable[[], None]) -> Control | None:
    """Give an order and wait a little for the trainer's answer; None where there was none yet."""
    import time

    from flykd_console.runs.events import Control
    from flykd_console.runs.log import EventFollower

    follower = EventFollower(directory.events, _size(directory))
    order()
    until = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < until:
        try:
            events = follower.read()
        except FileNotFoundError:
            events = []
        for event in events:
            if isinstance(event, Control) and event.action == action:
                return event
        time.sleep(0.05)
    return None


def _size(directory: RunDirectory) -> int:
    """Where the log's next line begins: the last byte may be the middle of one."""
    try:
        data_end = directory.events.stat().st_size
        with open(directory.events, "rb") as file:
            file.seek(max(0, data_end - 65_536))
            tail = file.read(min(data_end, 65_536))
    except OSError:
        return 0
    return data_end - (len(tail) - (tail.rfind(b"\n") + 1))


def _say(directory: RunDirectory, answer: Control | None, done: str, ordered: str) -> None:
    """Tell what the trainer answered.

    Raises:
        UserError: It refused.
    """
    if answer is None:
        say(f"{directory.name} {ordered}: ordered, and not answered yet. See: flykd-console runs")
    elif answer.state == "refused":
        raise UserError("the trainer refused; its log says why", directory.name, "See: flykd-console watch")
    else:
        say(f"{directory.name} {done}")
