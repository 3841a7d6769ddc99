"""What models of links minimise: labels alone (FlyKD section 4), or what a method makes of frozen teachers."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from flykd_console.distill.labels.losses import losses
from flykd_console.distill.labels.sources.original import true_labels
from flykd_console.tasks.base import Objective, Weights

if TYPE_CHECKING:
    from torch import Tensor

    from flykd_console.distill.method import Method
    from flykd_console.model.link_model import LinkModel
    from flykd_console.tasks.link_prediction.data import LinkData


class Supervised(Objective):
    """`L_og`: training edges against fresh negatives, as `[negatives]` says."""

    def __init__(self, data: LinkData, model: LinkModel, stage: str) -> None:
        super().__init__()
        draw = data.generator(f"{stage}/negatives")
        self._model, self._space, self._encode = model, data.space, data.space_encoder(model, data.space)
        filtered = data.profile.split.filter_negatives
        self._sources = {"original": true_labels(data.space, draw, filtered, data.profile.negatives)}
        self.generators = {"negatives": draw}

    def __call__(self, epoch: int, weights: Weights) -> dict[str, Tensor]:
        return losses(self._space, self._encode(self._model), self._sources, weights, epoch)


class Distilled(Objective):
    """The label sources and structure losses of a method, weighed by its curriculum."""

    def __init__(self, method: Method, model: LinkModel) -> None:
        super().__init__()
        self._method, self._model = method, model
        self.curriculum = method.curriculum
        self.parameters, self.generators = method.parameters, method.generators
        self.stateful = dict(method.stateful)

    def __call__(self, epoch: int, weights: Weights) -> dict[str, Tensor]:
        return self._method.losses(self._model, epoch, weights)

    def variant(self, epoch: int) -> Hashable:
        return self._method.redraws(epoch)
