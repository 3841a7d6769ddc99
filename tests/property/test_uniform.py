"""The quick look at a text table never says what the slow one, line by line, does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flykd_console.graph.tables import uniform as quick
from flykd_console.graph.tables.judge import Form, judge, judge_by_line
from flykd_console.graph.tables.uniform import uniform

_FIELDS = st.sampled_from(
    ["a", "", "ä", '"a"', '"a,b"', '"a""b"', '""', '5"-x', 'a"', '"a', '"a\nb"', "\r", "a\tb", '"a" ']
)
_ROWS = st.lists(st.lists(_FIELDS, min_size=2, max_size=4).map(",".join), min_size=1, max_size=6)
_ENDS = st.sampled_from(["\n", "\r\n"])


def _never() -> Path:
    raise AssertionError("a copy was asked for")


@given(rows=_ROWS, end=_ENDS, last=st.booleans(), block=st.sampled_from([1, 3, 7, 1 << 20]))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_plain_is_so_line_by_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[str], end: str, last: bool, block: int
) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(("a,b,c" + end + end.join(rows) + (end if last else "")).encode())
    monkeypatch.setattr(quick, "_BLOCK", block)
    found = uniform(file, ",", '"', 3)
    if found is not None:
        slow = judge_by_line(file, "t", ",", '"', 3, _never)
        assert slow == Form(file, ",", '"' if found == "quoted" else None)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"a,b\n1,2\n", "plain"),
        (b"a,b\r\n1,2", "plain"),
        (b'a,b\n"1,1",2\n', "quoted"),
        (b'a,b\n"1 ""x"" y","2"\r\n', "quoted"),
        (b"a,b\n1,2,\n3\n", None),  # as many separators in all as there should be
        (b"a,b\n\n1,2\n", None),
        (b"a,b\n1,\0\n", None),
        (b"a,b\n1,\xff\n", None),
        (b'a,b\n5"-x,2\n', None),
        (b'a,b\n"1\n,2",3\n', None),
    ],
)
def test_only_plain_tables_are_told_quickly(tmp_path: Path, text: bytes, found: str | None) -> None:
    (tmp_path / "t.csv").write_bytes(text)
    assert uniform(tmp_path / "t.csv", ",", '"', 2) == found


def test_a_file_of_one_endless_line_is_not_gathered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick, "_BLOCK", 8)
    monkeypatch.setattr(quick, "_LONGEST", 32)
    (tmp_path / "t.csv").write_bytes(b"x" * 200)
    assert uniform(tmp_path / "t.csv", ",", '"', 2) is None


def test_a_plain_table_is_judged_without_looking_at_its_lines(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(b"a,b\n1,2\n")
    assert judge(file, "t", ",", '"', 2, _never) == Form(file, ",", None)
