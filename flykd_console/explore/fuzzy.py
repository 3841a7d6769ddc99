"""Finding a node by what a person types: its id, its name, words of its name, or a misspelling of it.

What is meant literally comes first (id, whole name, beginning, beginnings of words, anywhere); what rapidfuzz finds
alike follows. Twenty thousand names take some tens of milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl
from rapidfuzz import fuzz, process, utils

from flykd_console.node_ids import IdLookup

_ALIKE = 72.0  # of 100: below it, WRatio calls words alike that nobody would
_CANDIDATES = 60
_ENOUGH = 5  # literal matches, beyond which nothing spelt alike is meant


@dataclass(frozen=True, slots=True)
class Match:
    """A node that was found.

    Attributes:
        row: Its place in the ids and names that were given.
        how: `id`, `name`, `beginning`, `word`, `part` or `alike`.
    """

    row: int
    how: str


_WAYS = ("id", "name", "beginning", "word", "part", "alike")


class NameSearch:
    """Ids and names of one kind of node, ready to be searched.

    Args:
        ids: One a node.
        names: One a node, in the same order.
    """

    def __init__(self, ids: Sequence[str], names: Sequence[str]) -> None:
        self.ids, self.names = ids, names

    @cached_property
    def _plain(self) -> list[str]:
        """Lower case, everything but letters and digits as blanks."""
        return [utils.default_process(name) for name in self.names]

    @cached_property
    def _names(self) -> pl.Series:
        return pl.Series("name", self._plain, dtype=pl.String)

    @cached_property
    def _by_id(self) -> IdLookup:
        return IdLookup(self.ids)

    @cached_property
    def _ids(self) -> pl.Series:
        return pl.Series("id", [utils.default_process(node_id) for node_id in self.ids], dtype=pl.String)

    def search(self, text: str, limit: int = 20) -> list[Match]:
        """The nodes that `text` may mean, likeliest first; within a way of being meant the shorter name first."""
        query = utils.default_process(text)
        if not query:
            return []
        literal = self._literal(query)
        spelt = self._by_id.rows(text)
        literal = [(0, 0, row) for row in spelt] + [match for match in literal if match[2] not in spelt]
        found = [Match(row, _WAYS[way]) for way, _, row in sorted(literal)[:limit]]
        if len(found) < min(limit, _ENOUGH) and len(query) > 2:
            known = {row for _, _, row in literal}
            found += [Match(row, "alike") for row in self._alike(query) if row not in known][: limit - len(found)]
        return found

    def _literal(self, query: str) -> list[tuple[int, int, int]]:
        """(way, length of the name, row) of nodes whose id begins with the query or whose name holds all its words."""
        words = query.split()
        found: dict[int, tuple[int, int, int]] = {}
        holding = self._names.str.contains(words[0], literal=True)
        for word in words[1:]:
            holding &= self._names.str.contains(word, literal=True)
        for row in holding.arg_true().to_list():
            found[row] = (self._way(query, words, self._plain[row]), len(self._plain[row]), row)
        for row in self._ids.str.starts_with(query).arg_true().to_list():
            found[row] = (0 if self._ids[row] == query else 2, 0, row)
        return list(found.values())

    @staticmethod
    def _way(query: str, words: list[str], name: str) -> int:
        if name == query:
            return 1
        if name.startswith(query):
            return 2
        return 3 if all(f" {word}" in f" {name}" for word in words) else 4

    def _alike(self, query: str) -> list[int]:
        """Rows of names spelt alike; those of about the query's length before those that merely hold it."""
        candidates = process.extract(
            query, self._plain, scorer=fuzz.WRatio, limit=_CANDIDATES, score_cutoff=_ALIKE, processor=None
        )
        weighed = [(-score - 0.3 * fuzz.QRatio(query, plain), row) for plain, score, row in candidates]
        return [row for _, row in sorted(weighed)]
