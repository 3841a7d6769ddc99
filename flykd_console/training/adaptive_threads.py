"""The threads of a training process, epoch by epoch: chosen, applied, told in the log, and repeated by a resume.

`engine.threads = N`, a GPU and a single core leave the number alone. Otherwise results are the same up to the order in
which float32 sums are added: the products of other numbers of threads are cut up differently.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch

from flykd_console.profile.sections import Engine
from flykd_console.runs.events import AnyEvent, Epoch, Log, Threads
from flykd_console.runs.log import EventFollower, EventWriter
from flykd_console.runs.stage import Stage
from flykd_console.training.cpu_use import CpuUseReader
from flykd_console.training.thread_choice import ThreadChoice, free_cores, threads_for

# The kernel counts a core's use in hundredths of a second; over so many it is told well.
_READING = 1.0


@dataclass
class Chosen:
    """What an earlier start of the run chose for one stage.

    Attributes:
        changes: By epoch, counted from 1, the threads of the epochs after it; 0: of the first one.
        furthest: The last epoch that was told.
    """

    changes: dict[int, int] = field(default_factory=dict)
    furthest: int = 0

    def threads(self, epoch: int) -> int | None:
        """Of the epoch after `epoch`; None where nothing was recorded for it."""
        behind = [change for change in self.changes if change <= epoch]
        return self.changes[max(behind)] if behind and epoch < self.furthest else None


def chosen_before(events: Iterable[AnyEvent]) -> dict[tuple[int, str], Chosen]:
    """The choices in a run's log, by seed and stage."""
    found: dict[tuple[int, str], Chosen] = {}
    for event in events:
        if isinstance(event, Threads):
            found.setdefault((event.seed, event.stage), Chosen()).changes[event.epoch] = event.threads
        elif isinstance(event, Epoch) and (event.seed, event.stage) in found:
            chosen = found[event.seed, event.stage]
            chosen.furthest = max(chosen.furthest, event.epoch)
    return found


class FixedThreads:
    """As many threads throughout as there are."""

    def begin_stage(self, seed: int, stage: Stage, done: int) -> None:
        """A stage begins, or goes on after `done` epochs."""

    def begin_epoch(self) -> None:
        """The next epoch begins."""

    def end_epoch(self, done: int) -> None:
        """An epoch, counted from 1, has ended."""


class AdaptiveThreads(FixedThreads):
    """Gives epochs as many threads as the machine has to spare.

    Args:
        most: Threads on a machine at rest.
        recorded: What earlier starts of the run chose, which is repeated.
        reader: Tells the use of the cores.
    """

    def __init__(
        self, most: int, events: EventWriter, recorded: dict[tuple[int, str], Chosen], reader: CpuUseReader
    ) -> None:
        self._events, self._recorded, self._reader = events, recorded, reader
        self._choice = ThreadChoice(most)
        self._place: tuple[int, Stage] | None = None
        self._chosen = Chosen()
        self._began = 0.0

    def begin_stage(self, seed: int, stage: Stage, done: int) -> None:
        if self._place is None:
            self._start()
        self._place = (seed, stage)
        self._chosen = self._recorded.pop((seed, stage.name), Chosen())
        self._choice.new_stage()
        repeated = self._chosen.threads(done)
        if repeated is not None:
            self._choice = ThreadChoice(self._choice.most, repeated)
            if len(set(self._chosen.changes.values())) > 1:
                self._log(f"threads as before up to epoch {self._chosen.furthest:,}, which was trained once")
        self._apply(done)

    def _start(self) -> None:
        """Begin with as many threads as had a core while the graph was read."""
        room = self._room()
        if room is not None:
            self._choice = ThreadChoice(self._choice.most, threads_for(room, self._choice.most))

    def begin_epoch(self) -> None:
        self._began = time.perf_counter()

    def end_epoch(self, done: int) -> None:
        seconds = time.perf_counter() - self._began
        if done < self._chosen.furthest:
            self._repeat(done)
            return
        threads, was_trying = self._choice.threads, self._choice.trying
        room = self._room()
        if self._choice.after(time.perf_counter(), seconds, room) != threads:
            self._apply(done)
        if was_trying and not self._choice.trying:
            self._tell(room)

    def _repeat(self, done: int) -> None:
        """The next epoch was trained before: with as many threads as then."""
        threads = self._chosen.threads(done)
        if threads is not None and threads != self._choice.threads:
            self._choice = ThreadChoice(self._choice.most, threads)
            self._apply(done)

    def _room(self) -> float | None:
        """Cores that others leave, once a second; None in between, and where the kernel does not tell."""
        if self._reader.elapsed < _READING:
            return None
        use = self._reader.read()
        if use is None:
            return None
        return free_cores(self._reader.cores, use.busy, use.own, self._choice.threads)

    def _apply(self, done: int) -> None:
        assert self._place is not None
        seed, stage = self._place
        torch.set_num_threads(self._choice.threads)
        self._reader.restart()
        self._events.write(Threads(seed=seed, stage=stage.name, epoch=done, threads=self._choice.threads))

    def _tell(self, room: float | None) -> None:
        """Say what a trial has come to, where something changed for it."""
        choice = self._choice
        if choice.threads == choice.tried_from:
            return
        count = f"{choice.threads} thread{'s' if choice.threads > 1 else ''} instead of {choice.tried_from}"
        because = "the machine is busy" if choice.threads < choice.tried_from else "cores are free again"
        times = f"an epoch takes {1e3 * choice.now:.0f} ms instead of {1e3 * choice.before:.0f}"
        self._log(f"{count}, since {because}: {times}")

    def _log(self, message: str) -> None:
        assert self._place is not None
        seed, stage = self._place
        said = f"Seed {seed}: {stage}: {message}"
        self._events.write(Log(level="info", message=said, seed=seed, stage=stage.name))


def chooses_threads(engine: Engine, device: torch.device) -> bool:
    """Whether a run's threads are chosen as it goes, now that torch has those to begin with."""
    return not engine.threads and device.type == "cpu" and torch.get_num_threads() > 1


def training_threads(engine: Engine, device: torch.device, events: EventWriter, log: EventFollower) -> FixedThreads:
    """What sets the threads of a run's epochs; `log`: the run's, where an earlier start may have left its choices."""
    if not chooses_threads(engine, device):
        return FixedThreads()
    return AdaptiveThreads(torch.get_num_threads(), events, chosen_before(_all(log)), CpuUseReader())


def _all(log: EventFollower) -> Iterable[AnyEvent]:
    while events := log.read(seconds=1.0):
        yield from events
