"""A disk that fails once: the n-th file call below a folder raises, every other one is carried out.

Calls are those by which runs write: open for writing, write, fsync, rename, link and mkdir. The layer counts them by
what they were for, so that a test can show which places were reached.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_OPEN = io.open
Calls = dict[str, Callable[..., Any]]

_PURPOSES = {
    "graphs": "graph cache", "selection.json": "selection", ".older-": "export", ".partial-": "export",
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
            "mkdir": os.mkdir,
        }
        by_handle: dict[str, Callable[..., Any]] = {"write": os.write, "fsync": os.fsync}
        for name, call in by_path.items():
            setattr(os, name, self._watched(name, call, lambda first: os.fspath(first)))
        for name, call in by_handle.items():
            setattr(os, name, self._watched(name, call, _path_of))
        opened = io.open
        io.open = builtins.open = self._opened
        try:
            yield self
        finally:
            io.open = builtins.open = opened
            for name, call in (by_path | by_handle).items():
                setattr(os, name, call)

    def _opened(self, file: Any, mode: str = "r", *arguments: Any, **keywords: Any) -> Any:
        """`open` as it is, but that files for writing below the root are opened and written through the layer."""
        writes = not isinstance(file, int) and set(mode) & set("wax+") and str(file).startswith(self._root)
        if not writes:
            return _OPEN(file, mode, *arguments, **keywords)
        flags = {"w": os.O_TRUNC, "x": os.O_EXCL, "a": os.O_APPEND}.get(mode[0], 0)
        handle = os.open(file, os.O_RDWR | os.O_CREAT | flags, 0o644)
        raw = io.BufferedRandom(_Written(handle, "r+"))
        if "a" in mode:
            raw.seek(0, os.SEEK_END)
        if "b" in mode:
            return raw
        return io.TextIOWrapper(raw, keywords.get("encoding", "utf-8"), newline=keywords.get("newline"))

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


class _Written(io.FileIO):
    """A file whose writes are `os.write`, so that they go through the layer."""

    def write(self, data: Any) -> int:
        """As `os.write`."""
        return os.write(self.fileno(), data)


def _path_of(handle: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{handle}")
    except OSError:
        return ""


def _purpose(path: str) -> str:
    return next((purpose for mark, purpose in _PURPOSES.items() if mark in path), "other")
