"""A bundle's place: written under a temporary name and renamed in one step; nothing of others is removed."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from exporters.manifest import CARD, MANIFEST, read_records, verify_files
from flykd_console.errors import UserError
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import ExportFinished
from flykd_console.runs.files import exchanged, synced
from flykd_console.runs.lock import is_held
from flykd_console.runs.log import EventWriter

_OLDER = ".older-"
_STALE_SECONDS = 3600.0


def may_be_replaced(target: Path, mine: Callable[[str], bool]) -> bool:
    """Whether a bundle stands at the target already.

    Args:
        mine: Whether such a bundle has a file of this name.

    Raises:
        UserError: Something else stands there, which an export must not remove.
    """
    if not target.exists() and not target.is_symlink():
        return False
    if not target.is_dir() or target.is_symlink():
        raise UserError("is not a folder", str(target), "Choose another place with --out.")
    present = {path.name for path in target.iterdir()}
    if not present:
        return False
    foreign = sorted(name for name in present if not mine(name))
    if foreign or MANIFEST not in present:
        what = f"holds {foreign[0]!r}, which no export wrote" if foreign else "is not a bundle"
        raise UserError(f"the folder {what}", str(target), "Choose another folder with --out.")
    # Names prove nothing: somebody's own README.md and manifest.json are not to be lost.
    try:
        if any(not stat.S_ISREG(path.lstat().st_mode) for path in target.iterdir()):
            raise UserError("a name in it is no ordinary file", str(target))
        records = read_records(target)
        verify_files(target, {CARD: records[CARD]} if CARD in records else {})
    except UserError as error:
        raise UserError(
            f"the folder holds files of a bundle's names that no export left so ({error.title})",
            str(target),
            "Choose another folder with --out, or remove it by hand.",
        ) from None
    return True


@contextmanager
def temporary_folder(target: Path) -> Iterator[Path]:
    """A folder beside the target; whatever is still in it at the end is removed."""
    folder = target.with_name(f".{target.name}.partial-{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(target)
        folder.mkdir()
    except OSError as error:
        raise UserError(
            f"the bundle cannot be written there ({error.strerror})",
            str(target.parent),
            "Choose another place with --out.",
        ) from None
    try:
        yield folder
    except OSError as error:
        raise UserError(
            f"the bundle cannot be written ({error.strerror or error})",
            str(target),
            "Make room, or choose another place with --out.",
        ) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_stale(target: Path) -> None:
    """Put back an older bundle, and remove what exports that were killed more than an hour ago have left."""
    for path in sorted(target.parent.glob(f".{target.name}{_OLDER}*")):
        if not target.exists():
            path.rename(target)
    for path in target.parent.glob(f".{target.name}.partial-*"):
        if time.time() - path.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


def put_in_place(folder: Path, target: Path) -> None:
    """Give the verified folder its final name; an older bundle is there until then, and goes after."""
    for path in folder.iterdir():
        synced(path)
    synced(folder)
    if target.exists() and exchanged(folder, target):
        synced(target.parent)
        return
    # Where a disk cannot exchange two names: what a kill between the two renames leaves, the next export puts back.
    older = target.with_name(f".{target.name}{_OLDER}{os.getpid()}")
    if target.exists():
        target.rename(older)
    try:
        folder.rename(target)
    except BaseException:
        if older.exists():
            older.rename(target)
        raise
    synced(target.parent)
    shutil.rmtree(older, ignore_errors=True)


def tell_the_run(directory: RunDirectory, seeds: Sequence[int], target: Path) -> None:
    """Append the event. A run on a disk that cannot be written exports all the same, to a folder elsewhere."""
    try:
        log = EventWriter(directory.events, cut=not is_held(directory))
    except OSError:
        return
    try:
        log.write(ExportFinished(seeds=list(seeds), bundle=str(target)))
    finally:
        log.close()
