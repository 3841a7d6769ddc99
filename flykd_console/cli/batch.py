"""How several runs that were trained one after another ended: the figures of each, and what is left to do."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

from rich.console import Console
from rich.text import Text

from flykd_console.cli.console import PlainConsole, say
from flykd_console.cli.tables import results_table
from flykd_console.errors import UserError
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.results import read_results
from flykd_console.runs.status import RunStatus, status_of

_LAST_WORDS_SECONDS = 15.0
_OVER = ("finished", "stopped", "failed", "waiting")


def conclude_batch(batch: Sequence[RunDirectory], worker: subprocess.Popen[bytes], *, quiet: bool) -> int:
    """Say what became of each run of a batch.

    Args:
        batch: The runs in order.
        worker: Their training process.
        quiet: Standard output holds events; say only what went wrong, and what is left to do, on standard error.

    Returns:
        The exit code: 0 finished, stopped or left going; 1 one failed; 2 one met a mistake of the user's.
    """
    console = PlainConsole(file=sys.stderr if quiet else sys.stdout, soft_wrap=True)
    if all(status_of(directory).state in _OVER for directory in batch):
        with suppress(subprocess.TimeoutExpired):
            worker.wait(_LAST_WORDS_SECONDS)
    going = worker.poll() is None
    states = [(directory, status_of(directory)) for directory in batch]
    code = 0
    for directory, status in states:
        code = max(code, _conclude(directory, status, going), key=(0, 2, 1).index)
        if status.state == "finished" and not quiet:
            _show(console, directory)
    _say_what_is_left(console, states, going)
    finished = [directory.name for directory, status in states if status.state == "finished"]
    if len(finished) > 1 and not quiet:
        console.print("\nSide by side, with the paper's figures")
        console.print(f"  flykd-console compare {' '.join(finished)}", style="bold", markup=False)
    return code


def _conclude(directory: RunDirectory, status: RunStatus, going: bool) -> int:
    """Complain of a run that went wrong; its share in the exit code."""
    if status.state == "failed" and status.traceback:
        complain(f"{directory.name} failed: {status.error}. The whole story: {directory.worker_log}")
        return 1
    if status.state == "failed":
        complain(f"{directory.name} was not trained: {status.error}")
        return 2
    if status.state == "died" or (status.state not in _OVER and not going):
        again = f"Go on: flykd-console run --resume {directory.name}"
        complain(f"{directory.name} ended without a last word. Its output: {directory.worker_log}. {again}")
        return 1
    return 0


def _show(console: Console, directory: RunDirectory) -> None:
    with suppress(UserError):
        results = read_results(directory.results)
        console.print(f"\n{directory.name}", style="bold")
        console.print(results_table(results))


def _say_what_is_left(console: Console, states: Sequence[tuple[RunDirectory, RunStatus]], going: bool) -> None:
    waiting = [directory.name for directory, status in states if status.state == "waiting"]
    stopped = [directory.name for directory, status in states if status.state == "stopped"]
    saved = all(status.saved for _, status in states)
    broken_off = [directory.name for directory, status in states if status.state not in _OVER]
    if going:
        current = next(
            (d.name for d, status in states if status.state not in ("finished", "failed")), states[-1][0].name
        )
        console.print("Training goes on without this window.")
        console.print(Text.assemble("  watch it  ", (f"flykd-console watch {current}", "bold")))
        console.print(Text.assemble("  stop it   ", (f"flykd-console runs stop {current}", "bold")))
        return
    if stopped:
        those = "the one that waits" if len(waiting) == 1 else f"the {len(waiting)} that wait"
        after = f", then with {those}" if waiting else ""
        how = "with a checkpoint" if saved else "at once; its last checkpoint stays"
        console.print(f"\n{stopped[-1]} is stopped, {how}. Go on with it{after}:")
    elif waiting and not broken_off:
        console.print(f"\nWaiting: {', '.join(waiting)}. Go on with them:")
    # To go on with a run that was broken off, which was told, is to go on with those that wait for it.
    for name in () if broken_off else (*stopped[-1:], *waiting)[:1]:
        console.print(f"  flykd-console run --resume {name}", style="bold", markup=False)


def cause(code: int) -> str:
    """How a process ended that left no last word."""
    if code == -signal.SIGKILL:
        return "by SIGKILL (at the second Ctrl-C, by hand, or because memory ran out)"
    if code == -signal.SIGABRT:
        return "by SIGABRT (a library gave up, most often because memory ran out)"
    if code < 0:
        return f"by {signal.Signals(-code).name}"
    return f"without a last word (exit code {code})"


def complain(line: str) -> None:
    """One line on standard error, after what standard output was given."""
    say(line, err=True)
