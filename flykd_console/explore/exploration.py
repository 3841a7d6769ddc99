"""What a trained model says of one disease or one drug: its ranking beside the teacher's and those of two scorers
without training (popularity, nearest neighbours), known pairs marked.

Everything comes from the run directory: the tables of embeddings that a model leaves as its last act, the nodes' names,
and the true pairs with the part that they belong to. A score is DistMult's, `logit = Σ_i head_i · relation_i · tail_i`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from flykd_console.errors import UserError
from flykd_console.explore.fuzzy import NameSearch
from flykd_console.explore.rivals import NearestTails, RivalRanks, neighbour_scores, popularity
from flykd_console.plain_text import plain
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.embedded import embedded_seeds, model_of
from flykd_console.runs.models import Role
from flykd_console.runs.results import Results, read_results

Floats = NDArray[np.float32]
Side = Literal["head", "tail"]
PARTS = ("train", "validation", "test")


def other(side: Side) -> Side:
    """The other end of a pair."""
    return "tail" if side == "head" else "head"


@dataclass(frozen=True)
class Tables:
    """One model's embeddings.

    Attributes:
        head: float32 [n_head, d].
        tails: By relation, pooled, float32 [n_tail, d].
        relations: By relation, float32 [d], in the run's order.
    """

    head_type: str
    tail_type: str
    head: Floats
    tails: Mapping[str, Floats]
    relations: Mapping[str, Floats]

    @property
    def tail_count(self) -> int:
        return len(next(iter(self.tails.values())))

    def table(self, side: Side, relation: str) -> Floats:
        """The embeddings of one end."""
        return self.head if side == "head" else self.tails[relation]

    def logits(self, side: Side, row: int, relation: str) -> Floats:
        """Logits of a node at `side` with every node of the other side, float32 [n_other]."""
        query = self.table(side, relation)[row] * self.relations[relation]
        return np.asarray(self.table(other(side), relation) @ query)


@dataclass(frozen=True, slots=True)
class RankedNode:
    """One line of a ranking.

    Attributes:
        rank: By the model, from 1; all ranks are among the same nodes.
        row: Of the node in its embedding table.
        teacher_rank: None where the run keeps no teacher.
        popularity_rank: By training pairs of the relation; equal ones share the first rank, None without any.
        neighbours_rank: By the scores of nearest neighbours, likewise; None where they say nothing of the pair.
        trained: Whether the relation has a training pair of the node.
        known: `train`, `validation` or `test` where the pair is a true one of the graph, else empty.
    """

    rank: int
    row: int
    id: str
    name: str
    logit: float
    teacher_rank: int | None
    popularity_rank: int | None
    neighbours_rank: int | None
    trained: bool
    known: str


@dataclass(frozen=True)
class RankedList:
    """The nodes of the other side, ranked for one node.

    Attributes:
        side: Of the node that was asked for; the ranked ones are of the other side.
        nodes: The best, best first.
        ranked: How many were ranked in all.
        left_out: Nodes without an embedding, which no training edge leads to: their score would be 0 with everything.
        known_ranks: Ranks of the true pairs by part, ascending.
        silent: The node asked for has no embedding itself: there is nothing to rank by.
    """

    side: Side
    row: int
    relation: str
    nodes: tuple[RankedNode, ...]
    ranked: int
    left_out: int
    known_ranks: Mapping[str, tuple[int, ...]]
    silent: bool = False


class Exploration:
    """A finished seed of a run, opened for looking things up.

    Args:
        directory: The run.
        seed: A seed whose model is done.
        model: Name of the model; None: the one that the run is about.

    Attributes:
        entry: The model, as the run lists it; `tables` are its embeddings.
        nearest: Per relation each tail's nearest trained tails; None where the run left no such file.
        teacher: The first teacher's tables; None where the run left none, or the model is that teacher.

    Raises:
        UserError: A file is missing or damaged, or there is no such model.
    """

    def __init__(self, directory: RunDirectory, seed: int, model: str | None = None) -> None:
        self.directory, self.seed = directory, seed
        results = read_results(directory.results)
        self.entry = model_of(directory, results, model)
        self.tables = read_tables(directory.embeddings(seed, self.entry.name))
        self.teacher = self._read_teacher(results)
        nodes = _read_parquet(directory.nodes)
        self._nodes: dict[Side, NameSearch] = {
            "head": _names(nodes, self.tables.head_type, len(self.tables.head), directory.nodes),
            "tail": _names(nodes, self.tables.tail_type, self.tables.tail_count, directory.nodes),
        }
        self._labels = _read_parquet(directory.labels(seed))
        path = directory.neighbours(seed)
        self.nearest = self._read_nearest(path) if path.is_file() else None

    def _read_teacher(self, results: Results) -> Tables | None:
        teacher = next((entry for entry in results.models if entry.role is Role.TEACHER), None)
        if teacher is None or teacher == self.entry:
            return None
        path = self.directory.embeddings(self.seed, teacher.name)
        return read_tables(path) if path.is_file() else None

    @property
    def relations(self) -> list[str]:
        """The scored relations in the run's order."""
        return list(self.tables.relations)

    def node_type(self, side: Side) -> str:
        """Node type of one end."""
        return self.tables.head_type if side == "head" else self.tables.tail_type

    def names(self, side: Side) -> NameSearch:
        """Ids and names of one end, by row, and the search in them."""
        return self._nodes[side]

    @cached_property
    def _known(self) -> dict[str, dict[tuple[int, int], str]]:
        """Per relation the part of every true pair (head row, tail row); training wins where a pair is in several."""
        rows = {side: {node_id: row for row, node_id in enumerate(names.ids)} for side, names in self._nodes.items()}
        known: dict[str, dict[tuple[int, int], str]] = {relation: {} for relation in self.relations}
        columns = (self._labels[name].to_list() for name in ("relation", "head_id", "tail_id", "part"))
        for relation, head_id, tail_id, part in zip(*columns, strict=True):
            pairs, head, tail = known.get(relation), rows["head"].get(head_id), rows["tail"].get(tail_id)
            if pairs is None or head is None or tail is None:
                continue
            if part == "train" or (head, tail) not in pairs:
                pairs[head, tail] = part
        return known

    def _read_nearest(self, path: Path) -> dict[str, NearestTails]:
        table, tails = _read_parquet(path), self.tables.tail_count
        found = {}
        for relation in self.relations:
            mine = table.filter(pl.col("relation") == relation)
            rows, index, similarity = (mine[name].to_numpy() for name in ("tail", "neighbour", "similarity"))
            if len(rows) and max(rows.max(), index.max()) >= tails:
                raise UserError("names nodes that there are not", str(path), "Files of different runs were mixed.")
            found[relation] = NearestTails.of(rows.astype(np.int64), index.astype(np.int64), similarity, tails)
        return found

    @cached_property
    def _train(self) -> dict[str, NDArray[np.int64]]:
        """Per relation the training pairs (head row, tail row), int64 [n, 2]."""
        return {
            relation: np.array([pair for pair, part in pairs.items() if part == "train"], dtype=np.int64).reshape(-1, 2)
            for relation, pairs in self._known.items()
        }

    def known(self, relation: str, side: Side, row: int) -> dict[int, str]:
        """The rows that a node makes true pairs with, and the part of each."""
        place = 0 if side == "head" else 1
        return {pair[1 - place]: part for pair, part in self._known[relation].items() if pair[place] == row}

    def most_known(self, side: Side, relation: str, limit: int = 12) -> list[tuple[int, int]]:
        """(row, true pairs) of the nodes with most true pairs under a relation, of those that can be ranked for."""
        place = 0 if side == "head" else 1
        counts = Counter(pair[place] for pair in self._known[relation])
        embedded = np.asarray(self.tables.table(side, relation).any(axis=1))
        found = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return [(row, count) for row, count in found if embedded[row]][:limit]

    def rank(self, side: Side, row: int, relation: str, top: int = 100) -> RankedList:
        """The best nodes of the other side for a node, by the model, beside the teacher's ranks."""
        others = self.tables.table(other(side), relation)
        candidates = np.flatnonzero(others.any(axis=1))
        left_out = len(others) - len(candidates)
        if not self.tables.table(side, relation)[row].any():
            return RankedList(side, row, relation, (), 0, left_out, {}, silent=True)
        logits = self.tables.logits(side, row, relation)[candidates]
        order = np.argsort(-logits, kind="stable")
        teacher = None
        if self.teacher is not None:
            teacher = _ranks(np.argsort(-self.teacher.logits(side, row, relation)[candidates], kind="stable"))
        popular, near = self._rivals(side, row, relation, candidates)
        names, known = self._nodes[other(side)], self.known(relation, side, row)
        nodes = tuple(
            RankedNode(
                rank=rank, row=int(candidates[place]), id=names.ids[candidates[place]],
                name=names.names[candidates[place]], logit=float(logits[place]),
                teacher_rank=int(teacher[place]) if teacher is not None else None,
                popularity_rank=int(popular.rank[place]) or None,
                neighbours_rank=(int(near.rank[place]) or None) if near is not None else None,
                trained=bool(popular.rank[place]),
                known=known.get(int(candidates[place]), ""),
            )
            for rank, place in enumerate(order[:top].tolist(), start=1)
        )  # fmt: skip
        rank_of = dict(zip(candidates.tolist(), _ranks(order).tolist(), strict=True))
        known_ranks = {part: _known_ranks(known, rank_of, part) for part in PARTS}
        return RankedList(side, row, relation, nodes, len(candidates), left_out, known_ranks)

    def _rivals(
        self, side: Side, row: int, relation: str, candidates: NDArray[np.int64]
    ) -> tuple[RivalRanks, RivalRanks | None]:
        """How popularity and, where the run left what they need, nearest neighbours order the candidates."""
        train, counts = self._train[relation], (len(self.tables.head), self.tables.tail_count)
        popular = RivalRanks.of(popularity(train, other(side), counts)[candidates])
        if self.nearest is None:
            return popular, None
        scores = neighbour_scores(self.nearest[relation], train, side, row, counts)
        return popular, RivalRanks.of(scores[candidates])


def explorable_seeds(directory: RunDirectory, model: str | None = None) -> list[int]:
    """The seeds whose model is done, ascending; none where the results cannot be read.

    Args:
        directory: The run.
        model: Name of the model; None: the one that the run is about.
    """
    try:
        results = read_results(directory.results)
        return embedded_seeds(directory, results, model_of(directory, results, model).name)
    except UserError:
        return []


def read_tables(path: Path) -> Tables:
    """Read a model's embeddings.

    Raises:
        UserError: The file is missing or damaged.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
            relations = json.loads(about["relations"])
            return Tables(
                head_type=about["head_type"],
                tail_type=about["tail_type"],
                head=file.get_tensor("head.embedding"),
                tails={name: file.get_tensor(f"tail.embedding/{name}") for name in relations},
                relations={name: file.get_tensor(f"relation/{name}") for name in relations},
            )
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UserError(f"the embeddings cannot be read ({reason})", str(path), "Train this seed again.") from None


def _ranks(order: NDArray[np.intp]) -> NDArray[np.int64]:
    """Rank from 1 of each place, given the places in order."""
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(1, len(order) + 1)
    return ranks


def _known_ranks(known: Mapping[int, str], rank_of: Mapping[int, int], part: str) -> tuple[int, ...]:
    """Ranks of the true pairs of a part, ascending."""
    return tuple(sorted(rank_of[row] for row, found in known.items() if found == part and row in rank_of))


def _read_parquet(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path, glob=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"cannot be read ({reason})", str(path), "Resume the run: it is written anew.") from None


def _names(nodes: pl.DataFrame, node_type: str, count: int, path: Path) -> NameSearch:
    mine = nodes.filter(pl.col("type") == node_type).sort("index")
    if mine.height != count:
        raise UserError(
            f"it names {mine.height} nodes of type {node_type}, but the embeddings have {count} rows", str(path),
            "Files of different runs were mixed.",
        )  # fmt: skip
    ids, names = ([plain(text or "") for text in mine[column].to_list()] for column in ("id", "name"))
    return NameSearch(ids, names)
