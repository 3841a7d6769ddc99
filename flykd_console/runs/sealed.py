"""The seal of a tensor file: the SHA-256 of all its bytes, which it carries itself in its header.

    8 bytes   length n of the header, little endian        (safetensors, https://github.com/huggingface/safetensors)
    n bytes   JSON: {"__metadata__": {..., "sha256": "<seal>"}, "<tensor>": {"dtype", "shape", "data_offsets"}, ...}
    the rest  the tensors' bytes, one after another

The seal is taken with 64 zeros in its own place. Tensors and metadata stand in a fixed order: equal contents give equal
bytes. Nothing here imports torch.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SEAL = "sha256"
_BLANK = "0" * 64
_PLACE = re.compile(rb'"sha256":"([0-9a-f]{64})"')
LONGEST_HEADER = 100_000_000  # as safetensors has it


@dataclass(frozen=True)
class Buffer:
    """A tensor as bytes; `dtype` as safetensors names it, `size` in bytes of one element."""

    name: str
    dtype: str
    size: int
    shape: tuple[int, ...]
    data: memoryview


def sealed(buffers: Sequence[Buffer], metadata: Mapping[str, str]) -> tuple[list[bytes | memoryview], str]:
    """A tensor file in parts, to be written one after another, and its seal."""
    # Wide elements first: each then begins at a multiple of its size.
    ordered = sorted(buffers, key=lambda one: (-one.size, one.name))
    header: dict[str, Any] = {"__metadata__": dict(sorted({**metadata, SEAL: _BLANK}.items()))}
    end = 0
    for one in ordered:
        begin, end = end, end + one.data.nbytes
        header[one.name] = {"dtype": one.dtype, "shape": list(one.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    length = len(text).to_bytes(8, "little")
    digest = hashlib.sha256(length + text)
    for one in ordered:
        digest.update(one.data)
    seal = digest.hexdigest()
    text = _PLACE.sub(f'"{SEAL}":"{seal}"'.encode(), text, count=1)
    return [length, text, *(one.data for one in ordered)], seal


def seal_of(data: bytes, path: Path) -> str:
    """The seal of a tensor file, held against all its bytes.

    Raises:
        OSError: The file carries no seal, or another one than its bytes have.
    """
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(len(data) - 8, LONGEST_HEADER):
        raise OSError(f"{path}: damaged (cut short)")
    head = data[8 : 8 + length]
    found = _PLACE.findall(head)
    if len(found) != 1:
        raise OSError(f"{path}: damaged (it carries no checksum)")
    digest = hashlib.sha256(data[:8])
    digest.update(_PLACE.sub(f'"{SEAL}":"{_BLANK}"'.encode(), head, count=1))
    digest.update(memoryview(data)[8 + length :])
    if digest.hexdigest().encode() != found[0]:
        raise OSError(f"{path}: damaged (its checksum differs)")
    return digest.hexdigest()
