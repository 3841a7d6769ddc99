"""The bundles that are served, by name; a new one takes its place once it is verified, a bad one never."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from exporters.manifest import EMBEDDINGS, MANIFEST, PROFILES, RANKING_HEAD, SCORING_HEAD
from exporters.scorer import Scorer
from exporters.serve.name_search import NameSearch
from exporters.serve.reasons import Reasons
from flykd_console.errors import UserError

# What a file is told apart by without reading it: inode, nanoseconds of the last change, bytes.
Stamp = tuple[tuple[int, int, int] | None, ...]
_FILES = (MANIFEST, EMBEDDINGS, SCORING_HEAD, RANKING_HEAD, PROFILES)


@dataclass(frozen=True)
class OpenBundle:
    """A verified bundle with all that answers need in memory.

    Attributes:
        stamp: Of the files that were opened.
        opened: When, in seconds since 1970.
    """

    name: str
    path: Path
    scorer: Scorer
    stamp: Stamp
    opened: float

    @cached_property
    def search(self) -> Mapping[str, NameSearch]:
        """By side, `head` and `tail`."""
        return {"head": NameSearch(self.scorer.heads), "tail": NameSearch(self.scorer.tails)}

    @cached_property
    def left_out(self) -> Mapping[tuple[str, str], int]:
        """By side and relation how many nodes there are not ranked, since no training edge leads to them."""
        return {
            (side, name): len(self.scorer.unembedded(side, name))
            for side in ("head", "tail")
            for name in self.scorer.relations
        }

    @cached_property
    def reasons(self) -> Reasons:
        """Of its pairs."""
        return Reasons(self.scorer)


@dataclass(frozen=True)
class Renewal:
    """What became of a bundle that was looked at again.

    Attributes:
        outcome: `opened`, `unchanged` or `refused`; where it is refused the one before goes on.
        line: What to tell whoever runs the service; empty where nothing changed.
    """

    name: str
    outcome: str
    line: str = ""


def open_bundle(name: str, path: Path) -> OpenBundle:
    """Open a bundle, hold it against its checksums, and ask it for one list and one pair of each relation.

    Raises:
        UserError: It is no bundle, is damaged, cannot answer, or changed meanwhile.
    """
    before = stamp_of(path)
    scorer = Scorer(path)
    try:
        bundle = OpenBundle(name, path, scorer, before, time.time())
        for relation in scorer.relations:
            _try_out(scorer, relation)
        # Made ready now, so that no request waits for it.
        for side, nodes in (("head", scorer.heads), ("tail", scorer.tails)):
            bundle.search[side].find("a", 1)
            nodes.known("a")
        _ = bundle.reasons, bundle.left_out
        if PROFILES in scorer.manifest.files:
            _ = scorer.profiles
    except BaseException:
        scorer.close()
        raise
    if stamp_of(path) != before:
        scorer.close()
        raise UserError("the bundle changed while it was being opened", str(path), "Write it elsewhere, then move it.")
    return bundle


def stamp_of(path: Path) -> Stamp:
    """What tells a bundle's files from others; None for each that is missing."""
    return tuple(_stamp_of_file(path / name) for name in _FILES)


def _stamp_of_file(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _try_out(scorer: Scorer, relation: str) -> None:
    """One list for a head and for a tail, and the first pair of it."""
    rows = {}
    for side, count in (("head", len(scorer.heads)), ("tail", len(scorer.tails))):
        silent = scorer.unembedded(side, relation)
        row = next((row for row in range(count) if row not in silent), None)
        if row is None:
            return
        rows[side] = row
    ranked = scorer.rank_heads(rows["tail"], relation, top=1) + scorer.rank_tails(rows["head"], relation, top=1)
    logits, _ = scorer.score([rows["head"]], [rows["tail"]], relation)
    if not np.isfinite([*logits, *(one.logit for one in ranked)]).all():
        raise UserError(f"the bundle scores {relation} with something else than numbers", str(scorer.path))


class Shelf:
    """Bundles by name; the first is meant where none is named.

    Raises:
        UserError: One of them cannot be opened.
    """

    def __init__(self, places: Mapping[str, Path]) -> None:
        self._open = {name: open_bundle(name, path) for name, path in places.items()}
        self._refused: dict[str, Stamp] = {}
        self._seen: dict[str, Stamp] = {}
        # A look by the clock and one by a signal would open the same bundle twice.
        self._renewing = threading.Lock()

    @property
    def bundles(self) -> list[OpenBundle]:
        """In the order they were named in."""
        return list(self._open.values())

    def get(self, name: str | None) -> OpenBundle:
        """A bundle by name; None means the first.

        Raises:
            UserError: There is none of that name.
        """
        if name is None:
            return next(iter(self._open.values()))
        if name not in self._open:
            raise UserError(f"there is no bundle {name!r}", "bundle", f"Choose one: {', '.join(self._open)}.")
        return self._open[name]

    def renew(self, changed_only: bool = False) -> list[Renewal]:
        """Open every bundle anew; requests are answered by the old one until the new one is there.

        Args:
            changed_only: Leave those whose files are as they were, or as they were when they were refused; and those
                whose files are not as they were at the last look, since somebody may be writing them still.
        """
        with self._renewing:
            return [self._renew(bundle, changed_only) for bundle in self.bundles]

    def _renew(self, bundle: OpenBundle, changed_only: bool) -> Renewal:
        stamp = stamp_of(bundle.path)
        seen, self._seen[bundle.name] = self._seen.get(bundle.name), stamp
        if changed_only and (stamp != seen or stamp in (bundle.stamp, self._refused.get(bundle.name))):
            return Renewal(bundle.name, "unchanged")
        try:
            fresh = open_bundle(bundle.name, bundle.path)
        except UserError as error:
            self._refused[bundle.name] = stamp
            return Renewal(bundle.name, "refused", f"{error} Kept: {bundle.name} as it was opened before.")
        self._refused.pop(bundle.name, None)
        # Whoever is being answered by the old one holds it; it closes its file when the last has gone.
        self._open[bundle.name] = fresh
        return Renewal(bundle.name, "opened", f"{bundle.name} was opened anew: run {fresh.scorer.manifest.run}.")
