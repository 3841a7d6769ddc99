"""Profiles as the program uses them: resolved from files and `--set`, checked, and written with every default.

Types are taken strictly (TOML is typed: `epochs = 5.5` or `"5"` is a mistake, not 5). Every mistake becomes one line
that names the file, the dotted key, the value and what is allowed.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel, ValidationError

from flykd_console.errors import UserError
from flykd_console.profile.checks import OF_CLASSES, OF_LINKS
from flykd_console.profile.distill import SOURCES, forget_absent_sources
from flykd_console.profile.explain import Places, explain
from flykd_console.profile.files import Layer, make_paths_absolute, read_layers
from flykd_console.profile.models import completed, models_of
from flykd_console.profile.schema import Profile
from flykd_console.toml_text import DEEPEST, parse_toml
from flykd_console.words import lowered


@dataclass(frozen=True)
class Override:
    """A value that replaces the file's: `key` is dotted, `origin` is what the user typed, for messages."""

    key: str
    value: Any
    origin: str


# Bits of a number; what is wider is no mistake of a digit.
_WIDEST = 128
# A bare word of --set.
_LONGEST_WORD = 1000


def load_profile(path: str | Path, overrides: Iterable[str | Override] = ()) -> Profile:
    """Read a profile and what it extends; every path in it comes back absolute.

    Args:
        path: A file, or the name of a shipped profile (`flykd`, `primekg/flykd`).
        overrides: `key=value` with a dotted key and a TOML value (a bare word is text), applied in order; paths are
            relative to the current folder.

    Raises:
        UserError: A file is missing or no TOML, or files extend each other in a circle; a key is unknown; a value has
            the wrong type, is out of range, or contradicts another.
    """
    data, files = stack(read_layers(path))
    parsed = [parse_set(item) if isinstance(item, str) else item for item in overrides]
    for override in parsed:
        if override.key == "distill.sources":
            forget_absent_sources(data.get("distill"), override.value)
    origins: dict[str, str] = {}
    for override in parsed:
        _put(data, override)
        origins[override.key] = override.origin
    make_paths_absolute(data, Path())
    return validate(data, str(path), origins, files)


def validate(
    data: dict[str, Any], source: str, origins: dict[str, str] | None = None, files: dict[str, str] | None = None
) -> Profile:
    """Build a profile from plain data.

    Args:
        data: The profile's tables.
        source: The file, as messages name it.
        origins: Dotted keys that were given otherwise, with what the user typed.
        files: Dotted keys and tables with the file that said them last, where that is not `source`.

    Raises:
        UserError: A key is unknown; a value has the wrong type, is out of range, or contradicts another.
    """
    places = Places(source, origins or {}, files or {})
    data = completed(data)
    for keys, value in _leaves(data):
        if isinstance(value, int) and value.bit_length() > _WIDEST:
            raise UserError("is too large a number", places.of(keys), "Give a smaller one.")
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"must be a finite number, but is {value}", places.of(keys), "Give a number.")
        if not isinstance(value, str | int | float | bool):
            raise UserError(
                f"dates and times have no place in a profile: {value}",
                places.of(keys),
                "Give it in quotes where text is meant.",
            )
    try:
        # JSON, because pydantic's strict mode takes an array for a tuple there
        profile = Profile.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        raise explain(error, places, data) from None
    models_of(profile)
    return profile


def stack(layers: Sequence[Layer]) -> tuple[dict[str, Any], dict[str, str]]:
    """Put layers on top of each other: tables key by key, anything else replaced.

    What an extended file says of a label source that a later one leaves out is forgotten with the source.

    Returns:
        The tables, and per dotted key and table the file that said it last.
    """
    data: dict[str, Any] = {}
    files: dict[str, str] = {}
    for layer in layers:
        distill = layer.data.get("distill")
        if isinstance(distill, dict) and "sources" in distill:
            forget_absent_sources(data.get("distill"), distill["sources"])
        _merge(data, layer.data, layer.source, files)
    return data, files


def _merge(below: dict[str, Any], above: dict[str, Any], source: str, files: dict[str, str], prefix: str = "") -> None:
    for name, value in above.items():
        files[prefix + name] = source
        inner = below.get(name)
        if isinstance(inner, dict) and isinstance(value, dict):
            _merge(inner, value, source, files, f"{prefix}{name}.")
        else:
            below[name] = value
            _remember(value, source, files, f"{prefix}{name}.")


def _remember(value: Any, source: str, files: dict[str, str], prefix: str) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            files[prefix + name] = source
            _remember(inner, source, files, f"{prefix}{name}.")


def parse_set(text: str) -> Override:
    """Read `key=value`: the value as TOML, a bare word as text.

    Raises:
        UserError: There is no `=`, no key, or a broken TOML value.
    """
    origin = f"--set {' '.join(text.split())}"
    key, equals, raw = text.partition("=")
    key, raw = key.strip(), raw.strip()
    if not equals or not key or any(not part.strip() for part in key.split(".")):
        raise UserError("must read key=value", origin, "For example: --set distill.epochs=500")
    key = ".".join(part.strip() for part in key.split("."))
    if key.count(".") > DEEPEST:
        raise UserError("there is no key of so many dots", origin[:80], "Name a key: flykd-console profiles keys")
    try:
        parsed = parse_toml(f"value = {raw}")
    except tomllib.TOMLDecodeError as error:
        if not raw or raw[0] in "[{\"'" or len(raw) > _LONGEST_WORD:
            raise UserError(
                f"not a TOML value: {raw[:80]!r} ({lowered(str(error))})",
                origin,
                'Text needs quotes, a list brackets: --set \'KEY=["a", "b"]\'',
            ) from None
        return Override(key, raw, origin)
    if list(parsed) != ["value"]:
        raise UserError("one key and one value at a time", origin, "Repeat --set for each key.")
    return Override(key, parsed["value"], origin)


def tables_of(profile: Profile) -> dict[str, Any]:
    """The profile's tables with every default, but without keys that have no value.

    A curriculum is there for the label sources that there are. Tables that the task never looks at are left out.
    """
    data = profile.model_dump(mode="json", exclude_none=True, serialize_as_any=True)
    if profile.classifies:
        return {name: table for name, table in data.items() if name not in OF_LINKS}
    data = {name: table for name, table in data.items() if name not in (*OF_CLASSES, "task")}
    methods = [(data["distill"], profile.distill)]
    methods += [(data["models"][name]["distill"], model.distill) for name, model in profile.models.items()]
    for table, distill in methods:
        for source in set(SOURCES) - set(distill.sources):
            del table["curriculum"][source]
    if not profile.models:
        del data["models"]
    if not profile.mutual.takes_part:
        del data["mutual"]
    return data


def dump_profile(profile: Profile, unset: bool = False) -> str:
    """The profile's tables (`tables_of`) as TOML; reading it gives an equal profile.

    Args:
        unset: Name the keys without a value, too, as comments of their tables.
    """
    text = tomli_w.dumps(tables_of(profile))
    # One line per array. Text is written on one line, so a newline next to a bracket or comma is always the array's.
    text = re.sub(r"\[\n\s+", "[", text)
    text = re.sub(r",\n\s*\]", "]", text)
    text = re.sub(r",\n\s+", ", ", text)
    for table, keys in _unset(profile).items() if unset else ():
        comments = "".join(f"# {key}: not set\n" for key in keys)
        text = text.replace(f"[{table}]\n", f"[{table}]\n{comments}", 1)
    return text


def _unset(section: BaseModel, prefix: str = "") -> dict[str, list[str]]:
    """By table the keys that have no value."""
    found: dict[str, list[str]] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        if value is None:
            found.setdefault(prefix.rstrip("."), []).append(name)
        elif isinstance(value, BaseModel):
            found |= _unset(value, f"{prefix}{name}.")
    return found


def _put(data: dict[str, Any], override: Override) -> None:
    *tables, last = override.key.split(".")
    for depth, name in enumerate(tables):
        inner = data.setdefault(name, {})
        if not isinstance(inner, dict):
            taken = ".".join(tables[: depth + 1])
            raise UserError(
                f"{taken} is a value, not a table", override.origin, "List the keys: flykd-console profiles keys"
            )
        data = inner
    data[last] = override.value


def _leaves(value: Any, keys: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, (*keys, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*keys, index))
    else:
        yield keys, value
