"""Finding a node by what a person types: its id, its name or the beginning of it; near names when nothing fits."""

from __future__ import annotations

import difflib
import unicodedata
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from itertools import islice, repeat

import numpy as np
from numpy.typing import NDArray

from flykd_console.errors import UserError
from flykd_console.node_ids import IdLookup

_SHORTEST_WORD = 4
_WORDS_ALIKE = 0.55


def normal_form(text: str) -> str:
    """Text as names are compared: Unicode NFKC, case folded, inner white space as single blanks."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


class NodeIndex:
    """The ids and names of one node type, in the order of the embedding table's rows."""

    def __init__(self, node_type: str, ids: Sequence[str], names: Sequence[str]) -> None:
        self.node_type = node_type
        self.ids = ids
        self.names = names

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def _by_id(self) -> dict[str, int]:
        return {node_id: row for row, node_id in enumerate(self.ids)}

    @cached_property
    def _spelt(self) -> IdLookup:
        return IdLookup(self.ids)

    @cached_property
    def _by_name(self) -> dict[str, list[int]]:
        rows: dict[str, list[int]] = defaultdict(list)
        for row, name in enumerate(self.names):
            rows[normal_form(name)].append(row)
        return rows

    @cached_property
    def _sorted_names(self) -> list[str]:
        return sorted(self._by_name)

    def rows_of_ids(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Rows of the nodes of exactly these ids, int64 [n]; -1 where there is none."""
        return np.fromiter(map(self._by_id.get, ids, repeat(-1)), np.int64, len(ids))

    def exact(self, text: str) -> int | None:
        """Row of the node of this id, else of the only one of this name; None where there is none such."""
        row = self._by_id.get(text.strip())
        rows = self._by_name.get(normal_form(text), [])
        if row is None and len(rows) == 1:
            return rows[0]
        return row

    def find(self, text: str) -> int:
        """Row of the node meant by `text`: its exact id, else its exact name, else another spelling of the id
        (`flykd_console.node_ids`), else the only name that begins so.

        Names are compared without regard to case.

        Raises:
            UserError: No node or several are meant; the hint names near ones.
        """
        stripped = text.strip()
        row = self._by_id.get(stripped)
        if row is not None:
            return row
        key = normal_form(stripped)
        if not key:
            raise UserError(f"the name of the {self.node_type} is empty", hint="Give its name or its id.")
        rows = self._by_name.get(key, [])
        if len(rows) > 1:
            ids = "; ".join(self.ids[row] for row in rows[:5])
            raise UserError(
                f"{len(rows)} nodes of type {self.node_type} are called {stripped!r}", hint=f"Give the id: {ids}."
            )
        if not rows:
            rows = self._spelt.rows(stripped)
            if len(rows) > 1:
                ids = "; ".join(self.ids[row] for row in rows[:5])
                raise UserError(f"{stripped!r} could be several ids of type {self.node_type}", hint=f"Give one: {ids}.")
        if not rows:
            rows = self._starting_with(key)
        if len(rows) > 1:
            shown = "; ".join(self.names[row] for row in rows[:5]) + ("; and more" if len(rows) > 5 else "")
            raise UserError(
                f"{len(rows)} nodes of type {self.node_type} begin with {stripped!r}",
                hint=f"Give more of the name, or the id: {shown}.",
            )
        if rows:
            return rows[0]
        near = self.near(stripped)
        hint = f"Near: {'; '.join(near)}." if near else "Give its full name or its id."
        raise UserError(f"there is no {self.node_type} {stripped!r}", hint=hint)

    def known(self, text: str) -> int | None:
        """Row of the node of this id in any spelling, or of the only one of this name; None where there is none such.

        What people type may be the beginning of a name; what stands in a list is not.
        """
        exact = self._by_id.get(text.strip())
        if exact is not None:
            return exact
        rows = self._by_name.get(normal_form(text), [])
        if rows:
            return rows[0] if len(rows) == 1 else None
        return self._spelt.row(text)

    def named(self, text: str) -> list[int]:
        """Rows of the nodes of this name."""
        return self._by_name.get(normal_form(text), [])

    def near(self, text: str, limit: int = 5) -> list[str]:
        """Names like `text`, best first: those that begin with it, hold it, are spelt alike, or hold a word that is."""
        key = normal_form(text)
        if not key:
            return []
        found = dict.fromkeys(self._starting_with(key)[:limit])
        if len(found) < limit:
            holding = islice((rows[0] for name, rows in self._by_name.items() if key in name), limit)
            found.update(dict.fromkeys(holding))
        if len(found) < limit:
            # The first hundred thousand names of about this length are enough to look a misspelling up in.
            alike = [name for name in self._by_name if abs(len(name) - len(key)) <= max(3, len(key) // 2)]
            matches = difflib.get_close_matches(key, alike[:100_000], n=limit, cutoff=0.6)
            found.update(dict.fromkeys(self._by_name[name][0] for name in matches))
        if len(found) < limit:
            found.update(dict.fromkeys(self._with_words_like(key, limit)))
        return [self.names[row] for row in islice(found, limit)]

    def _with_words_like(self, key: str, limit: int) -> list[int]:
        """Rows of names that hold a word spelt like one of the key's; names of few words first."""
        rows: list[int] = []
        for word in sorted(set(key.split()), key=len, reverse=True):
            if len(word) < _SHORTEST_WORD:
                continue
            alike = [known for known in self._words if abs(len(known) - len(word)) <= max(2, len(word) // 3)]
            for match in difflib.get_close_matches(word, alike[:100_000], n=limit, cutoff=_WORDS_ALIKE):
                names = sorted(self._words[match], key=lambda name: (len(name), name))
                rows += [self._by_name[name][0] for name in names[:limit]]
        return rows

    @cached_property
    def _words(self) -> dict[str, list[str]]:
        """The names that hold a word, by word."""
        names: dict[str, list[str]] = defaultdict(list)
        for name in self._by_name:
            for word in dict.fromkeys(name.replace(",", " ").split()):
                if len(word) >= _SHORTEST_WORD:
                    names[word].append(name)
        return names

    def _starting_with(self, key: str) -> list[int]:
        names = self._sorted_names
        rows: list[int] = []
        for place in range(bisect_left(names, key), len(names)):
            if not names[place].startswith(key):
                break
            rows += self._by_name[names[place]]
        return rows
