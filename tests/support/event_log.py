"""Writes run directories with realistic event logs of any size and state, without training anything.

Losses fall and jitter, validation AUPRC climbs to about the paper's values, the curriculum switches as in the paper,
times advance by a plausible cost of each epoch. Everything follows from `seeds`; the clock begins at `START`. Models
and stages are those that a profile of the same settings gives.
"""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flykd_console.profile.distill import Curriculum
from flykd_console.profile.load import validate
from flykd_console.profile.models import entries_of, models_of, planned_stages
from flykd_console.profile.schema import Profile
from flykd_console.runs import events as ev
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.models import Role
from flykd_console.runs.stage import Phase

START = 1_790_000_000.0
SOURCES = ("original", "pseudo_train", "pseudo_random")
STRUCTURE = ("lsp", "hidden", "anchor_rank", "anchor_distribution")
# As `distill.method.loss_words_of` gives them, which would bring torch into every test of a screen.
LOSS_WORDS = {
    "original": ("original", "orig"), "pseudo_train": ("pseudo on train", "train"),
    "pseudo_random": ("pseudo on random", "rand"), "lsp": ("LSP", "lsp"), "hidden": ("hidden layers", "hid"),
    "anchor_rank": ("anchor rank", "arank"), "anchor_distribution": ("anchor distribution", "adist"),
}  # fmt: skip
_FINAL = {  # macro AUPRC of the paper's seeds; other seeds repeat them
    "teacher": (0.8033, 0.7366, 0.7629, 0.8419, 0.7991),
    "baseline": (0.7864, 0.7197, 0.7444, 0.8274, 0.7787),
    "student": (0.7993, 0.7322, 0.7541, 0.8367, 0.7948),
}
_SECONDS = {"pretrain-teacher": 0.05, "pretrain-student": 0.04, "teacher": 0.055, "baseline": 0.018, "student": 0.025}
_SECONDS_OF_OTHERS = 0.02
_PRETRAIN_STEPS = 24
_MRR_OF_AUPRC = 0.4
_AP_OF_AUPRC = 0.3
# AUPRC and AP, test and validation alike.
_HEURISTICS = {
    "neighbours": (0.78, 0.45),
    "popularity": (0.5, 0.15),
    "random": (0.5, 0.03),
    "disease_popularity": (0.55, 0.006),
    "shared_neighbours": (0.51, 0.012),
}
_STRUCTURE_WEIGHTS = {
    "lsp": {"weight": 500.0}, "hidden": {"weight": 0.5}, "anchor": {"rank_weight": 0.3, "distribution_weight": 0.2},
}  # fmt: skip


@dataclass(frozen=True)
class LogSpec:
    """What the log tells.

    Attributes:
        state: running, paused, finished, failed (an error), user-error, stopped, died (no last word), starting (only
            `run.started`), reading (and log lines).
        stop_at: (seed index, stage, epoch) where an unfinished log ends; by default in the second seed's student.
        structure: The student is also trained on the four structure losses.
        reuse: Stages that are reused instead of trained, for every seed.
        headline: The metric that comes first.
        chosen: The profile's `run.models`; empty: all of them.
        models: Its tables `[models.NAME]`, by name.
        distill: Keys of its `[distill]`.
        heuristics: Scorers without training that are measured at the beginning of each seed.
    """

    name: str = "flykd"
    seeds: tuple[int, ...] = (45, 46, 47, 48, 49)
    epochs: int = 2_000
    validate_every: int = 20
    log_every: int = 1
    state: str = "running"
    stop_at: tuple[int, str, int] | None = None
    gpu: bool = False
    structure: bool = False
    device: str = "cpu"
    device_name: str = ""
    method: str = "flykd"
    targets: tuple[str, ...] = ("contraindication", "indication")
    reuse: tuple[str, ...] = ()
    reused_from: str = "flykd-20260919-100000"
    not_finite: tuple[int, ...] = ()
    pretrain: bool = True
    start: float = START
    pid: int = 999_999
    extra_log: tuple[tuple[str, str], ...] = field(default=())
    headline: str = ev.MACRO_AUPRC
    chosen: tuple[str, ...] = ()
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    distill: dict[str, Any] = field(default_factory=dict)
    heuristics: tuple[str, ...] = ()

    @property
    def profile(self) -> Profile:
        """The profile of such a run."""
        distill: dict[str, Any] = {"method": self.method, "epochs": self.epochs}
        if self.structure:
            distill |= _STRUCTURE_WEIGHTS
        evaluation: dict[str, Any] = {"headline": self.headline}
        if self.heuristics:
            evaluation["heuristics"] = list(self.heuristics)
        data = {
            "run": {"name": self.name, "seeds": list(self.seeds), "models": list(self.chosen)},
            "graph": {"targets": list(self.targets)},
            "pretrain": {"epochs": 1 if self.pretrain else 0},
            "finetune": {"epochs": self.epochs, "validate_every": self.validate_every},
            "distill": distill | self.distill,
            "evaluation": evaluation,
            "models": self.models,
        }
        return validate(data, "profile.toml")


# Four students, of which one is a candidate, beside the teacher and the baseline.
FOUR_STUDENTS: dict[str, dict[str, Any]] = {
    "tiny": {"dim": 16, "role": "candidate"},
    "labels-only": {"distill": {"sources": ["original"]}},
    "deep": {"layers": 3, "kind": "rgat"},
}


def events(spec: LogSpec) -> Iterator[ev.AnyEvent]:
    """The records of the log, in order."""
    writer = _Writer(spec)
    yield from writer.run()


def write_run(root: Path, spec: LogSpec | None = None, folder: str | None = None) -> RunDirectory:
    """Make `<root>/<folder>` with profile, event log, control folder and worker log.

    Returns:
        The run directory. Its lock is free: tell the dashboard itself whether a worker is alive.
    """
    spec = spec or LogSpec()
    run = RunDirectory((root / (folder or f"{spec.name}-20260921-131320")).absolute())
    (run.path / "control").mkdir(parents=True)
    run.profile.write_text(f'[run]\nname = "{spec.name}"\nseeds = {list(spec.seeds)}\n')
    with open(run.events, "wb") as file:
        file.writelines(map(ev.encode, events(spec)))
    if spec.state == "paused":
        run.order("pause")
    run.worker_log.write_text("RuntimeError: the loss is not finite\n" if spec.state == "failed" else "")
    if spec.state == "finished":
        run.results.write_text(json.dumps({"schema": 1, "run": run.name, "method": spec.method, "seeds": {}}))
    return run


class _Writer:
    def __init__(self, spec: LogSpec) -> None:
        self.spec = spec
        self.t = spec.start
        self.next_sample = spec.start + 1.0
        self.random = random.Random(7)
        profile = self.profile = spec.profile
        self.models = {found.name: found.entry for found in models_of(profile)}
        heuristics = [entry for entry in entries_of(profile) if entry.role is Role.HEURISTIC]
        self.listed = [*self.models.values(), *(heuristics if spec.heuristics else [])]
        first = min(1, profile.pretrain.epochs)
        self.plan = planned_stages(profile, dict.fromkeys(spec.seeds, first))
        self.prepared = planned_stages(profile, dict.fromkeys(spec.seeds, first * _PRETRAIN_STEPS))
        last = models_of(profile)[-1].name
        about = "student" if "student" in self.models else last
        default = (min(1, len(spec.seeds) - 1), about, round(0.6 * spec.epochs))
        self.stop = None if spec.state == "finished" else (spec.stop_at or default)

    def run(self) -> Iterator[ev.AnyEvent]:
        spec = self.spec
        yield ev.RunStarted(
            t=self.t, run=f"{spec.name}-20260921-131320", name=spec.name, method=spec.method, seeds=list(spec.seeds),
            stages=self.plan, device=spec.device, device_name=spec.device_name, teacher_dim=130, student_dim=80,
            models=self.listed, headline=spec.headline, pid=spec.pid,
            graph=ev.GraphFacts(source="embedded", targets=list(spec.targets)),
        )  # fmt: skip
        if spec.state == "starting":
            return
        yield self.log("Reading the graph")
        self.t += 0.4
        yield ev.RunPrepared(
            t=self.t, stages=self.prepared, device=spec.device, device_name=spec.device_name,
            seconds=self.t - spec.start,
            graph=ev.GraphFacts(
                source="embedded", fingerprint="9f8c", nodes=2_414, edges=42_108, targets=list(spec.targets)
            ),
        )  # fmt: skip
        yield self.log("Split complex_disease: 29 of 412 diseases are held out for the test")
        self.t += 0.3
        if spec.state == "reading":
            return
        for seed_index, seed in enumerate(spec.seeds):
            for name in spec.heuristics:
                yield from self.heuristic(seed_index, seed, name)
            for plan in self.prepared:
                if plan.seed != seed:
                    continue
                ended = yield from self.stage(seed_index, plan)
                if ended:
                    yield from self.last_word()
                    return
        yield ev.RunFinished(t=self.t, outcome="finished", seconds=self.t - spec.start)

    def last_word(self) -> Iterator[ev.AnyEvent]:
        state = self.spec.state
        for level, message in self.spec.extra_log:
            yield ev.Log(t=self.t, level=level, message=message)
        if state == "paused":
            yield ev.Control(t=self.t, action="pause", state="paused")
        elif state == "stopped":
            yield ev.Control(t=self.t, action="stop", state="stopping")
            yield ev.RunFinished(t=self.t, outcome="stopped", seconds=self.t - self.spec.start)
        elif state == "failed":
            trace = 'Traceback (most recent call last):\n  File "distill.py", line 88\nRuntimeError: CUDA out of memory'
            yield ev.RunFailed(t=self.t, error="RuntimeError: CUDA out of memory, 2.0 GiB wanted", traceback=trace)
        elif state == "user-error":
            yield ev.RunFailed(t=self.t, error="kg.csv: the column x_id is missing. Give a file in PrimeKG's form.")

    def log(self, message: str, level: str = "info") -> ev.Log:
        return ev.Log(t=self.t, level=level, message=message)

    def stage_started(self, plan: ev.PlannedStage) -> ev.StageStarted:
        """The record of a stage's beginning."""
        model = self.models[plan.models[0]]
        dim = model.dim or 0
        distils = plan.phase is Phase.DISTILL
        return ev.StageStarted(
            t=self.t, seed=plan.seed, stage=plan.stage, phase=plan.phase, models=plan.models, epochs=plan.epochs,
            dim=dim, layers=model.layers, layer_kind=model.layer_kind,
            parameters=1_709_500 if dim == 130 else 8_150 * dim,
            schedule=_schedule(self.sources(plan.stage), plan.epochs) if distils else None,
            loss_words={name: LOSS_WORDS[name] for name in self.losses(plan.stage)} if distils else {},
        )  # fmt: skip

    def sources(self, stage: str) -> list[str]:
        """What a distilling stage learns from."""
        own = self.profile.models.get(stage)
        return list(own.distill.sources if own is not None else self.profile.distill.sources)

    def losses(self, stage: str) -> list[str]:
        """The losses of a distilling stage, their total left out."""
        structure = STRUCTURE if self.spec.structure else ()
        return [*self.sources(stage), *structure]

    def stage(self, seed_index: int, plan: ev.PlannedStage) -> Generator[ev.AnyEvent, None, bool]:
        """The records of one stage; returns whether the log ends inside it."""
        spec, seed, stage, epochs = self.spec, plan.seed, plan.stage, plan.epochs
        pretraining = plan.phase is Phase.PRETRAIN
        ends_here = self.stop is not None and (seed_index, stage) == self.stop[:2]
        last = min(epochs, self.stop[2]) if ends_here and self.stop else epochs
        began = self.t
        yield self.stage_started(plan)
        if stage in spec.reuse:
            if not pretraining:
                yield self.evaluation(seed_index, seed, stage, spec.epochs, "test")
            yield ev.StageFinished(
                t=self.t, seed=seed, stage=stage, epochs=epochs, seconds=41.0, reused_from=spec.reused_from
            )
            return False
        for epoch in range(1, last + 1):
            seconds = _SECONDS.get(stage, _SECONDS_OF_OTHERS) * self.random.uniform(0.9, 1.15)
            self.t += seconds
            if epoch % spec.log_every == 0 or epoch == last:
                yield self.epoch(seed_index, plan, epoch, seconds)
            if self.t >= self.next_sample:
                self.next_sample = self.t + 1.0
                yield self.sample()
            if not pretraining and epoch % spec.validate_every == 0:
                self.t += 0.01
                yield self.evaluation(seed_index, seed, stage, epoch, "validation")
            if not pretraining and epoch % 200 == 0 and epoch < last:
                yield ev.Checkpoint(t=self.t, seed=seed, stage=stage, epoch=epoch, file=f"seed-{seed}/{stage}.state")
        if ends_here:
            return True
        if not pretraining:
            self.t += 0.05
            yield self.evaluation(seed_index, seed, stage, epochs, "test")
        yield ev.StageFinished(
            t=self.t, seed=seed, stage=stage, epochs=epochs, seconds=self.t - began, peak_rss=1_230_000_000
        )
        return False

    def epoch(self, seed_index: int, plan: ev.PlannedStage, epoch: int, seconds: float) -> ev.Epoch:
        x = epoch / plan.epochs
        original = 0.21 + 0.48 * math.exp(-6 * x) + 0.01 * seed_index + self.random.gauss(0.0, 0.006)
        losses: dict[str, float | None] = {"original": original, "total": original}
        weights: dict[str, float] | None = None
        if plan.phase is Phase.DISTILL:
            weights = _weights(self.sources(plan.stage), x)
            parts = {
                "original": original + 0.10 * min(1.0, max(0.0, (x - 0.3) * 3)),
                "pseudo_train": 0.40 + 0.28 * math.exp(-4 * x) + self.random.gauss(0.0, 0.005),
                "pseudo_random": 0.49 + 0.2 * math.exp(-3 * x) + self.random.gauss(0.0, 0.003),
            }
            losses = {name: parts[name] for name in weights}
            total = sum(weights[name] * parts[name] for name in weights)
            if self.spec.structure:
                for i, name in enumerate(STRUCTURE):
                    losses[name] = (0.1 + 0.03 * i) * math.exp(-2 * x) + self.random.gauss(0.0, 0.001)
            losses["total"] = total
        if epoch in self.spec.not_finite:
            losses = dict.fromkeys(losses)
        lr = 5e-4 * 0.8 ** max(0, math.floor((x - 0.8) * 20)) if x > 0.8 else 5e-4
        if plan.phase is Phase.PRETRAIN:
            lr = 1e-3
        return ev.Epoch(
            t=self.t, seed=plan.seed, stage=plan.stage, epoch=epoch, epochs=plan.epochs, losses=losses,
            weights=weights, lr=lr, seconds=seconds,
        )  # fmt: skip

    def evaluation(self, seed_index: int, seed: int, stage: str, epoch: int, split: str) -> ev.Evaluation:
        goal = self.goal(stage)[seed_index % 5]
        x = epoch / self.spec.epochs
        macro = goal if split == "test" else goal - 0.012 - 0.24 * math.exp(-7 * x) + self.random.gauss(0.0, 0.003)
        offsets = [0.018 * (1 if i % 2 == 0 else -1) for i in range(len(self.spec.targets))]
        relations = {
            name: ev.RelationScore(auprc=macro + offset, auroc=macro + offset + 0.01, positives=512, negatives=512)
            for name, offset in zip(self.spec.targets, offsets, strict=True)
        }
        metrics: dict[str, float | None] = {
            "macro_auprc": macro, "macro_auroc": macro + 0.01, "micro_auprc": macro - 0.002,
            "micro_auroc": macro + 0.008,
        }  # fmt: skip
        metrics.setdefault(self.spec.headline, _MRR_OF_AUPRC * macro)
        metrics.setdefault("macro_ap", _AP_OF_AUPRC * macro)
        return ev.Evaluation(
            t=self.t, seed=seed, stage=stage, model=stage, epoch=epoch, split=split, headline=self.spec.headline,
            metrics=metrics, macro_auprc=macro, macro_auroc=macro + 0.01, relations=relations,
        )  # fmt: skip

    def heuristic(self, seed_index: int, seed: int, name: str) -> Iterator[ev.AnyEvent]:
        """The records of a scorer without training, a point more in each seed than in the one before."""
        auprc, ap = (value + 0.01 * seed_index for value in _HEURISTICS[name])
        for part in ("validation", "test"):
            yield ev.Evaluation(
                t=self.t, seed=seed, stage=name, model=name, epoch=0, split=part, headline=self.spec.headline,
                metrics={"macro_auprc": auprc, "macro_ap": ap}, macro_auprc=auprc,
            )  # fmt: skip

    def goal(self, model: str) -> list[float]:
        """What a model scores on test by seed; a further one a little less than the student, each by its place."""
        if model in _FINAL:
            return list(_FINAL[model])
        place = list(self.models).index(model)
        return [score - 0.002 * place for score in _FINAL["student"]]

    def sample(self) -> ev.Resources:
        gpu: dict[str, float | int] = {}
        if self.spec.gpu:
            gpu = {
                "gpu_utilisation": min(100.0, max(0.0, self.random.gauss(71, 6))), "gpu_memory": 3_340_000_000,
                "gpu_memory_total": 150_754_820_096, "gpu_temperature": 54.0, "gpu_power": self.random.gauss(310, 12),
            }  # fmt: skip
        rss = 1_150_000_000 + int(90_000_000 * self.random.random())
        return ev.Resources(
            t=self.t,
            cpu=min(200.0, self.random.gauss(186, 8)),
            rss=rss,
            memory_total=8_201_000_000,
            **gpu,  # type: ignore[arg-type]
        )


def _weights(sources: list[str], fraction: float) -> dict[str, float]:
    return Curriculum().weights(sources, fraction)


def _schedule(sources: list[str], epochs: int) -> dict[str, list[tuple[float, float]]]:
    points = [round(epochs * i / 100) for i in range(101)]
    rows = [_weights(sources, point / epochs) for point in points]
    return {name: [(float(p), row[name]) for p, row in zip(points, rows, strict=True)] for name in rows[0]}


def hours_of_events(hours: float, epochs_per_second: float = 10.0) -> Iterator[ev.AnyEvent]:
    """One long stage: epochs, the machine's figures every second, at times a validation, a checkpoint, a log line."""
    total = round(hours * 3600 * epochs_per_second)
    writer = _Writer(LogSpec(epochs=total, seeds=(45,), gpu=True))
    yield from itertools.islice(writer.run(), 4)
    plan = next(plan for plan in writer.plan if plan.stage == "student")
    yield writer.stage_started(plan)
    for epoch in range(1, total + 1):
        writer.t = START + epoch / epochs_per_second
        yield writer.epoch(0, plan, epoch, 1 / epochs_per_second)
        if writer.t >= writer.next_sample:
            writer.next_sample += 1.0
            yield writer.sample()
        if epoch % 20 == 0:
            yield writer.evaluation(0, 45, "student", epoch, "validation")
        if epoch % 200 == 0:
            yield ev.Checkpoint(t=writer.t, seed=45, stage="student", epoch=epoch, file="student.state")
            yield writer.log(f"a line of the log, {epoch}")
