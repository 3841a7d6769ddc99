"""Every key of a profile in words: what it may be, its default, what it is for; read off the profile's own models."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flykd_console.profile.rooms import teacher_kinds
from flykd_console.profile.schema import Profile
from flykd_console.profile.sections import MODEL_NAME
from flykd_console.words import lowered

NOT_SET = "not set"
NEEDED = "must be given"
# Stands in a dotted path for the name that a profile gives a table.
NAME = "NAME"
# And this for the place of an entry in a list; its kind follows.
ENTRY = "[]"


@dataclass(frozen=True)
class Key:
    """One key.

    Attributes:
        section: The table it stands in, dotted, such as `distill.curriculum`.
        name: The key itself.
        allowed: What its value may be, in words.
        default: Its default as TOML writes it; `NOT_SET` or `NEEDED` where it has none.
        meaning: What it is for.
    """

    section: str
    name: str
    allowed: str
    default: str
    meaning: str

    @property
    def path(self) -> str:
        """Section and name, dotted."""
        return f"{self.section}.{self.name}"

    @property
    def of_named_table(self) -> bool:
        """Whether the profile names the table, such as `models.NAME`."""
        return NAME in self.section.split(".")

    @property
    def of_entry(self) -> bool:
        """Whether the table is an entry of a list, such as `distill.teachers[].scores`."""
        return ENTRY in self.section

    @property
    def has_default(self) -> bool:
        """Whether a profile may leave it out and yet gives it a value."""
        return self.default not in (NOT_SET, NEEDED)


def sections() -> dict[str, str]:
    """Every table of a profile, dotted, in the order of the file, and what it is about."""
    return {path: about for path, about, _ in _tables()}


def keys() -> list[Key]:
    """Every key of a profile, in the order of the file."""
    return [
        Key(path, name, _allowed(field), _default(field), field.get("description", ""))
        for path, _, fields in _tables()
        for name, field in fields.items()
        if _table_of(field) is None and "patternProperties" not in field
    ]


def as_markdown(wanted: Collection[str] | None = None) -> str:
    """A heading and a table per section, of those wanted or of all, as Markdown."""
    found = keys()
    parts = []
    for section, about in sections().items():
        rows = [
            f"| `{key.name}` | {key.allowed} | {f'`{key.default}`' if key.has_default else key.default} "
            f"| {key.meaning} |"
            for key in found
            if key.section == section and (wanted is None or section in wanted)
        ]
        if rows:
            table = "\n".join(["| key | allowed | default | what it is |", "|---|---|---|---|", *rows])
            parts.append(f"## `[{section}]`\n\n{about}\n\n{table}\n")
    return "\n".join(parts)


def _tables() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Every table of a profile: its dotted name, what it is for where it stands, its fields; the outer one first."""
    schema = Profile.model_json_schema()

    def inside(fields: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        for key, field in fields.items():
            named = _table_of(field.get("patternProperties", {}).get(MODEL_NAME, {}))
            if named is not None:
                # Tables that a profile names itself; their own tables are those of the profile.
                table = schema["$defs"][named]
                own = {name: value for name, value in table["properties"].items() if _table_of(value) is None}
                yield f"{prefix}{key}.{NAME}", table["description"], own
            name = _table_of(field)
            if name is not None:
                table = schema["$defs"][name]
                yield prefix + key, field.get("description", table["description"]), table["properties"]
                yield from inside(table["properties"], f"{prefix}{key}.")
            if f"{prefix}{key}" == "distill.teachers":
                yield from _teachers(f"{prefix}{key}{ENTRY}")

    return inside(schema["properties"], "")


def _teachers(prefix: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """The entries that `distill.teachers` may have, a kind each, without the key that names the kind."""
    for kind, file in teacher_kinds().items():
        schema = file.settings.model_json_schema()
        own = {key: field for key, field in schema["properties"].items() if key != "kind"}
        yield f"{prefix}.{kind}", f'A teacher of `kind = "{kind}"`: {lowered(schema["description"])}.', own


def _table_of(field: Mapping[str, Any]) -> str | None:
    """The model that a key is a table of; None for a value."""
    options = [field, *field.get("anyOf", [])]
    return next((option["$ref"].rpartition("/")[2] for option in options if "$ref" in option), None)


def _default(field: Mapping[str, Any]) -> str:
    if "default" not in field:
        return NEEDED
    value = field["default"]
    return NOT_SET if value is None else json.dumps(value)


def _allowed(field: Mapping[str, Any]) -> str:
    """A JSON schema's restrictions in words."""
    kinds = [kind for kind in field.get("anyOf", []) if kind.get("type") != "null"]
    if kinds:
        return _allowed(kinds[0])
    if "oneOf" in field:
        return " or ".join(_allowed(kind) for kind in field["oneOf"])
    if "$ref" in field or field["type"] == "object":
        return "table"
    if "enum" in field:
        return ", ".join(f'"{choice}"' for choice in field["enum"])
    if field["type"] == "array":
        if "prefixItems" in field:
            inner = [_allowed(item) for item in field["prefixItems"]]
            return f"[{', '.join(inner)}]"
        return f"list of: {_allowed(field['items'])}"
    if field.get("format") == "path":
        return "path of a file"
    named = {"string": "text", "boolean": "true or false", "integer": "integer", "number": "number"}[field["type"]]
    return " ".join([named, *_range(field)])


def _range(field: Mapping[str, Any]) -> list[str]:
    """An interval such as `0 to 1`, `above 0`, `at least 1`."""
    low, above = field.get("minimum", -math.inf), field.get("exclusiveMinimum", -math.inf)
    high, below = field.get("maximum", math.inf), field.get("exclusiveMaximum", math.inf)
    if low > -math.inf and high < math.inf:
        return [f"{low:g} to {high:g}"]
    words = [("at least", low), ("above", above), ("at most", high), ("below", below)]
    return [f"{word} {bound:,.15g}" for word, bound in words if math.isfinite(bound)]
