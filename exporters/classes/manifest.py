"""The table of contents of a bundle that tells classes, and what its files are called.

Writer and scorer share this module, so it imports nothing but the standard library.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exporters.manifest import CARD, MANIFEST, FileRecord, checked_values, damaged, manifest_data, tells_classes
from flykd_console.errors import UserError

ANSWERS = "answers.h5"
NODES, GRAPHS = "node_classification", "graph_classification"
# Of several members: the mean of their probabilities.
ENSEMBLE = "ensemble"
PARTS = ("train", "validation", "test")
_ENCODER = re.compile(r"encoder-[a-z][a-z0-9_-]{0,63}\.onnx")


@dataclass(frozen=True)
class ClassManifest:
    """A bundle's contents and where they come from.

    Attributes:
        schema: Version of the bundle's layout.
        task: `node_classification` or `graph_classification`.
        run: Name of the run that was exported; `method` is its profile's.
        model: Who answers unless another model is asked for; `model_choice` says why this one.
        models: Everyone who can be asked, in order; the last may be `ensemble`, the mean of the others' probabilities.
        needs_graph: By model whether it looks at edges; the ensemble where one of its members does.
        seed: The seed that was exported; `seed_choice` says why.
        classes: C; `features`: width of a node's features.
        samples: How many nodes or graphs; `nodes` and `edges`: of all of them.
        normalised: Whether the encoders divide a node's features by their sum.
        columns: Of graphs that are read from texts what a column of features stands for; empty elsewhere.
        temperature: By model what its logits are divided by, learnt on validation (Guo et al. 2017).
        calibration: By model `nll` and `ece` of validation and test, before and after.
        data: `source` and `fingerprint`.
        profile_sha256, split_sha256: As in other bundles.
        headline: The metric that comes first.
        metrics: By model, part and metric the run's own figures, those of every model of the seed.
        over: By model its fair rival, as the run has it.
        parity: By encoder how far its logits are from torch's at most, on the run's samples and on made-up ones.
        opsets: By encoder its ONNX operator set.
        checks: What was verified before the bundle got its name: `name`, `detail`.
        written_with: Versions of the libraries that wrote the files.
        files: Record of each file except the manifest.
    """

    schema: int
    task: str
    run: str
    method: str
    model: str
    model_choice: str
    models: list[str]
    needs_graph: dict[str, bool]
    seed: int
    seed_choice: str
    classes: int
    features: int
    samples: int
    nodes: int
    edges: int
    normalised: bool
    columns: dict[str, Any]
    temperature: dict[str, float]
    calibration: dict[str, Any]
    data: dict[str, Any]
    profile_sha256: str
    split_sha256: str
    headline: str
    metrics: dict[str, Any]
    over: dict[str, str]
    files: dict[str, FileRecord]
    parity: dict[str, float] = field(default_factory=dict)
    opsets: dict[str, int] = field(default_factory=dict)
    checks: list[dict[str, str]] = field(default_factory=list)
    written_with: dict[str, str] = field(default_factory=dict)

    @property
    def members(self) -> list[str]:
        """The models that have weights of their own."""
        return [name for name in self.models if name != ENSEMBLE]

    @property
    def what(self) -> str:
        """What a sample is."""
        return "node" if self.task == NODES else "graph"


def encoder_file(model: str) -> str:
    """The file of a model's encoder."""
    return f"encoder-{model}.onnx"


def is_file_of_a_bundle(name: str) -> bool:
    """Whether a bundle that tells classes has files of this name."""
    return name in (ANSWERS, CARD, MANIFEST) or _ENCODER.fullmatch(name) is not None


def read_class_manifest(folder: Path) -> ClassManifest:
    """The manifest of a bundle folder.

    Raises:
        UserError: No bundle, an unreadable or incomplete manifest, one of another schema, or of drugs and diseases.
    """
    data, path = manifest_data(folder), folder / MANIFEST
    if not tells_classes(data):
        raise UserError("this bundle ranks pairs of a knowledge graph, and tells no classes", str(folder))
    manifest = ClassManifest(**checked_values(_with_numbers(data), ClassManifest, path))
    _check(manifest, path)
    return manifest


def _with_numbers(data: dict[str, Any]) -> dict[str, Any]:
    """JSON writes 1.0 as it is, but a hand may write 1."""
    found = dict(data)
    for name in ("temperature", "parity"):
        values = found.get(name)
        if isinstance(values, dict):
            found[name] = {key: float(one) if type(one) is int else one for key, one in values.items()}
    return found


def _check(manifest: ClassManifest, path: Path) -> None:
    if manifest.task not in (NODES, GRAPHS):
        raise damaged(f"names the task {manifest.task!r}", path)
    if not all(is_file_of_a_bundle(name) for name in manifest.files) or ANSWERS not in manifest.files:
        raise damaged("lists files that no bundle has, or no answers", path)
    models = manifest.models
    if not models or len(set(models)) != len(models) or manifest.model not in models:
        raise damaged("lists a model twice, or none that answers", path)
    # Names of models are names of files.
    if any(_ENCODER.fullmatch(encoder_file(name)) is None for name in models):
        raise damaged("lists a model of an unusable name", path)
    if min(manifest.classes, manifest.features, manifest.samples, manifest.nodes) < 1 or manifest.edges < 0:
        raise damaged("has no usable sizes", path)
    if set(manifest.temperature) != set(models) or not all(0.0 < one < 1e6 for one in manifest.temperature.values()):
        raise damaged("has no usable 'temperature'", path)
    if set(manifest.needs_graph) != set(models):
        raise damaged("has no usable 'needs_graph'", path)
    _check_columns(manifest, path)


def _check_columns(manifest: ClassManifest, path: Path) -> None:
    columns = manifest.columns
    if not columns:
        return
    lists = [columns.get("tags"), columns.get("degrees")]
    whole = all(isinstance(one, list) and all(type(entry) is int for entry in one) for one in lists)
    if not whole or type(columns.get("highest_degree")) is not int:
        raise damaged("has no usable 'columns'", path)
    if sum(len(one) for one in lists if one) not in (0, manifest.features):
        raise damaged("names other columns than it has features", path)
