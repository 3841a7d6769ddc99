"""Where the settings of several runs differ: their profiles as flat keys, and the keys that are not the same in all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flykd_console.errors import UserError
from flykd_console.toml_text import parse_toml

ABSENT = "–"


@dataclass(frozen=True, slots=True)
class Difference:
    """One key: the value of each run as TOML would have it, in the order of the runs."""

    key: str
    values: tuple[str, ...]


def read_settings(path: Path) -> dict[str, Any]:
    """A run's `profile.toml` as flat keys, such as `distill.epochs`.

    Raises:
        UserError: It is missing or no TOML.
    """
    try:
        return flatten(parse_toml(path.read_text("utf-8")))
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


def differences(settings: Sequence[Mapping[str, Any]], defaults: Mapping[str, Any]) -> list[Difference]:
    """The keys whose values are not the same in all runs, in the order in which profiles have them.

    Args:
        settings: Flat, one for each run.
        defaults: Flat; what a run's file leaves out stands at its default.
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
