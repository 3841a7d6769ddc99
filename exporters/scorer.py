"""Scoring a bundle on a CPU with numpy, h5py and onnxruntime alone: rankings for a head or a tail, and pairs.

    from exporters.scorer import Scorer
    with Scorer("runs/flykd-20260101-120000/export") as scorer:
        for drug in scorer.rank_drugs("asthma", relation="indication", top=20):
            print(drug.rank, drug.name, drug.probability, drug.known)

The same from a shell: `python -m exporters.scorer BUNDLE --disease asthma --relation indication` prints CSV.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
import onnxruntime
from numpy.typing import ArrayLike, NDArray

from exporters.lookup import NodeIndex
from exporters.manifest import (
    EMBEDDINGS,
    PARTS,
    RANKING_HEAD,
    SCORING_HEAD,
    damaged,
    hdf5_name,
    read_manifest,
    table_path,
    verify_files,
)
from exporters.strange_files import check_layout, finite_table, model_bytes, open_tables, pair_rows, text_column
from flykd_console.errors import UserError
from flykd_console.plain_text import plain, spreadsheet_cell

Floats = NDArray[np.float32]

_BLOCK = 1 << 16
_EXPORT_AGAIN = "Copy or export the bundle again."


@dataclass(frozen=True, slots=True)
class Ranked:
    """One line of a ranking.

    Attributes:
        rank: From 1; with known pairs left out, the rank among the others.
        index: Row of the node in its embedding table.
        probability: Sigmoid of the logit. Training saw as many negatives as positives: read it as an order, not a risk.
        known: `train`, `validation` or `test` where the pair is a true one of the graph, else empty.
    """

    relation: str
    rank: int
    index: int
    id: str
    name: str
    logit: float
    probability: float
    known: str


@dataclass(frozen=True, slots=True)
class ScoredPair:
    """One scored pair; fields as in `Ranked`."""

    relation: str
    head_id: str
    head_name: str
    tail_id: str
    tail_name: str
    logit: float
    probability: float
    known: str


class Scorer:
    """A bundle, opened and checked.

    Args:
        bundle: The bundle's folder.
        verify: Whether to hold the files against the manifest's SHA-256 (some tenths of a second for large tables).

    Attributes:
        manifest: What the bundle holds and where it comes from.
        relations: Scored relations, in the order of their indices.
        heads: Ids and names of the head type; `tails` of the tail type.

    Raises:
        UserError: The folder is no bundle, is damaged, is of a newer schema, or holds no ONNX heads.
    """

    def __init__(self, bundle: str | os.PathLike[str], *, verify: bool = True) -> None:
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
        self._scoring = self._session(SCORING_HEAD, verify)
        self._ranking = self._session(RANKING_HEAD, verify)
        self._file = open_tables(self.path / EMBEDDINGS)
        self.heads = self._nodes(self.manifest.head_type)
        self.tails = self._nodes(self.manifest.tail_type)
        types = {"head": self.manifest.head_type, "tail": self.manifest.tail_type}
        self._places = {
            (side, name): table_path(self._file, name, side, kind)
            for name in self.relations
            for side, kind in types.items()
        }
        places = {place: (self._file.get(place), types[side]) for (side, _), place in self._places.items()}
        counts = {nodes.node_type: len(nodes) for nodes in (self.heads, self.tails)}
        check_layout(self.manifest, counts, places, self.path / EMBEDDINGS)
        self._tables: dict[str, Floats] = {}
        self._known: dict[str, Mapping[tuple[int, int], str]] = {}
        self._silent: dict[str, frozenset[int]] = {}

    def __enter__(self) -> Scorer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the tables' file; what was read already stays usable."""
        self._file.close()

    def relation(self, name: str | None) -> str:
        """A relation by name; None means the only one.

        Raises:
            UserError: There is none of that name, or there are several to choose from.
        """
        if name is None and len(self.relations) == 1:
            return self.relations[0]
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

    def rank_tails(
        self, head: str | int, relation: str | None = None, top: int = 20, exclude_known: bool = False
    ) -> list[Ranked]:
        """The best tails for a head (its row, id, name or beginning of its name), best first.

        Args:
            relation: Needed where the bundle has several.
            top: How many; all where there are fewer.
            exclude_known: Leave out every true pair of the graph (train, validation and test).

        Raises:
            UserError: The node or the relation is not there, or is ambiguous.
        """
        return self._rank("head", head, relation, top, exclude_known)

    def rank_heads(
        self, tail: str | int, relation: str | None = None, top: int = 20, exclude_known: bool = False
    ) -> list[Ranked]:
        """The best heads for a tail; the rest as in `rank_tails`."""
        return self._rank("tail", tail, relation, top, exclude_known)

    def rank_drugs(
        self, disease: str | int, relation: str | None = None, top: int = 20, exclude_known: bool = False
    ) -> list[Ranked]:
        """The best drugs for a disease, whichever of the two is the head; the rest as in `rank_tails`."""
        return self._rank(self.side_of("disease"), disease, relation, top, exclude_known)

    def rank_diseases(
        self, drug: str | int, relation: str | None = None, top: int = 20, exclude_known: bool = False
    ) -> list[Ranked]:
        """The best diseases for a drug, whichever of the two is the head; the rest as in `rank_tails`."""
        return self._rank(self.side_of("drug"), drug, relation, top, exclude_known)

    def score(self, heads: ArrayLike, tails: ArrayLike, relation: str | None = None) -> tuple[Floats, Floats]:
        """Logits and probabilities, float32 [n] each, of pairs given as rows of the embedding tables, int [n] each."""
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
                "head": self._table("head", name)[rows[0][block]],
                "relation": np.full(len(rows[0][block]), self.relations.index(name), dtype=np.int64),
                "tail": self._table("tail", name)[rows[1][block]],
            }
            for output, values in zip(outputs, self._run(self._scoring, ["logit", "probability"], feed), strict=True):
                if values.shape != (len(rows[0][block]),):
                    raise damaged("gives something else than one number a pair", self.path / SCORING_HEAD)
                output[block] = values
        return outputs[0], outputs[1]

    def score_pairs(
        self, pairs: Sequence[tuple[str | int, str | int]], relation: str | None = None
    ) -> list[ScoredPair]:
        """Score (head, tail) pairs, each node by its row, id, name or beginning of its name, in the order given."""
        name = self.relation(relation)
        heads = [self._row(self.heads, head) for head, _ in pairs]
        tails = [self._row(self.tails, tail) for _, tail in pairs]
        known = self._pairs(name)
        return [
            ScoredPair(
                relation=name,
                head_id=self.heads.ids[head],
                head_name=self.heads.names[head],
                tail_id=self.tails.ids[tail],
                tail_name=self.tails.names[tail],
                logit=float(logit),
                probability=float(probability),
                known=known.get((head, tail), ""),
            )
            for head, tail, logit, probability in zip(heads, tails, *self.score(heads, tails, name), strict=True)
        ]

    def _rank(self, side: str, node: str | int, relation: str | None, top: int, exclude_known: bool) -> list[Ranked]:
        name = self.relation(relation)
        if top < 1:
            raise UserError(f"{top} is not a number of results", "--top", "Give 1 or more.")
        nodes, others = (self.heads, self.tails) if side == "head" else (self.tails, self.heads)
        other_side = "tail" if side == "head" else "head"
        row = self._row(nodes, node)
        query, silent = self._table(side, name)[row], self.unembedded(other_side, name)
        if not query.any():
            raise UserError(
                f"the model knows nothing of the {nodes.node_type} {nodes.names[row]!r}: no training edge leads to it, "
                "and every score would be 0",
                str(self.path),
                f"Ask for another {nodes.node_type}.",
            )
        place = 0 if side == "head" else 1
        known = {pair[1 - place]: part for pair, part in self._pairs(name).items() if pair[place] == row}
        feed = {
            "query": query,
            "relation": np.array(self.relations.index(name), dtype=np.int64),
            "candidates": self._table(other_side, name),
            "k": np.array([top + len(silent) + (len(known) if exclude_known else 0)], dtype=np.int64),
        }
        index, logit, probability = self._run(self._ranking, ["index", "logit", "probability"], feed)
        shapes_agree = index.ndim == 1 and index.shape == logit.shape == probability.shape
        if not shapes_agree or (index.size and (index.min() < 0 or index.max() >= len(others))):
            raise damaged("ranks what its tables do not have", self.path / RANKING_HEAD)
        # A node without an embedding scores 0 with everything, which would stand above every negative logit.
        left_out = silent | known.keys() if exclude_known else silent
        kept = [n for n, other in enumerate(index.tolist()) if other not in left_out][:top]
        return [
            Ranked(
                relation=name,
                rank=rank,
                index=int(index[n]),
                id=others.ids[index[n]],
                name=others.names[index[n]],
                logit=float(logit[n]),
                probability=float(probability[n]),
                known=known.get(int(index[n]), ""),
            )
            for rank, n in enumerate(kept, start=1)
        ]

    def test_set(self, relation: str | None = None) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int8]]:
        """Heads, tails (rows, int64 [n] each) and labels (int8 [n]) of the pairs that were kept back for a test.

        Raises:
            UserError: The bundle's tables do not have them.
        """
        place = f"relations/{hdf5_name(self.relation(relation))}/test_set"
        path = self.path / EMBEDDINGS
        columns = [self._get(f"{place}/{name}") for name in ("head", "tail", "label")]
        if any(one.ndim != 1 or one.dtype.kind not in "iu" or one.shape != columns[0].shape for one in columns):
            raise damaged(f"holds no test set at {place}", path)
        pairs = np.stack([finite_table(one, place, path).astype(np.int64) for one in columns[:2]], axis=1)
        if pairs.size and (pairs.min() < 0 or (pairs.max(axis=0) >= (len(self.heads), len(self.tails))).any()):
            raise damaged(f"names rows at {place} that its tables do not have", path)
        return pairs[:, 0], pairs[:, 1], np.asarray(columns[2][:], dtype=np.int8)

    def unembedded(self, side: str, relation: str | None = None) -> frozenset[int]:
        """Rows of the `head` or `tail` nodes that no training edge led to: all zeros, and left out of rankings."""
        place = self._places[side, self.relation(relation)]
        if place not in self._silent:
            table = self._table(side, self.relation(relation))
            self._silent[place] = frozenset(np.flatnonzero(~table.any(axis=1)).tolist())
        return self._silent[place]

    def _row(self, nodes: NodeIndex, node: str | int) -> int:
        if isinstance(node, str):
            return nodes.find(node)
        if not 0 <= node < len(nodes):
            raise UserError(f"there is no {nodes.node_type} number {node}", hint=f"Numbers are 0 to {len(nodes) - 1}.")
        return int(node)

    def _nodes(self, kind: str) -> NodeIndex:
        group = self._get(f"nodes/{hdf5_name(kind)}")
        path = self.path / EMBEDDINGS
        if not isinstance(group, h5py.Group) or "id" not in group or "name" not in group:
            raise damaged(f"names no {kind} nodes", path)
        ids, names = (text_column(group[name], f"nodes/{kind}/{name}", path) for name in ("id", "name"))
        if len(ids) != len(names):
            raise damaged(f"has {len(ids)} ids and {len(names)} names of {kind} nodes", path)
        return NodeIndex(kind, ids, names)

    def _table(self, side: str, relation: str) -> Floats:
        """Embeddings, float32 [n, d], read when first asked for; relations that share a table share the array."""
        place = self._places[side, relation]
        if place not in self._tables:
            self._tables[place] = finite_table(self._get(place), place, self.path / EMBEDDINGS)
        return self._tables[place]

    def _pairs(self, relation: str) -> Mapping[tuple[int, int], str]:
        """Part of every true pair (head row, tail row); the training part wins where a pair is in several."""
        if relation not in self._known:
            known: dict[tuple[int, int], str] = {}
            for part in reversed(PARTS):
                place = f"relations/{hdf5_name(relation)}/pairs/{part}"
                counts = (len(self.heads), len(self.tails))
                pairs = pair_rows(self._get(place), place, counts, self.path / EMBEDDINGS)
                known.update(dict.fromkeys(map(tuple, pairs.tolist()), part))
            self._known[relation] = known
        return self._known[relation]

    def _get(self, path: str) -> Any:
        try:
            return self._file[path]
        except KeyError:
            raise damaged(f"lacks {path}", self.path / EMBEDDINGS) from None

    def _run(self, session: Any, outputs: list[str], feed: Mapping[str, Any]) -> Any:
        try:
            return session.run(outputs, feed)
        except Exception as error:  # onnxruntime's errors share no base class of its own
            reason = str(error).splitlines()[0][:200]
            raise UserError(f"a head of the bundle cannot be run ({reason})", str(self.path), _EXPORT_AGAIN) from None

    def _session(self, name: str, verify: bool) -> Any:
        data = model_bytes(self.path / name, self.manifest.files[name] if verify else None)
        try:
            session = onnxruntime.InferenceSession(data, _quiet(), providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors share no base class of its own
            raise damaged(f"cannot be loaded ({str(error).splitlines()[0]})", self.path / name) from None
        facts = session.get_modelmeta().custom_metadata_map
        if facts.get("embeddings_sha256") != self.manifest.files[EMBEDDINGS].sha256:
            raise damaged(f"belongs to other tables than {EMBEDDINGS}", self.path / name)
        if _names(facts.get("relations", "[]")) != self.manifest.relations:
            raise damaged("names other relations than the manifest", self.path / name)
        return session


def _names(text: str) -> Any:
    """A list as JSON; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _quiet() -> Any:
    """Options under which the runtime prints nothing about a stranger's graph, which is told by its error."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m exporters.scorer`: a ranking as CSV on standard output; 2 where the user can mend what went wrong."""
    parser = argparse.ArgumentParser(prog="python -m exporters.scorer", description="Rank with an exported bundle.")
    parser.add_argument("bundle", help="the bundle's folder")
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--disease", "--tail", metavar="NAME-OR-ID", dest="tail", help="rank heads for this tail")
    asked.add_argument("--drug", "--head", metavar="NAME-OR-ID", dest="head", help="rank tails for this head")
    parser.add_argument("--relation", help="needed where the bundle has several")
    parser.add_argument("--top", type=int, default=20, help="how many (20)")
    parser.add_argument("--exclude-known", action="store_true", help="leave true pairs of the graph out")
    options = parser.parse_args(arguments)
    try:
        with Scorer(options.bundle) as scorer:
            how = options.relation, options.top, options.exclude_known
            if options.head is None:
                ranking = scorer.rank_heads(options.tail, *how)
            else:
                ranking = scorer.rank_tails(options.head, *how)
    except UserError as error:
        print(plain(str(error)), file=sys.stderr)
        return 2
    writer = csv.DictWriter(sys.stdout, [one.name for one in fields(Ranked)])
    writer.writeheader()
    writer.writerows({name: spreadsheet_cell(value) for name, value in asdict(one).items()} for one in ranking)
    return 0


if __name__ == "__main__":
    sys.exit(main())
