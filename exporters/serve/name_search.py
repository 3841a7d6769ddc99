"""Searching names while somebody types: what begins so, holds the words, or is spelt alike, within a millisecond.

Names are compared in the normal form of `exporters.lookup`. Alike are names that share trigrams with what was typed
(Angell, Freund and Willett 1983, Automatic spelling correction using a trigram similarity measure).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporters.lookup import NodeIndex, normal_form

Rows = NDArray[np.int64]

# Ways of being meant, likeliest first.
WAYS = ("id", "name", "beginning", "word", "within", "alike")
_BUCKETS = 1 << 16
# Share of the typed trigrams that a name spelt alike has at least.
_ALIKE = 0.4
# Places of a text that are looked at; after so many the shortest names are among them.
_MOST = 3000
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Match:
    """A node that may be meant: its row, and the way in which it is (`WAYS`)."""

    row: int
    way: str


class NameSearch:
    """The names of one node type, made ready to be searched."""

    def __init__(self, nodes: NodeIndex) -> None:
        self._nodes = nodes
        self._names = [normal_form(name) or normal_form(nodes.ids[row]) for row, name in enumerate(nodes.names)]
        # All names as one text, a line each: one search finds every place.
        self._text = "\n" + "\n".join(self._names) + "\n"
        lengths = np.fromiter((len(name) + 1 for name in self._names), dtype=np.int64, count=len(self._names))
        self._starts = (np.cumsum(lengths) - lengths + 1).tolist()
        self._bounds, self._rows, self._sizes = _trigram_index(self._names)

    def find(self, text: str, limit: int) -> list[Match]:
        """The nodes that `text` may mean, likeliest first; of one way the shorter name first."""
        key = normal_form(text[:_LONGEST])
        if not key:
            return []
        found: dict[int, str] = {}
        known = self._nodes.known(text)
        if known is not None:
            found[known] = "name" if self._names[known] == key else "id"
        for row in self._beginning(key):
            found.setdefault(row, "name" if self._names[row] == key else "beginning")
        if len(found) < limit:
            found = {**found, **{row: way for row, way in self._holding(key).items() if row not in found}}
        order = sorted(found, key=lambda row: (WAYS.index(found[row]), len(self._names[row]), self._names[row]))
        matches = [Match(row, found[row]) for row in order[:limit]]
        if len(matches) < limit:
            alike = [row for row in self._alike(key, limit + len(matches)) if row not in found]
            matches += [Match(row, "alike") for row in alike[: limit - len(matches)]]
        return matches

    def _beginning(self, key: str) -> list[int]:
        return [self._row(place + 1) for place in self._places(f"\n{key}")]

    def _holding(self, key: str) -> dict[int, str]:
        """Rows of names that hold all words, and whether the first of them begins a word."""
        words = sorted(key.split(), key=len, reverse=True)
        found: dict[int, str] = {}
        for place in self._places(words[0]):
            row = self._row(place)
            name = self._names[row]
            if row not in found and all(word in name for word in words[1:]):
                found[row] = "within" if self._text[place - 1].isalnum() else "word"
        return found

    def _alike(self, key: str, limit: int) -> list[int]:
        """Rows of names that share the most trigrams."""
        asked = _hashes(f" {key} ")
        if len(asked) == 0:
            return []
        parts = [self._rows[self._bounds[one] : self._bounds[one + 1]] for one in asked.tolist()]
        shared = np.bincount(np.concatenate(parts), minlength=len(self._names))
        share = shared / len(asked)
        # Of names that share as much the one of about this length.
        score = share + 0.2 * 2.0 * shared / (len(asked) + self._sizes)
        rows = np.flatnonzero(share >= _ALIKE)
        best: list[int] = rows[np.argsort(-score[rows], kind="stable")[:limit]].tolist()
        return best

    def _places(self, key: str) -> list[int]:
        places: list[int] = []
        place = self._text.find(key)
        while place >= 0 and len(places) < _MOST:
            places.append(place)
            place = self._text.find(key, place + 1)
        return places

    def _row(self, place: int) -> int:
        return bisect_right(self._starts, place) - 1


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "replace"), dtype=np.uint32)


def _hashed(codes: NDArray[np.uint32]) -> NDArray[np.int64]:
    """A bucket of every three characters in a row, int64 [n - 2]."""
    first, second, third = codes[:-2], codes[1:-1], codes[2:]
    mixed = first * np.uint32(0x9E3779B1) + second * np.uint32(0x85EBCA77) + third * np.uint32(0xC2B2AE3D)
    buckets: NDArray[np.int64] = (mixed >> np.uint32(16)).astype(np.int64)
    return buckets


def _hashes(text: str) -> NDArray[np.int64]:
    codes = _codes(text)
    return np.unique(_hashed(codes)) if len(codes) >= 3 else np.empty(0, dtype=np.int64)


def _trigram_index(names: list[str]) -> tuple[NDArray[np.int64], Rows, NDArray[np.int64]]:
    """Rows by bucket as compressed sparse rows (bounds int64 [buckets + 1], rows), and each name's trigrams."""
    padded = [f" {name} " for name in names]
    ends = np.cumsum([len(name) for name in padded]) if padded else np.zeros(0, dtype=np.int64)
    codes = _codes("".join(padded))
    if len(codes) < 3:
        return np.zeros(_BUCKETS + 1, dtype=np.int64), np.empty(0, np.int64), np.zeros(len(names), np.int64)
    places = np.arange(len(codes) - 2)
    rows = np.searchsorted(ends, places, side="right")
    inside = places + 2 < ends[rows]
    packed = np.unique(_hashed(codes)[inside] * len(names) + rows[inside])
    buckets, owners = np.divmod(packed, len(names))
    bounds = np.searchsorted(buckets, np.arange(_BUCKETS + 1))
    return bounds, owners, np.bincount(owners, minlength=len(names))
