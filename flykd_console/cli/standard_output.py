"""Standard output as something that can be closed, or lie on a full disk."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

NAME = "standard output"


class _Named(io.FileIO):
    """A file descriptor whose errors say that they are standard output's; a broken pipe stays what it is."""

    def write(self, data: Any, /) -> int:
        """As `io.FileIO.write`.

        Raises:
            OSError: It cannot be written; `filename` is `standard output`.
        """
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OSError(error.errno, error.strerror, NAME) from None


@contextmanager
def named_output() -> Iterator[None]:
    """In here errors of standard output carry its name, and one that is closed swallows what it is given."""
    before = sys.stdout, sys.stderr
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for the process's life
    stream: TextIO = sys.stdout
    # A test, or whoever else has put something of its own there, keeps it.
    if stream is sys.__stdout__ and not stream.isatty():
        stream.flush()
        raw = _Named(stream.fileno(), "w", closefd=False)
        # What PYTHONUNBUFFERED asks for stays.
        at_once = bool(getattr(stream, "write_through", False))
        file: Any = raw if at_once else io.BufferedWriter(raw)
        sys.stdout = io.TextIOWrapper(file, stream.encoding, stream.errors, write_through=at_once)
    try:
        yield
    finally:
        if before[0] is not None:
            sys.stdout = before[0]
        if before[1] is not None:
            sys.stderr = before[1]


def abandon() -> None:
    """Send what is left to nowhere, so that the interpreter's last flush has nothing to complain of."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
