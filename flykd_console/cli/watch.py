"""`flykd-console watch`: the dashboard on a running or finished run, in the terminal, in a browser, or replayed."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from flykd_console.errors import UserError

if TYPE_CHECKING:
    from flykd_console.runs.directory import RunDirectory


def command(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Name, beginning of it, or folder; several are laid over each other. Default: the newest.",
            show_default=False,
        ),
    ] = None,
    replay: Annotated[
        str | None, typer.Option(metavar="SPEED", help="Replay a run that is over, such as 20x.", show_default=False)
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Plain lines instead of the dashboard.")] = False,
    json: Annotated[bool, typer.Option("--json", help="The events as JSON lines; implies --plain.")] = False,
    web: Annotated[bool, typer.Option("--web", help="Serve the dashboard to a browser on this machine.")] = False,
    host: Annotated[str, typer.Option(help="Address to serve on.", rich_help_panel="In a browser")] = "localhost",
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port to serve on.", rich_help_panel="In a browser")
    ] = 8000,
    allow_remote: Annotated[
        bool,
        typer.Option(
            "--allow-remote",
            help="Serve to other machines too: whoever reaches the port can stop the run.",
            rich_help_panel="In a browser",
        ),
    ] = False,
) -> None:
    """Open the dashboard on a running or finished run."""
    from flykd_console.runs.find import find_run
    from flykd_console.runs.status import in_training

    speed = parse_speed(replay) if replay is not None else None
    directories = [find_run(run) for run in runs] if runs else [_in_training(find_run(None))]
    directory = directories[0]
    if len(directories) > 1 and (speed is not None or plain or json or (not web and not _can_show())):
        raise UserError("several runs need the dashboard", "watch", "Name one run for plain lines or a replay.")
    if speed is not None and in_training(directory):
        raise UserError("this run is being trained", directory.name, "Only a run that is over can be replayed.")
    if web:
        _serve(directories, host, port, allow_remote, replay)
    elif plain or json or not _can_show():
        if speed is not None and (plain or json):
            raise UserError("a replay is the dashboard's", "--replay", "Leave --plain and --json out.")
        if speed is not None:
            raise UserError("a replay needs a terminal", "--replay", "Open one, or leave --replay out.")
        from flykd_console.cli.plain import follow_plain

        outcome = follow_plain(directory, sys.stdout, json=json)
        if outcome == "died":
            _say_what_is_left(directory)
    else:
        # Until the first frame is on the screen, which comes a sixth sooner so; the dashboard enables it again.
        gc.disable()
        from flykd_console.dashboard.app import DashboardOutcome, run_dashboard

        left = run_dashboard(directory, replay=speed, overlaid=directories if len(directories) > 1 else ())
        directory = _in_training(directory)
        if "TEXTUAL_DRIVER" not in os.environ and left is DashboardOutcome.DETACHED and in_training(directory):
            print("Training goes on.")
            print(f"  come back  flykd-console watch {directory.name}")
            print(f"  stop it    flykd-console runs stop {directory.name}")


def _say_what_is_left(directory: RunDirectory) -> None:
    from flykd_console.cli.console import say
    from flykd_console.runs.batch import has_begun

    what = "ended without a last word" if has_begun(directory) else "has not begun, and nobody trains it"
    say(f"{directory.name} {what}. Go on: flykd-console run --resume {directory.name}", err=True)


def _can_show() -> bool:
    """Whether a dashboard can be drawn: on a terminal, or for a browser, whose pipes the web driver speaks over."""
    if "TEXTUAL_DRIVER" in os.environ:
        return True
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def parse_speed(text: str) -> float:
    """`20x` or `20` as 20.0.

    Raises:
        UserError: It is no number above 0.
    """
    try:
        speed = float(text.lower().removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not 0.0 < speed < 1e6:
        raise UserError(f"{text!r} is no speed", "--replay", "Give how many times faster, such as 20x.")
    return speed


def _in_training(directory: RunDirectory) -> RunDirectory:
    """Of a run's batch the one in training, else the last that has begun; a run of its own as it is."""
    from flykd_console.runs.batch import batch_of, has_begun
    from flykd_console.runs.status import in_training

    batch = batch_of(directory)
    begun = [run for run in batch if has_begun(run)]
    return next((run for run in batch if in_training(run)), begun[-1] if begun else directory)


def _serve(directories: list[RunDirectory], host: str, port: int, allow_remote: bool, replay: str | None) -> None:
    from flykd_console.dashboard.web import DashboardServer, is_loopback

    if not is_loopback(host) and not allow_remote:
        raise UserError(
            f"{host} can be reached from other machines, and whoever reaches it can stop the run",
            "--host",
            "Leave it at localhost, or add --allow-remote.",
        )
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UserError(
                f"cannot serve there ({error.strerror})", f"{host}:{port}", "Give another --port."
            ) from None
    parts = [sys.executable, "-m", "flykd_console", "watch", *(str(directory.path) for directory in directories)]
    parts += ["--replay", replay] if replay is not None else []
    DashboardServer(parts, host, port, f"flykd-console · {directories[0].name}", allow_remote).serve()
