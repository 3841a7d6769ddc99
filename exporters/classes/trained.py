"""What a run that tells classes has left, opened and checked; which seed and which model of it an export takes.

No choice looks at a test: models and seeds are chosen by the validation part alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.classes.encoder import OPSETS, Network
from exporters.classes.manifest import ENSEMBLE, GRAPHS, NODES
from exporters.classes.opened_answers import MOST_FEATURES
from exporters.run_tables import parse_toml, read_bytes, read_json
from flykd_console.errors import UserError
from flykd_console.profile.cohort_models import BEST, BEST_ALONE, DEEP_ENSEMBLE
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.models import ModelEntry, Role
from flykd_console.runs.results import ModelResult, Results, read_results
from flykd_console.runs.sealed import seal_of
from flykd_console.words import counted, metric_words, per_cent

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
_AGAIN = "Train this seed again."
_SCHEMA = 1


@dataclass(frozen=True)
class TrainedModel:
    """One trained network of a seed.

    Attributes:
        logits: Of every sample, by torch, float32 [N, C].
        embedding: float32 [N, d].
        probe: Made-up nodes and edges, and torch's logits for them: `x`, `edges`, `logits`, of graphs `graph_of`.
    """

    name: str
    network: Network
    logits: Floats
    embedding: Floats
    probe: Mapping[str, NDArray[Any]]
    result: ModelResult


@dataclass(frozen=True)
class SampleData:
    """The nodes or graphs of a run, as they were read; arrays as in `tasks/classification/files.py`."""

    edges: Integers
    x_data: Floats
    x_indices: Integers
    x_indptr: Integers
    label: Integers
    graph_of: Integers | None
    classes: int
    features: int
    columns: dict[str, Any]

    @property
    def nodes(self) -> int:
        """How many nodes there are over all samples."""
        return len(self.x_indptr) - 1

    def dense(self) -> Floats:
        """Features, float32 [n, f].

        Raises:
            UserError: They are more than an encoder takes at once.
        """
        if self.nodes * self.features > MOST_FEATURES:
            raise UserError(
                f"{self.nodes} nodes with {self.features} features are more than an encoder takes at once",
                "samples.safetensors",
                "Write the answers alone: --hdf5.",
            )
        return densified(self.x_data, self.x_indices, self.x_indptr, self.features)


@dataclass(frozen=True)
class Choice:
    """What of a run is exported, and why: a seed, models that belong together, and the one that answers.

    Attributes:
        ensemble: What the run calls the mean of the members; empty where it measured none.
    """

    seed: int
    seed_why: str
    model: str
    model_why: str
    members: tuple[str, ...]
    ensemble: str


@dataclass(frozen=True)
class TrainedClasses:
    """The models of one seed, with all that an export needs; `part`: 0 to 2 as in PARTS, -1: none."""

    directory: RunDirectory
    choice: Choice
    task: str
    data: SampleData
    part: NDArray[np.int8]
    models: Mapping[str, TrainedModel]
    results: Results
    environment: dict[str, Any]
    profile: dict[str, Any]
    profile_sha256: str

    @property
    def source(self) -> str:
        """Name of the data; of a file the name alone, since bundles are handed on."""
        return PurePath(self.results.graph.source).name


def densified(data: Any, indices: Any, indptr: Any, width: int) -> Floats:
    """CSR as dense rows, float32 [n, width]."""
    rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    dense = np.zeros((len(indptr) - 1, width), dtype=np.float32)
    np.add.at(dense, (rows, indices), data)
    return dense


def choose(directory: RunDirectory, results: Results, model: str | None, seed: int | None) -> Choice:
    """What is exported.

    Args:
        model: A model's name, `best`, `ensemble`, or those of the alone-trained; None: the best member by validation.
        seed: None: the one in which the answering model is best by validation.

    Raises:
        UserError: There is no such model or seed, or the run left nothing to export of it.
    """
    entries = {entry.name: entry for entry in results.models}
    wanted = model or (BEST if BEST in entries else _headliner(results.models))
    if wanted not in entries:
        raise UserError(f"there is no model {wanted!r}", directory.name, f"Choose one of {', '.join(entries)}.")
    members = _family(results.models, entries[wanted])
    finished = [
        int(one)
        for one in results.seeds
        if all(name in results.seeds[one] and directory.embeddings(int(one), name).is_file() for name in members)
    ]
    if not finished:
        raise UserError(
            "the run left no rows of its samples, which an export reads",
            directory.name,
            f"Run its profile again: flykd-console run {directory.profile}",
        )
    if seed is not None and seed not in finished:
        raise UserError(
            f"seed {seed} has no finished {wanted}", directory.name, f"Seeds: {', '.join(map(str, sorted(finished)))}."
        )
    chosen, seed_why = _seed(results, wanted, sorted(finished), seed)
    answering, why = _answering(results, chosen, wanted, members)
    measured = ENSEMBLE if entries[members[0]].role is Role.MEMBER else DEEP_ENSEMBLE
    return Choice(chosen, seed_why, answering, why, members, measured if measured in entries else "")


def _headliner(models: Sequence[ModelEntry]) -> str:
    members = [entry.name for entry in models if entry.role is Role.MEMBER]
    return members[0] if members else models[0].name


def _family(models: Sequence[ModelEntry], wanted: ModelEntry) -> tuple[str, ...]:
    """The trained models that stand together: the cohort's members, those trained alone, or a teacher."""
    role = wanted.role
    if wanted.name in (BEST, ENSEMBLE):
        role = Role.MEMBER
    if wanted.name in (BEST_ALONE, DEEP_ENSEMBLE):
        role = Role.BASELINE
    return tuple(entry.name for entry in models if entry.role is role)


def _seed(results: Results, wanted: str, finished: Sequence[int], seed: int | None) -> tuple[int, str]:
    if seed is not None:
        return seed, "chosen by hand"
    if len(finished) == 1:
        return finished[0], "the only finished seed"
    metric = results.headline
    values = {one: _validation(results, one, wanted) for one in finished}
    best = max(values, key=lambda one: (values[one], -one))
    return best, (
        f"best validation {metric_words(metric)} of {len(finished)} seeds by {wanted}, {per_cent(values[best])} %; "
        "test figures played no part"
    )


def _answering(results: Results, seed: int, wanted: str, members: Sequence[str]) -> tuple[str, str]:
    """Who answers, by the name that the bundle has for it."""
    if wanted in (ENSEMBLE, DEEP_ENSEMBLE):
        return ENSEMBLE, f"chosen by hand: the mean of the probabilities of {', '.join(members)}"
    if wanted in members and len(members) > 1:
        return wanted, "chosen by hand"
    if len(members) == 1:
        return members[0], "the only one of its kind"
    # The rule by which training names its best: of equals the first one listed.
    values = {name: _validation(results, seed, name) for name in members}
    first = max(values, key=lambda name: values[name])
    return first, (
        f"first of {counted(len(members), 'model')} by validation {metric_words(results.headline)}, "
        f"{per_cent(values[first])} %; test figures played no part"
    )


def _validation(results: Results, seed: int, model: str) -> float:
    return results.seeds[str(seed)][model].validation.value(results.headline) or 0.0


def results_of_classes(directory: RunDirectory) -> Results:
    """`results.json` of a run that tells classes.

    Raises:
        UserError: No seed has finished.
    """
    if not directory.results.is_file():
        raise UserError(
            "this run has no finished seed yet (no results.json)",
            directory.name,
            f"Go on with it: flykd-console run --resume {directory.name}",
        )
    return read_results(directory.results)


def read_trained_classes(directory: RunDirectory, choice: Choice, results: Results) -> TrainedClasses:
    """The models of a choice.

    Raises:
        UserError: A file is missing, damaged, or contradicts the others.
    """
    data = read_sample_data(directory.sample_data)
    models, parts = {}, []
    for name in choice.members:
        path = directory.embeddings(choice.seed, name)
        tensors, facts = read_sealed(path)
        weights = directory.weights(choice.seed, name)
        network = _network(facts, read_sealed(weights)[0], data, weights)
        _check_shapes(tensors, data, path)
        models[name] = TrainedModel(
            name=name,
            network=network,
            logits=tensors["logits"],
            embedding=tensors["embedding"],
            probe={key.removeprefix("probe/"): one for key, one in tensors.items() if key.startswith("probe/")},
            result=results.seeds[str(choice.seed)][name],
        )
        parts.append(tensors["part"])
    if not all(np.array_equal(one, parts[0]) for one in parts):
        raise UserError("models of the seed were split otherwise than each other", directory.name, _AGAIN)
    profile = read_bytes(directory.profile)
    return TrainedClasses(
        directory=directory,
        choice=choice,
        task=NODES if data.graph_of is None else GRAPHS,
        data=data,
        part=parts[0],
        models=models,
        results=results,
        environment=read_json(directory.environment) if directory.environment.is_file() else {},
        profile=parse_toml(profile, directory.profile),
        profile_sha256=hashlib.sha256(profile).hexdigest(),
    )


def read_sample_data(path: Path) -> SampleData:
    """`samples.safetensors`.

    Raises:
        UserError: It is missing or damaged.
    """
    tensors, facts = read_sealed(path)
    try:
        return SampleData(
            **{name: tensors[name] for name in ("edges", "x_data", "x_indices", "x_indptr", "label")},
            graph_of=tensors.get("graph_of"),
            classes=int(facts["classes"]),
            features=int(facts["features"]),
            columns=facts.get("columns", {}),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"lacks something ({error})", str(path), _AGAIN) from None


def read_sealed(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Tensors and metadata of a file whose seal is right.

    Raises:
        UserError: It is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    data = read_bytes(path)
    try:
        seal_of(data, path)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        facts = {key: json.loads(one) for key, one in header["__metadata__"].items() if key != "sha256"}
        return load(data), facts
    except (OSError, SafetensorError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(f"the file is damaged ({type(error).__name__})", str(path), _AGAIN) from None


def _network(facts: Mapping[str, Any], weights: Mapping[str, Any], data: SampleData, path: Path) -> Network:
    try:
        kind = str(facts["kind"])
        network = Network(
            kind=kind,
            layers=int(facts["layers"]),
            heads=int(facts["heads"]),
            residual=bool(facts["residual"]),
            of_graphs=bool(facts["of_graphs"]),
            normalised=bool(facts["normalised"]),
            features=data.features,
            classes=data.classes,
            weights={name: np.asarray(one, dtype=np.float32) for name, one in weights.items()},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"lacks usable metadata ({error})", str(path), _AGAIN) from None
    if kind not in OPSETS:
        raise UserError(
            f"a network of kind {kind} has no form in ONNX here", str(path), f"Those that have: {', '.join(OPSETS)}."
        )
    if any(not np.isfinite(one).all() for one in network.weights.values()):
        raise UserError("holds weights that are not finite: training diverged", str(path), _AGAIN)
    return network


def _check_shapes(tensors: Mapping[str, NDArray[Any]], data: SampleData, path: Path) -> None:
    samples = len(data.label)
    if {"logits", "embedding", "part"} - tensors.keys():
        raise UserError("lacks rows of the samples", str(path), _AGAIN)
    shapes = tensors["logits"].shape, tensors["embedding"].shape[:1], tensors["part"].shape
    if shapes != ((samples, data.classes), (samples,), (samples,)):
        raise UserError("its rows are not those of the samples", str(path), _AGAIN)
