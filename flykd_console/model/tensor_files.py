"""Tensors on disk: safetensors only, written atomically and sealed, with JSON beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from flykd_console.runs.files import replace_with_parts
from flykd_console.runs.sealed import LONGEST_HEADER, SEAL, Buffer, seal_of, sealed

Metadata = dict[str, Any]

_DTYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Metadata, plain: bool = False) -> str:
    """Write tensors and metadata (JSON values; `plain`: strings as they are); the file appears whole or not at all.

    Returns:
        Its seal, see `flykd_console.runs.sealed`.
    """
    parts, seal = tensor_parts(tensors, metadata, plain)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_with_parts(path, parts)
    return seal


def tensor_parts(
    tensors: Mapping[str, Tensor], metadata: Metadata, plain: bool = False
) -> tuple[list[bytes | memoryview], str]:
    """What `save_tensors` writes, in parts, and its seal."""
    buffers = []
    for name, tensor in tensors.items():
        whole = tensor.detach().cpu().contiguous()
        data = whole.reshape(-1).view(torch.uint8).numpy().data
        buffers.append(Buffer(name, _DTYPES[whole.dtype], whole.element_size(), tuple(whole.shape), data))
    return sealed(buffers, {key: value if plain else json.dumps(value) for key, value in metadata.items()})


def load_tensors(path: Path) -> tuple[dict[str, Tensor], Metadata]:
    """Tensors and metadata of a file whose seal is right, on the CPU.

    Raises:
        OSError: The file is missing or damaged.
    """
    tensors, metadata, _ = load_sealed(path)
    return tensors, metadata


def load_sealed(path: Path) -> tuple[dict[str, Tensor], Metadata, str]:
    """As `load_tensors`, and the seal."""
    # Read once: what is checked is what is loaded.
    data = path.read_bytes()
    seal = seal_of(data, path)
    try:
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        return load(data), _metadata(header.get("__metadata__", {})), seal
    except (SafetensorError, ValueError, TypeError, RecursionError, AttributeError) as error:
        raise OSError(f"{path}: damaged ({error})") from None


def load_metadata(path: Path) -> Metadata | None:
    """Metadata alone, read from the header and not held against the seal; None where it cannot be read."""
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, LONGEST_HEADER)))
        return _metadata(header["__metadata__"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _metadata(found: Mapping[str, str]) -> Metadata:
    return {key: json.loads(value) for key, value in found.items() if key != SEAL}
