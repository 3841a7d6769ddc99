"""Reading TOML that anybody may have written: what no profile needs is refused before it costs a minute or the stack.

The standard library's parser recurses once a bracket and takes quadratic time for long dotted keys.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

LARGEST = 1 << 20
MOST_KEYS = 10_000
DEEPEST = 32

# Text and comments, whose brackets, dots and signs mean nothing.
_TEXT = re.compile(r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*', re.DOTALL)
_BETWEEN = re.compile(r"[=,\[\]{}\n]")
_OPENING, _CLOSING = "[{", "]}"


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a text.

    Raises:
        tomllib.TOMLDecodeError: It is no TOML, or larger, deeper or of more keys than any profile.
    """
    if len(text) > LARGEST:
        raise tomllib.TOMLDecodeError(f"it is longer than {LARGEST} characters")
    bare = _TEXT.sub('""', text)
    if bare.count("=") > MOST_KEYS:
        raise tomllib.TOMLDecodeError(f"it has more than {MOST_KEYS} keys")
    if any(piece.count(".") > DEEPEST for piece in _BETWEEN.split(bare)):
        raise tomllib.TOMLDecodeError(f"a key has more than {DEEPEST} dots")
    depth = 0
    for sign in re.findall(r"[\[\]{}]", bare):
        depth += 1 if sign in _OPENING else -1
        if depth > DEEPEST:
            raise tomllib.TOMLDecodeError(f"brackets are nested more than {DEEPEST} deep")
        depth = max(depth, 0) if sign in _CLOSING else depth
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits is a ValueError of its own.
        raise tomllib.TOMLDecodeError(str(error).partition(";")[0]) from None
