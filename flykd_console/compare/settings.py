"""Where the settings of several runs differ: their profiles as flat keys, and the keys that are not the same in all."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flykd_console.errors import UserError

ABSENT = "–"
# Settings by table that came after the first runs, and what a run without them did.
LATER: dict[str, dict[str, Any]] = {
    "graph.pooling": {"direction": "either"},
    "finetune.plateau": {"stop_below": 0.0},
    "distill.plateau": {"stop_below": 0.0},
    "distill.random_graph": {"unseen": 0.0},
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One key: the value of each run as TOML would have it, in the order of the runs."""

    key: str
    values: tuple[str, ...]


def read_settings(path: Path) -> dict[str, Any]:
    """A run's `profile.schema.toml` as flat keys, such as `distill.epochs`.

    Raises:
        UserError: It is missing or no TOML.
    """
    try:
        return flatten(tomllib.loads(path.read_text("utf-8")))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UserError(
            f"the profile cannot be read ({reason})", str(path), "Leave the run out, or put its profile back."
        ) from None


def flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as one, keys joined by dots; an empty table leaves nothing."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def without_later(values: Mapping[str, Any], table: str) -> dict[str, Any]:
    """A table's values, and those of tables inside it, without the later settings that are as they were before."""
    later = LATER.get(table, {})
    return {
        key: without_later(value, f"{table}.{key}") if isinstance(value, Mapping) else value
        for key, value in values.items()
        if key not in later or value != later[key]
    }


def differences(settings: Sequence[Mapping[str, Any]], defaults: Mapping[str, Any]) -> list[Difference]:
    """The keys whose values are not the same in all runs, in the order in which profiles have them.

    Args:
        settings: Flat, one for each run.
        defaults: Flat. A run of an older version lacks newer keys, and was trained as their defaults say.
    """
    keys = dict.fromkeys([*defaults, *(key for run in settings for key in run)])
    found = []
    for key in keys:
        default = defaults.get(key)
        values = [run.get(key, default) for run in settings]
        if any(not _same(value, values[0]) for value in values):
            found.append(Difference(key, tuple(shown(value) for value in values)))
    return found


def shown(value: Any) -> str:
    """A value as TOML has it, on one line; `–` for a key that is not set."""
    if value is None:
        return ABSENT
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)
