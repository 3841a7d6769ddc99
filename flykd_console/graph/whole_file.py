"""A large file beside its place, and in its place only when it is whole (small ones: `flykd_console.runs.files`)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flykd_console.runs.files import synced


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name in the folder of `path` to write to; it replaces `path` at the end, or is removed where writing fails.

    Raises:
        OSError: The folder is missing or not writable.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        synced(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
