"""What a trained model has left in its run directory, opened and checked: embeddings, pairs, test scores, results.

Writers may rely on it: the shapes fit each other, and every id is in the node tables.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.run_tables import (
    Connection,
    EvaluationSet,
    Floats,
    Indices,
    NodeTable,
    SideEdges,
    check_connections,
    check_profiles,
    parse_toml,
    read_bytes,
    read_connections,
    read_json,
    read_nearest,
    read_nodes,
    read_pairs,
    read_profiles,
    read_scored,
    read_tests,
)
from flykd_console.errors import UserError
from flykd_console.explore.rivals import NearestTails
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.embedded import embedded_models, embedded_seeds
from flykd_console.runs.results import ModelResult, Results, read_results
from flykd_console.words import metric_words

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Probe:
    """Random pairs with the logits that torch computed: rows int64 [m], logits float32 [m]."""

    head: Indices
    tail: Indices
    logit: Floats


@dataclass(frozen=True)
class TrainedRun:
    """One model of one seed, or the mean of several seeds' (`exporters.ensemble`), with all that an export needs.

    Attributes:
        seeds: The seed, or those whose logits are averaged.
        tensors: By name: `head.embedding`, `tail.embedding/RELATION`, `relation/RELATION`, `probe/RELATION/...`.
        nodes: Node table of the head type and of the tail type.
        pairs: Per relation and part the true pairs, rows (head, tail), int64 [n, 2], sorted and without repeats.
        tests: Per relation the test set; of several seeds none, since each has trained on most pairs of the others'.
        validation: Per relation what probabilities are learnt from; None where the run left no such file.
        nearest: Per relation each tail's nearest trained tails; None where the run left no such file.
        connections: Edges of third node types, whose tables are `third`; None where the run left no such file.
        profiles: What training says of heads and tails besides their labels; None where the run left no such file.
            `beside` has the tables of the node types that are not scored.
        result: What the run measured for this model and seed.
        results: The whole of `results.json`.
        environment: The whole of `environment.json` (empty where there is none).
        profile: The resolved profile; `profile_sha256` is its file's hash.
        members: The models that are averaged; none for one alone.
        dtype: How tables are stored (`exporters.precision`); `tensors` are as they read back.
        quantised: For int8, by tensor the levels int8 [n, d] and the scales float32 [n].
    """

    directory: RunDirectory
    seeds: tuple[int, ...]
    model: str
    dim: int
    head_type: str
    tail_type: str
    relations: list[str]
    tensors: Tensors
    nodes: Mapping[str, NodeTable]
    pairs: Mapping[str, Mapping[str, Indices]]
    tests: Mapping[str, EvaluationSet]
    validation: Mapping[str, EvaluationSet] | None
    nearest: Mapping[str, NearestTails] | None
    connections: tuple[Connection, ...] | None
    third: Mapping[str, NodeTable]
    profiles: tuple[SideEdges, ...] | None
    beside: Mapping[str, NodeTable]
    result: ModelResult
    results: Results
    environment: dict[str, Any]
    profile: dict[str, Any]
    profile_sha256: str
    members: tuple[TrainedRun, ...] = ()
    dtype: str = "float32"
    quantised: Mapping[str, tuple[NDArray[np.int8], Floats]] = field(default_factory=dict)

    @property
    def missing(self) -> dict[str, str]:
        """What the bundle cannot hold because the run left no such file: by the scorer's word for it the file."""
        files = {
            "neighbours": (self.nearest, "neighbours.parquet"),
            "through": (self.connections, "connections.parquet"),
            "profiles": (self.profiles, "profiles.parquet"),
        }
        return {name: file for name, (found, file) in files.items() if found is None}

    @property
    def graph(self) -> dict[str, Any]:
        """`source` (of a file the name alone, since bundles are handed on), `fingerprint`, and counts where known."""
        found = self.environment.get("graph")
        counts = {key: found[key] for key in ("nodes", "edges") if key in found} if isinstance(found, dict) else {}
        source = PurePath(self.results.graph.source).name
        return {"source": source, "fingerprint": self.results.graph.fingerprint, **counts}

    def vectors(self) -> Floats:
        """The relation vectors, float32 [R, d], in the order of `relations`."""
        return np.stack([self.tensors[f"relation/{relation}"] for relation in self.relations])

    def tail_tensor(self, relation: str) -> str:
        """Name of the tail table of a relation."""
        return f"tail.embedding/{relation}"

    def probe(self, relation: str) -> Probe:
        """The probe pairs of a relation and the logits that torch left for them."""
        return Probe(*(self.tensors[f"probe/{relation}/{part}"] for part in ("head", "tail", "logit")))


def results_of(directory: RunDirectory) -> Results:
    """`results.json` of a run.

    Raises:
        UserError: The run has no finished seed, or the file is not what a run writes.
    """
    if directory.tells_classes:
        raise UserError(
            "this run tells classes of nodes or graphs, and ranks no drugs",
            directory.name,
            f"Its bundle: flykd-console export {directory.name}",
        )
    if not directory.results.is_file():
        raise UserError(
            "this run has no finished seed yet (no results.json)",
            directory.name,
            f"Go on with it: flykd-console run --resume {directory.name}",
        )
    return read_results(directory.results)


def choose_seeds(directory: RunDirectory, model: str, results: Results, ensemble: bool) -> tuple[list[int], str]:
    """The seed whose model is best on validation data (never on test data), and the reason in words.

    Args:
        ensemble: All finished seeds instead.

    Raises:
        UserError: No seed of the run has finished this model, or one alone where several are to be averaged.
    """
    finished = embedded_seeds(directory, results, model)
    if not finished:
        others = embedded_models(directory, results)
        hint = f"Choose another with --model: {', '.join(others)}." if others else "Let the run finish first."
        raise UserError(f"no seed of this run has a finished {model}", directory.name, hint)
    if ensemble and len(finished) == 1:
        raise UserError(
            f"seed {finished[0]} alone has a finished {model}: there is nothing to average",
            f"{directory.name}, --ensemble",
            "Train more seeds, or leave --ensemble out.",
        )
    if ensemble:
        return finished, f"the mean of the logits of all {len(finished)} finished seeds"
    if len(finished) == 1:
        return finished, "the only finished seed"
    scores = {seed: results.seeds[str(seed)][model].validation.value(results.headline) for seed in finished}
    known = {seed: score for seed, score in scores.items() if score is not None}
    if not known:
        return finished[:1], "the first seed; the run has no validation figures to choose by"
    best = max(known, key=lambda seed: (known[seed], -seed))
    metric = metric_words(results.headline)
    reason = (
        f"best validation {metric} of {len(finished)} seeds, {100 * known[best]:.2f} %; test figures played no part"
    )
    return [best], reason


def read_trained_run(directory: RunDirectory, seed: int, model: str, results: Results) -> TrainedRun:
    """One model of one seed.

    Raises:
        UserError: A file is missing or unreadable, or the files contradict each other.
    """
    from safetensors import SafetensorError, safe_open

    finished = embedded_seeds(directory, results, model)
    if seed not in finished:
        known = f"Finished seeds: {', '.join(map(str, finished))}." if finished else "Let the run finish first."
        raise UserError(f"seed {seed} has no finished {model}", directory.name, known)
    path = directory.embeddings(seed, model)
    try:
        with safe_open(path, framework="numpy") as handle:
            metadata = handle.metadata() or {}
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise UserError(f"the embeddings cannot be read ({error})", str(path), "Train this seed again.") from None
    head_type, tail_type, relations = _types(metadata, path)
    connections = read_connections(directory) if directory.connections.is_file() else None
    third_types = sorted({one.x_type for one in connections or ()} - {head_type, tail_type})
    profiles = read_profiles(directory.profiles(seed)) if directory.profiles(seed).is_file() else None
    ends = {kind for one in profiles or () for kind, _ in one.ends}
    beside = sorted(ends - {head_type, tail_type})
    tables = read_nodes(directory, dict.fromkeys((head_type, tail_type, *third_types, *beside)))
    nodes = {kind: tables[kind] for kind in (head_type, tail_type)}
    sides = {"head": nodes[head_type], "tail": nodes[tail_type]}
    dim = _width(tensors, relations, sides, path)
    check_connections(connections or (), tables, directory.connections)
    check_profiles(profiles or (), tables, directory.profiles(seed))
    profile = read_bytes(directory.profile)
    validation, nearest = directory.scores(seed, "validation"), directory.neighbours(seed)
    return TrainedRun(
        directory=directory,
        seeds=(seed,),
        model=model,
        dim=dim,
        head_type=head_type,
        tail_type=tail_type,
        relations=relations,
        tensors=tensors,
        nodes=nodes,
        pairs=read_pairs(directory.labels(seed), relations, sides),
        tests=read_tests(directory.test_scores(seed), relations, sides, model),
        validation=read_scored(validation, relations, sides, model) if validation.is_file() else None,
        nearest=read_nearest(nearest, relations, len(sides["tail"].ids)) if nearest.is_file() else None,
        connections=connections,
        third={kind: tables[kind] for kind in third_types},
        profiles=profiles,
        beside={kind: tables[kind] for kind in beside},
        result=results.seeds[str(seed)][model],
        results=results,
        environment=read_json(directory.environment) if directory.environment.is_file() else {},
        profile=parse_toml(profile, directory.profile),
        profile_sha256=hashlib.sha256(profile).hexdigest(),
    )


def _types(metadata: Mapping[str, str], path: Path) -> tuple[str, str, list[str]]:
    """Head type, tail type and relations, as the embedding file names them."""
    try:
        if int(metadata["schema"]) != 1:
            raise UserError(f"is of schema {metadata['schema']}, this program reads 1", str(path), "Update it.")
        relations = json.loads(metadata["relations"])
        head_type, tail_type = metadata["head_type"], metadata["tail_type"]
    except (KeyError, ValueError) as error:
        raise UserError(f"lacks usable metadata ({error})", str(path), "Train this seed again.") from None
    if not relations or not isinstance(relations, list) or not all(isinstance(r, str) and r for r in relations):
        raise UserError("names no relations", str(path), "Train this seed again.")
    return head_type, tail_type, relations


def _width(tensors: Tensors, relations: list[str], sides: Mapping[str, NodeTable], path: Path) -> int:
    """The width d, once every tensor has the shape and type that the tables ask for."""

    def shape(name: str) -> tuple[int, ...]:
        if name not in tensors:
            raise UserError(f"the tensor {name!r} is missing", str(path), "Train this seed again.")
        return tensors[name].shape

    width = shape("head.embedding")[-1:]
    heads, tails = (len(sides[side].ids) for side in ("head", "tail"))
    expected = {"head.embedding": ((heads, *width), "float32")}
    if "tail.embedding" in tensors:
        expected["tail.embedding"] = ((tails, *width), "float32")
    for relation in relations:
        expected[f"tail.embedding/{relation}"] = ((tails, *width), "float32")
        expected[f"relation/{relation}"] = (width, "float32")
        pairs = shape(f"probe/{relation}/logit")
        for part, dtype in (("head", "int64"), ("tail", "int64"), ("logit", "float32")):
            expected[f"probe/{relation}/{part}"] = (pairs, dtype)
    for name, wanted in expected.items():
        found = shape(name), str(tensors[name].dtype)
        if found != wanted:
            raise UserError(
                f"{name} is {found[1]} {list(found[0])} where the node tables ask for {wanted[1]} {list(wanted[0])}",
                str(path),
                "Train this seed again.",
            )
    return width[0]
