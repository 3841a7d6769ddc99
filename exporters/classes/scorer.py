"""Telling classes with a bundle on a CPU, with numpy and h5py alone: known samples; with onnxruntime, new ones.

    from exporters.classes.scorer import ClassScorer
    with ClassScorer("runs/gml-node-20260101-120000/export") as scorer:
        print(scorer.known([3, 17]).told)                 # as they were trained on
        print(scorer.new("others.npz").probability)       # other features, other graphs: through the encoders

Probabilities are calibrated, softmax(logits / T) with T learnt on validation; `raw=True` leaves T out.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.classes.inputs import NewSamples, read_new
from exporters.classes.manifest import ANSWERS, ENSEMBLE, PARTS, encoder_file, read_class_manifest
from exporters.classes.opened_answers import OpenedAnswers
from exporters.classes.sessions import open_encoder, run_encoder
from exporters.classes.temperature import log_softmax
from exporters.manifest import damaged, verify_files
from flykd_console.errors import UserError

# Of logits from each other, relative to 1 + |z|.
LARGEST_DISTANCE = 1e-4

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Answers:
    """What one model says of some samples.

    Attributes:
        ids: What the samples are called.
        probability: float64 [m, C]; `calibrated`: whether the model's temperature is in them.
        part: Of each sample `train`, `validation`, `test`, or empty: in no part, or new.
        label: Of each sample its class, -1: unknown.
    """

    model: str
    calibrated: bool
    ids: list[str]
    probability: NDArray[np.float64]
    part: list[str]
    label: Integers

    @property
    def told(self) -> Integers:
        """The class that is most probable, int64 [m]."""
        found: Integers = self.probability.argmax(axis=1)
        return found


class ClassScorer:
    """A bundle that tells classes, opened and checked.

    Args:
        bundle: The bundle's folder.
        verify: Whether to hold the files against the manifest's SHA-256.
        threads: Of each computation.

    Raises:
        UserError: The folder is no such bundle, is damaged, or of another schema.
    """

    def __init__(self, bundle: str | os.PathLike[str], *, verify: bool = True, threads: int = 1) -> None:
        self.path, self._verify, self._threads = Path(bundle), verify, threads
        self.manifest = read_class_manifest(self.path)
        if verify:
            verify_files(self.path, {ANSWERS: self.manifest.files[ANSWERS]})
        self.tables = OpenedAnswers(self.path, self.manifest)
        self.parts, self.labels = self.tables.parts(), self.tables.labels()
        self._sessions: dict[str, Any] = {}

    def __enter__(self) -> ClassScorer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the tables' file."""
        self.tables.close()

    def model(self, name: str | None) -> str:
        """A model by name; None: the one that the bundle answers with.

        Raises:
            UserError: The bundle has none of that name.
        """
        if name is None:
            return self.manifest.model
        if name not in self.manifest.models:
            raise UserError(
                f"there is no model {name!r}", str(self.path), f"Choose one of {', '.join(self.manifest.models)}."
            )
        return name

    def known(self, rows: Sequence[int] | None = None, model: str | None = None, raw: bool = False) -> Answers:
        """What a model says of samples that it was trained with, by their numbers; None: of all.

        Raises:
            UserError: There is no such sample or model.
        """
        name, what = self.model(model), self.manifest.what
        chosen = np.arange(self.manifest.samples) if rows is None else np.array(rows, dtype=np.int64)
        bad = chosen[(chosen < 0) | (chosen >= self.manifest.samples)]
        if len(bad):
            raise UserError(
                f"there is no {what} {bad[0]}", str(self.path), f"They are numbered 0 to {self.manifest.samples - 1}."
            )
        part = [PARTS[number] if number >= 0 else "" for number in self.parts[chosen]]
        probability = self._probability(self.tables.logits(name)[chosen], name, raw)
        return Answers(name, not raw, [str(row) for row in chosen], probability, part, self.labels[chosen])

    def new(self, path: str | os.PathLike[str], model: str | None = None, raw: bool = False) -> Answers:
        """What a model says of the samples of a file (`exporters.classes.inputs`), through its encoder.

        Raises:
            UserError: The file does not fit, or the bundle has no encoders.
        """
        name = self.model(model)
        samples = read_new(Path(path), self.manifest, self.tables, self.manifest.needs_graph[name])
        probability = self._probability(self.encode(samples, name)[samples.rows], name, raw)
        unknown = np.full(len(samples.rows), -1, dtype=np.int64)
        return Answers(name, not raw, samples.ids, probability, [""] * len(samples.rows), unknown)

    def encode(self, samples: NewSamples, model: str) -> Floats:
        """Logits of all samples by a model's encoder, [M, C]; of the ensemble the logarithm of its probabilities."""
        if model != ENSEMBLE:
            return self._encoded(samples, model)
        members = [np.exp(log_softmax(self._encoded(samples, name))) for name in self.manifest.members]
        found: Floats = np.log(np.maximum(np.mean(members, axis=0), np.finfo(np.float32).tiny)).astype(np.float32)
        return found

    def distance_of_encoder(self, model: str) -> float:
        """How far the encoder's logits of the known samples are from the stored ones, relative to 1 + |z|.

        Raises:
            UserError: Further than rounding explains.
        """
        stored = self.tables.logits(model)
        graph_of = self.tables.graph_of() if self.manifest.what == "graph" else None
        graphs = self.manifest.samples if graph_of is not None else 0
        whole = NewSamples(
            self.tables.features(), self.tables.edges(), graph_of, graphs, np.arange(self.manifest.samples), []
        )
        apart = float((np.abs(self.encode(whole, model) - stored) / (1.0 + np.abs(stored))).max(initial=0.0))
        if not apart <= LARGEST_DISTANCE:
            raise damaged(
                f"gives other answers than {ANSWERS} holds ({apart:.1e} off)", self.path / encoder_file(model)
            )
        return apart

    def _encoded(self, samples: NewSamples, model: str) -> Floats:
        file = encoder_file(model)
        if file not in self.manifest.files:
            raise UserError(
                f"the bundle holds answers only, and no {file}",
                str(self.path),
                "Export it with --onnx to tell of new samples.",
            )
        if model not in self._sessions:
            self._sessions[model] = open_encoder(self.path / file, self.manifest, self._threads, self._verify)
        feed: dict[str, Any] = {"x": samples.x}
        if self.manifest.needs_graph[model]:
            feed["edges"] = samples.edges
        if samples.graph_of is not None:
            feed |= {"graph_of": samples.graph_of, "graphs": np.array([samples.graphs], dtype=np.int64)}
        many = samples.graphs if samples.graph_of is not None else len(samples.x)
        return run_encoder(self._sessions[model], feed, (many, self.manifest.classes), self.path / file)

    def _probability(self, logits: Floats, model: str, raw: bool) -> NDArray[np.float64]:
        temperature = 1.0 if raw else self.manifest.temperature[model]
        found: NDArray[np.float64] = np.exp(log_softmax(logits, temperature))
        return found
