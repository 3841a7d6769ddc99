"""The paper's figures, and which of its rows a student repeats: told by its method, never by its name.

A row of Tables 2, 3 and A.2 is what the shipped profile of that row makes it.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

import msgspec

from flykd_console.profile.files import shipped_profiles
from flykd_console.profile.load import load_profile
from flykd_console.profile.method import Method, method_of
from flykd_console.profile.model_spec import STUDENT
from flykd_console.profile.models import trains_nothing
from flykd_console.profile.schema import Profile


class PaperModel(msgspec.Struct, frozen=True):
    """A row of Table 1: AUPRC in per cent, one for each of the paper's seeds."""

    model: str
    name: str
    table: str
    dim: int
    auprc: list[float]
    mean: float
    std: float


class PaperMethod(msgspec.Struct, frozen=True):
    """A row of Tables 2, 3 or A.2: its gain (mean, deviation), and the shipped profile that is made like it."""

    name: str
    table: str
    gain: tuple[float, float]
    profile: str


class Paper(msgspec.Struct, frozen=True):
    """Everything that the paper's tables say."""

    seeds: list[int]
    model: list[PaperModel]
    method: list[PaperMethod]


@cache
def paper() -> Paper:
    """The paper's figures, from `paper.toml`."""
    data = resources.files(__package__).joinpath("paper.toml").read_bytes()
    return msgspec.toml.decode(data, type=Paper)


def model_row(model: str, dim: int | None) -> PaperModel | None:
    """The row of Table 1 of a teacher or baseline of this width."""
    return next((row for row in paper().model if (row.model, row.dim) == (model, dim)), None)


def method_row(profile: Profile, model: str = STUDENT) -> PaperMethod | None:
    """The row whose method a distilled model of a profile repeats; None where it is none of them."""
    if profile.classifies or trains_nothing(profile):
        return None
    if model != STUDENT and model not in profile.models:
        return None
    method = method_of(profile, model)
    return next((row for row, theirs in _methods() if method.repeats(theirs)), None)


@cache
def _methods() -> list[tuple[PaperMethod, Method]]:
    files = shipped_profiles()
    return [(row, method_of(load_profile(files[row.profile]))) for row in paper().method]
