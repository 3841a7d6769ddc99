"""Scoring a bundle on a CPU with numpy, h5py and onnxruntime alone: rankings for a head or a tail, and pairs.

    from exporters.scorer import Scorer
    with Scorer("runs/flykd-20260101-120000/export") as scorer:
        for drug in scorer.rank_drugs("asthma", relation="indication", top=20):
            print(drug.rank, drug.name, drug.popularity_rank, drug.neighbours_rank, drug.probability, drug.known)

The same from a shell: `python -m exporters BUNDLE --disease asthma --relation indication` prints CSV.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from exporters.answers import Nearest, Order, Ranked, ScoredPair
from exporters.manifest import RANKING_HEAD, SCORING_HEAD
from exporters.node_ranking import ranking_of
from exporters.onnx_sessions import open_head
from exporters.opened_bundle import OpenedBundle
from exporters.pair_scores import described_pairs, pair_scores
from flykd_console.errors import UserError

Floats = NDArray[np.float32]


class Scorer(OpenedBundle):
    """A bundle, opened and checked (`OpenedBundle`), that ranks and scores.

    Args:
        bundle: The bundle's folder.
        verify: Whether to hold the files against the manifest's SHA-256 (some tenths of a second for large tables).
        threads: Of each computation. One is enough for a ranking, and leaves the other cores to other requests.

    Raises:
        UserError: The folder is no bundle, is damaged, is of a newer schema, or holds no ONNX heads.
    """

    def __init__(self, bundle: str | os.PathLike[str], *, verify: bool = True, threads: int = 1) -> None:
        super().__init__(bundle, verify=verify)
        missing = [name for name in (SCORING_HEAD, RANKING_HEAD) if name not in self.manifest.files]
        if missing:
            raise UserError(
                f"the bundle holds tables only, not {missing[0]}",
                str(self.path),
                "Export it with --onnx to score with it.",
            )
        self._scoring, self._ranking = (
            open_head(self.path / name, self.manifest, threads, verify) for name in (SCORING_HEAD, RANKING_HEAD)
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
        return ranking_of(self, self._ranking, side, node, relation, top, exclude_known, order)

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
        return ranking_of(self, self._ranking, "head", head, relation, top, exclude_known, order)

    def rank_heads(
        self,
        tail: str | int,
        relation: str | None = None,
        top: int = 20,
        exclude_known: bool = False,
        **order: Unpack[Order],
    ) -> list[Ranked]:
        """The best heads for a tail; the rest as in `rank_tails`."""
        return ranking_of(self, self._ranking, "tail", tail, relation, top, exclude_known, order)

    def rank_drugs(
        self,
        disease: str | int,
        relation: str | None = None,
        top: int = 20,
        exclude_known: bool = False,
        **order: Unpack[Order],
    ) -> list[Ranked]:
        """The best drugs for a disease, whichever of the two is the head; the rest as in `rank_tails`."""
        return ranking_of(self, self._ranking, self.side_of("disease"), disease, relation, top, exclude_known, order)

    def rank_diseases(
        self,
        drug: str | int,
        relation: str | None = None,
        top: int = 20,
        exclude_known: bool = False,
        **order: Unpack[Order],
    ) -> list[Ranked]:
        """The best diseases for a drug, whichever of the two is the head; the rest as in `rank_tails`."""
        return ranking_of(self, self._ranking, self.side_of("drug"), drug, relation, top, exclude_known, order)

    def score(self, heads: ArrayLike, tails: ArrayLike, relation: str | None = None) -> tuple[Floats, Floats]:
        """Logits and probabilities, float32 [n] each, of pairs given as rows of the embedding tables, int [n] each.

        Without a calibration of the relation the probabilities are NaN.
        """
        return pair_scores(self, self._scoring, heads, tails, relation)

    def score_pairs(
        self, pairs: Sequence[tuple[str | int, str | int]], relation: str | None = None
    ) -> list[ScoredPair]:
        """Score (head, tail) pairs, each node by its row, id, name or beginning of its name, in the order given."""
        return described_pairs(self, self._scoring, pairs, relation)
