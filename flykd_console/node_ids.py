"""Which node a written id means, for every part that looks one up: other spellings of an id, and members of groups.

Ids come spoilt: a spreadsheet writes `1035` as `1035.0`, an ontology as `MONDO:0001035` or `MONDO_0001035`, others in
capitals or with a blank at the end. PrimeKG merges diseases into groups whose id joins those of their members
(`11786_5324_24332`). The standard library is enough: the scorer of a bundle looks up with this, too.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property

# A prefix and `:` (`::` in DRKG), or `_` where nothing but digits follows: `HP_0000118`, yet not `A_B`. After a blank
# it is a name that is meant: `type: 2`.
_PREFIXED = re.compile(r"^([a-z][a-z0-9.\-]*)(?:::?|_(?=\d+$))(\S+)$")
_FRACTION = re.compile(r"^(.*\d)\.0+$")
_GROUP = re.compile(r"^\d+(?:_\d+)+$")


def plain_id(text: str) -> str:
    """The one spelling of ids that differ in case, outer blanks, `.0`, leading zeros, or `_` for `:` after a prefix."""
    text = text.strip().casefold()
    fraction = _FRACTION.match(text)
    if fraction:
        text = fraction[1]
    prefixed = _PREFIXED.match(text)
    if prefixed:
        return f"{prefixed[1]}:{_without_zeros(prefixed[2])}"
    return _without_zeros(text)


def without_prefix(plain: str) -> Iterator[str]:
    """What is left of a plain id when its prefixes are taken off one by one; nothing where it has none."""
    prefixed = _PREFIXED.match(plain)
    while prefixed:
        plain = plain_id(prefixed[2])
        yield plain
        prefixed = _PREFIXED.match(plain)


def members(node_id: str) -> list[str]:
    """The ids that a group's id joins; none where it is no group of numbers."""
    node_id = node_id.strip()
    return node_id.split("_") if _GROUP.match(node_id) else []


def _without_zeros(text: str) -> str:
    return text.lstrip("0") or "0" if text.isdigit() else text


class IdLookup:
    """The ids of one kind of node, ready to be looked up; what costs time is made when an exact look-up fails.

    Args:
        ids: One a node; a node's row is its place.
    """

    def __init__(self, ids: Sequence[str]) -> None:
        self._ids = ids

    @cached_property
    def _exact(self) -> dict[str, int]:
        return {node_id: row for row, node_id in enumerate(self._ids)}

    @cached_property
    def _plain(self) -> dict[str, list[int]]:
        rows: dict[str, list[int]] = defaultdict(list)
        for row, node_id in enumerate(self._ids):
            rows[plain_id(node_id)].append(row)
        return dict(rows)

    @cached_property
    def _local(self) -> dict[str, list[int]]:
        """By id without prefix the nodes whose id has one."""
        rows: dict[str, list[int]] = defaultdict(list)
        for plain, found in self._plain.items():
            for local in without_prefix(plain):
                rows[local] += found
        return dict(rows)

    @cached_property
    def _groups(self) -> dict[str, list[int]]:
        rows: dict[str, list[int]] = defaultdict(list)
        for row, node_id in enumerate(self._ids):
            for member in members(node_id):
                rows[plain_id(member)].append(row)
        return dict(rows)

    def exact(self, text: str) -> int | None:
        """The node of exactly this id, blanks around it apart; None where there is none."""
        row = self._exact.get(text)
        return self._exact.get(text.strip()) if row is None else row

    def rows(self, text: str) -> list[int]:
        """The nodes that an id may mean, the likeliest way alone; several where it could be either.

        In this order: the id itself; another spelling of it; the id where one of the two has a prefix that the other
        lacks (two different prefixes are two ids); the group that it is a member of; the node that all members of a
        written group belong to.
        """
        row = self.exact(text)
        if row is not None:
            return [row]
        plain = plain_id(text)
        spelt = [plain, *without_prefix(plain)]
        for table, keys in ((self._plain, spelt), (self._local, spelt[:1]), (self._groups, spelt)):
            for key in keys:
                if key in table:
                    return list(dict.fromkeys(table[key]))
        return self._group_of(text)

    def row(self, text: str) -> int | None:
        """The one node that an id means; None where there is none, or where it could be several."""
        found = self.rows(text)
        return found[0] if len(found) == 1 else None

    def _group_of(self, text: str) -> list[int]:
        found = {self.row(member) for member in members(text)}
        if len(found) != 1:
            return []
        (row,) = found
        return [] if row is None else [row]

    def twins(self) -> list[list[int]]:
        """Rows of nodes that look like one node, ascending: their ids are spellings of one, differ by a prefix that one
        of them lacks, or one is a group's and the other a member's.
        """
        groups = {plain: set(rows) for plain, rows in self._plain.items()}
        for plain in self._plain:
            prefixed = {plain_id(self._ids[row]) for row in self._local.get(plain, [])}
            # Of several prefixes none can be told to be the one that is missing.
            if len(prefixed) == 1:
                groups[plain] |= groups.pop(prefixed.pop(), set())
        for member, rows in self._groups.items():
            if member in groups:
                groups[member] |= set(rows)
        return sorted(sorted(rows) for rows in groups.values() if len(rows) > 1)
