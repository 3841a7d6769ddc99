"""Splits read from files, so that another program's split can be run and compared pair by pair.

Three tables (CSV or TSV, plain or gzip, or Parquet), in one of two forms: rows of a graph (`x_type, x_id, relation,
y_type, y_id`), or pairs (`relation, head_id, tail_id`, or under other usual headings) in the graph's own direction.
Further columns may say more: `part` (`train`, `valid` or `validation`, `test`) lets one file serve several parts;
`label` (1 or 0) marks stored negatives, which are then used as they stand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from flykd_console.errors import UserError
from flykd_console.graph.formats import kg, kg_faults
from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph, Pairs, Targets
from flykd_console.graph.node_lookup import rows_of
from flykd_console.graph.split.random import joins
from flykd_console.pair_lists import renamed
from flykd_console.relation_names import is_meant, spelling
from flykd_console.words import grouped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flykd_console.profile import sections

ROWS = ("x_type", "x_id", "relation", "y_type", "y_id")
PAIRS = ("relation", "head_id", "tail_id")
_WORDS = {"train": ("train", "training"), "validation": ("valid", "validation", "val"), "test": ("test",)}
_TRUE, _FALSE = ("1", "1.0", "true"), ("0", "0.0", "false")


@dataclass(frozen=True)
class GivenSplit:
    """What the files say.

    Attributes:
        parts: Per part (train, validation, test) the edges of every edge type of the graph.
        negatives: Per evaluation part the stored negatives of the targets that have some.
        notes: What a reader should know, a sentence without a full stop each.
    """

    parts: Mapping[str, Mapping[EdgeType, Pairs]]
    negatives: Mapping[str, Mapping[EdgeType, Pairs]]
    notes: tuple[str, ...]


def read_split(graph: KnowledgeGraph, targets: Targets, settings: sections.Split) -> GivenSplit:
    """Read the three parts.

    Edges stand in ascending order of (head, tail), so that the order of rows does not matter. A training file of target
    relations alone takes the graph's other relations whole, except those that join the same two node types.

    Raises:
        UserError: A file is missing, damaged or of another form; names a relation or a node that the graph lacks; or a
            pair to be evaluated is also trained on.
    """
    assert settings.train is not None
    assert settings.validation is not None
    assert settings.test is not None
    paths = {"train": settings.train, "validation": settings.validation, "test": settings.test}
    parts: dict[str, dict[EdgeType, Pairs]] = {}
    negatives: dict[str, dict[EdgeType, Pairs]] = {}
    for part, path in paths.items():
        true, false = _read_part(graph, targets, Path(path).expanduser(), part)
        nothing = np.zeros(0, dtype=np.int64)
        parts[part] = {edge_type: true.get(edge_type, (nothing, nothing)) for edge_type in sorted(graph.edges)}
        # Negatives of a relation without a true pair in the part would measure nothing.
        if false := {edge_type: pairs for edge_type, pairs in false.items() if edge_type in true}:
            negatives[part] = false
    notes = _others(graph, targets, parts)
    _check_leaks(graph, targets, parts, paths)
    return GivenSplit(parts, negatives, notes + _doubtful_negatives(graph, targets, parts, negatives))


def _read_part(
    graph: KnowledgeGraph, targets: Targets, path: Path, part: str
) -> tuple[dict[EdgeType, Pairs], dict[EdgeType, Pairs]]:
    """True edges of every relation, and stored negatives of the targets."""
    rows = _rows_of_part(_load(path, part, targets), path, part)
    label = pl.col("label").str.strip_chars().str.to_lowercase()
    wrong = rows.filter(~label.is_in(_TRUE + _FALSE).fill_null(False))
    if wrong.height:
        raise _fault(f"the label {wrong['label'][0]!r} is neither 1 nor 0", path, wrong)
    false = rows.filter(label.is_in(_FALSE))
    if part == "train" and false.height:
        raise _fault(
            f"{false.height} rows are labelled 0", path, false, "Negatives belong to split.validation and split.test."
        )
    true = _edges(graph, targets, rows.filter(label.is_in(_TRUE)), path, distinct=part == "train")
    stored = _edges(graph, targets, false, path, distinct=False)
    return true, {edge_type: pairs for edge_type, pairs in stored.items() if edge_type in targets}


def _load(path: Path, part: str, targets: Targets) -> pl.DataFrame:
    """The table as text, with `row` counted from 1, and `label`, `part` null-free or filled in."""
    if not path.exists():
        raise UserError("there is no such file", f"split.{part} = {path}", "Check the path.")
    separator = kg_faults.check_file(path, kg.FORMATS)
    try:
        frame = kg.scan(path, separator).collect()
        if not set(ROWS) <= set(frame.columns) and not set(PAIRS) <= set(frame.columns):
            frame = frame.rename(renamed(frame.columns, targets.head, targets.tail, "head_id", "tail_id"))
        form = next((form for form in (ROWS, PAIRS) if set(form) <= set(frame.columns)), None)
        if form is None:
            raise UserError(
                f"has neither the columns {', '.join(ROWS)} nor {', '.join(PAIRS)}",
                str(path),
                f"Found {', '.join(frame.columns[:12])}.",
            )
        kept = [*form, *(name for name in ("label", "part") if name in frame.columns)]
        frame = frame.select(pl.col(kept).cast(pl.String)).with_row_index("row", offset=1)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise kg_faults.explain(path, separator, error) from error
    if form == PAIRS:
        frame = frame.rename({"head_id": "x_id", "tail_id": "y_id"})
        frame = frame.with_columns(pl.lit(None, pl.String).alias(name) for name in ("x_type", "y_type"))
    blank = frame.filter(pl.any_horizontal(pl.col("relation", "x_id", "y_id").fill_null("").str.strip_chars() == ""))
    if blank.height:
        raise _fault("a relation or an id is missing", path, blank)
    return frame if "label" in frame.columns else frame.with_columns(label=pl.lit("1"))


def _rows_of_part(rows: pl.DataFrame, path: Path, part: str) -> pl.DataFrame:
    """The rows that belong to a part, where the file tells parts apart."""
    if "part" not in rows.columns:
        return rows
    known = [word for words in _WORDS.values() for word in words]
    strange = rows.filter(~pl.col("part").is_in(known).fill_null(False))
    if strange.height:
        raise _fault(f"the part {strange['part'][0]!r} is none of {', '.join(known)}", path, strange)
    kept = rows.filter(pl.col("part").is_in(_WORDS[part]))
    if kept.is_empty():
        raise UserError(
            f"none of its rows has the part {_WORDS[part][0]!r}", str(path), f"It is named by split.{part}."
        )
    return kept


def _edges(
    graph: KnowledgeGraph, targets: Targets, rows: pl.DataFrame, path: Path, *, distinct: bool
) -> dict[EdgeType, Pairs]:
    """Rows as edges in the graph's directions; `distinct`: a target's pair counts once."""
    found: dict[EdgeType, dict[bool, NDArray[np.int64]]] = {}
    for (relation, x_type, y_type), group in rows.partition_by(
        ["relation", "x_type", "y_type"], maintain_order=True, as_dict=True
    ).items():
        edge_type, flipped = _edge_type(graph, targets, str(relation), x_type, y_type, path, group)
        ends = ("y_id", "x_id") if flipped else ("x_id", "y_id")
        heads = _indices(graph, edge_type.head, group, ends[0], path)
        tails = _indices(graph, edge_type.tail, group, ends[1], path)
        if edge_type.head == edge_type.tail:
            heads, tails = np.minimum(heads, tails), np.maximum(heads, tails)
        found.setdefault(edge_type, {})[flipped] = np.sort(heads * graph.count(edge_type.tail) + tails)
    edges = {}
    for edge_type, keys in found.items():
        both = keys.get(False, np.zeros(0, np.int64))
        if True in keys:
            # The other direction's rows mirror these where the file holds both.
            both = np.sort(np.concatenate([both, keys[True][~np.isin(keys[True], both)]]))
        if edge_type.head == edge_type.tail or (distinct and edge_type in targets):
            both = np.unique(both)
        count = graph.count(edge_type.tail)
        edges[edge_type] = (both // count, both % count)
    return edges


def _edge_type(
    graph: KnowledgeGraph,
    targets: Targets,
    relation: str,
    x_type: object,
    y_type: object,
    path: Path,
    group: pl.DataFrame,
) -> tuple[EdgeType, bool]:
    """The graph's edge type of a group of rows, and whether the rows are written the other way round.

    Without types a name that stands between several pairs of them means the target among these.
    """
    named = [edge_type for edge_type in graph.edges if is_meant(relation, *edge_type)]
    if x_type is None and y_type is None and len(named) > 1:
        named = [edge_type for edge_type in named if edge_type in targets] or named
    if x_type is None and y_type is None and len(named) == 1:
        return named[0], False
    straight, opposite = EdgeType(str(x_type), relation, str(y_type)), EdgeType(str(y_type), relation, str(x_type))
    if straight in graph.edges:
        return straight, False
    if opposite in graph.edges:
        return opposite, True
    if named and x_type is None:
        raise _fault(
            f"the relation {relation!r} stands between several pairs of node types",
            path,
            group,
            f"Name it with its types, such as {spelling(*named[0])!r}.",
        )
    if named:
        known = " or ".join(f"{e.head} to {e.tail}" for e in named)
        raise _fault(
            f"{relation!r} joins {x_type} to {y_type}, but in the graph {known}: {group.height} rows", path, group
        )
    relations = ", ".join(sorted({e.relation for e in graph.edges})[:8])
    raise _fault(
        f"the relation {relation!r} is not in the graph: {group.height} rows", path, group, f"It has {relations}, ..."
    )


def _indices(graph: KnowledgeGraph, node_type: str, rows: pl.DataFrame, column: str, path: Path) -> NDArray[np.int64]:
    """Node indices of a column of ids, int64 [n]."""
    found = rows.select("row", id=column, index=rows_of(rows[column], graph.ids(node_type)))
    unknown = found.filter(pl.col("index").is_null())
    if unknown.height:
        raise _fault(
            f"{unknown['id'].n_unique()} ids of type {node_type!r} are not in the graph, first {unknown['id'][0]!r}",
            path,
            unknown,
            "The files must be of this graph (graph.source).",
        )
    indices: NDArray[np.int64] = found["index"].to_numpy()
    return indices


def _others(graph: KnowledgeGraph, targets: Targets, parts: dict[str, dict[EdgeType, Pairs]]) -> tuple[str, ...]:
    """Bring in the relations that no file speaks of, where the files speak of targets alone."""
    silent = [e for e in graph.edges if e not in targets and not any(len(part[e][0]) for part in parts.values())]
    if not silent:
        return ()
    if len(silent) < len(graph.edges) - len(targets):
        return (f"the files leave out {', '.join(e.relation for e in silent)}, which therefore carry no messages",)
    whole = [e for e in silent if not joins(e, targets)]
    parts["train"] |= {e: graph.edges[e] for e in whole}
    left = [e.relation for e in silent if e not in whole]
    note = "the files hold target relations alone; the graph's other relations train whole"
    return (note + (f", except {', '.join(left)}" if left else ""),)


def _check_leaks(
    graph: KnowledgeGraph,
    targets: Targets,
    parts: Mapping[str, Mapping[EdgeType, Pairs]],
    paths: Mapping[str, str],
) -> None:
    for target in targets:
        for one, other in (("test", "train"), ("validation", "train"), ("test", "validation")):
            asked, known = (_keys(graph, target, parts[part][target]) for part in (one, other))
            shared = np.unique(asked[np.isin(asked, known)])
            if len(shared):
                count = graph.count(target.tail)
                head = graph.nodes[target.head]["id"][int(shared[0] // count)]
                tail = graph.nodes[target.tail]["id"][int(shared[0] % count)]
                raise UserError(
                    f"{len(shared)} {target.relation} pairs of the {one} are also in the {other} part, first {head} "
                    f"with {tail}",
                    paths[one],
                    f"Take them out of {paths[other]}, or out of this file.",
                )


def _doubtful_negatives(
    graph: KnowledgeGraph,
    targets: Targets,
    parts: Mapping[str, Mapping[EdgeType, Pairs]],
    negatives: Mapping[str, Mapping[EdgeType, Pairs]],
) -> tuple[str, ...]:
    """How many stored negatives are true pairs of their relation after all."""
    notes = []
    for part, stored in negatives.items():
        count = doubtful = 0
        for target in targets:
            if target in stored:
                false = _keys(graph, target, stored[target])
                true = np.concatenate([_keys(graph, target, parts[name][target]) for name in parts])
                count, doubtful = count + len(false), doubtful + int(np.isin(false, true).sum())
        notes.append(
            f"{part}: {grouped(count)} stored negatives, {grouped(doubtful)} of them true pairs of their relation"
        )
    return tuple(notes)


def _keys(graph: KnowledgeGraph, edge_type: EdgeType, pairs: Pairs) -> NDArray[np.int64]:
    keys: NDArray[np.int64] = pairs[0] * graph.count(edge_type.tail) + pairs[1]
    return keys


def _fault(title: str, path: Path, rows: pl.DataFrame, hint: str = "") -> UserError:
    return UserError(f"{title} (row {rows['row'][0]})", str(path), hint)
