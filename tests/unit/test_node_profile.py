"""The profile of a node that is not in the graph: what its file may say, and one line where it says something else."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from exporters.node_profile import MOST_NODES, NodeProfile, parse_profile, read_profile
from flykd_console.errors import UserError

GOOD = """
name = "my disease"
type = "disease"

[edges]
disease_protein = ["TP53", 7157]
phenotype = ["Wheezing"]

[known]
indication = ["salbutamol"]
"""


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as refused:
        read_profile(path)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_toml_and_json_say_the_same(tmp_path: Path) -> None:
    toml, as_json = tmp_path / "mine.toml", tmp_path / "mine.json"
    toml.write_text(GOOD)
    edges = {"disease_protein": ["TP53", 7157], "phenotype": ["Wheezing"]}
    data = {"name": "my disease", "type": "disease", "edges": edges, "known": {"indication": ["salbutamol"]}}
    as_json.write_text("\ufeff" + json.dumps(data))
    one, other = read_profile(toml), read_profile(as_json)
    assert one.edges == {"disease_protein": ("TP53", "7157"), "phenotype": ("Wheezing",)}
    assert (one.name, one.node_type, one.known) == ("my disease", "disease", {"indication": ("salbutamol",)})
    assert (other.name, other.node_type, other.edges, other.known) == (one.name, one.node_type, one.edges, one.known)


def test_a_file_without_a_name_is_called_as_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rare-thing.toml"
    path.write_text('[edges]\ndisease_protein = ["TP53"]\n')
    assert read_profile(path) == NodeProfile("rare-thing", None, {"disease_protein": ("TP53",)}, {}, str(path))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.toml", "", "names no node"),
        ("a.toml", "[edges]\ngenes = []\n", "names no node"),
        ("a.toml", "edges = 3\n", "edges is no table"),
        ("a.toml", "[edges]\ngenes = 'TP53'\n", "edges.'genes' is no list"),
        ("a.toml", "[edges]\ngenes = [true]\n", "edges.'genes', number 1 is no id or name"),
        ("a.toml", "[edges]\ngenes = ['TP53', 1.5]\n", "number 2 is no id or name"),
        ("a.toml", "[edges]\ngenes = [' ']\n", "number 1 is no id or name"),
        ("a.toml", "[edges]\ngenes = [['TP53']]\n", "number 1 is no id or name"),
        ("a.toml", "[edges]\n'' = ['TP53']\n", "empty key"),
        ("a.toml", "genes = ['TP53']\n", "no key 'genes'. Its keys: name, type, edges, known"),
        ("a.toml", "name = 3\n[edges]\ngenes = ['TP53']\n", "name is no text"),
        ("a.toml", "type = ''\n[edges]\ngenes = ['TP53']\n", "type is no text"),
        ("a.toml", "[edges]\ngenes = ['TP53']\ngenes = ['TP53']\n", "no TOML"),
        ("a.toml", "[edges]\ngenes = " + "[" * 200 + "]" * 200, "nested more than 32 deep"),
        ("a.toml", "edges" + ".a" * 5000 + " = 1", "more than 32 dots"),
        ("a.json", "[]", "a profile is a table"),
        ("a.json", "null", "a profile is a table"),
        ("a.json", '{"edges": {"genes": ["TP53"], "genes": ["EGFR"]}}', "'genes' stands twice"),
        ("a.json", '{"edges": {"genes": [NaN]}}', "number 1 is no id or name"),
        ("a.json", '{"edges": {"genes": [1' + "0" * 5000 + "]}}", "no JSON"),
        ("a.json", "[" * 100_000, "nested too deep"),
        ("a.json", '{"edges": {"genes": ["TP53"]}', "no JSON"),
        ("a.txt", GOOD, ".toml or .json"),
    ],
)
def test_other_forms_are_refused_in_one_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert said in refusal(path)
    assert str(path) in refusal(path)


def test_more_nodes_than_any_profile_names_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "many.json"
    path.write_text(json.dumps({"edges": {"genes": [str(n) for n in range(MOST_NODES + 1)]}}))
    assert f"names {MOST_NODES + 1} nodes" in refusal(path)


def test_a_large_file_is_refused_without_being_parsed(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    path.write_text("[" + "1," * (1 << 20) + "1]")
    assert "longer than" in refusal(path)


def test_many_keys_are_read_in_linear_time(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    keys = ",".join(f'"{n}":1' for n in range(80_000))
    path.write_text("{" + keys + ',"79999":1}')
    start = time.perf_counter()
    assert "stands twice" in refusal(path)
    assert time.perf_counter() - start < 5.0


def test_a_missing_file_and_one_that_is_no_text_are_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8 (byte 0)" in refusal(tmp_path / "binary.toml")
    (tmp_path / "folder.toml").mkdir()
    assert "cannot be read" in refusal(tmp_path / "folder.toml")


def test_a_parsed_profile_is_held_to_the_same_form() -> None:
    assert parse_profile({"edges": {"genes": ["TP53"]}}).name == "new node"
    others: tuple[object, ...] = (None, 3, "genes", [], {"edges": [1]}, {"edges": {3: ["TP53"]}})
    for wrong in others:
        with pytest.raises(UserError):
            parse_profile(wrong)


def test_control_characters_leave_neither_name_nor_message() -> None:
    assert parse_profile({"name": "a\x1b[31mb\nc", "edges": {"genes": ["TP53"]}}).name == "ab c"
    with pytest.raises(UserError) as refused:
        parse_profile({"\x1b[31mkey\n": 1})
    assert "\x1b" not in str(refused.value)
    assert "\n" not in str(refused.value)
