"""What the models of a finished seed tell of every node or graph: who is unsure, where members disagree, who is joined.

Everything comes from the run directory (`tasks/classification/files.py` says what stands where).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from flykd_console.errors import UserError
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.models import Role
from flykd_console.runs.results import read_results

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Order = Literal["uncertain", "disagreement", "mistakes", "number"]
ORDERS: tuple[Order, ...] = ("uncertain", "disagreement", "mistakes", "number")
PARTS = ("train", "validation", "test")
ENSEMBLE = "ensemble"
_TOP = 200


@dataclass(frozen=True)
class Sample:
    """One node or graph as one model sees it.

    Attributes:
        part: train, validation, test; empty: in none.
        label: Its class; -1: unknown.
        told: The class that the model tells, with `probability`.
        apart: Jensen-Shannon divergence of the members' answers over log of their number, 0 to 1: 0 where all say the
            same.
        votes: How many members tell the class that the model tells.
        degree: Of a node its neighbours, of a graph its nodes.
    """

    row: int
    part: str
    label: int
    told: int
    probability: float
    apart: float
    votes: int
    degree: int

    @property
    def wrong(self) -> bool:
        """Whether its class is known and another one is told."""
        return self.label not in (-1, self.told)


def explorable_class_seeds(directory: RunDirectory) -> list[int]:
    """Seeds that have results and rows of every sample."""
    if not directory.results.is_file() or not directory.sample_data.is_file():
        return []
    try:
        results = read_results(directory.results)
    except UserError:
        return []
    members = [entry.name for entry in results.models if entry.role is Role.MEMBER]
    seeds = sorted(int(seed) for seed in results.seeds if seed.isdecimal())
    return [seed for seed in seeds if members and all(directory.embeddings(seed, name).is_file() for name in members)]


class ClassExploration:
    """The answers of one seed's models.

    Attributes:
        models: Who can be asked, by name its label; the ensemble among them where the run measured one.
        members: Those that learn together.
        best: The member that validation puts first.
        classes: C; `samples`: how many there are; `what`: node or graph.

    Raises:
        UserError: A file is missing or damaged.
    """

    def __init__(self, directory: RunDirectory, seed: int) -> None:
        results = read_results(directory.results)
        data, facts = _tensors(directory.sample_data, ("edges", "label", "x_indptr", "graph_of"))
        self.labels: Integers = data["label"]
        self.classes, self.samples = int(facts["classes"]), len(self.labels)
        self.what = "graph" if "graph_of" in data else "node"
        self.models: dict[str, str] = {}
        self._probability: dict[str, Floats] = {}
        part = np.full(self.samples, -1)
        for entry in results.models:
            path = directory.embeddings(seed, entry.name)
            if entry.role is Role.ENSEMBLE or not path.is_file():
                continue
            found, _ = _tensors(path, ("logits", "part"))
            if found["logits"].shape != (self.samples, self.classes):
                raise UserError("its rows are not those of the samples", str(path), "Train this seed again.")
            self._probability[entry.name], part = _softmax(found["logits"]), found["part"]
            self.models[entry.name] = entry.label
        self._part = part
        self.members = [entry.name for entry in results.models if entry.role is Role.MEMBER]
        of_members = np.stack([self._probability[name] for name in self.members])
        if any(entry.name == ENSEMBLE for entry in results.models):
            self._probability[ENSEMBLE] = of_members.mean(axis=0)
            self.models[ENSEMBLE] = ENSEMBLE
        # Those that learn together come first, their mean after them, and last what they are held against.
        order = [*self.members, ENSEMBLE, *self.models]
        self.models = {name: self.models[name] for name in dict.fromkeys(order) if name in self.models}
        self._apart = _divergence(of_members)
        self._votes = of_members.argmax(axis=2)
        values = {name: _validated(results.seeds[str(seed)][name], results.headline) for name in self.members}
        self.best = max(values, key=lambda name: values[name])
        self._edges: Integers = data["edges"]
        if self.what == "node":
            self._degree = np.bincount(self._edges.ravel(), minlength=self.samples)
        else:
            self._degree = np.bincount(data["graph_of"], minlength=self.samples)

    def probabilities(self, row: int) -> dict[str, Floats]:
        """By model the probabilities of a sample's classes, [C]."""
        return {name: self._probability[name][row] for name in self.models}

    def sample(self, row: int, model: str) -> Sample:
        """One sample as a model sees it."""
        told = int(self._probability[model][row].argmax())
        return Sample(
            row=row,
            part=PARTS[self._part[row]] if self._part[row] >= 0 else "",
            label=int(self.labels[row]),
            told=told,
            probability=float(self._probability[model][row, told]),
            apart=float(self._apart[row]),
            votes=int((self._votes[:, row] == told).sum()),
            degree=int(self._degree[row]),
        )

    def listed(self, model: str, order: Order, part: str = "", told: int | None = None, first: int = 0) -> list[Sample]:
        """Samples in an order.

        Args:
            order: uncertain: highest entropy first; disagreement: members furthest apart first; mistakes: told wrong
                and most surely so first; number: as they are numbered.
            part: Of this part alone; empty: of all.
            told: That are told as this class alone.
            first: By number: those from here on.
        """
        probability = self._probability[model]
        classes = probability.argmax(axis=1)
        kept = np.ones(self.samples, dtype=np.bool_)
        if part:
            kept &= self._part == PARTS.index(part)
        if told is not None:
            kept &= classes == told
        if order == "mistakes":
            kept &= (self.labels >= 0) & (classes != self.labels)
        if order == "number":
            kept[:first] = False
        rows = np.flatnonzero(kept)
        keys: Mapping[str, Any] = {
            "uncertain": -_entropy(probability),
            "disagreement": -self._apart,
            "mistakes": -probability.max(axis=1),
            "number": np.zeros(self.samples),
        }
        chosen = rows[np.argsort(keys[order][rows], kind="stable")][:_TOP]
        return [self.sample(int(row), model) for row in chosen]

    def neighbours(self, row: int, model: str) -> list[Sample]:
        """The nodes that a node is joined to, ascending; of graphs none."""
        if self.what != "node":
            return []
        ends = self._edges[(self._edges == row).any(axis=1)].ravel()
        return [self.sample(int(one), model) for one in np.unique(ends[ends != row])]


def _validated(result: Any, headline: str) -> float:
    return float(result.validation.value(headline) or 0.0)


def _softmax(logits: Any) -> Floats:
    raised = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    found: Floats = raised / raised.sum(axis=1, keepdims=True)
    return found


def _entropy(probability: Floats) -> Floats:
    """-sum p log p over the last axis, in nats."""
    found: Floats = -(probability * np.log(np.maximum(probability, 1e-300))).sum(axis=-1)
    return found


def _divergence(of_members: Floats) -> Floats:
    """H(mean p) - mean H(p) over log K (Lin 1991), [N], for members' probabilities [K, N, C]; 0 for one member."""
    if len(of_members) < 2:
        return np.zeros(of_members.shape[1])
    apart = _entropy(of_members.mean(axis=0)) - _entropy(of_members).mean(axis=0)
    found: Floats = np.maximum(apart, 0.0) / np.log(len(of_members))
    return found


def _tensors(path: Path, names: Sequence[str]) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Some tensors of a file, as far as it has them, and its metadata."""
    try:
        with safe_open(path, framework="numpy") as handle:
            there = set(handle.keys())
            found = {name: handle.get_tensor(name) for name in names if name in there}
            facts = {key: json.loads(one) for key, one in (handle.metadata() or {}).items() if key != "sha256"}
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"cannot be read ({error})", str(path), "Train this seed again.") from None
    lacking = [name for name in names if name not in found and name != "graph_of"]
    if lacking:
        raise UserError(f"lacks {lacking[0]}", str(path), "Train this seed again.")
    return found, facts
