"""Whatever a table comes in, as plain files: alone, in a folder, compressed (gzip, bzip2, Zstandard), in a zip or tar.

What something is follows from its first bytes, never from its name. Packed files are unpacked into a scratch folder
that lives as long as they are read; every checksum that a packing has is thereby verified before a row is believed.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Literal

from flykd_console.errors import CHECK_PATH, UserError
from flykd_console.graph.tables.plain import COPY_AGAIN, as_utf8
from flykd_console.profile.sections import graph_hint

MOST_FILES = 20_000  # in one folder or archive; a larger one is not a graph, but a home directory
_BLOCK = 1 << 20
_ENDINGS = (".gz", ".bz2", ".zst", ".zip", ".tar", ".tgz")

Packing = Literal["gzip", "bzip2", "zstd", "zip", "tar", ""]


@dataclass(frozen=True)
class Member:
    """One plain file: `name` within what was given, `where` for messages, `file` to read, `scratch` for copies."""

    name: str
    where: str
    file: Path
    scratch: Path

    def copy_name(self) -> Path:
        """A path in the scratch folder that nothing else has."""
        return self.scratch / f"copy-of-{abs(hash(str(self.file)))}"


@contextmanager
def unpacked(sources: Sequence[Path]) -> Iterator[list[Member]]:
    """Every file in `sources`, unpacked and in UTF-8 with line feeds where it is text; gone afterwards.

    Args:
        sources: Files, archives and folders (with the folders in them).

    Raises:
        UserError: A source is missing, unreadable, empty, damaged, nested, or leads outside of its archive.
    """
    with tempfile.TemporaryDirectory(prefix="flykd-table-") as scratch:
        shelf = _Shelf(Path(scratch))
        try:
            yield [member for source in sources for member in shelf.members(source)]
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                hint = "Make room there, or set TMPDIR to another folder."
                raise UserError("there is no room to unpack into", tempfile.gettempdir(), hint) from error
            raise


def packing_of(head: bytes) -> Packing:
    """What a file is packed with, by its first 512 bytes; empty: not at all."""
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head.startswith(b"BZh") and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):
        return "bzip2"
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return "zstd"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    return "tar" if head[257:262] == b"ustar" else ""


class _Shelf:
    """Numbers the files that it unpacks: what a member calls itself is never a path here."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.count = 0

    def members(self, source: Path) -> Iterator[Member]:
        """What a file, archive or folder holds."""
        check_readable(source)
        if not source.is_dir():
            yield from self._opened(Member(source.name, str(source), source, self.scratch), 0)
            return
        files = files_in(source)
        if not files:
            raise UserError("the folder holds no file", str(source), CHECK_PATH)
        for file in files:
            check_readable(file, may_be_empty=True)
            if file.stat().st_size:
                name = file.relative_to(source).as_posix()
                yield from self._opened(Member(name, str(file), file, self.scratch), 0)

    def _opened(self, member: Member, depth: int) -> Iterator[Member]:
        """A member as it is, or what is packed in it; `depth` counts the archives around it."""
        packing = packing_of(_head(member.file))
        if packing in ("zip", "tar"):
            if depth:
                raise UserError("is an archive within an archive", member.where, "Unpack the outer one first.")
            yield from self._archive(member, packing)
        elif packing:
            inside = self._decompressed(member, packing)
            further = packing_of(_head(inside.file))
            if further and (further != "tar" or depth):
                raise UserError("is packed twice", member.where, "Unpack it once.")
            yield from self._opened(inside, depth)
        else:
            file = as_utf8(member.file, member.where, self._place)
            yield Member(member.name, member.where, file, self.scratch)

    def _place(self) -> Path:
        self.count += 1
        return self.scratch / str(self.count)

    def _decompressed(self, member: Member, packing: Packing) -> Member:
        target = self._place()
        words = {"gzip": "gzip file", "bzip2": "bzip2 file", "zstd": "Zstandard file"}[packing]
        broken = UserError(f"the {words} breaks off before its end", member.where, COPY_AGAIN)
        try:
            with _stream(member.file, packing) as packed, target.open("wb") as file:
                shutil.copyfileobj(packed, file, _BLOCK)
        except EOFError as error:
            raise broken from error
        except (gzip.BadGzipFile, zlib.error, ValueError) as error:
            raise UserError(f"the {words} is damaged", member.where, COPY_AGAIN) from error
        except OSError as error:
            if error.errno is not None:
                raise
            # Arrow says "Truncated" of a Zstandard stream, bz2 "Invalid data stream".
            if "runcated" in str(error):
                raise broken from error
            raise UserError(f"the {words} is damaged", member.where, COPY_AGAIN) from error
        if not target.stat().st_size:
            raise UserError("holds no data", member.where, COPY_AGAIN)
        name = next((member.name[: -len(e)] for e in _ENDINGS if member.name.lower().endswith(e)), member.name)
        return Member(name, member.where, target, self.scratch)

    def _archive(self, member: Member, packing: Packing) -> Iterator[Member]:
        try:
            opened = self._zipped(member) if packing == "zip" else self._tarred(member)
            inside = list(opened)
        except (EOFError, zipfile.BadZipFile, tarfile.TarError, zlib.error, NotImplementedError) as error:
            hint = f"{COPY_AGAIN} The reader said: {str(error)[:120] or type(error).__name__}"
            raise UserError(f"the {packing} archive is damaged or breaks off", member.where, hint) from error
        if not inside:
            raise UserError(f"the {packing} archive holds no file", member.where, COPY_AGAIN)
        for file in inside:
            yield from self._opened(file, 1)

    def _zipped(self, member: Member) -> Iterator[Member]:
        with zipfile.ZipFile(member.file) as archive:
            if "[Content_Types].xml" in archive.namelist():
                raise UserError("is a spreadsheet", member.where, "Save it as CSV.")
            for entry in archive.infolist():
                _check_inside(entry.filename, member.where)
                if entry.is_dir() or not entry.file_size or _is_hidden(entry.filename):
                    continue
                if entry.flag_bits & 1:
                    raise UserError(f"{entry.filename} is encrypted", member.where, "Unpack it with its password.")
                if stat.S_ISLNK(entry.external_attr >> 16):
                    raise UserError(f"{entry.filename} is a link, not a file", member.where, "Unpack it yourself.")
                target = self._place()
                with archive.open(entry) as packed, target.open("wb") as file:
                    shutil.copyfileobj(packed, file, _BLOCK)
                yield Member(entry.filename, f"{member.where}, {entry.filename}", target, self.scratch)

    def _tarred(self, member: Member) -> Iterator[Member]:
        with tarfile.open(member.file, "r:") as archive:
            for entry in archive:
                _check_inside(entry.name, member.where)
                if entry.issym() or entry.islnk():
                    raise UserError(f"{entry.name} is a link, not a file", member.where, "Unpack it yourself.")
                packed = archive.extractfile(entry) if entry.isfile() else None
                if packed is None or not entry.size or _is_hidden(entry.name):
                    continue
                target = self._place()
                with packed, target.open("wb") as file:
                    shutil.copyfileobj(packed, file, _BLOCK)
                if target.stat().st_size != entry.size:
                    raise EOFError(entry.name)
                yield Member(entry.name, f"{member.where}, {entry.name}", target, self.scratch)


def check_readable(path: Path, *, may_be_empty: bool = False) -> None:
    """Refuse what is not there, cannot be read or (unless `may_be_empty`) holds nothing.

    Raises:
        UserError: Says which.
    """
    if not path.exists():
        raise UserError("there is no such graph file", str(path), graph_hint(path))
    usable = path.is_dir() or path.is_file()
    if not usable or not os.access(path, os.R_OK):
        raise UserError("cannot be read", str(path), "Check its permissions.")
    if path.is_file() and not may_be_empty and path.stat().st_size == 0:
        raise UserError("is empty", str(path), COPY_AGAIN)


def files_in(path: Path) -> list[Path]:
    """The file itself, or every file in a folder and the folders in it, in order of their names; hidden ones not.

    Raises:
        UserError: There are more than `MOST_FILES`.
    """
    if not path.is_dir():
        return [path]
    files: list[Path] = []
    for place, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        files += [Path(place, name) for name in sorted(names) if not name.startswith((".", "_"))]
        if len(files) > MOST_FILES:
            raise UserError(f"the folder holds more than {MOST_FILES} files", str(path), "Name the graph's own.")
    return files


def is_packed(file: Path) -> bool:
    """Whether a file has to be unpacked before it tells what it is."""
    return bool(packing_of(_head(file)))


def _head(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(512)


def _stream(file: Path, packing: Packing) -> IO[bytes]:
    if packing == "gzip":
        return gzip.open(file)  # type: ignore[return-value]
    if packing == "bzip2":
        return bz2.open(file)
    import pyarrow as pa

    return pa.CompressedInputStream(str(file), "zstd")  # type: ignore[no-any-return]


def _check_inside(name: str, where: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise UserError(f"the archive holds a path that leads outside of it: {name!r}", where, "Do not trust it.")


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "_")) and part != "." for part in PurePosixPath(name).parts)
