"""The file of `flykd-console select`: what the candidates are, and what the best of them is chosen by.

name = "select"                   # what its runs and its folder are called
profile = "flykd"                 # what all of them build on: a shipped profile, or a file beside this one
seeds = [45, 46]                  # default: the profile's
metric = "macro_ap"               # quality; default: the profile's evaluation.headline
set = { "finetune.epochs" = 100 } # holds for teachers and candidates alike

[teachers]                        # every combination is trained; the best on validation teaches the candidates
"teacher.dim" = [130, 200]

[candidates]                      # every combination is one candidate
"student.dim" = [16, 32, 80]

[[candidate]]                     # and further ones by hand, with a profile and settings of their own
name = "table"
profile = "best"
set = { "student.dim" = 32 }

[choose]
max_loss = 1.0                    # points of the metric below the ceiling; the smallest that is left is picked
max_latency_ms = 2.0              # of the percentile below; the best that is left is picked
max_bytes = 4_000_000
percentile = 99
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import Field, ValidationError, field_validator, model_validator

from flykd_console.errors import CHECK_PATH, UserError
from flykd_console.profile.files import shipped_profiles
from flykd_console.profile.load import Override
from flykd_console.profile.section import Section
from flykd_console.profile.sections import Metric

_MOST_CANDIDATES = 500
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
_TABLES = ("candidates", "teachers", "choose")

Value = str | int | float | bool | list[Any] | dict[str, Any]
Settings = dict[str, Value]
# By dotted key the values that are tried.
Grid = dict[str, Annotated[list[Value], Field(min_length=1)]]


class Choose(Section):
    """What a model must keep to; what is picked of those that do follows from which limits there are."""

    max_loss: float | None = Field(None, ge=0.0)
    max_latency_ms: float | None = Field(None, gt=0.0)
    max_bytes: int | None = Field(None, ge=1)
    percentile: Literal[50, 99] = 99

    @model_validator(mode="after")
    def _has_a_limit(self) -> Choose:
        if self.max_loss is None and self.max_latency_ms is None and self.max_bytes is None:
            raise ValueError("needs max_loss, max_latency_ms or max_bytes")
        return self


class ByHand(Section):
    """A candidate with a name of its own."""

    name: str = Field(pattern=_NAME)
    profile: str = ""
    set: Settings = Field({})


class Order(Section):
    """The whole file."""

    name: str = Field("select", pattern=_NAME)
    profile: str = Field("flykd", min_length=1)
    seeds: list[Annotated[int, Field(ge=0, lt=2**31)]] = Field([])
    metric: Metric | None = None
    set: Settings = Field({})
    teachers: Grid = Field({})
    candidates: Grid = Field({})
    candidate: list[ByHand] = Field([])
    choose: Choose

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds):
            raise ValueError("a seed is named twice")
        return seeds

    @model_validator(mode="after")
    def _has_candidates(self) -> Order:
        if not self.candidates and not self.candidate:
            raise ValueError("there is no candidate: give a table [candidates] or entries [[candidate]]")
        names = [one.name for one in self.candidate]
        if len(set(names)) != len(names):
            raise ValueError("two candidates have the same name")
        return self


@dataclass(frozen=True)
class Variant:
    """A combination of settings on a profile.

    Attributes:
        label: What tables call it; empty for the profile as it is.
        profile: A file or a shipped profile's name.
        values: What tells it from the others, by key, as TOML writes it.
        settings: All that it sets.
    """

    label: str
    profile: str
    values: Mapping[str, str]
    settings: Sequence[Override]


@dataclass(frozen=True)
class Selection:
    """An order as it was read: its paths resolved, its grids spread out."""

    order: Order
    source: str
    teachers: Sequence[Variant]
    candidates: Sequence[Variant]


def read_order(path: Path) -> Selection:
    """Read the file of a selection.

    Raises:
        UserError: It is missing or no TOML, a key is unknown or has a wrong value, or there are too many candidates.
    """
    source = str(path)
    try:
        data = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise UserError(f"the file cannot be read ({error.strerror})", source, CHECK_PATH) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"not valid TOML: {error}", source, "Mend the line, then try again.") from None
    try:
        order = Order.model_validate(data)
    except ValidationError as error:
        raise _explained(error, source) from None
    profile = _found(order.profile, path, "profile")
    shared = _overrides(order.set, source)
    if order.metric is not None:
        shared.append(Override("evaluation.headline", order.metric, f"{source}, metric"))
    teachers = [_variant(values, profile, shared, source) for values in _combinations(order.teachers, source)]
    candidates = [
        _variant(values, profile, shared, source)
        for values in (_combinations(order.candidates, source) if order.candidates else [])
    ]
    for one in order.candidate:
        own = _found(one.profile, path, f"candidate {one.name!r}, profile") if one.profile else profile
        settings = [*shared, *_overrides(one.set, source)]
        candidates.append(Variant(one.name, own, {"candidate": one.name}, settings))
    labels = [one.label for one in candidates]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise UserError(f"two candidates are called {twice!r}", source, "Name each once.")
    return Selection(order, source, teachers, candidates)


def toml_value(value: Any) -> str:
    """A value as TOML writes it, on one line."""
    text = tomli_w.dumps({"v": value}).removeprefix("v = ")
    return re.sub(r",?\s*\n\s*\]", "]", re.sub(r"\[\n\s+", "[", text)).replace(",\n    ", ", ").strip()


def _combinations(grid: Grid, source: str) -> list[Settings]:
    count = 1
    for values in grid.values():
        count *= len(values)
    if count > _MOST_CANDIDATES:
        raise UserError(f"{count} combinations are more than {_MOST_CANDIDATES}", source, "Give fewer values.")
    return [dict(zip(grid, chosen, strict=True)) for chosen in itertools.product(*grid.values())]


def _variant(values: Settings, profile: str, shared: Sequence[Override], source: str) -> Variant:
    from flykd_console.plans.job import label_of

    shown = {key: toml_value(value).strip('"') for key, value in values.items()}
    return Variant(label_of(shown), profile, shown, [*shared, *_overrides(values, source)])


def _overrides(settings: Settings, source: str) -> list[Override]:
    return [Override(key, value, f"{source}, {key} = {toml_value(value)}") for key, value in settings.items()]


def _found(profile: str, file: Path, key: str) -> str:
    """A profile beside the file of the selection, or a shipped one.

    Raises:
        UserError: There is neither.
    """
    beside = file.parent / Path(profile).expanduser()
    if beside.is_file():
        return str(beside)
    if profile in shipped_profiles():
        return profile
    raise UserError(
        "there is no such profile", f"{file}, {key} = {profile!r}", "List the shipped ones: flykd-console profiles list"
    )


def _explained(error: ValidationError, source: str) -> UserError:
    """The first of pydantic's complaints in a line."""
    problem = error.errors(include_url=False)[0]
    names = [str(part) for part in problem["loc"]]
    known = Choose.model_fields if names[:1] == ["choose"] else Order.model_fields
    hint = "See docs/select.md."
    title = problem["msg"][:1].lower() + problem["msg"][1:]
    if problem["type"] == "extra_forbidden":
        title, hint = "unknown key", f"Known here: {', '.join(known)}."
    elif problem["type"] == "value_error":
        title = str(problem["ctx"]["error"])
    elif problem["type"] == "missing":
        title = "is needed"
    where = f"{source}, {'.'.join(names)}" if names else source
    return UserError(title, where, hint)
