"""What computes a bundle's scores must give: `numpy_engine` and `onnx_engine` do."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


class Engine(Protocol):
    """Scores of a bundle's nodes."""

    def best(self, side: str, row: int, relation: str, left_out: Rows, top: int | None) -> tuple[Rows, Floats, Floats]:
        """The candidates of the other side in the model's order, equal ones by their rows: rows, logits, probabilities
        (NaN without calibration), [n] each.

        Args:
            row: A node with an embedding.
            left_out: Rows that are not ranked, int64 [k].
            top: How many; None: all.
        """
        ...

    def pairs(self, relation: str, heads: Rows, tails: Rows) -> tuple[Floats, Floats]:
        """Logits and probabilities of pairs of rows, float32 [n] each."""
        ...
