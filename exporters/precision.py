"""Tables of fewer bits: float16, or int8 with a scale for every row, and what a list loses by them.

    int8: x ≈ s q,  s = max |row| / 127,  q in -127 to 127

Who opens a bundle widens them once, to float32. What is lost is measured at export on the lists of tails with true test
pairs (of validation where nothing is tested), training pairs left out: average precision, Kendall's tau of all scores,
and the share of the first 20 that stay among them, each the mean over lists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from exporters.metrics import average_precision
from exporters.run_tables import EvaluationSet, Floats, Indices
from exporters.trained_run import TrainedRun
from flykd_console.errors import UserError

Dtype = Literal["float32", "float16", "int8"]

_LEVELS = 127
_TOP = 20
# Lists that are measured, of each relation.
_LISTS = 200
# Fewer lists with true pairs say nothing of average precision.
_FEWEST = 10
_TABLES = ("head.embedding", "tail.embedding")


def rounded(run: TrainedRun, dtype: Dtype) -> TrainedRun:
    """The run with tables as that type holds them, and the logits that follow from those.

    Raises:
        UserError: A value is too large for float16.
    """
    if dtype == "float32":
        return run
    tensors, quantised = dict(run.tensors), {}
    for name in run.tensors:
        if not name.startswith(_TABLES):
            continue
        if dtype == "int8":
            levels, scale = to_int8(run.tensors[name])
            quantised[name] = levels, scale
            tensors[name] = levels.astype(np.float32) * scale[:, None]
            continue
        with np.errstate(over="ignore"):
            tensors[name] = run.tensors[name].astype(np.float16).astype(np.float32)
        if not np.isfinite(tensors[name]).all():
            raise UserError(
                f"{name} holds values beyond 65,504, which float16 does not", run.directory.name, "Choose --dtype int8."
            )
    smaller = replace(run, tensors=tensors, dtype=dtype, quantised=quantised)
    return rescored(smaller)


def rescored(run: TrainedRun) -> TrainedRun:
    """The run with the logits of all its pairs as its own tables give them."""
    tensors = dict(run.tensors)
    for relation in run.relations:
        probe = run.probe(relation)
        tensors[f"probe/{relation}/logit"] = logits_of(run, relation, probe.head, probe.tail)
    validation = run.validation and {name: _rescored(run, name, pairs) for name, pairs in run.validation.items()}
    tests = {name: _rescored(run, name, pairs) for name, pairs in run.tests.items()}
    return replace(run, tensors=tensors, tests=tests, validation=validation)


def to_int8(table: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Levels int8 [n, d] and scales float32 [n] of a table; rows of zeros have scale 0."""
    scale = (np.abs(table).max(axis=1, initial=0.0) / _LEVELS).astype(np.float32)
    levels = np.rint(table / np.where(scale > 0.0, scale, 1.0)[:, None])
    return np.clip(levels, -_LEVELS, _LEVELS).astype(np.int8), scale


def logits_of(run: TrainedRun, relation: str, heads: Indices, tails: Indices) -> Floats:
    """DistMult's logits of pairs by a run's tables, summed in float64; float32 [n]."""
    tensors = run.tensors
    head = tensors["head.embedding"][heads].astype(np.float64)
    terms = head * tensors[f"relation/{relation}"] * tensors[run.tail_tensor(relation)][tails]
    found: Floats = terms.sum(axis=1).astype(np.float32)
    return found


def loss_of(run: TrainedRun, smaller: TrainedRun, exact: Callable[[str, int], Floats] | None = None) -> dict[str, Any]:
    """What the lists of a run lose by smaller tables.

    Args:
        exact: The scores of a relation's tail with every head, float32 [N_head]; None: by the run's tables.

    Returns:
        `ap` and `ap_float32` (mean average precision, None with fewer than ten lists to measure it), `kendall_tau`,
        `top_20_overlap`, `lists` (how many were measured), `part` (whose true pairs).
    """
    from scipy.stats import kendalltau

    part = next((part for part in ("test", "validation") if _tails_of(run, part) >= _FEWEST), "")
    precisions: list[tuple[float, float]] = []
    agreements: list[tuple[float, float]] = []
    for relation in run.relations:
        true = run.pairs[relation][part or "train"]
        tails = np.unique(true[:, 1])
        for tail in tails[np.linspace(0, len(tails) - 1, min(_LISTS, len(tails))).astype(np.int64)].tolist():
            scores, ours, heads = _lists(run, smaller, relation, tail, bool(part), exact)
            if len(heads) < 2:
                continue
            labels = np.isin(heads, true[true[:, 1] == tail, 0]).astype(np.int8)
            if part and labels.any() and not labels.all():
                precisions.append((average_precision(labels, scores), average_precision(labels, ours)))
            top = min(_TOP, len(heads))
            first, second = (np.argsort(-one, kind="stable")[:top] for one in (scores, ours))
            tau = float(kendalltau(scores, ours).statistic)
            agreements.append((1.0 if np.isnan(tau) else tau, len(np.intersect1d(first, second)) / top))
    before, after = np.mean(precisions, axis=0).tolist() if precisions else (None, None)
    tau, overlap = np.mean(agreements, axis=0).tolist() if agreements else (1.0, 1.0)
    return {
        "ap_float32": before,
        "ap": after,
        "kendall_tau": tau,
        "top_20_overlap": overlap,
        "lists": len(agreements),
        "part": part,
    }


def _tails_of(run: TrainedRun, part: str) -> int:
    """How many tails have true pairs of a part, over all relations."""
    return sum(len(np.unique(run.pairs[relation][part][:, 1])) for relation in run.relations)


def check_loss(
    loss: Mapping[str, Any], most: float, what_loses: str, hint: str = "Choose a --dtype of more bits, or allow more."
) -> None:
    """Refuse tables that lose more than so many points of AP, or of the first 20 where no AP is known.

    Raises:
        UserError: They do.
    """
    if loss["ap"] is not None:
        points, what = 100.0 * (loss["ap_float32"] - loss["ap"]), "points of AP"
    else:
        points, what = 100.0 * (1.0 - loss["top_20_overlap"]), "per cent of the first 20"
    if points > most:
        raise UserError(
            f"{what_loses} loses {points:.2f} {what}, more than {most:g}",
            "--max-loss",
            hint,
        )


def _lists(
    run: TrainedRun,
    smaller: TrainedRun,
    relation: str,
    tail: int,
    leave: bool,
    exact: Callable[[str, int], Floats] | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32], Indices]:
    """Scores of a tail's candidates by either tables, and the candidates' rows; training pairs are left out."""
    kept = np.asarray(run.tensors["head.embedding"].any(axis=1))
    if leave:
        train = run.pairs[relation]["train"]
        kept[train[train[:, 1] == tail, 0]] = False
    heads = np.flatnonzero(kept)
    ours = logits_of(smaller, relation, heads, np.full(len(heads), tail))
    if exact is not None:
        return exact(relation, tail)[heads], ours, heads
    return logits_of(run, relation, heads, np.full(len(heads), tail)), ours, heads


def _rescored(run: TrainedRun, relation: str, pairs: EvaluationSet) -> EvaluationSet:
    return replace(pairs, logit=logits_of(run, relation, pairs.head, pairs.tail))
