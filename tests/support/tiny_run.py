"""Runs on the tiny graph, short enough for tests: a profile, a run directory, a call of the trainer in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flykd_console.profile.load import dump_profile
from flykd_console.profile.schema import Profile
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import AnyEvent
from flykd_console.runs.find import create_run
from flykd_console.runs.log import EventFollower
from tests.support.small_graph import small_graph, write_kg_csv

# What a tiny run goes through, and what it leaves.
STAGES = ("pretrain-teacher", "pretrain-student", "teacher", "baseline", "student")
MODELS = ("teacher", "baseline", "student")


def tiny_profile(graph: Path, /, **sections: dict[str, Any]) -> Profile:
    """A few epochs of everything, on one thread."""
    base: dict[str, dict[str, Any]] = {
        "run": {"name": "tiny", "seeds": [45], "device": "cpu"},
        "graph": {"source": str(graph)},
        "teacher": {"dim": 12},
        "student": {"dim": 8},
        "pretrain": {"batch_size": 512},
        "finetune": {"epochs": 10, "lr": 0.01, "validate_every": 5, "plateau": {"last_epochs": 4, "patience": 0}},
        "distill": {"epochs": 10, "random_graph": {"labels_per_relation": 200, "refresh_every": 3}},
        "evaluation": {"heuristics": []},
        "engine": {"threads": 1, "checkpoint_every": 4},
    }
    for name, section in sections.items():
        base[name] = base.get(name, {}) | section
    return Profile.model_validate(base)


def small_kg(folder: Path) -> Path:
    """The tiny graph as a kg.csv."""
    path = folder / "kg.csv"
    return path if path.exists() else write_kg_csv(small_graph(), path)


def make_run(root: Path, profile: Profile) -> RunDirectory:
    """A run directory with its profile, ready for the trainer."""
    directory = create_run(profile.run.name, root)
    directory.profile.write_text(dump_profile(profile))
    return directory


def events_of(directory: RunDirectory) -> list[AnyEvent]:
    """Every event so far."""
    return EventFollower(directory.events).read(seconds=10.0)
