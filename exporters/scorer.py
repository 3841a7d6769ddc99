"""Scoring a bundle on a CPU with numpy, h5py and onnxruntime alone: rankings for a head or a tail, and pairs.

    from exporters.scorer import Scorer
    with Scorer("runs/flykd-20260101-120000/export") as scorer:
        for drug in scorer.rank_drugs("asthma", relation="indication", top=20):
            print(drug.rank, drug.name, drug.popularity_rank, drug.neighbours_rank, drug.probability, drug.known)

The same from a shell: `python -m exporters BUNDLE --disease asthma --relation indication` prints CSV.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from exporters.answers import RIVALS, Nearest, Order, Ranked, ScoredPair
from exporters.beside import Beside
from exporters.lookup import NodeIndex
from exporters.manifest import EMBEDDINGS, PARTS, RANKING_HEAD, SCORING_HEAD, damaged, read_manifest, verify_files
from exporters.onnx_sessions import open_head, run_head
from exporters.opened_tables import OpenedTables, other_side
from exporters.waypoints import Waypoint, Waypoints
from flykd_console.errors import UserError
from flykd_console.explore.rivals import RivalRanks, gain_of_rank
from flykd_console.relation_names import is_meant

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

_BLOCK = 1 << 16


class Scorer:
    """A bundle, opened and checked.

    Args:
        bundle: The bundle's folder.
        verify: Whether to hold the files against the manifest's SHA-256 (some tenths of a second for large tables).
        threads: Of each computation. One is enough for a ranking, and leaves the other cores to other requests.

    Attributes:
        manifest: What the bundle holds and where it comes from.
        relations: Scored relations, in the order of their indices.
        heads: Ids and names of the head type; `tails` of the tail type.
        tables: The opened HDF5 file; `beside` is what stands beside a ranking.

    Raises:
        UserError: The folder is no bundle, is damaged, is of a newer schema, or holds no ONNX heads.
    """

    def __init__(self, bundle: str | os.PathLike[str], *, verify: bool = True, threads: int = 1) -> None:
        self.path = Path(bundle)
        self.manifest = read_manifest(self.path)
        missing = [name for name in (SCORING_HEAD, RANKING_HEAD) if name not in self.manifest.files]
        if missing:
            raise UserError(
                f"the bundle holds tables only, not {missing[0]}",
                str(self.path),
                "Export it with --onnx to score with it.",
            )
        if verify:
            verify_files(self.path, self.manifest, (EMBEDDINGS,))
        self.relations: tuple[str, ...] = tuple(self.manifest.relations)
        self._scoring, self._ranking = (
            open_head(self.path / name, self.manifest, threads, verify) for name in (SCORING_HEAD, RANKING_HEAD)
        )
        self.tables = OpenedTables(self.path, self.manifest)
        self.heads = self.tables.nodes(self.manifest.head_type)
        self.tails = self.tables.nodes(self.manifest.tail_type)
        self.beside = Beside(self.tables, (len(self.heads), len(self.tails)))

    def __enter__(self) -> Scorer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the tables' file; what was read already stays usable."""
        self.tables.close()

    def relation(self, name: str | None) -> str:
        """A relation by name; None means the only one.

        Raises:
            UserError: There is none of that name, or there are several to choose from.
        """
        if name is None and len(self.relations) == 1:
            return self.relations[0]
        if name is not None and name not in self.relations:
            ends = self.manifest.head_type, self.manifest.tail_type
            name = next((one for one in self.relations if is_meant(name, ends[0], one, ends[1])), name)
        if name not in self.relations:
            title = "there are several relations" if name is None else f"there is no relation {name!r}"
            raise UserError(title, str(self.path), f"Choose one: {', '.join(self.relations)}.")
        return name

    def side_of(self, node_type: str) -> str:
        """`head` or `tail`, by a node type; in a bundle of other types `drug` means the head, `disease` the tail."""
        head_type, tail_type = self.manifest.head_type, self.manifest.tail_type
        if node_type in (head_type, tail_type):
            return "head" if node_type == head_type else "tail"
        if node_type == "drug":
            return "tail" if head_type == "disease" else "head"
        if node_type == "disease":
            return "head" if tail_type == "drug" else "tail"
        raise UserError(
            f"there is no node type {node_type!r}",
            str(self.path),
            f"The bundle holds {head_type} and {tail_type}.",
        )

    def rank(
        self,
        node: str | int,
        relation: str | None = None,
        top: int = 20,
        exclude_known: bool = False,
        *,
        node_type: str | None = None,
        **order: Unpack[Order],
    ) -> list[Ranked]:
        """The best nodes of the other type for a node, best first.

        Args:
            node: Its row, id, name or the beginning of its name.
            node_type: Of the node; None: the tails', which is a disease where drugs are ranked. Else as `rank_tails`.
        """
        side = "tail" if node_type is None else self.side_of(node_type)
        return self._rank(side, node, relation, top, exclude_known, order)

    def nearest(
        self, node: str | int, relation: str | None = None, top: int = 20, *, node_type: str | None = None
    ) -> list[Nearest]:
        """The nodes of a node's own type that are most like it to the model, by the cosine of their embeddings.

        Arguments as in `rank`; nodes without an embedding are left out.

        Raises:
            UserError: The node or the relation is not there, or is ambiguous; or the node has no embedding.
        """
        side, name = "tail" if node_type is None else self.side_of(node_type), self.relation(relation)
        if top < 1:
            raise UserError(f"{top} is not a number of results", "--top", "Give 1 or more.")
        nodes = self.heads if side == "head" else self.tails
        row, table = self._row(nodes, node), self.tables.embeddings(side, name)
        length = np.linalg.norm(table, axis=1)
        if length[row] == 0.0:
            raise self._unknown(nodes, row)
        cosine = (table @ table[row]) / np.where(length > 0.0, length, 1.0) / length[row]
        cosine[row] = -np.inf
        cosine[length == 0.0] = -np.inf
        order = np.argsort(-cosine, kind="stable")[:top]
        found = order[np.isfinite(cosine[order])].tolist()
        return [
            Nearest(rank, index, nodes.ids[index], nodes.names[index], float(cosine[index]))
            for rank, index in enumerate(found, start=1)
        ]

    def rank_tails(
        self,
        head: str | int,
        relation: str | None = None,
        top: int = 20,
        exclude_known: bool = False,
        **order: Unpack[Order],
    ) -> list[Ranked]:
        """The best tails for a head (its row, id, name or beginning of its name), best first.

        Args:
            relation: Needed where the bundle has several.
            top: How many; all where there are fewer.
            exclude_known: Leave out every true pair of the graph (train, validation and test).
            order: Another order than the model's, or a part of the list: `Order`.

        Raises:
            UserError: The node or the relation is not there, or is ambiguous; or the bundle lacks what is asked for.
        """
        return self._rank("head", head, relation, top, exclude_known, order)

    def rank_heads(
        self,
        tail: str | int,
        relation: str | None = None,
        top: int = 20,
        exclude_known: bool = False,
        **order: Unpack[Order],
    ) -> list[Ranked]:
        """The best heads for a tail; the rest as in `rank_tails`."""
        return self._rank("tail", tail, relation, top, exclude_known, order)

    def rank_drugs(
        self,
        disease: str | int,
        relation: str | None = None,
        top: int = 20,
        exclude_known: bool = False,
        **order: Unpack[Order],
    ) -> list[Ranked]:
        """The best drugs for a disease, whichever of the two is the head; the rest as in `rank_tails`."""
        return self._rank(self.side_of("disease"), disease, relation, top, exclude_known, order)

    def rank_diseases(
        self,
        drug: str | int,
        relation: str | None = None,
        top: int = 20,
        exclude_known: bool = False,
        **order: Unpack[Order],
    ) -> list[Ranked]:
        """The best diseases for a drug, whichever of the two is the head; the rest as in `rank_tails`."""
        return self._rank(self.side_of("drug"), drug, relation, top, exclude_known, order)

    def score(self, heads: ArrayLike, tails: ArrayLike, relation: str | None = None) -> tuple[Floats, Floats]:
        """Logits and probabilities, float32 [n] each, of pairs given as rows of the embedding tables, int [n] each.

        Without a calibration of the relation the probabilities are NaN.
        """
        name = self.relation(relation)
        rows = [np.asarray(side, dtype=np.int64).reshape(-1) for side in (heads, tails)]
        if len(rows[0]) != len(rows[1]):
            raise ValueError(f"{len(rows[0])} heads and {len(rows[1])} tails")
        for side, nodes in zip(rows, (self.heads, self.tails), strict=True):
            if side.size and (side.min() < 0 or side.max() >= len(nodes)):
                raise IndexError(f"a row of {nodes.node_type} is outside 0 to {len(nodes) - 1}")
        outputs = [np.empty(len(rows[0]), dtype=np.float32) for _ in range(2)]
        for start in range(0, len(rows[0]), _BLOCK):
            block = slice(start, start + _BLOCK)
            feed = {
                "head": self.tables.embeddings("head", name)[rows[0][block]],
                "relation": np.full(len(rows[0][block]), self.relations.index(name), dtype=np.int64),
                "tail": self.tables.embeddings("tail", name)[rows[1][block]],
            }
            answer = run_head(self._scoring, ["logit", "probability"], feed, self.path / SCORING_HEAD)
            for output, values in zip(outputs, answer, strict=True):
                if values.shape != output[block].shape:
                    raise damaged("gives something else than one number a pair", self.path / SCORING_HEAD)
                output[block] = values
        if not self.is_calibrated(name):
            outputs[1].fill(np.nan)
        return outputs[0], outputs[1]

    def score_pairs(
        self, pairs: Sequence[tuple[str | int, str | int]], relation: str | None = None
    ) -> list[ScoredPair]:
        """Score (head, tail) pairs, each node by its row, id, name or beginning of its name, in the order given."""
        name = self.relation(relation)
        heads = [self._row(self.heads, head) for head, _ in pairs]
        tails = [self._row(self.tails, tail) for _, tail in pairs]
        known = {}
        for part in reversed(PARTS):
            known.update(dict.fromkeys(map(tuple, self.tables.pairs(name, part).tolist()), part))
        head_counts, tail_counts = (self.beside.training_pairs(name, side) for side in ("head", "tail"))
        return [
            ScoredPair(
                relation=name,
                head_id=self.heads.ids[head],
                head_name=self.heads.names[head],
                tail_id=self.tails.ids[tail],
                tail_name=self.tails.names[tail],
                logit=float(logit),
                probability=None if np.isnan(probability) else float(probability),
                known=known.get((head, tail), ""),
                head_trained=bool(head_counts[head]),
                tail_trained=bool(tail_counts[tail]),
            )
            for head, tail, logit, probability in zip(heads, tails, *self.score(heads, tails, name), strict=True)
        ]

    def is_calibrated(self, relation: str) -> bool:
        """Whether the relation's probabilities are calibrated."""
        return "slope" in self.manifest.calibration.get(relation, {})

    def waypoint(self, text: str) -> Waypoint:
        """The node of a third type that `text` means.

        Raises:
            UserError: None or several are meant, or the bundle holds no connections.
        """
        if "through" in self.manifest.missing:
            raise self._lacks("through", "connections of third nodes")
        return self._waypoints.find(text)

    def reached(self, through: str, side: str) -> Rows:
        """Rows of the `head` or `tail` nodes that the node meant by `through` reaches, int64 [n], ascending."""
        point = self.waypoint(through)
        return self._waypoints.reached(point, (self.heads if side == "head" else self.tails).node_type)

    @cached_property
    def _waypoints(self) -> Waypoints:
        return Waypoints(self.tables, (self.manifest.head_type, self.manifest.tail_type))

    def _rank(
        self, side: str, node: str | int, relation: str | None, top: int, exclude_known: bool, order: Order
    ) -> list[Ranked]:
        name = self.relation(relation)
        if top < 1:
            raise UserError(f"{top} is not a number of results", "--top", "Give 1 or more.")
        nodes, others = (self.heads, self.tails) if side == "head" else (self.tails, self.heads)
        row = self._row(nodes, node)
        known = self.tables.known(name, side, row)
        index, logit, probability = self._scored(side, row, name, known if exclude_known else {})
        rank = np.arange(1, len(index) + 1)
        rivals = self.beside.rivals(side, row, name, index)
        adjusted = self.beside.adjusted(side, row, name, index) if order.get("adjust") else None
        asked = order.get("beyond")
        beyond = None if asked is None else gain_of_rank(rank, self._rival(rivals, asked))
        kept = self._kept(side, row, index, order.get("through"))
        key = beyond if beyond is not None else adjusted
        if key is not None:
            # Of equals the better by the model.
            kept = kept[np.argsort(-key[kept], kind="stable")]
        trained = self.beside.training_pairs(name, other_side(side))
        calibrated = self.is_calibrated(name)
        return [
            Ranked(
                relation=name,
                rank=int(rank[n]),
                index=int(index[n]),
                id=others.ids[index[n]],
                name=others.names[index[n]],
                logit=float(logit[n]),
                probability=float(probability[n]) if calibrated else None,
                known=known.get(int(index[n]), ""),
                trained=bool(trained[index[n]]),
                popularity_rank=_shown(rivals["popularity"], n),
                neighbours_rank=_shown(rivals.get("neighbours"), n),
                adjusted=None if adjusted is None else float(adjusted[n]),
                beyond=None if beyond is None else float(beyond[n]),
            )
            for n in kept[:top].tolist()
        ]

    def training_pairs(self, relation: str | None = None) -> NDArray[np.int64]:
        """Rows (head, tail) of the pairs that a relation was trained on, int64 [n, 2]."""
        return self.tables.pairs(self.relation(relation), "train")

    def _scored(self, side: str, row: int, relation: str, left_out: Mapping[int, str]) -> tuple[Rows, Floats, Floats]:
        """Every node of the other side in the model's order: rows, logits, probabilities, [n] each."""
        nodes = self.heads if side == "head" else self.tails
        query, silent = self.tables.embeddings(side, relation)[row], self.unembedded(other_side(side), relation)
        if not query.any():
            raise self._unknown(nodes, row)
        candidates = self.tables.embeddings(other_side(side), relation)
        feed = {
            "query": query,
            "relation": np.array(self.relations.index(relation), dtype=np.int64),
            "candidates": candidates,
            "k": np.array([len(candidates)], dtype=np.int64),
        }
        path = self.path / RANKING_HEAD
        index, logit, probability = run_head(self._ranking, ["index", "logit", "probability"], feed, path)
        agree = index.ndim == 1 and index.shape == logit.shape == probability.shape
        if not agree or (index.size and (index.min() < 0 or index.max() >= len(candidates))):
            raise damaged("ranks what its tables do not have", path)
        # A node without an embedding scores 0 with everything, which would stand above every negative logit.
        kept = ~np.isin(index, [*silent, *left_out])
        return index[kept], logit[kept], probability[kept]

    def _unknown(self, nodes: NodeIndex, row: int) -> UserError:
        return UserError(
            f"the model knows nothing of the {nodes.node_type} {nodes.names[row]!r}: no training edge leads to it, "
            "and every score would be 0",
            str(self.path),
            f"Ask for another {nodes.node_type}.",
        )

    def _rival(self, rivals: Mapping[str, RivalRanks], name: str) -> RivalRanks:
        if name not in RIVALS:
            raise UserError(f"there is no rival {name!r}", "--beyond", f"Choose {' or '.join(RIVALS)}.")
        if name not in rivals:
            raise self._lacks(name, "nearest neighbours")
        return rivals[name]

    def _kept(self, side: str, row: int, index: Rows, through: str | None) -> Rows:
        """Places in `index` of the nodes that are shown."""
        if through is None:
            return np.arange(len(index))
        point = self.waypoint(through)
        nodes, others = (self.heads, self.tails) if side == "head" else (self.tails, self.heads)
        if row not in self._waypoints.reached(point, nodes.node_type):
            raise UserError(
                f"nothing in the graph joins {nodes.names[row] or nodes.ids[row]} with {point.words}",
                "--through",
                f"Name a node that the {nodes.node_type} is joined to.",
            )
        return np.flatnonzero(np.isin(index, self._waypoints.reached(point, others.node_type)))

    def _lacks(self, what: str, words: str) -> UserError:
        file = self.manifest.missing.get(what, "the file")
        return UserError(
            f"the bundle holds no {words}, since its run left no {file}",
            str(self.path),
            f"flykd-console run --resume {self.manifest.run} writes it (without training); then export again.",
        )

    def unembedded(self, side: str, relation: str | None = None) -> frozenset[int]:
        """Rows of the `head` or `tail` nodes that no training edge led to: all zeros, and left out of rankings."""
        return self.tables.unembedded(side, self.relation(relation))

    def _row(self, nodes: NodeIndex, node: str | int) -> int:
        if isinstance(node, str):
            return nodes.find(node)
        if not 0 <= node < len(nodes):
            raise UserError(f"there is no {nodes.node_type} number {node}", hint=f"Numbers are 0 to {len(nodes) - 1}.")
        return int(node)


def _shown(rival: RivalRanks | None, place: int) -> int | None:
    """A rival's rank of a candidate; None where it says nothing."""
    if rival is None or not rival.rank[place]:
        return None
    return int(rival.rank[place])
