"""The user's own keys: what the file may say, what is told of mistakes, and that the keys then work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flykd_console.dashboard.keymap import ACTIONS
from flykd_console.dashboard.screens.help import HelpScreen
from flykd_console.dashboard.user_keys import UserKeys, keymap_path, read_user_keys, shown, textual_key
from tests.dashboard.conftest import AppMaker, settle
from tests.dashboard.test_actions import footer_text, notes


def keys_of(tmp_path: Path, text: str) -> UserKeys:
    path = tmp_path / "keymap.toml"
    path.write_text(text)
    return read_user_keys(path)


@pytest.mark.parametrize(
    ("written", "key", "printed"),
    [
        ("?", "question_mark", "?"), ("slash", "slash", "/"), ("P", "P", "P"), (" ", "space", "space"),
        ("Ctrl+G", "ctrl+g", "Ctrl-G"), ("return", "enter", "enter"), ("esc", "escape", "esc"), ("f5", "f5", "f5"),
        ("shift+tab", "shift+tab", "⇧tab"), ("ctrl+shift+left", "ctrl+shift+left", "Ctrl-Shift-left"),
    ],
)  # fmt: skip
def test_keys_are_understood_as_people_write_them(written: str, key: str, printed: str) -> None:
    assert textual_key(written) == key
    assert shown(key) == printed


@pytest.mark.parametrize("written", ["", "hyperspace", "ctrl+foo", "foo+a", "ctrl+ctrl+a", "<any>", "\t"])
def test_what_no_keyboard_has_is_no_key(written: str) -> None:
    assert textual_key(written) is None


def test_built_in_keys_are_printed_as_the_rule_prints_them() -> None:
    assert {a.id: a.shown for a in ACTIONS} == {a.id: "/".join(map(shown, a.keys.split(","))) for a in ACTIONS}


def test_file_is_looked_for_in_the_configuration_folder_or_where_the_variable_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("FLYKD_KEYMAP", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert keymap_path() == tmp_path / "flykd-console" / "keymap.toml"
    assert read_user_keys() == UserKeys(tmp_path / "flykd-console" / "keymap.toml")
    monkeypatch.setenv("FLYKD_KEYMAP", str(tmp_path / "mine.toml"))
    assert "not there" in read_user_keys().message
    (tmp_path / "mine.toml").write_text('pause = "space"\n')
    assert read_user_keys().keys == {"pause": ("space",)}


def test_mistakes_are_named_and_the_rest_holds(tmp_path: Path) -> None:
    keys = keys_of(
        tmp_path,
        'pause = ["space", "hyperspace"]\nsmoth = "g"\nzoom = 3\ntheme = "space"\nhelp = "ctrl+p"\nband = "B"\n',
    )
    assert keys.keys == {"pause": ("space",), "band": ("B",)}
    for said in ("no key 'hyperspace'", "did you mean smooth?", "no key 3", "already given to pause", "palette"):
        assert said in keys.message
    assert "\n" not in keys.message


def test_action_whose_only_key_was_taken_is_named(tmp_path: Path) -> None:
    keys = keys_of(tmp_path, 'pause = "s"\n')
    assert "stop has no key left, since pause took s." in keys.message
    assert next(a for a in keys.actions() if a.id == "stop").shown == ""
    swapped = keys_of(tmp_path, 'pause = "s"\nstop = "p"\n')
    assert swapped.problems == ()


@pytest.mark.parametrize(("text", "said"), [("pause = ", "not TOML"), (b"\xff\xfe", "not UTF-8")])
def test_file_that_cannot_be_read_leaves_the_keys_as_they_are(tmp_path: Path, text: str | bytes, said: str) -> None:
    path = tmp_path / "keymap.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    keys = read_user_keys(path)
    assert keys.actions() == ACTIONS
    assert said in keys.message


async def test_own_key_works_shows_everywhere_and_frees_the_old_one(make_app: AppMaker, tmp_path: Path) -> None:
    app = make_app("running", keys=keys_of(tmp_path, 'pause = ["space", "f5"]\nhelp = "h"\nstop = "p"\n'))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        assert "space/f5 pause" in footer_text(app)
        assert not notes(app)
        assert any("(space/f5)" in command.title for command in app.get_system_commands(app.screen))
        await pilot.press("p")
        assert type(app.screen).__name__ == "ConfirmScreen"
        await pilot.press("n")
        await pilot.press("f5")
        assert app.directory.order_file("pause").exists()
        await pilot.press("h")
        assert isinstance(app.screen, HelpScreen)
        said = " ".join(str(widget.render()) for widget in app.screen.query("Static"))
        assert "space/f5" in said
        assert "keymap.toml" in said


async def test_screens_of_their_own_take_own_keys_too(make_app: AppMaker, tmp_path: Path) -> None:
    keys = keys_of(tmp_path, 'runs = "R"\nruns_mark = "x"\nruns_help = "f1"\n')
    assert keys.problems == ()
    app = make_app("running", keys=keys)
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        await pilot.press("R")
        await app.workers.wait_for_complete()
        await pilot.pause()
        footer = str(app.screen.query_one("#full-footer").render())
        assert "x mark" in footer
        assert "space" not in footer
        await pilot.press("f1")
        assert type(app.screen).__name__ == "ScreenHelp"


async def test_mistakes_are_told_once_the_dashboard_stands(make_app: AppMaker, tmp_path: Path) -> None:
    app = make_app("running", keys=keys_of(tmp_path, 'pause = "hyper[space"\n'))
    async with app.run_test(size=(120, 36)) as pilot:
        await settle(pilot)
        assert notes(app).count("no key 'hyper[space'") == 1
        await pilot.press("p")
        assert app.directory.order_file("pause").exists()


def test_doctor_names_the_file_and_its_mistakes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from flykd_console.cli.doctor import _keymap

    monkeypatch.setenv("FLYKD_KEYMAP", str(tmp_path / "mine.toml"))
    (tmp_path / "mine.toml").write_text('pause = "space"\nnonsense = "x"\n')
    finding = _keymap()
    assert finding.level == "warn"
    assert "mine.toml" in finding.found
    assert json.dumps("nonsense")[1:-1] in finding.found
