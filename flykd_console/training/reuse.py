"""Finished stages are trained once: what a stage depends on is hashed into a key, and a run that has it lends them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from flykd_console.errors import CHECK_PATH, UserError
from flykd_console.model.tensor_files import load_metadata, load_sealed, tensor_parts
from flykd_console.profile.distill import Distill
from flykd_console.profile.model_spec import ModelSpec
from flykd_console.profile.models import models_of
from flykd_console.profile.paths import files_of
from flykd_console.profile.schema import Profile
from flykd_console.runs.batch import batch_of
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.files import replace_with_parts
from flykd_console.runs.find import list_runs
from flykd_console.runs.models import Role
from flykd_console.runs.sealed import seal_of
from flykd_console.runs.stage import Phase, Stage
from flykd_console.runs.stage_record import StageRecord, read_record, write_record
from flykd_console.tasks.base import Log, Task, Trainable

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
    if profile.mutual.takes_part and not stage.pretrains:
        facts |= _facts_of_mutual(profile, spec, looks_decide)
    return _hashed(facts)


def _facts_of_mutual(profile: Profile, spec: ModelSpec, looks_decide: bool) -> dict[str, Any]:
    """Of a run of students that teach each other: a member depends on all of them, and one alone on none."""
    distill = profile.distill
    facts: dict[str, Any] = {}
    if looks_decide:
        facts["settled"] = distill.epochs * distill.settled
    if spec.together:
        facts["distill"] = distill.model_dump(exclude={"method"})
        # What is measured beside the members changes none of them.
        facts["mutual"] = profile.mutual.model_dump(exclude={"alone", "ensemble"})
    return facts


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
        facts["cohort"] = task.profile.cohort.model_dump(exclude={"method", "alone", "ensemble", "robustness"})
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

    Weights are loaded only where their seal and their record agree, and from other runs only where the files are the
    user's own; where they are not the stage is trained, and the log says why.

    Attributes:
        fresh: Take nothing over from other runs but those that were started together with this one.
    """

    directory: RunDirectory
    fresh: bool = False

    def load(self, task: Task, spec: ModelSpec, stage: Stage, model: Trainable, log: Log) -> FinishedStage | None:
        """Bring the model to the weights of a finished stage with the same key; None where there is none."""
        key = stage_key(task, spec, stage)
        for run in self._candidates(stage):
            path, own = run.weights(task.seed, stage.name), run.path == self.directory.path
            if not path.is_file():
                continue
            metadata = load_metadata(path)
            # A stage that was given epochs by hand is what its own run made of it, and nothing that others asked for.
            if metadata is not None and metadata.get("planned_key" if own else "key") != key:
                continue
            # CPU and CUDA draw other random numbers from the same seed; this run's own stages stay its own.
            if metadata is not None and not own and metadata.get("device") != task.device.type:
                continue
            try:
                finished = _load(run, task.seed, stage, model, own)
            except (OSError, ValueError, KeyError) as error:
                # Of another run whose file says nothing it is not known whether it would have been the one.
                if own or metadata is not None:
                    log(f"{stage}: not taken over from {run.name}, and trained: {error}", "warning")
                continue
            if own:
                self._drop_states(task.seed, stage)
            else:
                _adopt(run.record(task.seed, stage.name), self.directory.record(task.seed, stage.name))
                _adopt(path, self.directory.weights(task.seed, stage.name))
            return finished
        return None

    def save(self, key: str, task: Task, stage: Stage, model: Trainable, finished: FinishedStage) -> None:
        """Leave a finished stage's weights and drop its resumable state; `key`: as it was when training began."""
        metadata = {"key": key, "planned_key": key, "stage": stage.name, "seed": task.seed}
        if finished.added_epochs:
            metadata["key"] = hashlib.sha256(f"{key} and {finished.added_epochs} epochs".encode()).hexdigest()
        metadata |= {"device": task.device.type, "epochs": finished.epochs}
        metadata |= {"kept_epoch": finished.kept_epoch, "added_epochs": finished.added_epochs}
        path = self.directory.weights(task.seed, stage.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        parts, seal = tensor_parts(model.tensors(), metadata)
        # The record first: weights that stand in their place are always told of.
        record = StageRecord(sha256=seal, seconds=finished.seconds, run=finished.run)
        write_record(self.directory.record(task.seed, stage.name), record)
        replace_with_parts(path, parts)
        self._drop_states(task.seed, stage)

    def _drop_states(self, seed: int, stage: Stage) -> None:
        """What a stage could have been resumed from; a run killed at the right moment leaves it beside the weights."""
        self.directory.state(seed, stage.name).unlink(missing_ok=True)
        self.directory.older_state(seed, stage.name).unlink(missing_ok=True)

    def _candidates(self, stage: Stage) -> list[RunDirectory]:
        """This run first, then other runs, newest first; for a student only this run."""
        # A student is what a run is for: it is trained in each, and loaded only when its own run is resumed.
        if stage.phase is Phase.DISTILL:
            return [self.directory]
        others = batch_of(self.directory) if self.fresh else list_runs(self.directory.path.parent)
        return [self.directory, *(run for run in others if run.path != self.directory.path)]


def is_sound(run: RunDirectory, seed: int, stage: str) -> bool:
    """Whether a stage's weights are what their record tells of, to the last byte."""
    path, record = run.weights(seed, stage), read_record(run.record(seed, stage))
    try:
        return record is not None and seal_of(path.read_bytes(), path) == record.sha256
    except OSError:
        return False


def _load(run: RunDirectory, seed: int, stage: Stage, model: Trainable, own: bool) -> FinishedStage:
    """Bring a model to the weights of a run.

    Raises:
        OSError: They are damaged, or not what the stage left.
        ValueError: They are not those of such a model.
        KeyError: Their header lacks something.
    """
    path, noted = run.weights(seed, stage.name), run.record(seed, stage.name)
    if not own:
        for file in (path, noted):
            _check_owner(file)
    record = read_record(noted)
    if record is None:
        raise OSError(f"{noted} is missing or damaged")
    tensors, metadata, seal = load_sealed(path)
    if seal != record.sha256:
        raise OSError(f"{path}: another file than {noted.name} tells of")
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{path}: {name} holds values that are not finite")
    finished = FinishedStage(
        epochs=metadata["epochs"],
        seconds=record.seconds,
        run=record.run,
        kept_epoch=metadata["kept_epoch"],
        added_epochs=metadata["added_epochs"],
    )
    model.load_tensors(tensors)
    return finished


def _check_owner(path: Path) -> None:
    """Refuse a file that somebody else may have put there.

    Raises:
        OSError: It is a link, belongs to another user, or others may write it.
    """
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{path} is no ordinary file")
    if status.st_uid != os.geteuid():
        raise OSError(f"{path} belongs to another user")
    if status.st_mode & stat.S_IWOTH:
        raise OSError(f"{path} may be written by anybody")


def _adopt(source: Path, target: Path) -> None:
    """Put a file into this run: a hard link where the disk allows it, else a copy; never half of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.link.tmp")
    temporary.unlink(missing_ok=True)
    try:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copy2(source, temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
