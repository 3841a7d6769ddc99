"""A mistake in a profile in one line: the file or option that made it, the dotted key, the value, what is allowed."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from flykd_console.errors import UserError
from flykd_console.profile.files import EXTENDS
from flykd_console.profile.schema import Profile

_PLAIN_PATTERNS = {
    "run.name": "letters, digits, '.', '_' and '-', beginning with a letter or digit",
    "run.device": "'auto', 'cpu', 'cuda' or 'cuda:0'",
}


@dataclass(frozen=True)
class Places:
    """Where each key was said."""

    source: str
    origins: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def of(self, keys: Iterable[str | int]) -> str:
        """The option that set a key, or file and key; of several for a table, the last."""
        keys = list(keys)
        dotted = dotted_key(keys)
        for key, origin in self.origins.items():
            if f"{dotted}.".startswith((f"{key}.", f"{key}[")) or key.startswith(f"{dotted}."):
                return origin
        names = [key for key in keys if isinstance(key, str)]
        said = (self.files.get(".".join(names[:depth])) for depth in range(len(names), 0, -1))
        file = next((file for file in said if file is not None), self.source)
        return f"{file}, {dotted}" if dotted else self.source


def known_keys(model: type[BaseModel] = Profile, prefix: str = "") -> Iterator[str]:
    """Every dotted key of a profile that holds a value."""
    for name, info in model.model_fields.items():
        kinds = [info.annotation, *get_args(info.annotation)]  # a table may be optional
        table = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if table is not None:
            yield from known_keys(table, f"{prefix}{name}.")
        else:
            yield prefix + name


def dotted_key(keys: Iterable[str | int]) -> str:
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def explain(error: ValidationError, places: Places) -> UserError:
    problems = error.errors(include_url=False)
    first = problems[0]
    keys = first["loc"]
    dotted = dotted_key(keys)
    value = first["input"]
    context = first.get("ctx", {})
    hint = ""
    match first["type"]:
        case "extra_forbidden":
            title = "unknown key"
            hint = _suggest_key(dotted)
        case "int_type" | "int_from_float" | "int_parsing" | "int_parsing_size":
            title = f"must be a whole number, but is {_shown(value)}"
        case "float_type" | "float_parsing":
            title = f"must be a number, but is {_shown(value)}"
        case "string_type":
            title = f"must be text in quotes, but is {_shown(value)}"
        case "bool_type" | "bool_parsing":
            title = f"must be true or false, but is {_shown(value)}"
        case "list_type" | "tuple_type":
            title = f"must be a list, such as [1, 2], but is {_shown(value)}"
        case "model_type" | "model_attributes_type" | "dict_type":
            title = f"is a table of settings, but is given as {_shown(value)}"
            inside = next((key for key in known_keys() if key.startswith(f"{dotted}.")), "")
            hint = f"Set the keys inside it, such as {inside}." if inside else ""
        case "missing":
            title, keys = "has too few entries", keys[:-1]
        case "too_long":
            title = f"must have at most {context['max_length']} entries, but has {context['actual_length']}"
        case "too_short" | "string_too_short":
            title = "must not be empty"
        case "greater_than":
            title = f"must be above {_limit(context['gt'])}, but is {_shown(value)}"
        case "greater_than_equal":
            title = f"must be at least {_limit(context['ge'])}, but is {_shown(value)}"
        case "less_than":
            title = f"must be below {_limit(context['lt'])}, but is {_shown(value)}"
        case "less_than_equal":
            title = f"must be at most {_limit(context['le'])}, but is {_shown(value)}"
        case "literal_error":
            title = f"must be {context['expected']}, but is {_shown(value)}"
        case "string_pattern_mismatch":
            allowed = _PLAIN_PATTERNS.get(dotted, f"text that matches {context['pattern']}")
            title = f"must be {allowed}, but is {_shown(value)}"
        case "value_error":
            title = str(context["error"])
            title += f": {_shown(value)}" if keys and not isinstance(value, dict) else ""
        case _:
            title = f"{lowered(first['msg'])}, but is {_shown(value)}"
    if len(problems) > 1:
        others = ", ".join(dict.fromkeys(dotted_key(problem["loc"]) or "the whole" for problem in problems[1:4]))
        hint = f"{hint} And {len(problems) - 1} more{', first' if len(problems) > 4 else ''}: {others}.".strip()
    return UserError(title, places.of(keys), hint)


def _suggest_key(dotted: str) -> str:
    """The nearest known key: in the same table first, then the same last word anywhere, then any."""
    known = list(known_keys())
    tables = sorted({key[:cut] for key in known for cut in range(len(key)) if key[cut] == "."})
    table, _, last = dotted.rpartition(".")
    siblings = [key for key in [*known, *tables, EXTENDS] if key.rpartition(".")[0] == table]
    lasts = {key.rpartition(".")[2]: key for key in siblings}
    near = [lasts[match] for match in difflib.get_close_matches(last, lasts, n=1)]
    near = near or [key for key in known if key.rpartition(".")[2] == last]
    near = near or [key for key in known if not siblings and difflib.get_close_matches(dotted, [key], n=1)]
    if near:
        return f"Did you mean {' or '.join(near[:3])}?"
    return f"Known here: {', '.join(key.rpartition('.')[2] for key in siblings)}." if siblings else ""


def _shown(value: Any) -> str:
    """A value as TOML would write it, cut to a line's length."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _limit(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)


def lowered(text: str) -> str:
    return text[:1].lower() + text[1:].rstrip(".")
