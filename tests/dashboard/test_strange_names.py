"""Names of nodes are drawn without what a terminal would obey."""

from __future__ import annotations

import re
from pathlib import Path

from flykd_console.dashboard.app import DashboardApp
from tests.support.finished_run import RunSpec, make_finished_run

NAME = "x\x1b[2J\x9b2J\u202egpj"


async def test_no_control_character_of_a_name_reaches_the_screen(tmp_path: Path) -> None:
    spec = RunSpec(names=dict.fromkeys((f"T{i:04d}" for i in range(50)), NAME), relations=(f"indication{NAME}",))
    app = DashboardApp(make_finished_run(tmp_path, spec))
    seen = ""
    async with app.run_test(size=(140, 50)) as pilot:
        await pilot.pause(0.5)
        for key in ("d", "a", "enter"):
            await pilot.press(key)
            await pilot.pause(0.5)
            strips = app.screen._compositor.render_strips()
            seen += "".join(segment.text for strip in strips for segment in strip if not segment.control)
    assert "gpj" in seen
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", seen)
