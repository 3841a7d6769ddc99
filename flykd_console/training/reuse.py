"""Finished stages are trained once: what a stage depends on is hashed into a key, and a run that has it lends them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flykd_console.errors import CHECK_PATH, UserError
from flykd_console.model.tensor_files import load_metadata, load_tensors, save_tensors
from flykd_console.profile.distill import Distill
from flykd_console.profile.model_spec import ModelSpec
from flykd_console.profile.models import models_of
from flykd_console.profile.paths import files_of
from flykd_console.runs.batch import batch_of
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.find import list_runs
from flykd_console.runs.models import Role
from flykd_console.runs.stage import Phase, Stage
from flykd_console.tasks.base import Task, Trainable

# Raise it when a change to the training code changes what the same settings produce.
REVISION = 2


def stage_key(task: Task, spec: ModelSpec, stage: Stage) -> str:
    """SHA-256 over everything that determines a stage's weights: data, split, seed, draws, settings, files they name.

    How the arithmetic is carried out (`engine`, but for a lower precision) is left out, and how often it is looked at
    (`validate_every`) too where no look decides anything.

    Raises:
        UserError: A file that the stage reads cannot be read.
    """
    profile = task.profile
    if profile.classifies:
        return _hashed(_facts_of_classes(task, spec, stage))
    finetune = profile.finetune.model_dump()
    looks_decide = profile.finetune.select == "best" or profile.finetune.patience > 0
    if not looks_decide:
        del finetune["validate_every"]
    facts: dict[str, Any] = {
        "revision": REVISION,
        **task.fingerprints,
        "seed": task.seed,
        "stage": stage.name,
        "begins": spec.begins,
        "shape": [spec.shape.dim, spec.shape.layers, spec.shape.kind, spec.shape.network_keys],
        "precision": profile.engine.precision,
        "pretrain": profile.pretrain.model_dump(),
    }
    if not stage.pretrains:
        facts |= {"finetune": finetune, "task": task.settings()}
    if looks_decide and not stage.pretrains:
        facts["headline"] = task.headline
    if stage.phase is Phase.DISTILL and spec.distill is not None:
        facts["teachers"] = [stage_key(task, teacher, teacher.training) for teacher in _teachers(task)]
        facts["distill"] = spec.distill.model_dump(exclude={"method"})
        # Methods without files keep the keys that they had.
        if files := _contents(spec.distill):
            facts["files"] = files
    return _hashed(facts)


def _hashed(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _facts_of_classes(task: Task, spec: ModelSpec, stage: Stage) -> dict[str, Any]:
    """The same of a model that learns classes; a member of a cohort depends on all of it."""
    facts: dict[str, Any] = {
        "revision": REVISION,
        **task.fingerprints,
        "seed": task.seed,
        "stage": stage.name,
        "begins": spec.begins,
        "network": spec.shape.network_keys,
        "precision": task.profile.engine.precision,
        "task": task.settings(),
    }
    if spec.together:
        # What is measured beside the members changes none of them.
        facts["cohort"] = task.profile.cohort.model_dump(exclude={"method", "alone", "ensemble"})
    return facts


def _teachers(task: Task) -> list[ModelSpec]:
    return [spec for spec in models_of(task.profile) if spec.entry.role is Role.TEACHER]


def _contents(distill: Distill) -> dict[str, str]:
    """By dotted key the SHA-256 of every file that a method reads."""
    found = {}
    for key, path in files_of(distill).items():
        try:
            with open(path, "rb") as file:
                found[key] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise UserError(
                f"the file cannot be read ({error.strerror})", f"distill.{key} = {path}", CHECK_PATH
            ) from None
    return found


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

    def load(self, task: Task, spec: ModelSpec, stage: Stage, model: Trainable) -> FinishedStage | None:
        """Bring the model to the weights of a finished stage with the same key; None where there is none."""
        key = stage_key(task, spec, stage)
        own = self.directory.weights(task.seed, stage.name)
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

    def save(self, key: str, task: Task, stage: Stage, model: Trainable, finished: FinishedStage) -> None:
        """Leave a finished stage's weights and drop its resumable state; `key`: as it was when training began."""
        metadata = {"key": key, "planned_key": key, "stage": stage.name, "seed": task.seed}
        if finished.added_epochs:
            metadata["key"] = hashlib.sha256(f"{key} and {finished.added_epochs} epochs".encode()).hexdigest()
        metadata |= {"device": task.device.type} | asdict(finished)
        save_tensors(self.directory.weights(task.seed, stage.name), model.tensors(), metadata)
        self.directory.state(task.seed, stage.name).unlink(missing_ok=True)

    def _candidates(self, seed: int, stage: Stage) -> list[Path]:
        """This run's file first, then those of other runs, newest first; of a student only this run's."""
        runs = [self.directory]
        # A student is what a run is for: it is trained in each, and loaded only when its own run is resumed.
        if stage.phase is not Phase.DISTILL:
            others = batch_of(self.directory) if self.fresh else list_runs(self.directory.path.parent)
            runs += [run for run in others if run.path != self.directory.path]
        return [path for run in runs if (path := run.weights(seed, stage.name)).is_file()]


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
