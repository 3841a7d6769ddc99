"""Conditions on a graph's rows, as `graph.where` has them: `[RELATION:] COLUMN OPERATOR VALUE [or missing]`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FORM = re.compile(
    r"^(?:(?P<relation>[^:=<>!]+):\s+)?(?P<column>[\w.]+)\s*(?P<operator><=|>=|!=|=|<|>)\s*(?P<value>.*?)"
    r"(?P<missing>\s+or\s+missing)?$"
)


@dataclass(frozen=True)
class Condition:
    """One condition; `text` is how it was written."""

    text: str
    relation: str
    column: str
    operator: str
    value: str
    missing: bool

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read one.

        Raises:
            ValueError: It has not the form, or compares with something that is no number.
        """
        found = _FORM.match(text.strip())
        if found is None or not found["value"].strip():
            raise ValueError(f"{text!r} is no condition: write it as publication_year <= 2015 or missing")
        value = found["value"].strip().strip("'\"")
        if found["operator"] not in ("=", "!="):
            try:
                float(value)
            except ValueError:
                raise ValueError(f"{text!r} compares with {value!r}, which is no number") from None
        relation = (found["relation"] or "").strip()
        return cls(text, relation, found["column"], found["operator"], value, found["missing"] is not None)
