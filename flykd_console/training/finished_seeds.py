"""Seeds of a run that is taken up again which need nothing more: every model is there as asked for, and measured.

A seed counts as finished where `results.json` has all of its models, each of their weights has the key that profile
and graph give it now and the seal of its record, and the scores and rankings stand beside them. It is neither loaded
nor measured again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flykd_console.errors import UserError
from flykd_console.model.tensor_files import load_metadata
from flykd_console.profile.models import entries_of, models_of
from flykd_console.profile.schema import Profile
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.more_seeds import read_added
from flykd_console.runs.results import ModelResult, Results, read_results
from flykd_console.tasks.base import Task
from flykd_console.training.reuse import is_sound, stage_key


def finished_seeds(
    directory: RunDirectory, profile: Profile, tasks: Mapping[int, Task]
) -> dict[int, dict[str, ModelResult]]:
    """By seed the results of those that need nothing more, in the order of the profile."""
    if not directory.results.is_file():
        return {}
    try:
        results = read_results(directory.results)
    except UserError:
        return {}  # damaged: what is measured again is written anew
    if results.headline != profile.headline:
        return {}
    return {
        seed: dict(results.seeds[str(seed)]) for seed, task in tasks.items() if _is_finished(directory, results, task)
    }


def check_added(directory: RunDirectory, graph: Mapping[str, Any], done: Mapping[int, object]) -> None:
    """Refuse to put seeds of another graph beside those that a run has; `graph`: its source and fingerprint.

    Raises:
        UserError: The run was given seeds, and its graph is not the one that its first seeds were trained on.
    """
    if read_added(directory) is None or done:
        return
    before = _graph_before(directory)
    if before and before != graph["fingerprint"]:
        raise UserError(
            "the graph is not the one that the run's other seeds were trained on",
            f"{directory.name}, graph.source = {graph['source']}",
            "Put the former graph back, or train all seeds in a new run.",
        )


def _graph_before(directory: RunDirectory) -> str:
    """Fingerprint of the graph of the last start; empty where nothing says it."""
    try:
        facts: Any = json.loads(directory.environment.read_bytes())
        return str(facts["graph"]["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _is_finished(directory: RunDirectory, results: Results, task: Task) -> bool:
    profile, seed = task.profile, task.seed
    measured = results.seeds.get(str(seed), {})
    if any(entry.name not in measured for entry in entries_of(profile)):
        return False
    if profile.evaluation.matrix and not all(_has_matrix(model) for model in measured.values()):
        return False
    if not directory.labels(seed).is_file():
        return False
    for part in ("validation", "test"):
        scored, ranked = directory.scores(seed, part).is_file(), directory.ranking(seed, part).is_file()
        if scored != ranked:
            return False  # of a version that left no rankings
        if scored and not directory.profiles(seed).is_file():
            return False
    trained = [spec for spec in models_of(profile) if spec.trained]
    for spec in trained:
        stage = spec.training
        metadata = load_metadata(directory.weights(seed, stage.name))
        if metadata is None or metadata.get("planned_key") != stage_key(task, spec, stage):
            return False
        if not directory.embeddings(seed, spec.name).is_file():
            return False
        # A state beside finished weights is what a kill left: whoever loads the stage drops it.
        if not is_sound(directory, seed, stage.name) or directory.state(seed, stage.name).exists():
            return False
    return bool(trained)


def _has_matrix(model: ModelResult) -> bool:
    """Whether all pairs were ranked together; without any part there was nothing to rank."""
    parts = (model.test, model.validation)
    return any(part.matrix is not None for part in parts) or not any(part.metrics for part in parts)
