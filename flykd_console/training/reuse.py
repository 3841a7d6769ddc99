"""Finished stages are trained once: what a stage depends on is hashed into a key, and a run that has it lends them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.runs.batch import batch_of
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.find import list_runs
from flykd_console.training.checkpoint import load_metadata, load_tensors, save_tensors
from flykd_console.training.plan import teacher_stages
from flykd_console.training.task import Task

# Raise it when a change to the training code changes what the same settings produce.
REVISION = 2


def stage_key(task: Task, stage: str) -> str:
    """SHA-256 over everything that determines a stage's weights: graph, split, seed and settings.

    How the arithmetic is carried out (`engine`, but for a lower precision) is left out, and how often it is looked at
    (`validate_every`) too where no look decides anything.
    """
    profile = task.profile
    size = "teacher" if "teacher" in stage else "student"
    looked_at = profile.finetune.select == "best" or profile.finetune.patience > 0
    shape = profile.teacher if size == "teacher" else profile.student
    facts: dict[str, Any] = {
        "revision": REVISION,
        "graph": task.graph.fingerprint,
        "split": task.split.fingerprint,
        "seed": task.seed,
        "size": size,
        "dim": shape.dim,
        "pretrain": profile.pretrain.model_dump(),
    }
    if (shape.layers, shape.kind) != (2, "rgcn"):
        # Left out for the paper's models, whose keys so are what they were before there were others.
        facts |= {"layers": shape.layers, "kind": shape.kind}
    if profile.engine.precision != "float32":
        facts["precision"] = profile.engine.precision
    if not stage.startswith("pretrain"):
        facts |= {
            "targets": profile.graph.targets,
            "pooling": profile.graph.pooling.model_dump(),
            "filter_negatives": profile.split.filter_negatives,
            "finetune": profile.finetune.model_dump(exclude=set() if looked_at else {"validate_every"}),
        }
    # Baseline and teacher are the same recipe, but draw from streams of their own.
    facts["stage"] = stage
    if stage == "student":
        facts["teachers"] = [stage_key(task, teacher) for teacher in teacher_stages(profile)]
        facts["distill"] = profile.distill.model_dump(exclude={"method"})
        if looked_at:
            # Validations count from here on; in earlier versions all did.
            facts["looked_at_from"] = profile.distill.settled
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class FinishedStage:
    """A stage that needs no training: its model is loaded.

    Attributes:
        epochs: Epochs that it was trained for.
        seconds: Seconds of training.
        run: Name of the run that trained it.
        kept_epoch: The epoch whose weights stayed; None: the last one's.
        added_epochs: How many of `epochs` were added by hand to those of the profile.
    """

    epochs: int
    seconds: float
    run: str
    kept_epoch: int | None = None
    added_epochs: int = 0


@dataclass(frozen=True)
class StageStore:
    """Weights of finished stages, in this run and in the runs beside it.

    Attributes:
        fresh: Take nothing over from other runs but those that were started together with this one.
    """

    directory: RunDirectory
    fresh: bool = False

    def load(self, task: Task, stage: str, model: HeteroRGCN) -> FinishedStage | None:
        """Bring the model to the weights of a finished stage with the same key; None where there is none."""
        key = stage_key(task, stage)
        own = self.directory.weights(task.seed, stage)
        for path in self._candidates(task.seed, stage):
            metadata = load_metadata(path)
            # A stage that was given epochs by hand is what its own run made of it, and nothing that others asked for.
            if metadata is None or metadata.get("planned_key" if path == own else "key", metadata.get("key")) != key:
                continue
            # CPU and CUDA draw other random numbers from the same seed; this run's own stages stay its own.
            if path != own and metadata.get("device") != task.device.type:
                continue
            try:
                tensors, metadata = load_tensors(path)
                model.load_tensors(tensors)
            except (OSError, ValueError):
                continue
            if path != own:
                _adopt(path, own)
            return FinishedStage(
                epochs=metadata["epochs"],
                seconds=metadata["seconds"],
                run=metadata["run"],
                kept_epoch=metadata.get("kept_epoch"),
                added_epochs=metadata.get("added_epochs", 0),
            )
        return None

    def save(self, task: Task, stage: str, model: HeteroRGCN, finished: FinishedStage) -> None:
        """Leave a finished stage's weights and drop its resumable state."""
        key = stage_key(task, stage)
        metadata = {"key": key, "planned_key": key, "stage": stage, "seed": task.seed}
        if finished.added_epochs:
            metadata["key"] = hashlib.sha256(f"{key} and {finished.added_epochs} epochs".encode()).hexdigest()
        metadata |= {"device": task.device.type} | asdict(finished)
        save_tensors(self.directory.weights(task.seed, stage), model.tensors(), metadata)
        self.directory.state(task.seed, stage).unlink(missing_ok=True)

    def _candidates(self, seed: int, stage: str) -> list[Path]:
        """This run's file first, then those of other runs, newest first; of the student only this run's."""
        runs = [self.directory]
        # The student is what a run is for: it is trained in each, and loaded only when its own run is resumed.
        if stage != "student":
            others = batch_of(self.directory) if self.fresh else list_runs(self.directory.path.parent)
            runs += [run for run in others if run.path != self.directory.path]
        return [path for run in runs if (path := run.weights(seed, stage)).is_file()]


def _adopt(source: Path, target: Path) -> None:
    """Put a file into this run: a hard link where the disk allows it, else a copy; never half of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copy2(source, temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
