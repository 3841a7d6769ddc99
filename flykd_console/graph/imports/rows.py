"""From a format's parts to rows in kg form: ends joined to nodes as integers, mapped, counted, and each edge once.

Strings are handled once a node and once a relation; per row there are two node numbers and a relation's code, so that
tens of millions of edges take some hundred MB.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flykd_console.errors import UserError
from flykd_console.graph.formats.base import Parts
from flykd_console.graph.imports import maps
from flykd_console.graph.imports.columns import EvidenceColumn, described
from flykd_console.graph.imports.evidence import merged, notes_on_scores, typed, with_years
from flykd_console.graph.imports.report import Relation
from flykd_console.words import grouped

Codes = NDArray[np.int64]
# Columns that are kept and are no evidence: the relation in other words.
_WORDS = ("display_relation",)


@dataclass(frozen=True)
class Rows:
    """Rows in kg form and what became of those that were read.

    Attributes:
        table: `relation, x_id, x_type, x_name, y_id, y_type, y_name` as categories of one set, then evidence.
        dropped: Rows by the reason why they were left out; `by_map` of them because the map says so.
        notes: What could not be read of their evidence.
    """

    table: pl.DataFrame
    read: int
    dropped: dict[str, int]
    by_map: int
    relations: list[Relation]
    nodes: dict[str, int]
    names_missing: int
    without_edge: int
    evidence: list[EvidenceColumn]
    notes: tuple[str, ...]


def assemble(parts: Parts, names: maps.Map, where: str) -> Rows:
    """Join, map and count.

    Args:
        parts: What a format read.
        names: Which map holds.
        where: The source, for messages.

    Raises:
        UserError: A key stands for nodes of different types, there are no rows left, or the map names what is not
            there.
    """
    nodes = _nodes(parts.nodes, where)
    edges, notes = with_years(_joined(parts, nodes, where))
    notes += notes_on_scores(parts.edges)
    read = edges.height
    if not read:
        raise UserError("has a header but no rows", where, "It should hold one row per edge.")
    types, type_of, relations, group = _groups(nodes, edges, names)
    dropped, keep = _reasons(edges, group, relations)
    by_map = dropped["left out by the map"]
    edges, group = edges.filter(keep), group[keep]
    before = edges.height
    edges, group = merged(edges, group, nodes.height)
    dropped["duplicate"] = before - edges.height
    if not edges.height:
        reasons = ", ".join(f"{why}: {count}" for why, count in dropped.items() if count)
        raise UserError(f"no row is left ({reasons})", where, "Look at the source and the map.")
    counts = np.bincount(group, minlength=len(relations))
    found = [
        Relation(one.source, one.head, one.relation, one.tail, int(count), one.dropped)
        for one, count in zip(relations, counts, strict=True)
    ]
    used = np.zeros(nodes.height, dtype=bool)
    used[edges["x"].to_numpy()] = used[edges["y"].to_numpy()] = True
    named = nodes["name"].is_not_null().to_numpy()
    kept_types = np.bincount(type_of[used], minlength=len(types))
    evidence = [column for column in edges.columns if column not in ("x", "y", "relation")]
    table = _table(nodes, types, type_of, edges, group, relations, evidence)
    return Rows(
        table=table,
        read=read,
        dropped={why: count for why, count in dropped.items() if count},
        by_map=by_map,
        relations=found,
        nodes={name: int(count) for name, count in zip(types, kept_types, strict=True) if count},
        names_missing=int((used & ~named).sum()),
        without_edge=int((~used).sum()),
        evidence=described(table.lazy(), [column for column in evidence if column not in _WORDS]),
        notes=notes,
    )


def _nodes(nodes: pl.DataFrame, where: str) -> pl.DataFrame:
    """Each key once, with a name that is not blank or null."""
    blank = pl.col("name").str.strip_chars() == ""
    nodes = nodes.select("key", "id", "type", name=pl.when(~blank).then("name")).filter(pl.col("key").is_not_null())
    nodes = nodes.unique(["key", "type"], keep="first", maintain_order=True)
    twice = nodes.filter(~pl.col("key").is_first_distinct())
    if twice.height:
        key = twice["key"][0]
        kinds = " and ".join(str(kind) for kind in nodes.filter(pl.col("key") == key)["type"].to_list())
        stand = "id stands" if twice.height == 1 else "ids stand"
        title = f"{grouped(twice.height)} {stand} for nodes of different types, first {key!r}: {kinds}"
        raise UserError(title, where, "Give each node one type, or the two different ids.")
    return nodes


def _joined(parts: Parts, nodes: pl.DataFrame, where: str) -> pl.DataFrame:
    """Edges with node numbers `x, y` (int64; null: unknown), `relation` as a category, and evidence."""
    number = nodes.lazy().select("key", number=pl.int_range(pl.len(), dtype=pl.UInt32))
    columns = parts.edges.collect_schema().names()
    category = pl.Categorical(pl.Categories.random())
    evidence = [column for column in columns if column not in ("x_key", "y_key", "relation")]
    rows = parts.edges
    for end in "xy":
        found = number.rename({"key": f"{end}_key", "number": end})
        rows = rows.join(found, on=f"{end}_key", how="left", maintain_order="left")
    relation = pl.when(pl.col("relation") != "").then("relation").cast(category)
    kept = rows.select("x", "y", relation.alias("relation"), *(typed(column) for column in evidence))
    try:
        return kept.collect(engine="streaming")
    except (pl.exceptions.PolarsError, OSError) as error:
        said = str(error).strip().splitlines()[0][:160]
        raise UserError("cannot be read", where, f"Download or copy it again. The reader said: {said}") from error


def _groups(
    nodes: pl.DataFrame, edges: pl.DataFrame, names: maps.Map
) -> tuple[list[str], Codes, list[Relation], Codes]:
    """Types under the map's names and each node's (-1: none), and every (head, relation, tail) and each row's (-1)."""
    raw = sorted(nodes["type"].drop_nulls().unique().to_list())
    renamed = [names.types.get(name, name) for name in raw]
    types = sorted(set(renamed))
    code_of = {name: types.index(new) for name, new in zip(raw, renamed, strict=True)}
    type_of = nodes["type"].replace_strict(code_of, default=-1, return_dtype=pl.Int64).fill_null(-1).to_numpy()
    gone = [names.drops_type(name, new) for name, new in zip(raw, renamed, strict=True)]
    gone_types = {new for new, out in zip(renamed, gone, strict=True) if out}
    n_types = len(types)
    distinct = edges["relation"].unique().drop_nulls()
    distinct = distinct.gather(distinct.cast(pl.String).arg_sort())
    texts = distinct.cast(pl.String).to_list()
    place = np.full(int(distinct.to_physical().max() or 0) + 1, -1)  # type: ignore[arg-type]
    place[distinct.to_physical().to_numpy()] = np.arange(len(texts))
    x, y = (edges[end].cast(pl.Int64).fill_null(-1).to_numpy() for end in "xy")
    relation = edges["relation"].to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
    spare = np.append(type_of, -1)  # the last stands for a node that is not known
    head, tail = spare[x], spare[y]
    known = (head >= 0) & (tail >= 0) & (relation >= 0)
    code = np.full(len(x), -1, dtype=np.int64)
    code[known] = (place[relation[known]] * n_types + head[known]) * n_types + tail[known]
    del head, tail, relation
    present = np.flatnonzero(np.bincount(code[known])) if known.any() else np.zeros(0, np.int64)
    triples = [(types[c // n_types % n_types], texts[c // n_types // n_types], types[c % n_types]) for c in present]
    relations = _named(triples, names, gone_types)
    maps.check(names, raw, _spellings(triples, names), [r.relation for r in relations if not r.dropped])
    lookup = np.full(int(present.max(initial=-1)) + 2, -1, dtype=np.int64)
    lookup[present] = np.arange(len(present))
    return types, type_of, relations, lookup[code]


def _spelt(head: str, relation: str, tail: str, names: maps.Map) -> list[str]:
    """Every way in which a map may name a relation: between mapped types, between the source's, alone."""
    heads, tails = ([end] + [old for old, new in names.types.items() if new == end] for end in (head, tail))
    between = [f"{h}{maps.BETWEEN}{relation}{maps.BETWEEN}{t}" for h in heads for t in tails]
    return [*between, relation]


def _spellings(triples: list[tuple[str, str, str]], names: maps.Map) -> list[str]:
    return [spelling for triple in triples for spelling in _spelt(*triple, names)]


def _named(triples: list[tuple[str, str, str]], names: maps.Map, gone_types: set[str]) -> list[Relation]:
    """The map's name, else the source's, with its types where that one stands between several pairs of them."""
    pairs: dict[str, set[frozenset[str]]] = {}
    for head, relation, tail in triples:
        if not any(spelling in names.relations for spelling in _spelt(head, relation, tail, names)):
            pairs.setdefault(relation, set()).add(frozenset((head, tail)))
    # An undirected relation that is written both ways has one name.
    first: dict[tuple[str, frozenset[str]], str] = {}
    found = []
    for head, relation, tail in triples:
        spelt = _spelt(head, relation, tail, names)
        name = next((names.relations[spelling] for spelling in spelt if spelling in names.relations), "")
        if not name and len(pairs[relation]) > 1:
            name = first.setdefault((relation, frozenset((head, tail))), f"{head}_{tail}/{relation}")
        out = head in gone_types or tail in gone_types or names.drops([*spelt, name])
        found.append(Relation(relation, head, name or relation, tail, 0, out))
    return found


def _reasons(edges: pl.DataFrame, group: Codes, relations: list[Relation]) -> tuple[dict[str, int], NDArray[np.bool_]]:
    """Why rows are left out, each for its first reason, and which ones stay."""
    x, y = (edges[end].is_null().to_numpy() for end in "xy")
    gone = np.array([*(one.dropped for one in relations), False])
    loop = (edges["x"] == edges["y"]).fill_null(False).to_numpy()
    reasons = {
        "an end that is no node": x | y,
        "no relation": edges["relation"].is_null().to_numpy(),
        "a node without a type": group < 0,
        "left out by the map": gone[group],
        "joins a node with itself": loop,
    }
    keep = np.ones(edges.height, dtype=bool)
    counts = {}
    for why, where in reasons.items():
        counts[why] = int((where & keep).sum())
        keep &= ~where
    return counts, keep


def _table(
    nodes: pl.DataFrame,
    types: list[str],
    type_of: Codes,
    edges: pl.DataFrame,
    group: Codes,
    relations: list[Relation],
    evidence: list[str],
) -> pl.DataFrame:
    """Strings are made categories of one set before they are spread over the rows."""
    category = pl.Categorical(pl.Categories.random())
    known = np.maximum(type_of, 0)
    coded = {
        "id": nodes["id"].cast(category),
        "type": pl.Series(types, dtype=pl.String).cast(category).gather(known),
        "name": nodes["name"].cast(category),
    }
    relation = pl.Series([one.relation for one in relations], dtype=pl.String).cast(category)
    columns = [relation.gather(group).alias("relation")]
    for end in "xy":
        columns += [values.gather(edges[end]).alias(f"{end}_{name}") for name, values in coded.items()]
    return pl.DataFrame(columns).hstack(edges.select(evidence))
