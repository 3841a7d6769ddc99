"""Errors as answers: one line, the same that the command line prints, with a status that says whose fault it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flykd_console.errors import UserError
from flykd_console.plain_text import plain_line


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
    for text in (error.title, error.where.removeprefix("--"), error.hint):
        told = text if path is None else text.replace(str(path), name)
        texts.append(plain_line(told))
    title, where, hint = texts
    return RefusedError(
        status, Problem(plain_line(str(UserError(title, where, hint))), title, where, hint), headers or {}
    )
