"""What strangers named reaches no terminal, page or spreadsheet as an order."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from flykd_console.cli.console import PlainConsole, say
from flykd_console.errors import UserError
from flykd_console.plain_text import plain, plain_json, plain_line, shown_json, spreadsheet_cell
from flykd_console.runs.events import Log, decode, encode

_OBEYED = [chr(code) for code in (*range(9), 11, 12, *range(14, 32), *range(127, 160), 0x202E, 0x2066, 0x2028, 0x061C)]


def _obeyed(text: str) -> set[str]:
    return set(_OBEYED) & set(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("asthma", "asthma"),
        ("Sjögren's – 硬皮症 👩\u200d🔬", "Sjögren's – 硬皮症 👩\u200d🔬"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://example.org\x07link\x1b]8;;\x07", "link"),
        ("\x9b2Jgone", "gone"),
        ("a\x1bb\x00c\x7fd", "abcd"),
        ("safe\u202egpj.exe", "safegpj.exe"),
        ("two\nlines\tkept", "two\nlines\tkept"),
    ],
)
def test_control_characters_are_dropped_and_everything_else_stays(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    assert not _obeyed(plain(text))
    assert plain(plain(text)) == plain(text)
    assert "\n" not in plain_line(text)


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))
def test_json_is_shown_with_the_same_values(value: object) -> None:
    shown = shown_json(json.dumps(value, ensure_ascii=False))
    assert not _obeyed(shown)
    assert json.loads(shown) == value


@pytest.mark.parametrize("ascii_only", [True, False])
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_strings_of_json_lose_control_characters_and_nothing_else(ascii_only: bool, text: str) -> None:
    cleaned = json.loads(plain_json(json.dumps([text], ensure_ascii=ascii_only).encode()))[0]
    assert cleaned == plain(text)


def test_an_escaped_backslash_before_a_u_is_no_escape() -> None:
    text = r"C:\u001bdir"
    assert json.loads(plain_json(json.dumps(text).encode())) == text


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1", "'+1"),
        ("-2-bromo", "'-2-bromo"),
        ("@x", "'@x"),
        ("\t=1", "'=1"),
        ("asthma", "asthma"),
        (-1.5, -1.5),
    ],
)
def test_no_cell_of_a_spreadsheet_is_a_formula(value: object, written: object) -> None:
    assert spreadsheet_cell(value) == written


def test_the_console_prints_markup_and_codes_of_names_as_text() -> None:
    out = io.StringIO()
    console = PlainConsole(file=out, width=60, force_terminal=True, color_system="truecolor")
    table = Table(title="[/nope] :smile:")
    table.add_column("[link=http://example.org]name[/link]")
    table.add_row("[bold red]x[/] \x1b[31mred\u202e \x9b2J")
    console.print(table)
    console.print("[/nope]")
    text = out.getvalue()
    assert "[/nope] :smile:" in text
    assert "[bold red]x[/] red" in text
    assert not {"\x1b[31m", "\x9b", "\u202e"} & {part for part in ("\x1b[31m", "\x9b", "\u202e") if part in text}
    assert "\x1b]8;" not in text


def test_what_is_said_holds_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\x1b[31mb")
    say("c\u202ed", err=True)
    assert capsys.readouterr() == ("ab\n", "cd\n")


def test_an_error_names_a_file_without_its_control_characters() -> None:
    assert str(UserError("no node '\x1b[2J'", "kg\u202e.csv", "Mend it.")) == "kg.csv: no node ''. Mend it."


def test_events_are_read_without_control_characters() -> None:
    read = decode(encode(Log(level="info", message="a\x1b[31mb\x9b\u202ec\ne", t=1.0)))
    assert isinstance(read, Log)
    assert read.message == "abc\ne"
