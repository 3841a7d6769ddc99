"""An optimiser's state as flat tensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state as flat tensors, `optimizer/<parameter number>/<name>`."""
    state = optimizer.state_dict()["state"]
    return {
        f"optimizer/{number}/{name}": torch.as_tensor(x) for number, part in state.items() for name, x in part.items()
    }


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], lr: float) -> None:
    """Put back what `optimizer_tensors` returned, and the learning rate."""
    whole = optimizer.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith("optimizer/"):
            _, number, name = key.split("/")
            state.setdefault(int(number), {})[name] = tensor
    whole["state"] = state
    optimizer.load_state_dict(whole)
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr
