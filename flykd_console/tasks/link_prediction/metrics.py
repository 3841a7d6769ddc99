"""Metrics of link prediction: AUPRC and AUROC per relation against stored negatives, macro means, pooled micro values;
the same AUPRC where the head was replaced, and macro means of the rankings.

AUPRC is scikit-learn's average precision, which the paper reports; its base rate here is 0.5.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from flykd_console.runs.events import RelationScore
from flykd_console.runs.results import RankingScores, Scores
from flykd_console.tasks.link_prediction.names import RANKING_NAMES, TAIL_RANKING_NAMES

Scored = tuple[NDArray[np.float32], NDArray[np.float32]]


def score_relation(labels: NDArray[np.float32], logits: NDArray[np.float32]) -> RelationScore:
    """AUPRC and AUROC of one relation; labels 0 or 1, both float32 [n], both classes present."""
    # Here and not above: the import takes a second, which the first epochs need not wait for.
    from sklearn.metrics import average_precision_score, roc_auc_score

    positives = int(labels.sum())
    return RelationScore(
        auprc=float(average_precision_score(labels, logits)),
        auroc=float(roc_auc_score(labels, logits)),
        positives=positives,
        negatives=len(labels) - positives,
    )


def score(
    relations: Mapping[str, Scored],
    ranking: dict[str, RankingScores] | None = None,
    ranking_tails: dict[str, RankingScores] | None = None,
    replaced: Mapping[str, Mapping[str, Scored]] | None = None,
) -> Scores:
    """All metrics of a part; a relation without pairs is left out of the means, without any nothing is measured.

    Args:
        relations: Per relation (labels, logits) of the stored pairs, float32 [n_r] each.
        ranking: Per relation heads ranked for tails, where they were.
        ranking_tails: Per relation tails ranked for heads, where they were.
        replaced: Per name of a metric, a mean of AUPRC, the same as `relations` of other pairs.
    """
    measured = _with_pairs(relations)
    if not measured:
        return Scores()
    by_relation = {name: score_relation(labels, logits) for name, (labels, logits) in measured.items()}
    pooled_labels = np.concatenate([labels for labels, _ in measured.values()])
    pooled_logits = np.concatenate([logits for _, logits in measured.values()])
    pooled = score_relation(pooled_labels, pooled_logits)
    named = {
        "macro_auprc": float(np.mean([s.auprc for s in by_relation.values()])),
        "macro_auroc": float(np.mean([s.auroc for s in by_relation.values()])),
        "micro_auprc": pooled.auprc,
        "micro_auroc": pooled.auroc,
    }
    others = {
        metric: float(np.mean([score_relation(*scored).auprc for scored in _with_pairs(pairs).values()]))
        for metric, pairs in (replaced or {}).items()
        if _with_pairs(pairs)
    }
    return Scores(
        **named,
        relations=by_relation,
        ranking=ranking or None,
        ranking_tails=ranking_tails or None,
        matrix=None,
        by_distance=None,
        metrics=named | others | _macro(ranking or {}, RANKING_NAMES) | _macro(ranking_tails or {}, TAIL_RANKING_NAMES),
    )


def _with_pairs(relations: Mapping[str, Scored]) -> dict[str, Scored]:
    return {name: scored for name, scored in relations.items() if len(scored[0])}


def _macro(ranking: Mapping[str, RankingScores], names: Mapping[str, str]) -> dict[str, float]:
    """The mean over the relations of each ranking metric, by the name that it has among all metrics."""
    if not ranking:
        return {}
    return {
        name: float(np.mean([getattr(of_relation, metric) for of_relation in ranking.values()]))
        for metric, name in names.items()
    }
