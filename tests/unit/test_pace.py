"""The truth about time: rate and ETA follow the present pace, on logs whose pace falls tenfold and recovers."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flykd_console.cli.plain import follow_plain
from flykd_console.dashboard.health import Phase as RunPhase
from flykd_console.dashboard.widgets.bars import header
from flykd_console.runs import events as ev
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.stage import Phase
from flykd_console.runs.state.pace import PresentPace
from flykd_console.runs.state.progress import progress
from flykd_console.runs.state.run import RunState
from flykd_console.words import to_go

EPOCH, EVALUATION, EVERY = 0.05, 0.4, 20
STAGES = [("teacher", 400, 1.5), ("baseline", 400, 0.6), ("student", 600, 1.0)]


@dataclass(frozen=True)
class Change:
    """From a share of all the work on, epochs and evaluations take so many times as long as on a quiet machine."""

    at: float
    times: float


def recorded(seeds: tuple[int, ...], changes: list[Change]) -> Iterator[tuple[ev.AnyEvent, float, float]]:
    """A run's events, with the quiet seconds of work that are left after each, and the present multiple of them.

    An evaluation follows every twentieth epoch; readings of the machine come every second.
    """
    plan = [ev.PlannedStage(seed=seed, stage=name, epochs=n, models=[name]) for seed in seeds for name, n, _ in STAGES]
    work = sum(n * EPOCH * cost + (n // EVERY) * EVALUATION for _, n, cost in STAGES) * len(seeds)
    t, done, read = 1000.0, 0.0, 1000.0

    def times() -> float:
        return next((change.times for change in reversed(changes) if done >= change.at * work), 1.0)

    graph = ev.GraphFacts(source="embedded", nodes=10, edges=10, targets=["indication"])
    yield ev.RunStarted(
        t=t, run="r", name="r", method="flykd", seeds=list(seeds), stages=plan, device="cpu", graph=graph,
        teacher_dim=130, student_dim=80, pid=1,
    ), work, 1.0  # fmt: skip
    for seed, (name, epochs, cost) in itertools.product(seeds, STAGES):
        yield (
            ev.StageStarted(
                t=t, seed=seed, stage=name, epochs=epochs, phase=Phase.FINETUNE, models=[name], dim=8, parameters=8
            ),
            work - done,
            times(),
        )
        for epoch in range(1, epochs + 1):
            seconds = EPOCH * cost * times()
            t, done = t + seconds, done + EPOCH * cost
            yield (
                ev.Epoch(
                    t=t,
                    seed=seed,
                    stage=name,
                    epoch=epoch,
                    epochs=epochs,
                    losses={"total": 1.0},
                    lr=0.1,
                    seconds=seconds,
                ),
                work - done,
                times(),
            )
            if epoch % EVERY == 0:
                t, done = t + EVALUATION * times(), done + EVALUATION
                yield ev.Evaluation(
                    t=t, seed=seed, stage=name, epoch=epoch, split="validation",
                    metrics={"macro_auprc": 0.5}, relations={},
                ), work - done, times()  # fmt: skip
            if t < read:
                continue
            read = t + 1.0
            yield ev.Resources(t=t, cpu=150.0, rss=1, others=100.0 if times() > 1 else 0.0), work - done, times()
        yield (
            ev.StageFinished(t=t, seed=seed, stage=name, epochs=epochs, seconds=1.0, peak_rss=1, reused_from=None),
            work - done,
            times(),
        )


CASES = {
    "falls": ((45,), [Change(0.3, 10.0)]),
    "falls and recovers": ((45,), [Change(0.2, 10.0), Change(0.5, 1.0)]),
    "falls in a stage and recovers in the next": ((45, 46), [Change(0.1, 10.0), Change(0.25, 1.0)]),
    "falls where every kind is known": ((45, 46, 47), [Change(0.55, 10.0), Change(0.8, 1.0)]),
    "slow from the beginning, then at rest": ((45, 46), [Change(0.0, 10.0), Change(0.4, 1.0)]),
    "comes and goes": ((45, 46), [Change(0.5, 10.0), Change(0.55, 1.0), Change(0.7, 10.0), Change(0.75, 1.0)]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_eta_is_right_within_five_seconds_of_every_change(case: str) -> None:
    """What is left is what the remaining work takes at the present pace; before its kinds are known it is rough."""
    seeds, changes = CASES[case]
    state = RunState()
    since, before, asked, worst = 0.0, 1.0, 0, 0.0
    for event, left, times in recorded(seeds, changes):
        state.apply(event)
        assert state.last_t is not None
        if times != before:
            since, before = state.last_t, times
        now = progress(state)
        settled = state.last_t - since > 5.0 and left > 5.0
        if now.remaining is None or now.rough or not settled:
            continue
        asked += 1
        worst = max(worst, abs(now.remaining - left * times) / (left * times))
    assert asked > 200
    assert worst < 0.3


@pytest.mark.parametrize("case", CASES)
def test_the_eta_never_contradicts_the_epochs_that_are_left(case: str) -> None:
    """At the rate on the line the epochs of the stage alone do not take longer than the ETA says."""
    seeds, changes = CASES[case]
    state = RunState()
    for event, _, _ in recorded(seeds, changes):
        state.apply(event)
        stage, remaining, rate = state.stage, progress(state).remaining, state.its_per_second
        opens = stage is not None and state.costs[stage.stage].opens
        if isinstance(event, ev.Epoch) and stage and remaining is not None and rate and not opens:
            assert remaining >= (stage.epochs - stage.epoch) / rate - 1e-6


def test_a_busy_machine_is_told_with_what_it_costs_and_not_where_the_pace_is_usual() -> None:
    state = RunState()
    said: dict[float, set[str]] = {1.0: set(), 10.0: set()}
    since, before = 0.0, 1.0
    for event, _, times in recorded((45, 46), [Change(0.6, 10.0), Change(0.8, 1.0)]):
        state.apply(event)
        assert state.last_t is not None
        if times != before:
            since, before = state.last_t, times
        if state.last_t - since > 5.0:
            said[times].add(state.busy_words)
    assert said[1.0] == {""}
    assert said[10.0]
    assert all(words.startswith("machine busy, ") and words.endswith(" times slower") for words in said[10.0])
    factors = [float(words.split()[2]) for words in said[10.0]]
    assert all(9.0 < factor < 11.0 for factor in factors)


def test_slower_without_other_processes_is_no_busy_machine() -> None:
    state = RunState()
    for event, _, _ in recorded((45,), [Change(0.5, 10.0)]):
        if not isinstance(event, ev.Resources):
            state.apply(event)
        if state.busy_words:
            break
    assert state.busy_words.endswith(" times slower than before")


def test_plain_lines_say_it_with_the_eta(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    directory.events.parent.mkdir(parents=True, exist_ok=True)
    with directory.events.open("wb") as file:
        for event, _, _ in recorded((45,), [Change(0.3, 10.0)]):
            file.write(ev.encode(event))
    stream = io.StringIO()
    follow_plain(directory, stream, until_done=False)
    lines = [line for line in stream.getvalue().splitlines() if "ETA" in line]
    assert any("machine busy, 10" in line for line in lines)
    assert "busy" not in lines[2]


def test_the_dashboards_header_says_it_where_there_is_room() -> None:
    state = RunState()
    for event, _, _ in recorded((45,), [Change(0.3, 10.0)]):
        state.apply(event)
        if state.busy_words and isinstance(event, ev.Epoch) and event.epoch > 350:
            break
    assert "machine busy, 1" in str(header(state, RunPhase.RUNNING, "r", 120))
    assert "busy" not in str(header(state, RunPhase.RUNNING, "r", 40))


def test_what_is_left_is_never_nothing() -> None:
    assert (to_go(0.3), to_go(0.0), to_go(None), to_go(61.0)) == ("1 s", "0 s", "–", "1 m 01 s")


def test_an_epoch_that_does_not_end_counts_as_long_as_it_has_taken() -> None:
    pace = PresentPace()
    for number in range(1, 101):
        pace.add(number * 0.1, 0.1, 1)
    assert pace.seconds_an_epoch(14.0) == pytest.approx(0.1)  # what lasts is the first evaluation
    pace.evaluated(12.0)
    assert pace.seconds_an_epoch(15.9) == pytest.approx(0.1)
    assert pace.seconds_an_epoch(22.0) == pytest.approx(6.0)
    pace.paused(500.0)
    assert pace.seconds_an_epoch(503.0) == pytest.approx(0.1)
    pace.clear()
    pace.add(600.0, 0.1, 1)
    assert pace.seconds_an_epoch(603.9) == pytest.approx(0.1)


def test_the_present_pace_is_that_of_three_seconds() -> None:
    pace = PresentPace()
    for number in range(200):
        pace.add(number * 0.01, 0.01, 1)
    for number in range(3):
        pace.add(2 + number, 1.0, 1)
    assert pace.seconds_an_epoch(None) == pytest.approx(1.0)
    pace.add(10.0, 7.0, 1)
    assert pace.seconds_an_epoch(None) == pytest.approx(7.0)
