"""Jobs on a Ray of this machine with two workers, of which one is killed in the middle of its work."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

from flykd_console.plans.job import make_job
from flykd_console.profile.load import dump_profile
from flykd_console.runs import events as ev
from flykd_console.runs.results import read_results
from tests.support.tiny_run import events_of, small_kg, tiny_profile

ray = pytest.importorskip("ray")


@pytest.mark.timeout(400)
def test_a_worker_that_is_killed_costs_no_job(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flykd_console.plans.ray_engine import carry_out_on_ray

    root = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", root)
    profile = runs.parent / "tiny.toml"
    text = dump_profile(
        tiny_profile(small_kg(runs.parent), finetune={"epochs": 400, "validate_every": 400, "lr": 0.01})
    )
    profile.write_text(text)
    jobs = [make_job(profile, [], label="", seed=seed) for seed in (45, 46, 47)]
    killed: list[int] = []

    def kill_one() -> None:
        """Kill the Ray worker whose run has begun to train."""
        victim = jobs[0].directory
        while not (victim.events.is_file() and b'"kind":"epoch"' in victim.events.read_bytes()):
            time.sleep(0.05)
        (started,) = [event for event in events_of(victim) if isinstance(event, ev.RunStarted)]
        parent = psutil.Process(started.pid).parent()
        assert parent is not None
        assert "ray::" in " ".join(parent.cmdline())
        killed.append(parent.pid)
        os.kill(parent.pid, signal.SIGKILL)

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        thread = threading.Thread(target=kill_one)
        thread.start()
        outcomes = carry_out_on_ray(jobs)
        thread.join(60)
    finally:
        ray.shutdown()
    assert len(killed) == 1
    assert [outcome.state for outcome in outcomes] == ["finished"] * 3
    starts = [sum(isinstance(event, ev.RunStarted) for event in events_of(job.directory)) for job in jobs]
    assert starts == [2, 1, 1]
    for job in jobs:
        assert list(read_results(job.directory.results).seeds) == [str(job.seeds[0])]


def test_finished_jobs_need_no_ray(runs: Path) -> None:
    from flykd_console.plans import ray_engine

    assert ray_engine.carry_out_on_ray([]) == []
