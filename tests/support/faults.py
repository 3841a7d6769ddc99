"""A disk that fails once: the n-th file call below a folder raises, every other one is carried out.

Calls are those by which runs write: open for writing, write, fsync, rename and link. The layer counts them by what they
were for, so that a test can show which places were reached.
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Calls = dict[str, Callable[..., Any]]

_PURPOSES = {
    ".state": "checkpoint", ".embeddings.safetensors": "embeddings", ".safetensors": "weights",
    "events.jsonl": "event log", "results.json": "results", "environment.json": "environment", ".parquet": "scores",
    "worker.lock": "lock", "control": "orders", "export": "export", ".json": "record",
}  # fmt: skip


class FaultyDisk:
    """Counts the calls below `root`, and fails the n-th; 0: none.

    Attributes:
        calls: How many were made.
        reached: By purpose and call, how many.
        failed: What failed; None: nothing did.
    """

    def __init__(self, root: Path, n: int = 0, number: int = errno.ENOSPC) -> None:
        self._root, self._n, self._number = str(root), n, number
        self.calls = 0
        self.reached: Counter[tuple[str, str]] = Counter()
        self.failed: tuple[str, str] | None = None

    @contextmanager
    def mounted(self) -> Iterator[FaultyDisk]:
        """From here to the end calls go through the layer."""
        by_path: dict[str, Callable[..., Any]] = {
            "open": os.open,
            "replace": os.replace,
            "rename": os.rename,
            "link": os.link,
        }
        by_handle: dict[str, Callable[..., Any]] = {"write": os.write, "fsync": os.fsync}
        for name, call in by_path.items():
            setattr(os, name, self._watched(name, call, lambda first: os.fspath(first)))
        for name, call in by_handle.items():
            setattr(os, name, self._watched(name, call, _path_of))
        try:
            yield self
        finally:
            for name, call in (by_path | by_handle).items():
                setattr(os, name, call)

    def _watched(self, name: str, call: Callable[..., Any], place: Callable[[Any], Any]) -> Callable[..., Any]:
        def watched(first: Any, *arguments: Any, **keywords: Any) -> Any:
            path = str(place(first))
            reads = name == "open" and not (arguments and arguments[0] & (os.O_WRONLY | os.O_RDWR))
            if path.startswith(self._root) and not reads:
                self.calls += 1
                point = (_purpose(path), name)
                self.reached[point] += 1
                if self.calls == self._n:
                    self.failed = point
                    raise OSError(self._number, os.strerror(self._number), path)
            return call(first, *arguments, **keywords)

        return watched


def _path_of(handle: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{handle}")
    except OSError:
        return ""


def _purpose(path: str) -> str:
    return next((purpose for mark, purpose in _PURPOSES.items() if mark in path), "other")
