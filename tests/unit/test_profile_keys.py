"""`profiles keys` and docs/profile-keys.md: every key of a profile, with a default that the program takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flykd_console.cli.app import app
from flykd_console.errors import UserError
from flykd_console.profile.cohort import Member
from flykd_console.profile.distill import Distill, Plateau
from flykd_console.profile.keys import NEEDED, as_markdown, keys, sections
from flykd_console.profile.load import validate
from flykd_console.profile.mutual import StudentMember
from flykd_console.profile.rooms import teacher_kinds
from flykd_console.profile.schema import Profile
from flykd_console.profile.sections import Model

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "profile-keys.md"


def values_of(table: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from values_of(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def test_every_key_is_there_once_and_says_what_it_is_for() -> None:
    found = keys()
    whole = Profile(distill=Distill(plateau=Plateau()))
    fixed = [key.path for key in found if not key.of_named_table and not key.of_entry]
    assert sorted(fixed) == sorted(set(values_of(whole.model_dump())) - {"models"})
    named = [key.path for key in found if key.of_named_table]
    of_models = [f"models.NAME.{name}" for name in Model.model_fields if name not in ("distill",)]
    of_members = [f"cohort.members.NAME.{name}" for name in Member.model_fields]
    of_students = [f"mutual.members.NAME.{name}" for name in StudentMember.model_fields]
    assert sorted(named) == sorted([*of_models, *of_members, *of_students])
    assert [key.path for key in found if not key.meaning or not key.allowed] == []
    assert [name for name, about in sections().items() if not about] == []


def test_the_defaults_are_values_that_the_program_takes() -> None:
    data: dict[str, dict[str, object]] = {}
    for key in keys():
        # A second plateau is the student's own, which is not there by default.
        if not key.has_default or key.section == "distill.plateau" or key.of_named_table or key.of_entry:
            continue
        table = data
        for name in key.section.split("."):
            table = table.setdefault(name, {})  # type: ignore[assignment]
        table[key.name] = json.loads(key.default)
    assert validate(data, "the defaults") == validate({}, "nothing")


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("distill.random_graph.unseen", "number 0 to 1"),
        ("finetune.plateau.factor", "number above 0 below 1"),
        ("distill.epochs", "integer at least 0"),
        ("teacher.kind", '"rgcn", "rgat"'),
        ("split.area", "text"),
        ("distill.hidden.layers", "list of: [integer, integer]"),
        ("distill.curriculum.original", "list of: [number 0 to 1, number at least 0]"),
    ],
)
def test_what_a_key_may_be(name: str, allowed: str) -> None:
    assert {key.path: key.allowed for key in keys()}[name] == allowed


@pytest.mark.parametrize("kind", sorted(teacher_kinds()))
def test_every_kind_of_teacher_has_a_table_of_its_keys(kind: str) -> None:
    section = f"distill.teachers[].{kind}"
    mine = {key.name: key.default for key in keys() if key.section == section}
    fields = teacher_kinds()[kind].settings.model_fields
    assert set(mine) == set(fields) - {"kind"}
    assert {name for name, default in mine.items() if default == NEEDED} == {
        name for name, field in fields.items() if field.is_required()
    }
    shown = CliRunner().invoke(app, ["profiles", "keys", section])
    assert f"[{section}]" in shown.stdout
    assert f"[{section}]" in CliRunner().invoke(app, ["profiles", "keys", "distill.teachers"]).stdout


def test_the_document_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(app, ["profiles", "keys", "--markdown"]).stdout
    assert printed == as_markdown()
    assert DOCUMENT.read_text().endswith(printed), "flykd-console profiles keys --markdown prints something else"


def test_one_table_with_those_inside_it() -> None:
    result = CliRunner().invoke(app, ["profiles", "keys", "finetune"])
    assert result.exit_code == 0
    assert "[finetune]" in result.stdout
    assert "[finetune.plateau]" in result.stdout
    assert "validate_every" in result.stdout
    assert "distill" not in result.stdout.replace("distilling", "")


@pytest.mark.parametrize(
    ("given", "hint"),
    [("distil", "Did you mean distill?"), ("ancor", "Did you mean distill.anchor?"), ("zzz", "The tables are: run, ")],
)
def test_an_unknown_table_is_refused_with_the_nearest(given: str, hint: str) -> None:
    result = CliRunner().invoke(app, ["profiles", "keys", given])
    assert isinstance(result.exception, UserError)
    assert "there is no such table" in str(result.exception)
    assert hint in str(result.exception)


def test_a_key_shows_its_table() -> None:
    result = CliRunner().invoke(app, ["profiles", "keys", "distill.anchor.margin"])
    assert result.exit_code == 0
    assert "[distill.anchor]" in result.stdout
    assert "margin" in result.stdout
