"""Scorers without training as tables, from what a run leaves of them, so that they are exported like any model.

DistMult's logit of a pair is to be the heuristic's score. All relations share one table a side, in which each has
columns of its own; the relation's vector is 1 there and 0 elsewhere. One more column of heads is 1 under no relation:
a head that nothing is known of scores 0, as it does with the heuristic, and is ranked.

    popularity   head: its training pairs     tail: 1
    neighbours   head: V                      tail: S Y V,  S Y ≈ S Y V Vᵀ

S holds each tail's similarities to its nearest trained tails, Y whose heads these have (`neighbours.parquet` and
`labels.parquet`). Where a relation has no more trained tails than `RANKS` allows, Y itself is the heads' table and S
the tails': that is exact. Else V are the first right singular vectors of S Y, as few as lose no more than is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from exporters.precision import check_loss, loss_of, rescored
from exporters.run_tables import Floats, Indices
from exporters.trained_run import TrainedRun, read_untrained_run
from flykd_console.errors import UserError
from flykd_console.explore.rivals import NearestTails
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.models import Role
from flykd_console.runs.results import Results

if TYPE_CHECKING:
    import scipy.sparse as sp

# Singular vectors of each relation that are tried, fewest first.
RANKS = (32, 64, 128, 256)
_PROBE = 4096

WORDS = {
    "popularity": "the head's training pairs of the relation",
    "neighbours": "the heads of each tail's most similar trained tails, by their similarities",
}
_NO_TABLE = {
    "disease_popularity": "it counts edges of all relations, which a run leaves no copy of",
    "random": "it draws a number for every pair, and no table of nodes gives those",
    "shared_neighbours": "it counts in the graph, which a run leaves no copy of",
}

# The scores of a relation, [N_tail, N_head].
Exact = Mapping[str, "sp.csr_array"]


@dataclass(frozen=True)
class _Factors:
    """One relation's columns, [N_head, k] and [N_tail, k]."""

    head: NDArray[np.float64]
    tail: NDArray[np.float64]


def is_heuristic(results: Results, name: str) -> bool:
    """Whether a model of a run is a scorer without training."""
    return any(entry.name == name and entry.role is Role.HEURISTIC for entry in results.models)


def heuristic_seeds(directory: RunDirectory, results: Results, name: str) -> list[int]:
    """Seeds in ascending order that measured a heuristic and left what it is made of.

    Raises:
        UserError: The heuristic has no tables.
    """
    if name not in WORDS:
        why = _NO_TABLE.get(name, "there is no table of it")
        raise UserError(f"{name} cannot be exported: {why}", directory.name, f"Choose one of {', '.join(WORDS)}.")
    measured = [int(seed) for seed, models in results.seeds.items() if seed.isdecimal() and name in models]
    return sorted(seed for seed in measured if directory.labels(seed).is_file())


def read_heuristic_run(
    directory: RunDirectory, seed: int, name: str, results: Results, max_loss: float
) -> tuple[TrainedRun, dict[str, Any]]:
    """A heuristic of one seed as a run of tables, and what its lists lose by them; nothing where they are exact.

    Args:
        max_loss: The most that they may lose, in points of AP.

    Raises:
        UserError: A file is missing or damaged, the heuristic has no tables, or they lose more than allowed.
    """
    if seed not in heuristic_seeds(directory, results, name):
        raise UserError(f"seed {seed} has no finished {name}", directory.name, "Choose another --seed.")
    run = replace(read_untrained_run(directory, seed, name, results), heuristic=WORDS[name])
    exact = _exact(run, name)
    if name != "neighbours":
        return _with_tables(run, {relation: _counted(run, relation) for relation in run.relations}), {}
    assert run.nearest is not None
    trained = {relation: len(np.unique(run.pairs[relation]["train"][:, 1])) for relation in run.relations}
    if max(trained.values()) <= RANKS[-1]:
        # The run's own scores are of similarities in float64, these of float32.
        return rescored(_with_tables(run, {name: _whole(run, name) for name in run.relations})), {}
    vectors = {relation: _singular(matrix) for relation, matrix in exact.items()}
    for rank in RANKS:
        factors = {
            relation: _Factors(vectors[relation][:, :rank], exact[relation] @ vectors[relation][:, :rank])
            for relation in run.relations
        }
        smaller = rescored(_with_tables(run, factors, f"the first {rank} singular vectors of each relation"))
        loss = loss_of(smaller, smaller, scores_of(exact))
        if _points(loss) <= max_loss or rank == RANKS[-1]:
            break
    check_loss(loss, max_loss, f"a table of rank {rank}", "Allow more; a run of fewer trained tails is exported whole.")
    return smaller, loss


def exact_scores(run: TrainedRun) -> Callable[[str, int], Floats] | None:
    """What `scores_of` gives for a run of tables that stand for more; None where tables are all there is."""
    return scores_of(_exact(run, "neighbours")) if run.factorised else None


def scores_of(exact: Exact) -> Callable[[str, int], NDArray[np.float32]]:
    """The heuristic's own scores of a relation's tail with every head, float32 [N_head]."""
    return lambda relation, tail: exact[relation][[tail]].toarray()[0].astype(np.float32)


def _points(loss: Mapping[str, Any]) -> float:
    if loss["ap"] is None:
        return 100.0 * (1.0 - float(loss["top_20_overlap"]))
    return 100.0 * float(loss["ap_float32"] - loss["ap"])


def _counts(run: TrainedRun) -> tuple[int, int]:
    return len(run.nodes[run.head_type].ids), len(run.nodes[run.tail_type].ids)


def _exact(run: TrainedRun, name: str) -> dict[str, sp.csr_array]:
    """The heuristic's scores by relation; of the counting ones none, since their tables are those."""
    if name != "neighbours":
        return {}
    if run.nearest is None:
        raise UserError(
            "the run left no neighbours.parquet", run.directory.name, f"flykd-console run --resume {run.directory.name}"
        )
    return {relation: _similar(run, relation) @ _labels(run, relation) for relation in run.relations}


def _similar(run: TrainedRun, relation: str) -> sp.csr_array:
    """S, float64 [N_tail, N_tail]."""
    import scipy.sparse as sp

    assert run.nearest is not None
    near: NearestTails = run.nearest[relation]
    tails = _counts(run)[1]
    return sp.csr_array((near.similarity.astype(np.float64), near.index, near.indptr), shape=(tails, tails))


def _labels(run: TrainedRun, relation: str) -> sp.csr_array:
    """Y, float64 [N_tail, N_head]."""
    import scipy.sparse as sp

    heads, tails = _counts(run)
    pairs = run.pairs[relation]["train"]
    return sp.csr_array((np.ones(len(pairs)), (pairs[:, 1], pairs[:, 0])), shape=(tails, heads))


def _counted(run: TrainedRun, relation: str) -> _Factors:
    """One column a side: the heads' counts, and ones."""
    heads, tails = _counts(run)
    degree = np.bincount(run.pairs[relation]["train"][:, 0], minlength=heads).astype(np.float64)
    return _Factors(degree[:, None], np.ones((tails, 1)))


def _whole(run: TrainedRun, relation: str) -> _Factors:
    """A column for every trained tail."""
    trained = np.unique(run.pairs[relation]["train"][:, 1])
    return _Factors(_labels(run, relation)[trained].toarray().T, _similar(run, relation)[:, trained].toarray())


def _singular(matrix: sp.csr_array) -> NDArray[np.float64]:
    """The first right singular vectors, [N_head, 256 or as many as there are], each with its largest entry positive."""
    from scipy.sparse.linalg import svds

    most = min(RANKS[-1], min(matrix.shape) - 1)
    # From the same beginning, so that equal runs give equal bytes.
    begun = np.random.default_rng(0).standard_normal(min(matrix.shape))
    _, values, vectors = svds(matrix, k=most, v0=begun, return_singular_vectors="vh")
    vectors = vectors[np.argsort(-values, kind="stable")]
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=1)[:, None], axis=1)
    found: NDArray[np.float64] = (vectors * np.where(largest < 0.0, -1.0, 1.0)).T
    # A head that no neighbour has: what the decomposition leaves of it is rounding.
    found[np.asarray(matrix.sum(axis=0)).ravel() == 0.0] = 0.0
    return found


def _with_tables(run: TrainedRun, factors: Mapping[str, _Factors], factorised: str = "") -> TrainedRun:
    """The run with tables of all relations side by side, and random pairs to hold them against."""
    heads, tails = _counts(run)
    head = np.concatenate([*(factors[name].head for name in run.relations), np.ones((heads, 1))], axis=1)
    # Of a tail that nothing is known of all is 0: the scorer says so, and ranks nothing.
    tail = np.concatenate([*(factors[name].tail for name in run.relations), np.zeros((tails, 1))], axis=1)
    tensors: dict[str, Any] = {"head.embedding": head.astype(np.float32), "tail.embedding": tail.astype(np.float32)}
    begun = 0
    for relation in run.relations:
        width = factors[relation].head.shape[1]
        vector = np.zeros(head.shape[1], np.float32)
        vector[begun : begun + width] = 1.0
        begun += width
        tensors |= {f"relation/{relation}": vector, f"tail.embedding/{relation}": tensors["tail.embedding"]}
        tensors |= _probe(relation, factors[relation], heads, tails)
    return replace(run, dim=head.shape[1], tensors=tensors, factorised=factorised)


def _probe(relation: str, factors: _Factors, heads: int, tails: int) -> dict[str, NDArray[Any]]:
    """Random pairs, with the logits that the tables give in float64."""
    random = np.random.default_rng([0, *relation.encode()])
    head: Indices = random.integers(heads, size=_PROBE)
    tail: Indices = random.integers(tails, size=_PROBE)
    logit: Floats = np.einsum("ij,ij->i", factors.head[head], factors.tail[tail]).astype(np.float32)
    return {f"probe/{relation}/{name}": values for name, values in (("head", head), ("tail", tail), ("logit", logit))}
