"""The user's own keys: `keymap.toml` in the configuration folder, or the file that `FLYKD_KEYMAP` names.

One line an action, `action = "key"` or `action = ["key", "key"]`; the actions are those of `keymap.ACTIONS`. What
cannot be used is left out and said; the rest holds.

    pause = "space"
    smooth = ["g", "ctrl+g"]
"""

from __future__ import annotations

import difflib
import os
import string
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from flykd_console.dashboard.keymap import ACTIONS, Action
from flykd_console.dashboard.screen_keys import COMPARISON_ACTIONS, EXPLORE_ACTIONS, OVERLAY_ACTIONS, RUN_ACTIONS
from flykd_console.toml_text import parse_toml

# Textual's own, and the numbers of the tabs.
_SCREENS = (ACTIONS, RUN_ACTIONS, OVERLAY_ACTIONS, EXPLORE_ACTIONS, COMPARISON_ACTIONS)
RESERVED = {"ctrl+p": "the command palette", "ctrl+q": "leaving at once"} | {str(n): "the tabs" for n in range(1, 10)}
_MODIFIERS = ("ctrl", "shift", "alt", "meta", "super", "hyper")


@dataclass(frozen=True)
class UserKeys:
    """What the file says.

    Attributes:
        path: The file, whether it is there or not.
        keys: By action id, Textual's key names.
        problems: What was left out, each in a sentence.
        found: The file is there.
    """

    path: Path | None = None
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    found: bool = False

    @property
    def message(self) -> str:
        """All problems in one message, empty where there is none."""
        return f"{self.path}: {' '.join(self.problems)} The other keys hold." if self.problems else ""

    def actions(self, of: tuple[Action, ...] = ACTIONS) -> tuple[Action, ...]:
        """A screen's actions with the keys that they really have; one that lost its only key has none."""
        taken = {key for action in of for key in self.keys.get(action.id, ())}
        if not taken:
            return of
        out = []
        for action in of:
            keys = self.keys.get(action.id)
            if keys is None:
                kept = [key for key in action.keys.split(",") if key not in taken]
                out.append(action if kept else replace(action, keys="", shown=""))
            else:
                out.append(replace(action, keys=",".join(keys), shown="/".join(map(shown, keys))))
        return tuple(out)

    def textual(self) -> dict[str, str]:
        """The overrides as `App.set_keymap` takes them."""
        return {action: ",".join(keys) for action, keys in self.keys.items()}


def keymap_path() -> Path:
    """Where the file is looked for."""
    named = os.environ.get("FLYKD_KEYMAP")
    if named:
        return Path(named).expanduser()
    from platformdirs import user_config_path

    return user_config_path("flykd-console", appauthor=False) / "keymap.toml"


def read_user_keys(path: Path | None = None) -> UserKeys:
    """The user's keys; never raises, since a mistake in this file must not keep a run from being seen."""
    import tomllib

    wanted = path or keymap_path()
    try:
        table = parse_toml(wanted.read_text(encoding="utf-8"))
    except FileNotFoundError:
        missing = ("FLYKD_KEYMAP names this file, but it is not there.",) if os.environ.get("FLYKD_KEYMAP") else ()
        return UserKeys(wanted, problems=missing if path is None else ())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        return UserKeys(wanted, problems=(f"It cannot be read: {reason}.",), found=True)
    except tomllib.TOMLDecodeError as error:
        return UserKeys(wanted, problems=(f"It is not TOML: {error}.",), found=True)
    return _checked(wanted, table)


def _checked(path: Path, table: dict[str, object]) -> UserKeys:
    screen_of = {action.id: screen for screen in _SCREENS for action in screen}
    ids = list(screen_of)
    keys: dict[str, tuple[str, ...]] = {}
    # A key may do one thing on each screen.
    owners: dict[tuple[Action, ...], dict[str, str]] = {screen: {} for screen in _SCREENS}
    problems: list[str] = []
    for action, value in table.items():
        if action not in ids:
            near = difflib.get_close_matches(action, ids, 1)
            hint = f"did you mean {near[0]}?" if near else "the command palette (Ctrl-P) names them."
            problems.append(f"There is no action {action!r}; {hint}")
            continue
        owner = owners[screen_of[action]]
        texts = value if isinstance(value, list) else [value]
        good: list[str] = []
        for text in texts:
            key = textual_key(text) if isinstance(text, str) else None
            if key is None:
                problems.append(f"{action}: there is no key {text!r}.")
            elif key in RESERVED:
                problems.append(f"{action}: {text} belongs to {RESERVED[key]}.")
            elif owner.setdefault(key, action) != action:
                problems.append(f"{action}: {text} is already given to {owner[key]}.")
            elif key not in good:
                good.append(key)
        if good:
            keys[action] = tuple(good)
    lost = [
        f"{action.id} has no key left, since {owner[action.keys]} took {action.shown}."
        for screen, owner in owners.items()
        for action in screen
        if action.id not in keys and action.keys in owner
    ]
    return UserKeys(path, keys, (*problems, *lost), found=True)


def textual_key(text: str) -> str | None:
    """A key as Textual names it (`?` is `question_mark`), or None where no keyboard has it."""
    from textual.keys import Keys

    names = _punctuation()
    if text == " ":
        return "space"
    if len(text) == 1:
        return names.get(text, text if text.isalnum() else None)
    *modifiers, base = text.strip().lower().split("+")
    base = {"return": "enter", "esc": "escape", "del": "delete"}.get(base, names.get(base, base))
    known = base in names.values() or any(base == key.value for key in Keys if not key.value.startswith("<"))
    if len(set(modifiers)) < len(modifiers) or not set(modifiers) <= set(_MODIFIERS):
        return None
    if not known and not (len(base) == 1 and base.isalnum()):
        return None
    return "+".join([*sorted(modifiers, key=_MODIFIERS.index), base])


@lru_cache(maxsize=1)
def _punctuation() -> dict[str, str]:
    """Textual's names of the signs on a keyboard."""
    from textual.keys import _character_to_key

    return {sign: _character_to_key(sign) for sign in string.punctuation}


_SHOWN = {"escape": "esc", "left": "←", "right": "→", "up": "↑", "down": "↓", "shift+tab": "⇧tab"}


def shown(key: str) -> str:
    """A key as footer and help print it: `ctrl+c` is Ctrl-C, `question_mark` is ?."""
    if key in _SHOWN:
        return _SHOWN[key]
    *modifiers, base = key.split("+")
    last = next((sign for sign, name in _punctuation().items() if name == base), base)
    if not modifiers:
        return last
    return "-".join([*(m.capitalize() for m in modifiers), last.upper() if len(last) == 1 else last])
