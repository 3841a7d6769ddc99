"""Text of data files as it may be shown: names are strangers' words, and no control character of theirs leaves here.

What a terminal obeys are the C0 and C1 characters (ESC, CSI, BEL, ...); what turns a line round are the bidirectional
ones; line and paragraph separators break lines. None of them belongs in a name. A cell of a spreadsheet that begins
with = + - @ is a formula to it (OWASP, CSV injection).
"""

from __future__ import annotations

import json
import re
from typing import Any

_BIDIRECTIONAL = "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"
# Whole escape sequences go, so that no half of them is left as text; what is begun and not ended loses its beginning.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c\n]{0,2000}(?:\x07|\x1b\\|\x9c)"
)
_NOT_ASCII = f"\x7f-\x9f{_BIDIRECTIONAL}\ufeff\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff"
_CONTROL = re.compile(f"[\x00-\x08\x0b-\x1f{_NOT_ASCII}]")
_IN_JSON = re.compile(f"[{_NOT_ASCII}]")
# Bytes of UTF-8 with which the characters above begin, and an escape.
_SUSPECT = re.compile(rb"\\[ubfr]|\x7f|\xc2[\x80-\x9f]|\xd8\x9c|\xe2[\x80\x81]|\xef[\xbb\xbf]|\xf3\xa0|\xed[\xa0-\xbf]")
_FORMULA = ("=", "+", "-", "@")


def plain(text: str) -> str:
    """The text without control characters; line breaks and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return _CONTROL.sub("", _SEQUENCE.sub("", text))


def plain_line(text: str) -> str:
    """The text as one line without control characters; runs of white space are one blank."""
    return " ".join(plain(text).split())


def shown_json(text: str) -> str:
    """JSON that holds control characters as escapes only: the same values, and nothing that a terminal obeys."""
    return _IN_JSON.sub(lambda found: _escape(found[0]), text)


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))


def plain_json(data: bytes) -> bytes:
    """JSON whose strings and keys are `plain`; what is no JSON comes back as it is, for its reader to refuse."""
    if not _SUSPECT.search(data):
        return data
    try:
        return json.dumps(_plain_value(json.loads(data)), ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return data


def _plain_value(value: Any) -> Any:
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, list):
        return [_plain_value(item) for item in value]
    if isinstance(value, dict):
        return {plain(key): _plain_value(item) for key, item in value.items()}
    return value


def spreadsheet_cell(value: object) -> object:
    """A value for a table that a spreadsheet may open: text without control characters, and never a formula."""
    if not isinstance(value, str):
        return value
    text = plain_line(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
