"""The settings in which runs differ, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from flykd_console.compare.settings import differences, flatten, read_settings, shown
from flykd_console.errors import UserError

DEFAULTS = flatten({"run": {"seeds": [45]}, "distill": {"epochs": 2000, "temperature": 1.0, "min_logit": None}})


def test_only_keys_that_differ_are_told_in_the_profiles_order() -> None:
    a = {"run.seeds": [45], "distill.epochs": 100, "distill.temperature": 1.0}
    b = {"run.seeds": [46, 47], "distill.epochs": 200, "distill.temperature": 1}
    found = differences([a, b], DEFAULTS)
    assert [(one.key, one.values) for one in found] == [
        ("run.seeds", ("[45]", "[46, 47]")),
        ("distill.epochs", ("100", "200")),
    ]


def test_missing_key_stands_at_its_default() -> None:
    assert differences([{"distill.temperature": 1.0}, {}], DEFAULTS) == []
    found = differences([{"distill.temperature": 2.0}, {}], DEFAULTS)
    assert found[0].values == ("2", "1")


def test_key_without_default_is_told_as_absent() -> None:
    assert differences([{"distill.min_logit": 2.0}, {}], DEFAULTS)[0].values == ("2", "–")
    assert differences([{"old.key": "x"}, {}], DEFAULTS)[0].values == ('"x"', "–")


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), ("a", '"a"'), ([[0.2, 1.0]], "[[0.2, 1]]"), (5e-4, "0.0005"), (None, "–")]
)
def test_values_look_as_in_the_file(value: object, text: str) -> None:
    assert shown(value) == text


def test_true_is_not_one() -> None:
    assert len(differences([{"a": True}, {"a": 1}], {})) == 1


def test_profile_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        read_settings(tmp_path / "profile.toml")
    (tmp_path / "profile.toml").write_text("= x")
    with pytest.raises(UserError, match="cannot be read"):
        read_settings(tmp_path / "profile.toml")
