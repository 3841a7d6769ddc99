"""The profile of a node that is not in the graph, as a user writes it: what the graph would join it to.

    name = "my disease"
    type = "disease"                      # may be left out: the type for which candidates are ranked by default

    [edges]                               # by relation, or by the type of the nodes; nodes by id or by name
    disease_protein = ["TP53", "7157"]
    phenotype = ["Wheezing"]

    [known]                               # may be left out: nodes of the other side, by scored relation
    indication = ["salbutamol"]

The same as JSON. What a bundle holds is asked by `exporters.unseen`; here is what every profile must be.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flykd_console.errors import CHECK_PATH, UserError
from flykd_console.plain_text import plain_line
from flykd_console.toml_text import LARGEST, parse_toml

# Nodes that a profile names in all; characters of an id or a name (ids of merged nodes are hundreds long).
MOST_NODES = 10_000
LONGEST = 4096

_KEYS = ("name", "type", "edges", "known")
_EXAMPLE = "Under [edges]: disease_protein = ['TP53', 'BRCA1']"


@dataclass(frozen=True, slots=True)
class NodeProfile:
    """A profile whose form is right; whether its nodes and relations are there is not known yet.

    Attributes:
        name: What the node is called in answers.
        node_type: Its type; None: the one that is asked for by default.
        edges: Ids or names of nodes by relation or node type, as written; at least one.
        known: Ids or names of nodes of the other side by scored relation.
        where: The file, for messages; empty where there is none.
    """

    name: str
    node_type: str | None
    edges: Mapping[str, tuple[str, ...]]
    known: Mapping[str, tuple[str, ...]]
    where: str = ""


def read_profile(path: Path) -> NodeProfile:
    """The profile in a TOML or JSON file.

    Raises:
        UserError: The file cannot be read, or holds no profile.
    """
    where = str(path)
    if path.suffix not in (".toml", ".json"):
        raise UserError("a profile is a .toml or .json file", where, "Name one.")
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise UserError(f"the file cannot be read ({error.strerror})", where, CHECK_PATH) from None
    if len(data) > LARGEST:
        raise UserError(f"the profile is longer than {LARGEST} bytes", where, "Name fewer nodes.")
    try:
        # Editors of Windows put a mark of the byte order first.
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"the file is not UTF-8 (byte {error.start})", where, "Save it as UTF-8.") from None
    return parse_profile(_json(text, where) if path.suffix == ".json" else _toml(text, where), where, path.stem)


def parse_profile(data: object, where: str = "", name: str = "new node") -> NodeProfile:
    """The profile in parsed TOML or JSON.

    Args:
        where: The file, for messages.
        name: What the node is called where the profile does not say.

    Raises:
        UserError: It is of another form, names no node, or more than 10,000.
    """
    if not isinstance(data, Mapping):
        raise UserError("a profile is a table", where, f"{_EXAMPLE}.")
    for key in data:
        if key not in _KEYS:
            raise UserError(f"a profile has no key {_shown(key)}", where, f"Its keys: {', '.join(_KEYS)}. {_EXAMPLE}.")
    words = {key: _word(data, key, where) for key in ("name", "type")}
    edges, known = (_lists(data.get(table, {}), table, where) for table in ("edges", "known"))
    if not any(edges.values()):
        raise UserError("the profile names no node", where, f"{_EXAMPLE}.")
    count = sum(len(nodes) for table in (edges, known) for nodes in table.values())
    if count > MOST_NODES:
        raise UserError(f"the profile names {count} nodes", where, f"Name {MOST_NODES} at most.")
    return NodeProfile(words["name"] or plain_line(name), words["type"], edges, known, where)


def _word(data: Mapping[str, Any], key: str, where: str) -> str | None:
    value = data.get(key)
    if value is None and key not in data:
        return None
    if not isinstance(value, str) or not plain_line(value) or len(value) > LONGEST:
        raise UserError(
            f"{key} is no text of 1 to {LONGEST} characters", where, f"Give {key} = 'TEXT', or leave it out."
        )
    return plain_line(value)


def _lists(table: object, name: str, where: str) -> dict[str, tuple[str, ...]]:
    if not isinstance(table, Mapping):
        raise UserError(f"{name} is no table", where, f"{_EXAMPLE}.")
    found = {}
    for key, nodes in table.items():
        place = f"{name}.{_shown(key)}"
        if not isinstance(key, str) or not key.strip():
            raise UserError(f"{name} has an empty key", where, "Name a relation or a node type.")
        if not isinstance(nodes, list | tuple):
            raise UserError(f"{place} is no list", where, f"{_EXAMPLE}.")
        found[key] = tuple(_node(node, place, number, where) for number, node in enumerate(nodes, start=1))
    return found


def _node(node: object, place: str, number: int, where: str) -> str:
    """An id or a name; ids may be whole numbers."""
    if type(node) is int and abs(node) < 10**18:
        return str(node)
    if not isinstance(node, str) or not node.strip() or len(node) > LONGEST:
        raise UserError(
            f"{place}, number {number} is no id or name", where, f"Give a text of 1 to {LONGEST} characters."
        )
    return node.strip()


def _shown(key: object) -> str:
    """A key as a message has it."""
    return repr(plain_line(str(key))[:60])


def _toml(text: str, where: str) -> dict[str, Any]:
    try:
        return parse_toml(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"the file is no TOML: {error}", where, f"{_EXAMPLE}.") from None


def _json(text: str, where: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_once)
    except _RepeatedError as error:
        raise UserError(f"the key {_shown(error)} stands twice in one table", where, "Give it once.") from None
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error).partition(";")[0]
        raise UserError(f"the file is no JSON: {reason}", where, "Mend it.") from None


class _RepeatedError(Exception):
    """A key that stands twice."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise _RepeatedError(key)
        table[key] = value
    return table
