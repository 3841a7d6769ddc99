"""Which epoch of a stage stays: the last (the paper), or the best on validation; and whether to stop before the last.

Only the validations that the profile schedules count, so that a look in between, ordered by hand, changes nothing. A
student's count from the curriculum's last break point on: before it, it has not learnt from everything it is to learn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from flykd_console.tasks.base import Trainable


class SelectionSettings(Protocol):
    """What a profile says of it."""

    @property
    def select(self) -> str: ...

    @property
    def patience(self) -> int: ...


class Selection:
    """Follows the headline metric on validation.

    Attributes:
        best_epoch: Epoch of the best score so far, counted from 1; 0 before the first.
        best_score: That score, a fraction.
    """

    def __init__(self, settings: SelectionSettings, since: float = 0.0) -> None:
        """`since`: validations after fewer epochs than this do not count."""
        self._since = since
        self.keeps_best = settings.select == "best"
        self._patience = settings.patience
        self.best_epoch = 0
        self.best_score = float("-inf")
        self._without_better = 0
        self._weights: dict[str, Tensor] = {}

    def look(self, epoch: int, score: float, weights: Mapping[str, Tensor]) -> None:
        """Take a scheduled validation into account; the first of equal scores is the best."""
        if epoch < self._since:
            return
        if score > self.best_score:
            self.best_epoch, self.best_score, self._without_better = epoch, score, 0
            if self.keeps_best:
                self._weights = {name: tensor.detach().clone() for name, tensor in weights.items()}
        else:
            self._without_better += 1

    @property
    def exhausted(self) -> bool:
        """Whether as many validations in a row as the profile allows brought nothing better."""
        return 0 < self._patience <= self._without_better

    @torch.no_grad()
    def restore(self, model: Trainable) -> None:
        """Put the best epoch's weights back, where they were kept."""
        for name, parameter in model.named_parameters():
            if name in self._weights:
                parameter.copy_(self._weights[name])

    def state_dict(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        counts = torch.tensor([self.best_epoch, self._without_better])
        best = torch.tensor(self.best_score, dtype=torch.float64)
        weights = {f"weights/{name}": tensor for name, tensor in self._weights.items()}
        return {"counts": counts, "score": best} | weights

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` returned."""
        self.best_epoch, self._without_better = (int(count) for count in state["counts"])
        self.best_score = float(state["score"])
        prefix = "weights/"
        self._weights = {name.removeprefix(prefix): x for name, x in state.items() if name.startswith(prefix)}
