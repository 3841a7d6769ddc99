"""Errors as answers: one line, the same that the command line prints, with a status that says whose fault it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from flykd_console.errors import UserError
from flykd_console.plain_text import plain_line

_OPTION = re.compile(r"(?<!\S)--([a-z][a-z-]*)")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request was refused.

    Attributes:
        error: All of it in one line.
        title: What is wrong.
        where: The parameter or bundle that it is about; empty where the title says it.
        hint: What to do about it; near names where one is unknown.
    """

    error: str
    title: str
    where: str
    hint: str


@dataclass
class RefusedError(Exception):
    """An answer that refuses: its HTTP status, the problem, and headers beside it."""

    status: int
    problem: Problem
    headers: Mapping[str, str] = field(default_factory=dict)


def refusal(
    status: int, title: str, where: str = "", hint: str = "", headers: Mapping[str, str] | None = None
) -> RefusedError:
    """A refusal in the words of a `UserError`."""
    return of_user_error(status, UserError(title, where, hint), headers=headers)


def of_user_error(
    status: int, error: UserError, path: Path | None = None, name: str = "", headers: Mapping[str, str] | None = None
) -> RefusedError:
    """A `UserError` as a refusal: options become parameters, and the folder of a bundle its name.

    Args:
        path: Where the bundle lies, which no client needs to know.
        name: What it is called.
    """
    texts = []
    for text in (error.title, error.where, error.hint):
        told = text if path is None else text.replace(str(path), name)
        # Commands stay what somebody types.
        told = told if "flykd-console" in told else _OPTION.sub(lambda found: found[1].replace("-", "_"), told)
        texts.append(plain_line(told))
    title, where, hint = texts
    return RefusedError(
        status, Problem(plain_line(str(UserError(title, where, hint))), title, where, hint), headers or {}
    )


@contextmanager
def user_errors_as(status: int, path: Path, name: str) -> Iterator[None]:
    """`UserError` as a refusal of a status; a bundle that turns out to be damaged is the service's own fault.

    Args:
        path: Where the bundle lies.
        name: What it is called.
    """
    try:
        yield
    except UserError as error:
        damaged = error.title.startswith("the bundle is damaged")
        raise of_user_error(500 if damaged else status, error, path, name) from None
