"""Runs `flykd-console export` in a process of its own and shows its checks as they pass."""

from __future__ import annotations

import asyncio
import re
import sys
from typing import ClassVar

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import RichLog, Static

from flykd_console.runs.directory import RunDirectory

_CHECK = re.compile(r"^\s*([√✓✔✗✘×])\s+(\S.*?)\s{2,}(.*)$")


def check_line(line: str) -> RenderableType:
    """A line of the export: a check with its sign in colour, what it found wrapped below itself; others as they are."""
    found = _CHECK.match(line)
    if found is None:
        return Text(line)
    passed = found[1] in "√✓✔"
    table = Table.grid(padding=(0, 1))
    table.add_column(width=1)
    table.add_column(min_width=14, no_wrap=True)
    table.add_column()
    style = "bold green" if passed else "bold red"
    table.add_row(Text("✔" if passed else "✘", style=style), Text(found[2], style="bold"), Text(found[3]))
    return table


class ExportScreen(ModalScreen[bool]):
    """Output of the export, line by line; dismissed with whether it was written.

    Args:
        directory: The finished run.
        command: What to run; for tests.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "close", "Close", show=False)]

    def __init__(self, directory: RunDirectory, command: list[str] | None = None) -> None:
        super().__init__()
        self._command = command or [sys.executable, "-m", "flykd_console", "export", str(directory.path)]
        self.code: int | None = None

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", id="export"):
            yield RichLog(id="export-log", wrap=True, markup=False, highlight=False)
            yield Static("Writing and verifying the bundle…", id="export-state")

    def on_mount(self) -> None:
        box = self.query_one("#export")
        box.border_title, box.border_subtitle = "EXPORT", "esc closes"
        self.run_export()

    @work
    async def run_export(self) -> None:
        """Run the command and follow what it prints."""
        log, state = self.query_one(RichLog), self.query_one("#export-state", Static)
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
        except OSError as error:
            state.update(f"[$error]✘ The export could not be started: {error.strerror}[/]")
            self.code = 1
            return
        assert process.stdout is not None
        async for line in process.stdout:
            # Without a width of its own a line is wrapped as for a terminal of eighty columns.
            width = max(20, log.scrollable_content_region.width)
            log.write(check_line(line.decode(errors="replace").rstrip()), width=width, shrink=False)
        self.code = await process.wait()
        if self.code == 0:
            state.update("[bold $success]✔ Exported and verified[/]")
        else:
            state.update(f"[bold $error]✘ Not exported[/] (exit code {self.code}); nothing was left half-written")

    def action_close(self) -> None:
        self.dismiss(self.code == 0)
