"""Scoring a bundle on a CPU with numpy and h5py alone: rankings for a head or a tail, and pairs.

    from exporters.scorer import Scorer
    with Scorer("runs/flykd-20260101-120000/export") as scorer:
        for drug in scorer.rank_drugs("asthma", relation="indication", top=20):
            print(drug.rank, drug.name, drug.popularity_rank, drug.neighbours_rank, drug.probability, drug.known)

The same from a shell: `python -m exporters BUNDLE --disease asthma --relation indication` prints CSV.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from exporters.answers import Nearest, Order, Placed, Ranked, ScoredPair
from exporters.engine import Engine
from exporters.manifest import RANKING_HEAD, SCORING_HEAD
from exporters.node_profile import NodeProfile, parse_profile
from exporters.node_ranking import ranking_of
from exporters.numpy_engine import NumpyEngine
from exporters.onnx_files import head_bytes
from exporters.opened_bundle import OpenedBundle
from exporters.pair_scores import PairTable, described_pairs, pair_scores, pair_table
from exporters.profile_ranking import embedding, placed, ranking_of_unseen
from exporters.unseen import Unseen
from flykd_console.errors import UserError

Floats = NDArray[np.float32]


class Scorer(OpenedBundle):
    """A bundle, opened and checked (`OpenedBundle`), that ranks and scores.

    Args:
        bundle: The bundle's folder.
        verify: Whether to hold the files against the manifest's SHA-256 (some hundredths of a second for large tables).
        engine: `numpy`, or `onnx`: the bundle's own graphs by onnxruntime, which gives the same answers.
        threads: Of each computation by onnxruntime. One is enough for a ranking, and leaves the other cores to others.

    Raises:
        UserError: The folder is no bundle, is damaged, is of a newer schema, or holds no ONNX heads for that engine.
    """

    def __init__(
        self,
        bundle: str | os.PathLike[str],
        *,
        verify: bool = True,
        engine: Literal["numpy", "onnx"] = "numpy",
        threads: int = 1,
    ) -> None:
        super().__init__(bundle, verify=verify)
        heads = [name for name in (SCORING_HEAD, RANKING_HEAD) if name in self.manifest.files]
        self._engine: Engine
        if engine == "numpy":
            # Not needed here, and yet no bundle with a foreign or a damaged head is a whole one.
            for name in heads:
                head_bytes(self.path / name, self.manifest, verify)
            self._engine = NumpyEngine(self)
            return
        if len(heads) < 2:
            raise UserError(
                "the bundle holds tables only, and no ONNX heads",
                str(self.path),
                "Export it with --onnx, or use numpy.",
            )
        try:
            from exporters.onnx_engine import OnnxEngine
        except ModuleNotFoundError:
            raise UserError(
                "onnxruntime is not installed", "engine onnx", "Install flykd-scorer[onnx], or use numpy."
            ) from None

        self._engine = OnnxEngine(self, verify, threads)

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
        return ranking_of(self, self._engine, side, node, relation, top, exclude_known, order)

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
        nodes = self.nodes(side)
        row, table = self.row(side, node), self.tables.embeddings(side, name)
        length = np.linalg.norm(table, axis=1)
        if length[row] == 0.0:
            raise self.unknown(side, row)
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
        return ranking_of(self, self._engine, "head", head, relation, top, exclude_known, order)

    def rank_heads(
        self,
        tail: str | int,
        relation: str | None = None,
        top: int = 20,
        exclude_known: bool = False,
        **order: Unpack[Order],
    ) -> list[Ranked]:
        """The best heads for a tail; the rest as in `rank_tails`."""
        return ranking_of(self, self._engine, "tail", tail, relation, top, exclude_known, order)

    def rank_drugs(
        self,
        disease: str | int,
        relation: str | None = None,
        top: int = 20,
        exclude_known: bool = False,
        **order: Unpack[Order],
    ) -> list[Ranked]:
        """The best drugs for a disease, whichever of the two is the head; the rest as in `rank_tails`."""
        return ranking_of(self, self._engine, self.side_of("disease"), disease, relation, top, exclude_known, order)

    def rank_diseases(
        self,
        drug: str | int,
        relation: str | None = None,
        top: int = 20,
        exclude_known: bool = False,
        **order: Unpack[Order],
    ) -> list[Ranked]:
        """The best diseases for a drug, whichever of the two is the head; the rest as in `rank_tails`."""
        return ranking_of(self, self._engine, self.side_of("drug"), drug, relation, top, exclude_known, order)

    def profile(
        self,
        profile: Mapping[str, Any] | NodeProfile,
        relation: str | None = None,
        top: int = 20,
        exclude_known: bool = False,
        *,
        skip_unknown: bool = False,
        **order: Unpack[Order],
    ) -> Placed:
        """The best nodes of the other side for a node that is not in the graph, and by which nodes it is placed.

        Args:
            profile: What it would be joined to: a table as `exporters.node_profile` describes it, or one read from a
                file (`read_profile`).
            exclude_known: Leave out what the profile says to be known.
            skip_unknown: Leave nodes of the profile out that the bundle does not know.
            order: As in `rank_tails`; `through` a node that the profile names.

        Raises:
            UserError: The profile is of another form, names what is not there, or is like nothing; or the bundle holds
                no profiles.
        """
        unseen = self.place(profile, skip_unknown=skip_unknown)
        return self.rank_unseen(unseen, relation, top, exclude_known, **order)

    def place(self, profile: Mapping[str, Any] | NodeProfile, *, skip_unknown: bool = False) -> Unseen:
        """Where a profile places a node that is not in the graph, for any relation; the rest as in `profile`."""
        form = profile if isinstance(profile, NodeProfile) else parse_profile(profile)
        return placed(self, form, skip_unknown)

    def rank_unseen(
        self,
        unseen: Unseen,
        relation: str | None = None,
        top: int = 20,
        exclude_known: bool = False,
        **order: Unpack[Order],
    ) -> Placed:
        """The list of a placed node under a relation; the rest as in `profile`."""
        return ranking_of_unseen(self, unseen, relation, top, exclude_known, order)

    def embed(self, unseen: Unseen, relation: str | None = None) -> Floats:
        """The embedding of a placed node under a relation, float32 [d]."""
        return embedding(self, unseen, relation)

    def score(self, heads: ArrayLike, tails: ArrayLike, relation: str | None = None) -> tuple[Floats, Floats]:
        """Logits and probabilities, float32 [n] each, of pairs given as rows of the embedding tables, int [n] each.

        Without a calibration of the relation the probabilities are NaN.
        """
        return pair_scores(self, self._engine, heads, tails, relation)

    def score_table(
        self, relations: NDArray[np.int64], heads: NDArray[np.int64], tails: NDArray[np.int64]
    ) -> PairTable:
        """Score pairs of rows, each under the relation at its place in `relations`, with what the graph knows of them.

        Args:
            relations: Places, int64 [n].
            heads: Rows that the tables have, int64 [n]; `tails` likewise.
        """
        return pair_table(self, self._engine, relations, heads, tails)

    def score_pairs(
        self, pairs: Sequence[tuple[str | int, str | int]], relation: str | None = None
    ) -> list[ScoredPair]:
        """Score (head, tail) pairs, each node by its row, id, name or beginning of its name, in the order given."""
        return described_pairs(self, self._engine, pairs, relation)
