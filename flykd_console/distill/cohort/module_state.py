"""What is trained besides the members of a cohort, as a part of a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn


class ModuleState:
    """A module's tensors, which a checkpoint keeps."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module

    def state_dict(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return dict(self._module.state_dict())

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` returned."""
        self._module.load_state_dict(dict(state))
