"""The mean of several seeds' models as one model: their logits averaged, still DistMult.

    (1/S) Σ_s Σ_i h_si w_si t_si = Σ_j H_j W_j T_j

with the tables of the S seeds side by side, H = [h_1 … h_S] and T alike, and W = [w_1 … w_S] / S. The width is the sum
of theirs. Seeds split one graph anew, so most test and validation pairs of one are training pairs of the others: the
mean has neither, and no figure of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from exporters.agreement import logit_tolerance, same_logits
from exporters.manifest import PARTS
from exporters.run_tables import EvaluationSet, Floats, Indices, SideEdges
from exporters.trained_run import TrainedRun
from flykd_console.errors import UserError
from flykd_console.explore.rivals import NearestTails
from flykd_console.runs.results import ModelResult, Scores

_RELATION, _PROBE = "relation/", "probe/"


def mean_of(members: Sequence[TrainedRun]) -> TrainedRun:
    """The mean of one model of several seeds, at least two.

    True pairs count as training where any seed trained on them, and so do the edges of profiles. Neighbours'
    similarities are averaged.

    Raises:
        UserError: The seeds' files are of different relations or nodes.
    """
    first = members[0]
    for other in members[1:]:
        if other.relations != first.relations or other.tensors.keys() != first.tensors.keys():
            raise UserError(
                "the seeds left embeddings of different relations", first.directory.name, "Train them again."
            )
    tables = {
        name: np.concatenate([member.tensors[name] for member in members], axis=-1)
        for name in first.tensors
        if not name.startswith(_PROBE)
    }
    share = np.float32(len(members))
    tensors = {name: table / share if name.startswith(_RELATION) else table for name, table in tables.items()}
    nothing = EvaluationSet(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int8), np.empty(0, np.float32))
    return replace(
        first,
        seeds=tuple(seed for member in members for seed in member.seeds),
        dim=sum(member.dim for member in members),
        tensors=tensors | _probes(members),
        pairs={relation: _pairs(members, relation) for relation in first.relations},
        tests=dict.fromkeys(first.relations, nothing),
        validation=None,
        nearest=_nearest(members),
        profiles=_profiles(members),
        beside={kind: table for member in members for kind, table in member.beside.items()},
        result=_unmeasured(members),
        members=tuple(members),
    )


def _unmeasured(members: Sequence[TrainedRun]) -> ModelResult:
    """The first seed's facts, without any score: nothing was measured of the mean."""
    result = members[0].result
    parameters = sum(member.result.parameters for member in members)
    return msgspec.structs.replace(result, test=Scores(), validation=Scores(), parameters=parameters)


def check_members(run: TrainedRun) -> str:
    """Every member's own tables give the logits that torch left for it, and their mean is what the probe asks for."""
    worst = 0.0
    for member in run.members:
        for relation in member.relations:
            probe = member.probe(relation)
            head, vector, tail = _rows(member, relation, probe.head, probe.tail)
            found = _logits(member, relation, probe.head, probe.tail).astype(np.float32)
            tolerance = logit_tolerance(head, vector, tail)
            worst = max(worst, same_logits(f"seed {member.seeds[0]}, {relation!r}", found, probe.logit, tolerance))
    seeds = ", ".join(map(str, run.seeds))
    return f"each of seeds {seeds} gives the logits that torch left for it; largest difference {worst:.1e}"


def _probes(members: Sequence[TrainedRun]) -> dict[str, NDArray[Any]]:
    """The first seed's random pairs, with the mean of the members' logits computed in float64."""
    first = members[0]
    found: dict[str, NDArray[Any]] = {}
    for relation in first.relations:
        probe = first.probe(relation)
        logits = np.mean([_logits(member, relation, probe.head, probe.tail) for member in members], axis=0)
        found |= {
            f"{_PROBE}{relation}/head": probe.head,
            f"{_PROBE}{relation}/tail": probe.tail,
            f"{_PROBE}{relation}/logit": logits.astype(np.float32),
        }
    return found


def _rows(member: TrainedRun, relation: str, heads: Indices, tails: Indices) -> tuple[Floats, Floats, Floats]:
    tensors = member.tensors
    return tensors["head.embedding"][heads], tensors[_RELATION + relation], tensors[member.tail_tensor(relation)][tails]


def _logits(member: TrainedRun, relation: str, heads: Indices, tails: Indices) -> NDArray[np.float64]:
    head, vector, tail = _rows(member, relation, heads, tails)
    logits: NDArray[np.float64] = (head.astype(np.float64) * vector * tail).sum(axis=1)
    return logits


def _pairs(members: Sequence[TrainedRun], relation: str) -> dict[str, Indices]:
    """All true pairs, each in the first of the parts that any seed has it in, rows (head, tail), sorted."""
    width = len(members[0].nodes[members[0].tail_type].ids)
    taken, found = np.empty(0, np.int64), {}
    for part in PARTS:
        keys = [pairs[:, 0] * width + pairs[:, 1] for pairs in (m.pairs[relation][part] for m in members)]
        own = np.setdiff1d(reduce(np.union1d, keys), taken)
        taken = np.union1d(taken, own)
        found[part] = np.stack(np.divmod(own, width), axis=1)
    return found


def _nearest(members: Sequence[TrainedRun]) -> dict[str, NearestTails] | None:
    """The members' lists one after another, each similarity divided by the number of members."""
    found = [member.nearest for member in members if member.nearest is not None]
    if len(found) < len(members):
        return None
    tails = len(members[0].nodes[members[0].tail_type].ids)
    merged = {}
    for relation in members[0].relations:
        lists = [nearest[relation] for nearest in found]
        rows, index, similarity = (
            np.concatenate([getattr(one, name) for one in lists]) for name in ("rows", "index", "similarity")
        )
        merged[relation] = NearestTails.of(rows, index, (similarity / len(lists)).astype(np.float32), tails)
    return merged


def _profiles(members: Sequence[TrainedRun]) -> tuple[SideEdges, ...] | None:
    """Edges that any seed trained on, each once, ascending."""
    found = [member.profiles for member in members if member.profiles is not None]
    if len(found) < len(members):
        return None
    keys: dict[tuple[str, str, str], NDArray[np.int64]] = {}
    for one in (one for profiles in found for one in profiles):
        own = one.head.astype(np.int64) << 32 | one.tail
        keys[one.edge_type] = np.union1d(keys.get(one.edge_type, own), own)
    return tuple(
        SideEdges(*edge_type, (key >> 32).astype(np.int32), (key & 0xFFFFFFFF).astype(np.int32))
        for edge_type, key in sorted(keys.items())
    )
