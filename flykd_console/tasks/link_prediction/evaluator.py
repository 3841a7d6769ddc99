"""Scoring a model in training on the stored pairs of a part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from flykd_console.model.distmult import pair_logits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flykd_console.model.encoded import Encoded
    from flykd_console.model.link_model import LinkModel
    from flykd_console.tasks.link_prediction.data import LinkData
    from flykd_console.tasks.link_prediction.metrics import Scored


class Evaluator:
    """Scores a model on the stored pairs of one part, which has some; relations without any are left out."""

    def __init__(self, data: LinkData, model: LinkModel, part: str) -> None:
        pairs = [pairs for pairs in data.evaluation(part) if len(pairs.heads)]
        heads = np.unique(np.concatenate([p.heads for p in pairs]))
        tails = {p.relation: np.unique(p.tails) for p in pairs}
        self._encoder = data.encoder(model, heads, tails)
        self._pairs = [
            (
                p.relation,
                torch.from_numpy(np.searchsorted(heads, p.heads)).to(data.device),
                torch.from_numpy(np.searchsorted(tails[p.relation], p.tails)).to(data.device),
                p.labels,
            )
            for p in pairs
        ]

    @torch.no_grad()
    def logits(self, model: LinkModel) -> dict[str, Scored]:
        """Per relation (labels, logits), float32 [n_r] each, in the order of the stored pairs."""
        encoded = self._encoder(model)
        return {name: (labels, self._of(encoded, name, h, t)) for name, h, t, labels in self._pairs}

    def _of(self, encoded: Encoded, relation: str, heads: Tensor, tails: Tensor) -> NDArray[np.float32]:
        logits = pair_logits(encoded.head[heads], encoded.relation[relation], encoded.tails[relation][tails])
        scores: NDArray[np.float32] = logits.cpu().numpy()
        return scores
