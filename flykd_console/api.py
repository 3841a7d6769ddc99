"""flykd-console from Python: train a profile, open a run, take its figures as polars frames and its model as a scorer.

Training is a process of its own here as well: this one never imports torch.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from flykd_console.errors import UserError
from flykd_console.profile.load import Override, load_profile
from flykd_console.profile.schema import Profile
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import Epoch, Evaluation
from flykd_console.runs.find import find_run
from flykd_console.runs.log import EventFollower
from flykd_console.runs.models import ModelEntry
from flykd_console.runs.results import Results, read_results
from flykd_console.runs.status import status_of

if TYPE_CHECKING:
    from exporters.classes.scorer import ClassScorer
    from exporters.scorer import Scorer

_STOP_SECONDS = 600.0
_CURVES = {"seed": pl.Int64, "stage": pl.String, "epoch": pl.Int64, "name": pl.String, "value": pl.Float64}
_RESULTS = {
    "seed": pl.Int64, "model": pl.String, "role": pl.String, "part": pl.String, "metric": pl.String,
    "value": pl.Float64,
}  # fmt: skip
_RELATIONS = {
    "seed": pl.Int64, "model": pl.String, "part": pl.String, "relation": pl.String, "metric": pl.String,
    "value": pl.Float64,
}  # fmt: skip


class TrainingError(RuntimeError):
    """Training failed, or ended without a last word; the message says where its output is."""


class Run:
    """A run directory, opened for reading. What it holds is read when it is asked for, and once.

    Attributes:
        directory: Where everything of it stands.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}: {self.state})"

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.directory.path

    @property
    def name(self) -> str:
        return self.directory.name

    @property
    def state(self) -> str:
        """`finished`, `running`, `stopped`, `failed` and so on, at this moment."""
        return status_of(self.directory).state

    @cached_property
    def profile(self) -> Profile:
        """Every setting that it was made with."""
        return load_profile(self.directory.profile)

    @cached_property
    def summary(self) -> Results:
        """The whole of `results.json`.

        Raises:
            UserError: No seed is finished yet, or the file is damaged.
        """
        return read_results(self.directory.results)

    @property
    def seeds(self) -> list[int]:
        """Seeds with any finished model."""
        return [int(seed) for seed in self.summary.seeds]

    @property
    def models(self) -> list[ModelEntry]:
        """The models that any seed has, in the order of tables."""
        return self.summary.trained()

    @cached_property
    def results(self) -> pl.DataFrame:
        """Every metric, a row each: `seed, model, role, part (validation, test), metric, value`; fractions."""
        roles = {entry.name: str(entry.role) for entry in self.summary.models}
        rows = [
            (int(seed), model, roles.get(model, ""), part, metric, value)
            for seed, models in self.summary.seeds.items()
            for model, result in models.items()
            for part, scores in (("validation", result.validation), ("test", result.test))
            for metric, value in scores.metrics.items()
        ]
        return pl.DataFrame(rows, schema=_RESULTS, orient="row")

    @cached_property
    def relations(self) -> pl.DataFrame:
        """AUPRC and AUROC of each relation: `seed, model, part, relation, metric, value`; fractions."""
        rows = [
            (int(seed), model, part, relation, metric, getattr(found, metric))
            for seed, models in self.summary.seeds.items()
            for model, result in models.items()
            for part, scores in (("validation", result.validation), ("test", result.test))
            for relation, found in scores.relations.items()
            for metric in ("auprc", "auroc")
        ]
        return pl.DataFrame(rows, schema=_RELATIONS, orient="row")

    @property
    def curves(self) -> pl.DataFrame:
        """The log as it is now: `seed, stage, epoch, name, value`, sorted.

        `name`: `loss/NAME`, `weight/NAME` (of a label source in the loss), `lr`, or `validation/METRIC`. Epochs that a
        resume trained again are there once, as they were trained last.
        """
        follower = EventFollower(self.directory.events)
        rows: list[tuple[int, str, int, str, float | None]] = []
        while events := follower.read(seconds=5.0):
            for event in events:
                if isinstance(event, Epoch):
                    rows += [(event.seed, event.stage, event.epoch, name, value) for name, value in _told(event)]
                elif isinstance(event, Evaluation) and event.split == "validation":
                    measured = event.metrics.items()
                    rows += [(event.seed, event.stage, event.epoch, f"validation/{n}", v) for n, v in measured]
        frame = pl.DataFrame(rows, schema=_CURVES, orient="row")
        keys = ["seed", "stage", "epoch", "name"]
        return frame.unique(keys, keep="last").sort(keys)

    def scores(self, seed: int, part: str = "test") -> pl.DataFrame:
        """A part's stored pairs: `relation, head_id, tail_id, label`, and a column of logits (float32) a model.

        Raises:
            UserError: The seed left none.
        """
        path = self.directory.scores(seed, part)
        if not path.is_file():
            raise UserError(f"seed {seed} left no scores of the {part} part", self.name, f"Its seeds: {self.seeds}.")
        return pl.read_parquet(path, glob=False)

    @property
    def bundle(self) -> Path | None:
        """The folder of its bundle; None where none was exported."""
        return self.directory.export if (self.directory.export / "manifest.json").is_file() else None

    def export(self, *, model: str | None = None, seed: int | None = None, out: str | Path | None = None) -> Scorer:
        """Write and verify the bundle of a model, and open it.

        Args:
            model: None: the one that the run is about. `seed`: None: the best on validation data.
            out: The bundle's folder; None: `export/` in the run.

        Raises:
            UserError: There is nothing to export, or the folder holds other things.
        """
        from exporters.bundle import export_run
        from exporters.scorer import Scorer

        made = export_run(self.directory, model=model, seed=seed, out=None if out is None else Path(out))
        return Scorer(made.path)

    def export_classes(
        self, *, model: str | None = None, seed: int | None = None, out: str | Path | None = None
    ) -> ClassScorer:
        """As `export`, of a run that tells classes of nodes or graphs.

        Args:
            model: Who answers: a model's name, `ensemble`; None: the best member by validation. `seed`: None: likewise.
            out: The bundle's folder; None: `export/` in the run.

        Raises:
            UserError: There is nothing to export, or the folder holds other things.
        """
        from exporters.classes.bundle import export_classes
        from exporters.classes.scorer import ClassScorer

        made = export_classes(self.directory, model=model, seed=seed, out=None if out is None else Path(out))
        return ClassScorer(made.path)


def load(run: str | os.PathLike[str] | None = None) -> Run:
    """A run by its name, the unique beginning of its name, or its path; None: the newest finished one.

    Raises:
        UserError: There is no such run, or several begin like this.
    """
    if run is None:
        return Run(find_run(None, finished=True))
    return Run(find_run(os.fspath(run)))


def train(
    profile: str | os.PathLike[str] = "flykd",
    *,
    seeds: Sequence[int] | None = None,
    graph: str | os.PathLike[str] | None = None,
    device: str | None = None,
    name: str | None = None,
    settings: Mapping[str, object] | None = None,
    fresh: bool = False,
    show: bool = True,
) -> Run:
    """Train a profile to its end, in a process of its own, and open the run.

    Ctrl-C, or the interruption of a notebook's cell, stops it with a checkpoint.

    Args:
        profile: A file, or the name of a shipped profile.
        seeds: In place of the profile's; `graph`, `device` and `name` likewise.
        settings: Further keys by dotted name, such as `{"student.dim": 32}`.
        fresh: Train every stage, also where an equal one could be taken over from another run.
        show: Print how far it is, in lines.

    Raises:
        UserError: The profile does not allow this, or the graph does not fit.
        TrainingError: Training failed.
        KeyboardInterrupt: It was interrupted, and has stopped.
    """
    from flykd_console.cli.plain import follow_plain
    from flykd_console.cli.prepare import prepare
    from flykd_console.runs.spawn import spawn_worker

    overrides: list[str | Override] = [
        Override(key, value, f"settings[{key!r}]") for key, value in (settings or {}).items()
    ]
    options = {"run.seeds": None if seeds is None else list(seeds), "run.device": device, "run.name": name}
    options |= {"graph.source": None if graph is None else os.fspath(graph)}
    overrides += [Override(key, value, key) for key, value in options.items() if value is not None]
    (directory,) = prepare([os.fspath(profile)], overrides)
    threads = load_profile(directory.profile).engine.threads
    worker = spawn_worker(directory, threads=threads, fresh=fresh)
    try:
        follow_plain(directory, sys.stdout if show else io.StringIO(), worker=worker, tell_failure=False)
    except KeyboardInterrupt:
        directory.order("stop")
        worker.wait(_STOP_SECONDS)
        raise
    worker.wait()
    return _concluded(directory, worker)


def _concluded(directory: RunDirectory, worker: subprocess.Popen[bytes]) -> Run:
    status = status_of(directory)
    if status.state == "failed" and not status.traceback:
        if status.stage is None:  # nothing was trained
            shutil.rmtree(directory.path, ignore_errors=True)
        raise UserError(status.error)
    if status.state in ("finished", "stopped"):
        return Run(directory)
    why = status.error or f"its process ended with code {worker.returncode}"
    raise TrainingError(f"{directory.name}: {why}. Its output: {directory.worker_log}")


def _told(event: Epoch) -> list[tuple[str, float | None]]:
    told: list[tuple[str, float | None]] = [(f"loss/{name}", value) for name, value in event.losses.items()]
    told += [(f"weight/{name}", value) for name, value in (event.weights or {}).items()]
    return [*told, ("lr", event.lr)]
