"""Work in chunks that become smaller where memory runs out: slower, with the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from flykd_console.mishaps import is_memory

Found = TypeVar("Found")


def in_chunks(count: int, size: int, work: Callable[[slice], Found]) -> Iterator[tuple[slice, Found]]:
    """Results of `work` over consecutive slices of `count` things, `size` at a time, fewer where memory runs out.

    Args:
        work: Leaves nothing behind where it fails.

    Raises:
        MemoryError, RuntimeError: There is not enough for a single one.
    """
    start = 0
    while start < count:
        chunk = slice(start, min(count, start + size))
        try:
            found = work(chunk)
        except (MemoryError, RuntimeError) as error:
            if size == 1 or not is_memory(error):
                raise
            size = max(1, min(size, count - start) // 2)
            continue
        yield chunk, found
        start = chunk.stop
