"""A finished run as comparing needs it: results, settings, provenance, and every seed's scored test pairs.

What stands for test pairs may be the validation part's: there one chooses between models, and the test stays unseen.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from flykd_console.compare.paper import PaperMethod, method_row
from flykd_console.compare.settings import flatten
from flykd_console.compare.stored_scores import disagreements
from flykd_console.errors import CHANGED_AFTER_TRAINING, UserError
from flykd_console.profile.load import load_profile, tables_of
from flykd_console.profile.schema import Profile
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.models import ModelEntry, Role
from flykd_console.runs.results import ModelResult, Results, Scores, read_results

KEYS = ("relation", "head_id", "tail_id", "label")


@dataclass(frozen=True)
class LoadedRun:
    """One run's files, read.

    Attributes:
        seeds: Seeds with scores of every model that the run trains, ascending.
        models: Those models, in the run's order.
        part: Whose pairs are compared, `test` or `validation`.
        jobs: The runs that were joined to this one (`joined`), this one's own first; empty where it stands for itself.
    """

    directory: RunDirectory
    results: Results
    profile: Profile
    environment: dict[str, Any]
    seeds: tuple[int, ...]
    models: tuple[ModelEntry, ...]
    part: str = "test"
    jobs: tuple[LoadedRun, ...] = ()

    @property
    def directories(self) -> list[RunDirectory]:
        """Where it lies: one folder, or one for each job."""
        return [job.directory for job in self.jobs] or [self.directory]

    def directory_of(self, seed: int) -> RunDirectory:
        """The folder that holds a seed."""
        return next((job.directory for job in self.jobs if seed in job.seeds), self.directory)

    def measured(self, seed: int, model: str) -> Scores:
        """What the results say of a model on the part."""
        return _measured(self.results.seeds[str(seed)][model], self.part)

    @property
    def name(self) -> str:
        more = len(self.jobs) - 1
        return f"{self.directory.name} and {more} more" if more > 0 else self.directory.name

    @property
    def fingerprint(self) -> str:
        return self.results.graph.fingerprint

    @property
    def targets(self) -> frozenset[str]:
        """The relations that were scored, as the results name them."""
        return frozenset(self.measured(self.seeds[0], self.models[0].name).relations)

    @property
    def tail_type(self) -> str:
        """The graph's word for tails; `tail` where neither embeddings nor the node table say it."""
        return self._word("tail")

    @property
    def head_type(self) -> str:
        """The graph's word for heads; `head` where neither embeddings nor the node table say it."""
        return self._word("head")

    def _word(self, side: str) -> str:
        """What the embeddings call heads or tails."""
        from safetensors import SafetensorError, safe_open

        seed = self.seeds[0]
        for entry in self.models:
            try:
                with safe_open(self.directory_of(seed).embeddings(seed, entry.name), "numpy") as file:
                    return str((file.metadata() or {}).get(f"{side}_type", side))
            except (OSError, SafetensorError):
                continue
        return self._words_of_nodes().get(side, side)

    def _words_of_nodes(self) -> dict[str, str]:
        """What the node table calls heads and tails, which stand in it in this order; nothing where there is none."""
        try:
            types = pl.read_parquet(self.directory.nodes, columns=["type"])["type"].unique(maintain_order=True)
        except (OSError, pl.exceptions.PolarsError):
            return {}
        return dict(zip(("head", "tail"), map(str, types), strict=False))

    @property
    def distills(self) -> bool:
        """Whether any of its models learns from others."""
        return any(entry.distilled for entry in self.models)

    @property
    def students(self) -> list[str]:
        """Names of its students, which the paper's rows are about."""
        return [entry.name for entry in self.models if entry.role is Role.STUDENT]

    @property
    def baseline(self) -> str | None:
        """Name of its first baseline, of whatever shape."""
        return next((entry.name for entry in self.models if entry.role is Role.BASELINE), None)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The profile by dotted key; what has no value is not in it."""
        return flatten(tables_of(self.profile))

    @cached_property
    def paper_rows(self) -> dict[str, PaperMethod]:
        """By name the students that repeat a row of the paper, and that row."""
        found = {name: method_row(self.profile, name) for name in self.students}
        return {name: row for name, row in found.items() if row is not None}

    @property
    def splits(self) -> dict[str, str]:
        """SHA-256 of the split by seed; empty where the run does not say."""
        return dict(self.environment.get("splits") or {})

    @cached_property
    def scores(self) -> dict[int, pl.DataFrame]:
        """Per seed the part's pairs, sorted by `KEYS`, and one float32 column of logits for each model."""
        return {seed: self._read_scores(seed) for seed in self.seeds}

    def _read_scores(self, seed: int) -> pl.DataFrame:
        path = self.directory_of(seed).scores(seed, self.part)
        try:
            frame = pl.read_parquet(path, glob=False)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise unreadable(path, str(error)) from None
        wanted = [*KEYS, *(entry.name for entry in self.models)]
        missing = [column for column in wanted if column not in frame.columns]
        if missing:
            raise UserError(f"has no column {missing[0]!r}", str(path), "Resuming the run writes it anew.")
        frame = frame.select(wanted).sort(KEYS, maintain_order=True)
        for entry in self.models:
            if not frame[entry.name].is_finite().all():
                raise UserError(
                    f"the {entry.name}'s logits are not all finite numbers", str(path), "Leave the run out."
                )
            for wrong in disagreements(frame, entry.name, self.measured(seed, entry.name)):
                raise UserError(
                    f"the scores are not those of results.json: {wrong}",
                    str(path),
                    f"One of the two was changed: flykd-console verify {self.directory.name}",
                )
        return frame


def load_run(directory: RunDirectory, part: str = "test") -> LoadedRun:
    """Read a run, and later the scored pairs of a part of it.

    Raises:
        UserError: It has no results or no such part, or none of its seeds is finished, or a file is damaged.
    """
    if not directory.results.is_file():
        raise UserError("this run has no results yet", directory.name, f"See: flykd-console runs show {directory.name}")
    results = read_results(directory.results)
    profile = _read_profile(directory.profile)
    # A seed in work lacks the models that are not done.
    models = tuple(results.trained())
    if not models:
        raise UserError("no model of this run is finished", directory.name, "Let it train on, or resume it.")
    if profile.classifies:
        raise UserError(
            "this run tells classes, and has no pairs to show",
            directory.name,
            f"Compare it: flykd-console compare {directory.name}",
        )
    if not any(_measured(one, part).relations for models in results.seeds.values() for one in models.values()):
        hint = "Compare on validation pairs: flykd-console compare RUN --validation" if part == "test" else ""
        raise UserError(
            f"this run was trained without a {part} part, so there is nothing to compare", directory.name, hint
        )
    done = sorted(
        int(seed)
        for seed, found in results.seeds.items()
        if all(entry.name in found for entry in models) and directory.scores(int(seed), part).is_file()
    )
    if not done:
        raise UserError("no seed of this run is finished", directory.name, "Let it train on, or resume it.")
    return LoadedRun(directory, results, profile, _read_json(directory.environment), tuple(done), models, part)


def _measured(result: ModelResult, part: str) -> Scores:
    return result.validation if part == "validation" else result.test


def load_runs(directories: Sequence[RunDirectory], part: str = "test") -> list[LoadedRun]:
    """Read several runs, each once.

    Raises:
        UserError: As `load_run`, or a run is given twice.
    """
    seen: dict[Path, RunDirectory] = {}
    for directory in directories:
        if seen.setdefault(directory.path.resolve(), directory) is not directory:
            raise UserError("this run is given twice", directory.name, "Name each run once.")
    return [load_run(directory, part) for directory in directories]


def read_ids(path: Path) -> frozenset[str]:
    """Node ids from a CSV: its column `tail_id`, `disease_id`, `node_id` or `id`, or its only column (with or without
    a heading).

    Raises:
        UserError: The file cannot be read, has no such column, or holds no id.
    """
    try:
        frame = pl.read_csv(path, glob=False, infer_schema=False, has_header=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise unreadable(path, str(error), "Check the path; a CSV of ids is wanted.") from None
    names = ("tail_id", "disease_id", "node_id", "id")
    heading = [str(cell).strip().lower() for cell in frame.row(0)] if frame.height else []
    column = next((heading.index(name) for name in names if name in heading), None)
    if column is None and frame.width != 1:
        raise UserError(
            "has several columns, and none is called tail_id, disease_id, node_id or id", str(path), "Name one so."
        )
    cells = frame.to_series(column or 0)[1 if column is not None else 0 :]
    ids = frozenset(cell.strip() for cell in cells if cell and cell.strip())
    if not ids:
        raise UserError("holds no id", str(path), "Give one disease id a row.")
    return ids


def _read_profile(path: Path) -> Profile:
    try:
        return load_profile(path)
    except UserError as error:
        raise UserError(error.title, error.where, CHANGED_AFTER_TRAINING) from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise unreadable(path, str(error)) from None
    return found if isinstance(found, dict) else {}


def unreadable(path: Path, reason: str, hint: str = "") -> UserError:
    """The one line that says why a file of a run cannot be read."""
    hint = hint or CHANGED_AFTER_TRAINING
    return UserError(f"cannot be read ({' '.join(reason.split())[:120].rstrip('.')})", str(path), hint)
