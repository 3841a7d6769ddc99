"""Threads are chosen by epochs' times and free cores on a simulated machine; a resume repeats what was chosen."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from flykd_console.cli.verify import threads_of
from flykd_console.profile.sections import Engine
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import Epoch, Log, Threads
from flykd_console.runs.log import EventFollower, EventWriter
from flykd_console.runs.stage import Phase, Stage
from flykd_console.training.adaptive_threads import (
    AdaptiveThreads,
    Chosen,
    FixedThreads,
    chosen_before,
    training_threads,
)
from flykd_console.training.cpu_use import CpuUse, CpuUseReader
from flykd_console.training.thread_choice import ThreadChoice, free_cores, threads_for
from flykd_console.training.worker import _seconds_before

TEACHER = Stage("teacher", Phase.FINETUNE, ("teacher",))


@dataclass
class Turn:
    """An epoch of the simulated machine: when it ended, its threads, what it took."""

    t: float
    threads: int
    seconds: float


class Simulated:
    """A machine on which an epoch takes `serial` and a share of `parallel` seconds, and far more with a core missing.

    Args:
        competitors: How many busy processes there are at a time.
        blind: The kernel does not tell what others use.
        stall: Seconds that barriers cost where more threads want to run than there are cores.
    """

    def __init__(
        self,
        cores: int,
        competitors: Callable[[float], int],
        blind: bool = False,
        stall: float = 1.6,
        scale: float = 1.0,
    ) -> None:
        self.cores, self.competitors, self.blind, self.stall = cores, competitors, blind, stall
        self.serial, self.parallel = 0.010 * scale, 0.030 * scale
        self.random = random.Random(7)
        self.choice = ThreadChoice(cores)

    def epoch(self, t: float, threads: int) -> float:
        """Seconds of one."""
        crowded = threads + self.competitors(t) > self.cores
        seconds = self.serial + self.parallel / threads
        if crowded:
            seconds = 1.25 * seconds + (self.stall if threads > 1 else 0.0)
        return seconds * self.random.uniform(0.93, 1.07)

    def run(self, until: float) -> list[Turn]:
        """Epochs up to a time."""
        t = mark = busy = own = 0.0
        turns: list[Turn] = []
        while t < until:
            threads, others = self.choice.threads, self.competitors(t)
            seconds = self.epoch(t, threads)
            wanted = threads + others
            busy += min(self.cores, wanted) * seconds
            own += threads * min(1.0, self.cores / wanted) * seconds
            t += seconds
            room = None
            if t - mark >= 1.0:
                room = free_cores(self.cores, busy / (t - mark), own / (t - mark), threads)
                mark, busy, own = t, 0.0, 0.0
            turns.append(Turn(t, threads, seconds))
            if self.choice.after(t, seconds, None if self.blind else room) != threads:
                mark, busy, own = t, 0.0, 0.0
        return turns


def pace(turns: list[Turn], since: float, until: float) -> float:
    """Wall seconds an epoch in a span of time."""
    within = [turn for turn in turns if since <= turn.t < until]
    return (until - since) / len(within)


@pytest.mark.parametrize("blind", [False, True])
@pytest.mark.parametrize("competitors", [1, 2, 8])
@pytest.mark.parametrize("cores", [2, 4, 16])
def test_a_competitor_costs_no_more_than_its_core_and_full_pace_returns(
    cores: int, competitors: int, blind: bool
) -> None:
    turns = Simulated(cores, lambda t: competitors if 20.0 <= t < 60.0 else 0, blind).run(90.0)
    quiet = pace(turns, 5.0, 20.0)
    assert {turn.threads for turn in turns if turn.t < 20.0} == {cores}
    alone = 1.25 * (0.010 + 0.030)  # one thread that shares its core
    best = min(1.25 * (0.010 + 0.030 / max(1, cores - competitors)), alone)
    busy = pace(turns, 30.0, 60.0)
    # Told by the kernel the right number is found; without, at least the stalls are gone.
    assert busy < (1.1 * best if not blind else 1.6 * alone)
    if competitors == 1:
        assert busy < 2.2 * quiet
    assert pace(turns, 70.0 if not blind else 75.0, 90.0) < 1.05 * quiet
    assert turns[-1].threads == cores


def test_on_a_quiet_machine_nothing_is_tried_when_epochs_grow() -> None:
    machine = Simulated(4, lambda t: 0)
    turns = machine.run(20.0)
    machine.serial, machine.parallel = 0.012, 0.040  # another loss joins in
    turns += machine.run(20.0)
    assert {turn.threads for turn in turns} == {4}


def test_epochs_that_have_grown_manifold_by_themselves_keep_their_threads_but_for_trials() -> None:
    machine = Simulated(2, lambda t: 0)
    machine.run(10.0)
    machine.serial, machine.parallel = 0.050, 0.150
    turns = machine.run(60.0)
    assert machine.choice.threads == 2
    # Again and again, and more and more rarely.
    tried = sum(turn.seconds for turn in turns if turn.threads == 1)
    assert 0 < tried < 0.1 * 60.0


def test_a_new_stage_is_compared_with_nothing_before() -> None:
    machine = Simulated(2, lambda t: 0)
    machine.run(10.0)
    machine.choice.new_stage()
    machine.serial, machine.parallel = 0.300, 0.900
    assert {turn.threads for turn in machine.run(20.0)} == {2}


def test_a_stage_that_ends_in_a_trial_leaves_the_threads_of_before() -> None:
    choice = ThreadChoice(2)
    for number in range(12):
        choice.after(0.1 * number, 0.1, room=1.0)
        if choice.trying:
            break
    assert choice.trying
    assert choice.threads == 1
    choice.new_stage()
    assert choice.threads == 2
    assert not choice.trying


@pytest.mark.parametrize(
    ("cores", "busy", "own", "threads", "free"),
    [
        (2, 2.0, 2.0, 2, 2.0),
        (2, 2.0, 4.0 / 3.0, 2, 1.0),  # three want two cores: each has two thirds of one
        (16, 16.0, 32.0 / 3.0, 16, 8.0),
        (2, 1.3, 0.8, 1, 1.5),
        (2, 0.2, 0.4, 1, 2.0),  # the two clocks disagree a little
    ],
)
def test_free_cores_are_what_others_would_leave(cores: int, busy: float, own: float, threads: int, free: float) -> None:
    assert free_cores(cores, busy, own, threads) == pytest.approx(free)


@pytest.mark.parametrize(("room", "most", "threads"), [(2.0, 2, 2), (1.6, 2, 1), (1.7, 2, 2), (0.1, 2, 1), (8.0, 4, 4)])
def test_a_thread_wants_most_of_a_core(room: float, most: int, threads: int) -> None:
    assert threads_for(room, most) == threads


# What the process does with it.


class Told(CpuUseReader):
    """Says what it is told to."""

    def __init__(self, busy: float = 0.0, own: float = 0.0) -> None:
        self.cores, self.use = 2, CpuUse(busy, own)

    def restart(self) -> None:
        pass

    @property
    def elapsed(self) -> float:
        return 2.0

    def read(self) -> CpuUse:
        return self.use


@pytest.fixture(autouse=True)
def _threads() -> object:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def adaptive(path: Path, recorded: dict[tuple[int, str], Chosen], reader: CpuUseReader) -> AdaptiveThreads:
    return AdaptiveThreads(2, EventWriter(path), recorded, reader)


def events_in(path: Path) -> list[object]:
    return list(EventFollower(path).read(seconds=5.0))


def test_a_change_is_applied_recorded_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "events.jsonl"
    clock = [0.0]
    monkeypatch.setattr("flykd_console.training.adaptive_threads.time.perf_counter", lambda: clock[0])
    reader = Told()
    threads = adaptive(log, {}, reader)
    threads.begin_stage(45, TEACHER, 0)
    assert torch.get_num_threads() == 2
    done = 0

    def epochs(count: int, seconds: dict[int, float]) -> None:
        nonlocal done
        for _ in range(count):
            threads.begin_epoch()
            clock[0] += seconds[torch.get_num_threads()]
            done += 1
            threads.end_epoch(done)

    epochs(20, {2: 0.02})
    reader.use = CpuUse(2.0, 4.0 / 3.0)
    epochs(20, {2: 1.6, 1: 0.05})
    assert torch.get_num_threads() == 1
    reader.use = CpuUse(1.0, 1.0)
    epochs(20, {2: 0.02, 1: 0.04})
    assert torch.get_num_threads() == 2
    written = events_in(log)
    changes = [(event.epoch, event.threads) for event in written if isinstance(event, Threads)]
    assert [count for _, count in changes] == [2, 1, 2]
    assert [epoch for epoch, _ in changes] == sorted({epoch for epoch, _ in changes})
    said = [event.message for event in written if isinstance(event, Log)]
    assert said[0].startswith(
        "Seed 45: teacher: 1 thread instead of 2, since the machine is busy: an epoch takes 50 ms"
    )
    assert said[1].startswith("Seed 45: teacher: 2 threads instead of 1, since cores are free again")
    assert len(said) == 2


def test_a_busy_machine_is_known_before_the_first_epoch(tmp_path: Path) -> None:
    threads = adaptive(tmp_path / "events.jsonl", {}, Told(busy=1.9, own=0.9))
    threads.begin_stage(45, TEACHER, 0)
    assert torch.get_num_threads() == 1


def test_a_resume_repeats_the_threads_of_every_epoch_that_was_trained_before(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    writer = EventWriter(log)

    def epoch(number: int) -> Epoch:
        return Epoch(seed=45, stage="teacher", epoch=number, epochs=50, losses={"total": 1.0}, lr=0.1, seconds=0.1)

    for event in (
        Threads(seed=45, stage="teacher", epoch=0, threads=2),
        epoch(3),
        Threads(seed=45, stage="teacher", epoch=3, threads=1),
        epoch(7),
        Threads(seed=45, stage="teacher", epoch=7, threads=2),
        epoch(9),
    ):
        writer.write(event)
    recorded = chosen_before(EventFollower(log).read(seconds=5.0))
    again = tmp_path / "again.jsonl"
    # It is busy now, and all the same the epochs up to the ninth are repeated as they were.
    threads = adaptive(again, recorded, Told(busy=2.0, own=1.0))
    threads.begin_stage(45, TEACHER, 2)
    had = {}
    for done in range(3, 10):
        had[done] = torch.get_num_threads()
        threads.begin_epoch()
        threads.end_epoch(done)
    assert had == {3: 2, 4: 1, 5: 1, 6: 1, 7: 1, 8: 2, 9: 2}
    said = [event.message for event in events_in(again) if isinstance(event, Log)]
    assert said == ["Seed 45: teacher: threads as before up to epoch 9, which was trained once"]
    # A stage that was not trained before is chosen anew.
    threads.begin_stage(46, TEACHER, 0)
    assert isinstance(events_in(again)[-1], Threads)


@pytest.mark.parametrize(
    ("engine", "device", "most"),
    [({"threads": 2}, "cpu", 2), ({}, "cuda", 2), ({}, "cpu", 1)],
)
def test_threads_that_were_asked_for_a_gpu_and_one_core_are_left_alone(
    tmp_path: Path, engine: dict[str, int], device: str, most: int
) -> None:
    torch.set_num_threads(most)
    log = tmp_path / "events.jsonl"
    writer = EventWriter(log)
    threads = training_threads(Engine(**engine), torch.device(device), writer, EventFollower(log))
    assert type(threads) is FixedThreads
    threads.begin_stage(45, TEACHER, 0)
    threads.begin_epoch()
    threads.end_epoch(1)
    assert torch.get_num_threads() == most
    assert events_in(log) == []


def test_the_use_of_the_cores_is_read_from_the_kernels_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"wall": 100.0, "own": 10.0}
    monkeypatch.setattr("flykd_console.training.cpu_use.time.monotonic", lambda: clock["wall"])
    monkeypatch.setattr("flykd_console.training.cpu_use.time.process_time", lambda: clock["own"])
    monkeypatch.setattr("flykd_console.training.cpu_use.os.sched_getaffinity", lambda pid: {0, 3})
    monkeypatch.setattr("flykd_console.training.cpu_use.os.sysconf", lambda name: 100)
    stat = tmp_path / "stat"
    stat.write_text("cpu 9 9 9 9\ncpu0 100 0 0 500 10 0 0 0 0 0\ncpu1 7 7 7 7 7 7 7 7\ncpu3 0 0 0 600 0 0 0 0 0 0\n")
    reader = CpuUseReader(stat)
    assert reader.cores == 2
    clock |= {"wall": 102.0, "own": 11.0}
    # A second and a half of the first core, a half of it stolen by the host; half a second of the last one.
    stat.write_text(
        "cpu 9 9 9 9\ncpu0 190 10 0 550 10 0 0 50 0 0\ncpu1 9 9 9 9 9 9 9 9\ncpu3 30 0 20 750 0 0 0 0 0 0\n"
    )
    assert reader.elapsed == 2.0
    assert reader.read() == CpuUse(busy=1.0, own=0.5)
    stat.write_text("nothing of the kind\n")
    assert reader.read() is None
    assert CpuUseReader(tmp_path / "absent").read() is None


def test_training_a_seed_again_to_verify_it_repeats_its_threads(tmp_path: Path) -> None:
    directory, again = RunDirectory(tmp_path), tmp_path / "again.jsonl"
    writer = EventWriter(directory.events)
    for seed in (45, 46):
        writer.write(Log(level="info", message="begins", seed=seed))
        writer.write(Threads(seed=seed, stage="teacher", epoch=0, threads=seed - 44))
        losses: dict[str, float | None] = {"total": 1.0}
        writer.write(Epoch(seed=seed, stage="teacher", epoch=9, epochs=50, losses=losses, lr=0.1, seconds=0.1))
    again.write_bytes(threads_of(directory, 46))
    recorded = chosen_before(EventFollower(again).read(seconds=5.0))
    assert recorded == {(46, "teacher"): Chosen({0: 2}, furthest=9)}
    # Lines of no start of a run are no time that was spent.
    again.rename(directory.events)
    assert _seconds_before(directory) == 0.0
