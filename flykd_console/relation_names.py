"""How a relation is written: by its name, or with its types, where one name stands between several pairs of them.

`drug|treats|disease` is the relation `treats` between those two types; which end comes first does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable


def spelling(head: str, relation: str, tail: str) -> str:
    """A relation with its types."""
    return f"{head}|{relation}|{tail}"


def relation_of(written: str) -> str:
    """The name of a relation, with or without types."""
    parts = written.split("|")
    return "|".join(parts[1:-1]) if len(parts) >= 3 else written


def is_meant(written: str, head: str, relation: str, tail: str) -> bool:
    """Whether this relation between these types is meant: by its name, or with its types, either of them first."""
    return written in (relation, spelling(head, relation, tail), spelling(tail, relation, head))


def any_meant(written: Iterable[str], head: str, relation: str, tail: str) -> bool:
    """Whether one of several spellings means it."""
    return any(is_meant(one, head, relation, tail) for one in written)
