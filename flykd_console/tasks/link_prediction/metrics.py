"""Metrics of link prediction: AUPRC and AUROC per relation against stored negatives, macro means, pooled micro values.

AUPRC is scikit-learn's average precision, which the paper reports; its base rate here is 0.5.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from flykd_console.runs.events import RelationScore
from flykd_console.runs.results import RANKING_METRICS, RankingScores, Scores

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


def score(relations: Mapping[str, Scored], ranking: dict[str, RankingScores] | None = None) -> Scores:
    """All metrics of a part: per relation (labels, logits), float32 [n_r] each, and where it was ranked the ranking.

    A relation without pairs is left out of the means; without any pair nothing is measured.
    """
    measured = {name: scored for name, scored in relations.items() if len(scored[0])}
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
    return Scores(**named, relations=by_relation, ranking=ranking, metrics=named | _macro_ranking(ranking or {}))


def _macro_ranking(ranking: Mapping[str, RankingScores]) -> dict[str, float]:
    """The mean over the relations of each ranking metric, as `macro_<metric>`."""
    if not ranking:
        return {}
    return {
        f"macro_{metric}": float(np.mean([getattr(of_relation, metric) for of_relation in ranking.values()]))
        for metric in RANKING_METRICS
    }
