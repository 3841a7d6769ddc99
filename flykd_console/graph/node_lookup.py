"""Finding nodes by what people write: an id, an id that a spreadsheet has spoilt, one id of a group, or a name.

PrimeKG merges diseases into groups whose id joins those of its members (`11786_5324_24332`), and lists of diseases made
with pandas write ids as fractions (`15999.0`): TxGNN's lists do both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_FRACTION = re.compile(r"^(\d+)\.0+$")
_CURIE = re.compile(r"^[A-Za-z]+[:_]0*(\d+)$")


class NodeLookup:
    """Finds the nodes of one type.

    Args:
        table: `id, name`, both strings; a node's index is its row.
    """

    def __init__(self, table: pl.DataFrame) -> None:
        self._by_id = {node_id: row for row, node_id in enumerate(table["id"].to_list())}
        self._by_member: dict[str, int] = {}
        self._by_name: dict[str, list[int]] = {}
        for node_id, row in self._by_id.items():
            if "_" in node_id:
                for member in node_id.split("_"):
                    self._by_member.setdefault(member, row)
        for row, name in enumerate(table["name"].to_list()):
            self._by_name.setdefault(name.strip().lower(), []).append(row)

    def by_id(self, text: str) -> int | None:
        """The node of an id, or of the group that the id has been merged into; None where there is none."""
        text = text.strip()
        for candidate in dict.fromkeys((text, _FRACTION.sub(r"\1", text), _CURIE.sub(r"\1", text))):
            found = self._by_id.get(candidate, self._by_member.get(candidate))
            if found is not None:
                return found
        return None

    def find(self, text: str) -> list[int]:
        """The node of an id, else every node of that name (capitals do not matter); ascending."""
        found = self.by_id(text)
        return [found] if found is not None else self._by_name.get(text.strip().lower(), [])

    def near(self, text: str) -> list[str]:
        """Up to three names much like the text."""
        import difflib

        return difflib.get_close_matches(text.strip().lower(), self._by_name, n=3, cutoff=0.6)

    def find_all(self, texts: Iterable[str]) -> tuple[list[int], list[str]]:
        """Nodes of several ids or names, ascending and each once, and the texts that match none."""
        rows: set[int] = set()
        unknown = []
        for text in texts:
            found = self.find(text)
            rows.update(found)
            if not found:
                unknown.append(text)
        return sorted(rows), unknown
