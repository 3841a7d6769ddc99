"""Text as the readers want it: UTF-8 with line feeds, whatever a spreadsheet or another system made of it."""

from __future__ import annotations

import codecs
import mmap
import os
from collections.abc import Callable
from pathlib import Path

from flykd_console.errors import UserError

COPY_AGAIN = "Download or copy it again."
_HEAD = 1 << 16
_BLOCK = 1 << 22


def as_utf8(file: Path, where: str, place: Callable[[], Path]) -> Path:
    """The file itself, or a copy in UTF-8 and with line feeds where it is UTF-16 or has carriage returns alone.

    Args:
        file: Not packed.
        where: What it is called in messages.
        place: Gives a path for the copy.

    Raises:
        UserError: It is UTF-16 that breaks off within a character, or ends in zero bytes.
    """
    with file.open("rb") as opened:
        head = opened.read(_HEAD)
    if head.startswith(b"PAR1"):
        return file
    if encoding := _utf16(head):
        return _recoded(file, where, encoding, place())
    # What a crash of the machine leaves of a file that was being written.
    if _last_byte(file) == b"\0":
        raise UserError("ends in zero bytes: it was not written whole", where, COPY_AGAIN)
    if b"\r" in head and b"\n" not in head:
        return _with_line_feeds(file, place())
    return file


def holds(file: Path, byte: bytes) -> bool:
    """Whether a byte occurs in a file that is not empty."""
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(byte) >= 0


def _utf16(head: bytes) -> str:
    """The codec of UTF-16 text, by its mark or by every other byte of the first line being zero; else empty."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    first = head[:64]
    if len(first) < 8 or b"\0" not in first:
        return ""
    if not any(first[1::2]) and all(first[::2]):
        return "utf-16-le"
    return "utf-16-be" if not any(first[::2]) and all(first[1::2]) else ""


def _recoded(file: Path, where: str, encoding: str, target: Path) -> Path:
    try:
        with file.open(encoding=encoding) as text, target.open("w", encoding="utf-8", newline="") as copy:
            while block := text.read(_BLOCK):  # universal newlines: every line ends in a line feed
                copy.write(block)
    except UnicodeError as error:
        raise UserError("is UTF-16 text that is damaged or breaks off", where, COPY_AGAIN) from error
    return target


def _with_line_feeds(file: Path, target: Path) -> Path:
    with file.open("rb") as text, target.open("wb") as copy:
        while block := text.read(_BLOCK):
            copy.write(block.replace(b"\r", b"\n"))
    return target


def _last_byte(file: Path) -> bytes:
    with file.open("rb") as opened:
        opened.seek(-1, os.SEEK_END)
        return opened.read(1)
