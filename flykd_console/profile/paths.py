"""Which values of a profile are paths: those of the keys that `section.IsPath` marks, in whatever table they stand."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from flykd_console.profile.section import ByKind, IsPath, StructureSettings

Keys = tuple[str | int, ...]


def paths_in(table: type[BaseModel], data: Any) -> Iterator[tuple[Keys, str]]:
    """Every path in a table, and the keys that lead to it.

    Args:
        table: The class of the table.
        data: The table as plain data, which need not be sound: what does not fit is passed over. Or as an instance:
            then a structure loss that takes no part names no file.
    """
    return _within(table, (), data, ())


def files_of(section: BaseModel) -> dict[str, str]:
    """By dotted key, such as `teachers[0].file`, every file that a table and those inside it name to be read."""
    return {dotted(keys): path for keys, path in paths_in(type(section), section)}


def dotted(keys: Keys) -> str:
    """`("distill", "sources", 0)` as `distill.sources[0]`."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return text.removeprefix(".")


def _within(kind: Any, marks: Sequence[Any], value: Any, keys: Keys) -> Iterator[tuple[Keys, str]]:
    """The paths in a value whose annotation is `kind` and `marks`."""
    by_kind = next((mark for mark in marks if isinstance(mark, ByKind)), None)
    if by_kind is not None:
        kind = by_kind.settings(value)
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Annotated:
        yield from _within(inside[0], [*marks, *kind.__metadata__], value, keys)
    elif origin in (Union, types.UnionType):
        for one in inside:
            yield from _within(one, marks, value, keys)
    elif origin in (list, tuple) and isinstance(value, list | tuple):
        each = inside if origin is tuple and Ellipsis not in inside else inside[:1] * len(value)
        for number, (one, item) in enumerate(zip(each, value, strict=False)):
            yield from _within(one, (), item, (*keys, number))
    elif origin is dict and isinstance(value, Mapping):
        for name, item in value.items():
            yield from _within(inside[1], (), item, (*keys, name))
    elif isinstance(value, str):
        if any(isinstance(mark, IsPath) and value and mark.names_file(value) for mark in marks):
            yield keys, value
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from _in_table(kind, value, keys)


def _in_table(table: type[BaseModel], value: Any, keys: Keys) -> Iterator[tuple[Keys, str]]:
    if isinstance(value, StructureSettings) and not value.takes_part:
        return
    # An instance may be of a narrower class than is asked for.
    fields = type(value).model_fields if isinstance(value, BaseModel) else table.model_fields
    known = value.__dict__ if isinstance(value, BaseModel) else value
    for name, field in fields.items() if isinstance(known, Mapping) else ():
        if name in known:
            yield from _within(field.annotation, field.metadata, known[name], (*keys, name))
