"""What can be wrong with a run, and that the dashboard says it in words."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flykd_console.dashboard.app import DashboardApp
from flykd_console.dashboard.health import Phase
from flykd_console.runs import events as ev
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.lock import is_held
from flykd_console.runs.state.feed import LiveSource, ReplaySource
from tests.dashboard.conftest import AppMaker, app_on, append, settle
from tests.dashboard.test_actions import NORMAL, banner_text, header_text
from tests.support.event_log import START, LogSpec, write_run


async def test_torn_line_and_garbage_are_left_out_and_counted(make_app: AppMaker) -> None:
    app = make_app("running")
    with open(app.directory.events, "ab") as file:
        file.write(b'\x00\xffgarbage\n{"kind":"from.the.future","v":1,"t":1.0}\n{"kind":"epoch","seed":46,"sta')
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        assert app.phase is Phase.RUNNING
        assert "2 lines of the event log could not be read" in banner_text(app)
        assert app.state.stage is not None
        assert app.state.stage.epoch == 120


async def test_newer_schema_is_told(make_app: AppMaker) -> None:
    app = make_app("running")
    with open(app.directory.events, "ab") as file:
        file.write(json.dumps({"v": 99, "t": 1.0, "kind": "epoch"}).encode() + b"\n")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        assert "newer flykd-console" in banner_text(app)
        assert "schema 99" in banner_text(app)


async def test_vanished_run_is_told_and_what_was_read_stays(make_app: AppMaker) -> None:
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        shutil.rmtree(app.directory.path)
        await settle(pilot)
        assert app.phase is Phase.UNREADABLE
        assert "is gone" in banner_text(app)
        assert app.state.stage is not None
        await pilot.press("c")
        await pilot.pause()
        assert app.is_running


async def test_run_without_a_log_yet_waits(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "fresh")
    run.path.mkdir()
    app = app_on(run, alive=True)
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        assert app.phase is Phase.STARTING
        assert "starting" in header_text(app)


async def test_worker_that_died_without_a_last_word(make_app: AppMaker) -> None:
    app = make_app("died")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        assert app.phase is Phase.DIED
        assert "without a last word" in banner_text(app)
        assert f"flykd-console run --resume {app.directory.name}" in banner_text(app)
        assert "worker.log" in banner_text(app)


async def test_worker_that_never_said_a_word_is_quoted_from_its_output(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "fresh")
    run.path.mkdir()
    run.worker_log.write_text("Traceback (most recent call last):\nImportError: no module named dgl\n\n")
    worker = subprocess.Popen([sys.executable, "-c", ""])
    worker.wait()
    app = DashboardApp(run, worker=worker, poll_seconds=None)
    app.source._clock = lambda: time.time() + 2.0  # type: ignore[union-attr]
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        assert app.phase is Phase.DIED
        assert "It printed: “ImportError: no module named dgl”." in banner_text(app)


async def test_silent_log_of_a_living_worker_is_only_quiet(make_app: AppMaker) -> None:
    app = make_app("running")
    app.source._clock = lambda: START + 60.0  # type: ignore[union-attr]
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        assert app.phase is Phase.RUNNING
        assert "No news for 1 m 00 s" in banner_text(app)


async def test_growing_log_from_another_machine_is_alive_without_a_lock(tmp_path: Path) -> None:
    run = write_run(tmp_path, LogSpec(epochs=100, seeds=(45,)))
    app = DashboardApp(run, poll_seconds=None)
    assert not is_held(run)
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        assert app.phase is Phase.RUNNING


async def test_failed_run_names_error_and_traceback(make_app: AppMaker) -> None:
    app = make_app("failed")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        assert "CUDA out of memory" in banner_text(app)
        assert "worker.log" in banner_text(app)


async def test_mistake_of_the_user_closes_the_dashboard_of_the_starter(tmp_path: Path) -> None:
    run = write_run(tmp_path, LogSpec(state="starting"))
    append(run, ev.RunFailed(error="kg.csv: the column x_id is missing"))
    worker = subprocess.Popen([sys.executable, "-c", ""])
    worker.wait()
    app = DashboardApp(run, worker=worker, poll_seconds=None)
    async with app.run_test(size=NORMAL) as pilot:
        app.catch_up()
        await pilot.pause()
    assert app.return_code == 0
    assert app.outcome == "failed"


async def test_resumed_run_goes_on_where_it_was(make_app: AppMaker) -> None:
    app = make_app("stopped")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        started = app.state.started
        assert started is not None
        append(
            app.directory,
            ev.RunStarted(
                run=started.run, name=started.name, method=started.method, seeds=started.seeds, stages=started.stages,
                device="cpu", graph=started.graph, teacher_dim=130, student_dim=80, pid=1, resumed=True,
            ),
            ev.StageStarted(seed=46, stage="student", epochs=200, first_epoch=100, dim=80, parameters=652_000),
        )  # fmt: skip
        await settle(pilot)
        assert app.state.ended is None
        stage = app.state.stage
        assert stage is not None
        assert (stage.epoch, stage.losses["total"].x[-1]) == (100, 100.0)


async def test_names_with_brackets_are_shown_as_they_are(tmp_path: Path) -> None:
    spec = LogSpec(state="finished", epochs=60, seeds=(45,), method="kd[bold]", targets=("treats [x]", "harms"))
    run = write_run(tmp_path, spec)
    append(run, ev.Log(level="error", message="bad [red]value[/red] \x1b[31mhere"))
    app = app_on(run, alive=False)
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        assert "bad [red]value[/red] here" in app.export_screenshot().replace("&#160;", " ")
        assert "kd[bold]: AUPRC" in banner_text(app)
        await pilot.press("r")
        await pilot.pause()
        assert "kd[bold]" in str(app.screen.query_one("#results-summary").render())


async def test_no_color_is_respected(make_app: AppMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = make_app("running")
    async with app.run_test(size=NORMAL) as pilot:
        await settle(pilot)
        assert app.no_color
        fills = {part[:7] for part in app.export_screenshot().split("fill: ")[1:]}
        greys = {fill for fill in fills if fill[1:3] == fill[3:5] == fill[5:7]}
        assert len(greys) >= len(fills) - 2


def test_replay_keeps_the_log_s_own_time_and_skips_silence(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    lines = [ev.Log(t=START + t, level="info", message=str(t)) for t in (0.0, 10.0, 20.0, 100_000.0)]
    run.events.write_bytes(b"".join(map(ev.encode, lines)))
    now = [0.0]
    source = ReplaySource(run.events, 10.0, monotonic=lambda: now[0])

    def read(at: float) -> list[str]:
        now[0] = at
        return [event.message for event in source.read(0.05) if isinstance(event, ev.Log)]

    assert read(0.0) == ["0.0"]
    assert read(0.5) == []
    assert read(1.0) == ["10.0"]
    assert read(2.0) == ["20.0"]
    assert read(3.0) == []
    assert read(6.0) == ["100000.0"]
    assert source.read(0.05) == []
    assert source.over


async def test_replay_holds_and_goes_on_and_gives_no_orders(tmp_path: Path) -> None:
    run = write_run(tmp_path, LogSpec(state="finished", epochs=40, seeds=(45,)))
    app = DashboardApp(run, replay=1e5, poll_seconds=None)
    async with app.run_test(size=NORMAL) as pilot:
        app.poll()
        await pilot.press("p")
        assert isinstance(app.source, ReplaySource)
        assert app.source.paused
        await pilot.press("s")
        assert app.screen is app.main
        assert not run.order_file("pause").exists()


@pytest.mark.parametrize(
    ("state", "phase", "words"),
    [("finished", Phase.FINISHED, "finished"), ("died", Phase.REPLAY, "without a last word")],
)
async def test_a_replay_is_called_so_to_its_end(tmp_path: Path, state: str, phase: Phase, words: str) -> None:
    run = write_run(tmp_path, LogSpec(state=state, epochs=40, seeds=(45,)))
    begun = run.events.read_bytes().splitlines(keepends=True)
    stop = ev.encode(ev.RunFinished(t=START, outcome="stopped", seconds=1.0))
    run.events.write_bytes(b"".join([begun[0], stop, *begun]))
    app = DashboardApp(run, replay=20.0, poll_seconds=None)
    async with app.run_test(size=NORMAL) as pilot:
        app.poll()
        app.draw()
        assert app.phase is Phase.REPLAY
        assert "replay 20x" in header_text(app)
        assert banner_text(app) == ""
        app.source = ReplaySource(run.events, 1e9)
        for _ in range(3):
            app.poll()
        app.draw()
        await pilot.pause()
        assert "end of the replay" in header_text(app)
        assert app.phase is phase
        assert words in header_text(app) + banner_text(app)


HEAVY = ("torch", "dgl", "polars", "pandas", "scipy", "sklearn", "pyarrow", "onnx", "onnxruntime", "plotext")


def test_the_process_never_imports_torch(tmp_path: Path) -> None:
    run = write_run(tmp_path, LogSpec(state="finished", epochs=40, seeds=(45, 46)))
    code = f"""
import asyncio, sys
from pathlib import Path
from flykd_console.dashboard.app import DashboardApp
early = [name for name in {(*HEAVY, "numpy")!r} if name in sys.modules]
assert not early, f"before the first frame: {{early}}"
from flykd_console.dashboard.screenshot import take
from flykd_console.runs.directory import RunDirectory
asyncio.run(take(RunDirectory(Path({str(run.path)!r})), 120, 36, keys=("r", "escape", "x", "question_mark")))
late = [name for name in {HEAVY!r} if name in sys.modules]
assert not late, f"in use: {{late}}"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


async def test_polling_reads_and_draws_by_itself(tmp_path: Path) -> None:
    run = write_run(tmp_path, LogSpec(epochs=100, seeds=(45,)))
    app = DashboardApp(run, poll_seconds=0.01, alive=lambda: True)
    async with app.run_test(size=NORMAL) as pilot:
        deadline = time.monotonic() + 10
        while app.state.stage is None and time.monotonic() < deadline:
            await pilot.pause()
        assert app.state.stage is not None


def test_dashboard_killed_mid_run_leaves_the_run_alone(tmp_path: Path) -> None:
    run = write_run(tmp_path, LogSpec(epochs=100, seeds=(45,)))
    before = sorted(p.name for p in run.path.rglob("*"))
    code = f"""
import asyncio, os, signal
from pathlib import Path
from flykd_console.dashboard.app import DashboardApp
from flykd_console.runs.directory import RunDirectory
async def go():
    app = DashboardApp(RunDirectory(Path({str(run.path)!r})), poll_seconds=None, alive=lambda: True)
    async with app.run_test(size=(120, 36)) as pilot:
        app.catch_up()
        await pilot.pause()
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(go())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, env={**os.environ})
    assert done.returncode == -9
    assert sorted(p.name for p in run.path.rglob("*")) == before


async def test_half_of_a_log_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = app_on(write_run(tmp_path / "run", LogSpec(state="finished")), alive=False)
    async with app.run_test(size=NORMAL) as pilot:
        with monkeypatch.context() as patch:
            patch.setattr(LiveSource, "behind", property(lambda _: 1))
            # As long as something waits to be read the app goes on reading by itself: all is looked at before that.
            patch.setattr(app, "set_timer", lambda *_, **__: None)
            app.poll()
            app._draw_bars()
            await pilot.pause()
            assert app.state.started is not None
            assert "reading its log" in header_text(app)
            assert "finished" not in header_text(app)
            assert not app.phase.obeys
            assert "pause" not in app.labels()
        app.catch_up()
        await pilot.pause()
        assert app.phase is Phase.FINISHED
        assert "reading its log" not in header_text(app)
