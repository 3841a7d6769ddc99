"""TOML that no profile needs is refused at once and in one line."""

from __future__ import annotations

import time
import tomllib
from pathlib import Path

import pytest

from flykd_console.errors import UserError
from flykd_console.profile.load import load_profile
from flykd_console.toml_text import parse_toml

BOMBS = {
    "brackets": "a = " + "[" * 500 + "]" * 500,
    "tables": "a = " + "{b = " * 500 + "1" + "}" * 500,
    "unclosed": "a = " + "[" * 100_000,
    "digits": "a = " + "9" * 5000,
    "dots": ".".join("a" * 40_000) + " = 1",
    "dots in a table": "x = {" + ".".join("a" * 40_000) + " = 1}",
    "keys": "\n".join(f"k{n} = 1" for n in range(100_000)),
    "length": "# " + "x" * (1 << 20),
    "quotes": '"' * 200_000,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_in_one_line_and_at_once(bomb: str, tmp_path: Path) -> None:
    begun = time.process_time()
    with pytest.raises(tomllib.TOMLDecodeError):
        parse_toml(BOMBS[bomb])
    (tmp_path / "bomb.toml").write_text(BOMBS[bomb])
    with pytest.raises(UserError) as refused:
        load_profile(tmp_path / "bomb.toml")
    assert "\n" not in str(refused.value)
    assert time.process_time() - begun < 20


@pytest.mark.parametrize(
    "setting",
    [
        ".".join("a" * 1000) + "=1",
        "run.seeds=" + "[" * 500 + "]" * 500,
        "run.name=" + "9" * 5000,
        "distill.epochs=" + "9" * 4000,
        "run.seeds=[" + ",".join(map(str, range(1001))) + "]",
    ],
    ids=["dots", "brackets", "digits", "many digits", "seeds"],
)
def test_a_setting_is_refused_in_one_line(setting: str) -> None:
    with pytest.raises(UserError) as refused:
        load_profile("flykd", [setting])
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 6000


def test_brackets_dots_and_signs_of_text_mean_nothing() -> None:
    text = (
        'a = "' + "[{.=" * 5000 + '" # ' + "[" * 100 + "\nb = '''" + "[" * 100 + "'''\nc = [" + "0.5, " * 100 + "1.0]\n"
    )
    assert parse_toml(text) == tomllib.loads(text)
