"""`python -m flykd_console.dashboard.screenshot RUN OUT.svg --size 120x36`: the dashboard of a run as a picture.

The README's picture is made with it. RUN is a run's folder, its name or a beginning of it; `--theme light`,
`--keys p,tab,...` presses keys first, `--alive` shows an unfinished run as one that is being trained.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

from flykd_console.dashboard.app import DashboardApp
from flykd_console.dashboard.palette import DARK, LIGHT
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.find import find_run


async def take(
    directory: RunDirectory,
    width: int,
    height: int,
    *,
    light: bool = False,
    keys: tuple[str, ...] = (),
    alive: bool | None = None,
) -> str:
    """The dashboard as SVG, at a size in cells, after pressing keys."""
    written = directory.events.stat().st_mtime if alive else None
    app = DashboardApp(
        directory, poll_seconds=None, theme=LIGHT if light else DARK,
        alive=None if alive is None else lambda: bool(alive), clock=time.time if written is None else lambda: written,
    )  # fmt: skip
    async with app.run_test(size=(width, height)) as pilot:
        app.catch_up()
        await pilot.pause()
        app.draw()
        await pilot.pause()
        for key in keys:
            await pilot.press(key)
            # What a screen reads in the background belongs into the picture.
            await app.workers.wait_for_complete()
            await pilot.pause()
        return app.export_screenshot(title=f"flykd-console · {directory.name}")


def main() -> None:
    """Read the arguments, take the picture, write it."""
    parser = argparse.ArgumentParser(prog="python -m flykd_console.dashboard.screenshot", description=__doc__)
    parser.add_argument("run")
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", default="120x36")
    parser.add_argument("--theme", choices=("dark", "light"), default="dark")
    parser.add_argument("--keys", default="")
    parser.add_argument("--alive", action="store_true")
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    keys = tuple(key for key in arguments.keys.split(",") if key)
    svg = asyncio.run(
        take(
            find_run(arguments.run),
            width,
            height,
            light=arguments.theme == "light",
            keys=keys,
            alive=arguments.alive or None,
        )
    )
    arguments.out.write_text(svg)


if __name__ == "__main__":
    main()
