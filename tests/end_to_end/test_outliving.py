"""Training outlives the dashboard that started it: killed in mid-run, it is watched again and comes to its end."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from flykd_console.profile.load import dump_profile
from flykd_console.runs import events as ev
from flykd_console.runs.find import list_runs
from flykd_console.runs.lock import is_held
from flykd_console.runs.results import read_results
from tests.support.terminal import Terminal
from tests.support.tiny_run import events_of, small_kg, tiny_profile

CONSOLE = [sys.executable, "-m", "flykd_console"]


def wait_for(what: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def test_a_dashboard_killed_in_mid_run_leaves_training_alone_and_watch_comes_back(tmp_path: Path) -> None:
    profile = tmp_path / "tiny.toml"
    profile.write_text(dump_profile(tiny_profile(small_kg(tmp_path), finetune={"epochs": 60, "validate_every": 20})))
    runs = tmp_path / "runs"
    environment = os.environ | {
        "FLYKD_RUNS": str(runs), "FLYKD_CACHE": str(tmp_path / "cache"),
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    }  # fmt: skip
    with Terminal([*CONSOLE, "run", str(profile)], environment) as dashboard:
        wait_for(lambda: bool(list_runs(runs)))
        (run,) = list_runs(runs)
        run.order("pause")  # so that nothing depends on who is quicker
        dashboard.wait_for(b"paused")
        dashboard.kill()
    assert is_held(run)
    assert not any(isinstance(event, ev.RunFinished) for event in events_of(run))

    with Terminal([*CONSOLE, "watch"], environment) as dashboard:
        dashboard.wait_for(b"paused")
        dashboard.press(b"p")
        dashboard.wait_for(b"Finished")
        dashboard.press(b"q")
        assert dashboard.process.wait(20) == 0
    wait_for(lambda: not is_held(run))
    events = events_of(run)
    (finished,) = [event for event in events if isinstance(event, ev.RunFinished)]
    assert finished.outcome == "finished"
    assert len([event for event in events if isinstance(event, ev.RunStarted)]) == 1
    assert set(read_results(run.results).seeds["45"]) == {"teacher", "baseline", "student"}
