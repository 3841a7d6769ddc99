"""A graph as GraphStorm's `gconstruct` reads it: Parquet tables of nodes and edges, and the JSON that describes them.

The form is that of version `gconstruct-v0.1`: `nodes` with `node_type`, `files`, `format` and `node_id_col`; `edges`
with `source_id_col`, `dest_id_col`, `relation` (source type, relation, destination type), `files` and `format`;
relations to be learnt have `labels` of the task `link_prediction` (GraphStorm's documentation, Single Machine Graph
Construction).
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from flykd_console.errors import UserError
from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph

VERSION = "gconstruct-v0.1"
CONFIG, NAMES = "config.json", "names.json"
_PARQUET = {"name": "parquet"}


def write_graphstorm(
    graph: KnowledgeGraph, folder: Path, targets: Sequence[str], fractions: tuple[float, float, float]
) -> int:
    """Write the graph into a new folder.

    Types and relations keep letters, digits, dashes and underscores alone, since they become names of files;
    `names.json` says what each was. Paths in `config.json` are absolute: gconstruct reads them from where it runs.

    Args:
        targets: Relations to be learnt.
        fractions: Shares of training, validation and test that GraphStorm divides these by.

    Returns:
        Edges written, each once.

    Raises:
        UserError: The folder is there already or cannot be written, or the graph has no relation of a name.
    """
    known = {edge_type.relation for edge_type in graph.edges}
    for target in targets:
        if target not in known:
            raise UserError(f"there is no relation {target!r}", graph.source, f"There are {', '.join(sorted(known))}.")
    if folder.exists():
        raise UserError("is there already", str(folder), "Name a folder that is not there.")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        for part in ("nodes", "edges"):
            (partial / part).mkdir(parents=True)
        _write(graph, partial, folder.absolute(), frozenset(targets), fractions)
        partial.rename(folder)
    except OSError as error:
        raise UserError(
            f"cannot be written ({error.strerror or error})", str(folder), "Make room or choose another folder."
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return graph.edge_count


def _write(
    graph: KnowledgeGraph,
    partial: Path,
    final: Path,
    targets: frozenset[str],
    fractions: tuple[float, float, float],
) -> None:
    types = _plain_names(graph.nodes)
    relations = _plain_names(edge_type.relation for edge_type in graph.edges)
    nodes = []
    for node_type, table in graph.nodes.items():
        file = f"nodes/{types[node_type]}.parquet"
        table.select(pl.col("id").alias("node_id"), "name").write_parquet(partial / file)
        nodes.append(
            {"node_type": types[node_type], "format": _PARQUET, "files": [str(final / file)], "node_id_col": "node_id"}
        )
    edges = []
    for edge_type, (heads, tails) in graph.edges.items():
        relation = [types[edge_type.head], relations[edge_type.relation], types[edge_type.tail]]
        file = f"edges/{'-'.join(relation)}.parquet"
        ends = [graph.nodes[side]["id"].gather(rows) for side, rows in _ends(edge_type, heads, tails)]
        pl.DataFrame({"source_id": ends[0], "dest_id": ends[1]}).write_parquet(partial / file)
        described: dict[str, Any] = {
            "source_id_col": "source_id",
            "dest_id_col": "dest_id",
            "relation": relation,
            "format": _PARQUET,
            "files": [str(final / file)],
        }
        if edge_type.relation in targets:
            described["labels"] = [{"task_type": "link_prediction", "split_pct": list(fractions)}]
        edges.append(described)
    _write_json(partial / CONFIG, {"version": VERSION, "nodes": nodes, "edges": edges})
    names = {"node_types": _by_plain(types), "relations": _by_plain(relations), "fingerprint": graph.fingerprint}
    _write_json(partial / NAMES, names)


def _ends(edge_type: EdgeType, heads: Any, tails: Any) -> list[tuple[str, Any]]:
    return [(edge_type.head, heads), (edge_type.tail, tails)]


def _plain_names(names: Iterable[str]) -> dict[str, str]:
    """By name what it is called in files, each other than the rest."""
    found: dict[str, str] = {}
    for name in dict.fromkeys(names):
        plain = re.sub(r"[^A-Za-z0-9_-]+", "_", name) or "_"
        number, unique = 2, plain
        while unique in found.values():
            unique, number = f"{plain}_{number}", number + 1
        found[name] = unique
    return found


def _by_plain(names: Mapping[str, str]) -> dict[str, str]:
    return {plain: name for name, plain in names.items()}


def _write_json(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
