"""Stored scores held against the figures that the results give for them: either may have been changed since."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from flykd_console.compare.average_precision import average_precision
from flykd_console.runs.results import Scores

# Both come from the same float32 logits; sums are taken in another order.
TOLERANCE = 1e-6


def disagreements(frame: pl.DataFrame, model: str, stated: Scores) -> Iterator[str]:
    """What a model's stored scores of a part say otherwise than the results, a clause each.

    Args:
        frame: The part's pairs: `relation`, `label` and a column of the model's logits.
        stated: What the results say of the model on this part.
    """
    if "relation" not in frame.columns:
        return  # of a task without pairs
    for (relation,), pairs in frame.group_by("relation", maintain_order=True):
        true = pairs["label"] == 1
        logits = pairs[model]
        positives, negatives = logits.filter(true).to_numpy(), logits.filter(~true).to_numpy()
        said = stated.relations.get(str(relation))
        if said is None:
            if len(positives) and len(negatives):
                yield f"the results have no figure of {model} for {relation!r}"
            continue
        counts, stated_counts = (len(positives), len(negatives)), (said.positives, said.negatives)
        if stated_counts not in ((0, 0), counts):
            yield f"{relation!r} has {counts[0]} true pairs and {counts[1]} others, not {stated_counts}"
            continue
        found = average_precision(positives, negatives) if len(positives) else float("nan")
        if not abs(found - said.auprc) <= TOLERANCE:
            yield f"AUPRC of {model} in {relation!r} is {100 * found:.4f} %, not {100 * said.auprc:.4f} %"
    missing = sorted(stated.relations.keys() - set(frame["relation"].unique().to_list()))
    for relation in missing:
        yield f"no pair of {relation!r} is stored"
