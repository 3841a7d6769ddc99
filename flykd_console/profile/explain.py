"""A mistake in a profile in one line: the file or option that made it, the dotted key, the value, what is allowed."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from flykd_console.errors import UserError
from flykd_console.profile.checks import OF_CLASSES, OF_LINKS
from flykd_console.profile.files import EXTENDS
from flykd_console.profile.keys import ENTRY, NAME, sections
from flykd_console.profile.keys import keys as every_key
from flykd_console.profile.paths import dotted as joined
from flykd_console.words import clipped, lowered

# What a value must be, by pydantic's type of the error; the braces are filled from the error's context.
_MUST_BE = {
    **dict.fromkeys(("int_type", "int_from_float", "int_parsing", "int_parsing_size"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("list_type", "tuple_type"), "a list, such as [1, 2]"),
    "string_type": "text in quotes",
    "greater_than": "above {gt:.15g}",
    "greater_than_equal": "at least {ge:.15g}",
    "less_than": "below {lt:.15g}",
    "less_than_equal": "at most {le:.15g}",
    "literal_error": "{expected}",
    "string_pattern_mismatch": "text that matches {pattern}",
}
_PLAIN_PATTERNS = {
    "run.name": "letters, digits, '.', '_' and '-', beginning with a letter or digit",
    "run.device": "'auto', 'cpu', 'cuda' or 'cuda:0'",
}
_OF_A_MODEL = f"models.{NAME}."
_NOT_A_TABLE = ("model_type", "model_attributes_type", "dict_type")


@dataclass(frozen=True)
class Places:
    """Where each key was said."""

    source: str
    origins: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def of(self, keys: Iterable[str | int]) -> str:
        """The option that set a key, or file and key; of several for a table, the last."""
        keys = list(keys)
        dotted = _dotted(keys)
        for key, origin in self.origins.items():
            if f"{dotted}.".startswith((f"{key}.", f"{key}[")) or key.startswith(f"{dotted}."):
                return origin
        names = [key for key in keys if isinstance(key, str)]
        said = (self.files.get(".".join(names[:depth])) for depth in range(len(names), 0, -1))
        file = next((file for file in said if file is not None), self.source)
        return f"{file}, {dotted}" if dotted else self.source


def _dotted(keys: Iterable[str | int]) -> str:
    """`("distill", "sources", 0)` as `distill.sources[0]`."""
    return joined(_untagged(keys))


def _untagged(keys: Iterable[str | int]) -> tuple[str | int, ...]:
    """Keys without the tags of unions, which stand in brackets."""
    return tuple(key for key in keys if isinstance(key, int) or not key.startswith("<"))


def explain(error: ValidationError, places: Places, data: Mapping[str, Any]) -> UserError:
    """The first of pydantic's complaints in a line, and where the others are; `data`: what was complained of."""
    problems = error.errors(include_url=False)
    first = problems[0]
    keys, dotted = list(first["loc"]), _dotted(first["loc"])
    hint = ""
    if first["type"] == "missing":  # what is not there: the entry of a list, or a key of a table
        *keys, last = keys
        hint = _meaning(_section(keys, data), last) if isinstance(last, str) else ""
    elif first["type"] == "extra_forbidden":
        hint = _suggest_key(dotted, _section(keys[:-1], data), _idle_tables(data))
    elif first["type"] in _NOT_A_TABLE:
        inside = [key.path for key in every_key() if key.path.startswith(f"{dotted}.")]
        hint = f"Set the keys inside it, such as {inside[0]}."
    if len(problems) > 1:
        others = ", ".join(dict.fromkeys(_dotted(problem["loc"]) or "the whole" for problem in problems[1:4]))
        hint = f"{hint} And {len(problems) - 1} more{', first' if len(problems) > 4 else ''}: {others}.".strip()
    return UserError(_title(first), places.of(keys), hint)


def _title(problem: Mapping[str, Any]) -> str:
    kind, value, context = problem["type"], problem["input"], problem.get("ctx", {})
    # A value as TOML would write it, cut to a line's length.
    shown = clipped(json.dumps(value, ensure_ascii=False, default=str), 60)
    if kind in _MUST_BE:
        allowed = _PLAIN_PATTERNS.get(_dotted(problem["loc"])) if kind == "string_pattern_mismatch" else None
        return f"must be {allowed or _MUST_BE[kind].format(**context)}, but is {shown}"
    if kind in _NOT_A_TABLE:
        return f"is a table of settings, but is given as {shown}"
    if kind == "value_error":  # of a check in `schema`; one that looks at a whole table names its keys itself
        whole = not problem["loc"] or isinstance(value, dict)
        return str(context["error"]) if whole else f"{context['error']}: {shown}"
    match kind:
        case "extra_forbidden":
            return "unknown key"
        case "missing":
            last = problem["loc"][-1]
            return "has too few entries" if isinstance(last, int) else f"{last} is needed"
        case "too_long":
            return f"must have at most {context['max_length']} entries, but has {context['actual_length']}"
        case "too_short" | "string_too_short":
            return "must not be empty"
    return f"{lowered(problem['msg'])}, but is {shown}"


def _section(keys: Iterable[str | int], data: Any) -> str:
    """The table that keys lead to, as `keys.sections` calls it: an entry of a list by its kind, a named one `NAME`."""
    name = ""
    for key in _untagged(keys):
        data = data[key]
        of_kind = isinstance(key, int) and isinstance(data, Mapping) and "kind" in data
        named = isinstance(key, str) and f"{name}.{NAME}".removeprefix(".") in sections()
        name += f"{ENTRY}.{data['kind']}" if of_kind else joined(("", NAME if named else key))
    return name.removeprefix(".")


def _meaning(section: str, name: str) -> str:
    """What a key is for, as a hint; nothing where it is not known."""
    return next(
        (f"{key.name}: {key.meaning}." for key in every_key() if (key.section, key.name) == (section, name)), ""
    )


def _idle_tables(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The tables that the task of a profile never looks at."""
    task = data.get("task")
    kind = task.get("kind", "link_prediction") if isinstance(task, Mapping) else "link_prediction"
    return OF_CLASSES if kind == "link_prediction" else OF_LINKS


def _suggest_key(dotted: str, section: str, idle: tuple[str, ...]) -> str:
    """The nearest known key: in the same table first, then the same last word anywhere, then any.

    Args:
        dotted: The unknown key.
        section: Its table, as `keys.sections` calls it. If it is an entry of a list, its keys alone are looked at.
        idle: Tables whose keys are not suggested elsewhere than in themselves.
    """
    there = [k for k in every_key() if k.section.split(".")[0] not in idle or k.section == section]
    known = [key.path for key in there if not key.of_entry or key.section == section]
    table, _, last = dotted.rpartition(".")
    # A model's method has the keys of the student's.
    section = section.removeprefix(_OF_A_MODEL) if section.startswith(f"{_OF_A_MODEL}distill") else section
    siblings = [
        key
        for key in [*known, *sorted(sections()), f"{_OF_A_MODEL}distill", EXTENDS]
        if key.rpartition(".")[0] == section
    ]
    lasts = [key.rpartition(".")[2] for key in siblings]
    near = [f"{table}.{match}".removeprefix(".") for match in difflib.get_close_matches(last, lasts, n=1)]
    if ENTRY not in section:
        elsewhere = [key for key in there if not key.of_named_table and not key.of_entry]
        near = near or [key.path for key in elsewhere if key.name == last]
        near = near or [key for key in known if not siblings and difflib.get_close_matches(dotted, [key], n=1)]
    if near:
        return f"Did you mean {' or '.join(near[:3])}?"
    return f"Known here: {', '.join(lasts)}." if siblings else ""
