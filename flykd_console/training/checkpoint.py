"""Tensors on disk: weights of finished stages and states of unfinished ones; safetensors only, written atomically."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

Metadata = dict[str, Any]


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Metadata, plain: bool = False) -> None:
    """Write tensors and metadata (JSON values; `plain`: strings as they are); the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        save_file(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
            temporary,
            metadata={key: value if plain else json.dumps(value) for key, value in metadata.items()},
        )
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], Metadata]:
    """Tensors and metadata of a file, on the CPU.

    Raises:
        OSError: The file is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = {key: json.loads(value) for key, value in (file.metadata() or {}).items()}
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118
    except (SafetensorError, json.JSONDecodeError) as error:
        raise OSError(f"{path}: damaged ({error})") from None


def load_metadata(path: Path) -> Metadata | None:
    """Metadata alone, read from the header; None where the file is missing or damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            return {key: json.loads(value) for key, value in (file.metadata() or {}).items()}
    except (OSError, SafetensorError, json.JSONDecodeError):
        return None


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
