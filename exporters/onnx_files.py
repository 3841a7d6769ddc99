"""ONNX heads of a bundle that may come from a stranger: read once, held to what a bundle needs, without a runtime.

ONNX can keep its tensors in other files and loop without end. None of that is run: see docs/security.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from exporters.manifest import EMBEDDINGS, RANKING_HEAD, SCORING_HEAD, FileRecord, Manifest, damaged
from exporters.strange_files import plain_file

# What a bundle's own graphs are made of, and what else is arithmetic without loops, branches or other files.
_OPERATORS = frozenset((
    "Add", "Cast", "Clip", "Concat", "Constant", "Div", "Exp", "Expand", "Flatten", "Gather", "Gemm", "Identity", "Log",
    "MatMul", "Max", "Min", "Mul", "Neg", "Pow", "Reciprocal", "ReduceMean", "ReduceSum", "Relu", "Reshape", "Shape",
    "Sigmoid", "Slice", "Softmax", "Sqrt", "Squeeze", "Sub", "Tanh", "TopK", "Transpose", "Unsqueeze", "Where",
))  # fmt: skip
_LARGEST_MODEL = 1 << 30

# What each head takes, in this order.
INPUTS = {
    SCORING_HEAD: ("head", "relation", "tail"),
    RANKING_HEAD: ("query", "relation", "candidates", "excluded", "k"),
}


def head_bytes(path: Path, manifest: Manifest, verify: bool = True) -> bytes:
    """The bytes of a head that belongs to a bundle's tables and relations; the rest as in `model_bytes`.

    Raises:
        UserError: It belongs to others.
    """
    data = model_bytes(path, manifest.files[path.name] if verify else None)
    inputs = _inputs(data)
    if inputs != INPUTS[path.name]:
        raise damaged(f"takes {', '.join(inputs) or 'nothing'} where such a head takes other inputs", path)
    facts = _properties(data)
    if facts.get("embeddings_sha256") != manifest.files[EMBEDDINGS].sha256:
        raise damaged(f"belongs to other tables than {EMBEDDINGS}", path)
    if _names(facts.get("relations", "[]")) != manifest.relations:
        raise damaged("names other relations than the manifest", path)
    return data


def _properties(data: bytes) -> dict[str, str]:
    """What a checked graph says of itself (`metadata_props`)."""
    found = {}
    for value in _inside(data, 14):
        entry = {key: text.decode("utf-8", "replace") for key, text in _fields(value) if isinstance(text, bytes)}
        found[entry.get(1, "")] = entry.get(2, "")
    return found


def _inputs(data: bytes) -> tuple[str, ...]:
    """Names of the inputs of a checked graph."""
    inputs = [value for graph in _inside(data, 7) for value in _inside(graph, 11)]
    return tuple(name.decode("utf-8", "replace") for value in inputs for name in _inside(value, 1))


def _inside(data: bytes, field: int) -> list[bytes]:
    """The texts or messages under a field of a message."""
    return [value for number, value in _fields(data) if number == field and isinstance(value, bytes)]


def _names(text: str) -> Any:
    """A list as JSON; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def model_bytes(path: Path, expected: FileRecord | None, further: frozenset[str] = frozenset()) -> bytes:
    """The bytes of a graph that keeps everything in itself: these are checked, and these the runtime is to be given.

    Args:
        expected: What they must be; None: they are not held against the manifest.
        further: Operators that are allowed besides those of heads.

    Raises:
        UserError: They are others, or the graph keeps tensors in other files, or has operators that no bundle needs.
    """
    if plain_file(path).stat().st_size > _LARGEST_MODEL:
        raise damaged("is larger than any head", path)
    data = path.read_bytes()
    if expected is not None and hashlib.sha256(data).hexdigest() != expected.sha256:
        raise damaged("is not the file that was exported (its SHA-256 differs from the manifest's)", path)
    try:
        _check_message(data, "model", path, _OPERATORS | further)
        _properties(data), _inputs(data)
    except (IndexError, RecursionError):
        raise damaged("is no ONNX graph", path) from None
    return data


# Field numbers of onnx.proto: by message, what a field holds that must be looked into.
_FIELDS = {
    "model": {7: "graph", 25: "function", 20: "refused"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {4: "operator", 5: "attribute"},
    "attribute": {5: "tensor", 6: "refused", 10: "tensor", 11: "refused", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 11: "attribute"},
    "tensor": {13: "external", 14: "location"},
}


def _check_message(data: bytes, kind: str, path: Path, allowed: frozenset[str]) -> None:
    for number, value in _fields(data):
        inner = _FIELDS[kind].get(number)
        if inner is None:
            continue
        if inner == "external" or (inner == "location" and value != 0):
            raise damaged("keeps tensors in another file", path)
        if inner == "location":
            continue
        if not isinstance(value, bytes):
            raise damaged("is no ONNX graph", path)
        if inner == "operator":
            name = value.decode("utf-8", "replace")
            if name not in allowed:
                raise damaged(f"has the operator {name[:40]!r}, which no bundle needs", path)
        elif inner == "refused":
            raise damaged("holds graphs within its graph", path)
        else:
            _check_message(value, inner, path, allowed)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf message: number, and bytes or a number.

    Raises:
        IndexError: It is cut short, or none.
    """
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, place = _varint(data, place)
            yield number, value
            continue
        if wire == 2:
            length, place = _varint(data, place)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise IndexError(wire)
        if place + length > len(data):
            raise IndexError(place)
        yield number, data[place : place + length]
        place += length


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise IndexError(place)
