"""Files of a run: written whole or not at all, never through a symbolic link; killed writers' leftovers are removed."""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from flykd_console.errors import UserError

# `.<name>.<pid>.<random>.tmp`: by the number a later process knows whether the writer still lives.
_TEMPORARY = re.compile(r"\..+\.(\d+)\.[a-z0-9_]+\.tmp")
_STALE_SECONDS = 3600.0
_BLOCK = 1 << 24


def replace_file(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that readers see the old file or the new one, never a part.

    Raises:
        OSError: The folder is missing or not writable, or the disk is full; the old file then stands as it was.
    """
    replace_with_parts(path, [data])


def replace_with_parts(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """As `replace_file`, for contents in several buffers of bytes, in order."""
    temporary = write_beside(path, parts)
    try:
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_beside(path: Path, parts: Iterable[bytes | memoryview]) -> Path:
    """Write the contents under a temporary name in the folder of `path`, on the disk when this returns; the name.

    Raises:
        OSError: As in `replace_file`; nothing is left behind.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.{os.getpid()}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        try:
            for part in parts:
                write_all(handle, part)
            os.fchmod(handle, 0o644)
            os.fsync(handle)
        finally:
            os.close(handle)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def write_all(handle: int, data: bytes | memoryview) -> None:
    """Write every byte; a single write may take fewer."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest[:_BLOCK]) :]


def synced(path: Path) -> None:
    """Have a file's contents, or a folder's names, on the disk.

    Raises:
        OSError: The disk reports an error.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some disks cannot sync folders; names are then as safe as they make them.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def exchanged(one: Path, other: Path) -> bool:
    """Exchange the names of two files or folders in one step; False where the system or the disk cannot."""
    import ctypes

    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    here, exchange = -100, 2
    return bool(call(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0)


def open_own(path: Path, flags: int) -> int:
    """Open a file of a run for writing; it is made where it is missing.

    Raises:
        UserError: The name is a symbolic link, or no ordinary file: what it leads to is nobody's to change.
        OSError: It cannot be opened.
    """
    try:
        handle = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise _no_file(path) from None
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _no_file(path)
    return handle


def refuse_links(folder: Path) -> None:
    """Refuse a run directory that holds a symbolic link, itself or in a folder of its own: writing would follow it.

    Raises:
        UserError: It does; the first one is named.
    """
    for path in _entries(folder, depth=2):
        if path.is_symlink():
            raise _no_file(path)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that killed writers left in a run directory and in its folders."""
    for path in _entries(folder, depth=2):
        found = _TEMPORARY.fullmatch(path.name)
        if found is None or path.is_symlink():
            continue
        with suppress(OSError):
            if not _lives(int(found[1])) or time.time() - path.stat().st_mtime > _STALE_SECONDS:
                path.unlink()


def remove_own_leftovers(folder: Path) -> None:
    """Remove the temporary files that this very process has in work; it is about to end."""
    for path in _entries(folder, depth=2):
        found = _TEMPORARY.fullmatch(path.name)
        if found is not None and int(found[1]) == os.getpid():
            path.unlink(missing_ok=True)


def _entries(folder: Path, depth: int) -> list[Path]:
    """What lies in a folder and, to a depth, in the folders of it; links are not followed."""
    found = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found.append(Path(entry.path))
            if depth > 1 and entry.is_dir(follow_symlinks=False):
                found += _entries(Path(entry.path), depth - 1)
    return sorted(found)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def _no_file(path: Path) -> UserError:
    return UserError(
        "is a symbolic link or no ordinary file, and is not written through",
        str(path),
        "Remove it, or put a file of the run's own there.",
    )
