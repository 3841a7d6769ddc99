"""Tensors on disk: safetensors only, written atomically, with JSON beside them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
