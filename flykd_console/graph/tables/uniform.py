"""The quick look at a text table: whether every line is plainly as the first, at the speed of memory.

What is not plain (blank lines, marks within names, quoted line ends, other fields, damage) is for `judge`, which takes
time to find the line and the reading that fits; a file that is uniform needs neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

_BLOCK = 1 << 20
_LONGEST = 1 << 26  # of a line


def uniform(file: Path, separator: str, quote: str, fields: int) -> Literal["plain", "quoted"] | None:
    """Whether every line has the fields of the first: `plain` without a quotation mark, `quoted` with sound ones.

    Sound is a mark at the beginning of a field that is closed at its end, on the same line; in between marks are
    doubled (RFC 4180).

    Args:
        file: Bytes with line feeds.
        separator, quote: One ASCII character each.
        fields: How many the first line has, at least 2.

    Returns:
        None where this look does not tell, or where the file is not UTF-8 or holds zero bytes.
    """
    apart, mark = separator.encode(), quote.encode()
    row = apart * (fields - 1) + b"\n"
    others = bytes(byte for byte in range(256) if byte not in row)
    quoted = False
    for lines in _whole_lines(file):
        if not lines.endswith(b"\n") or b"\0" in lines or not _is_utf8(lines):
            return None
        outside: bytes | None = lines
        if mark in lines:
            quoted = True
            outside = _outside(lines, apart, mark)
        if outside is None:
            return None
        found = outside.translate(None, others)
        if found != row * (len(found) // fields):
            return None
    return "quoted" if quoted else "plain"


def _whole_lines(file: Path) -> Iterator[bytes]:
    """A file in blocks that end with a line; the last line gets its line feed where it has none.

    A block that does not end with a line stands for the rest of a file whose line goes on for too long.
    """
    with file.open("rb") as opened:
        rest = b""
        while block := opened.read(_BLOCK):
            end = block.rfind(b"\n") + 1
            if not end and len(rest) > _LONGEST:
                yield rest
                return
            if end:
                yield rest + block[:end]
                rest = b""
            rest += block[end:]
        if rest:
            yield rest + b"\n"


def _is_utf8(lines: bytes) -> bool:
    """Whether whole lines are UTF-8: a character never goes on over a line feed."""
    if lines.isascii():
        return True
    try:
        lines.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _outside(lines: bytes, apart: bytes, mark: bytes) -> bytes | None:
    """What stands outside of quotation marks; None where a mark is not sound."""
    pieces = lines.split(mark)
    if len(pieces) % 2 == 0:
        return None
    outside = pieces[::2]
    if any(b"\n" in inside for inside in pieces[1::2]):
        return None
    begins, ends = (apart, b"\n", b"\r\n"), (apart, b"\n")
    # Nothing between two marks is a doubled one, within a field that goes on.
    if not all(piece.startswith(begins) for piece in outside[1:] if piece):
        return None
    if not all(piece.endswith(ends) for piece in outside[:-1] if piece):
        return None
    return b"".join(outside)
