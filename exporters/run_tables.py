"""Reading a finished run's tables and text files; one clear line where one is missing, damaged or contradictory."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from exporters.manifest import PARTS
from flykd_console.errors import CHANGED_AFTER_TRAINING, CHECK_PATH, UserError
from flykd_console.explore.rivals import NearestTails
from flykd_console.runs.directory import RunDirectory

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class NodeTable:
    """Ids and names of one node type, in the order of the embedding table's rows."""

    ids: list[str]
    names: list[str]


@dataclass(frozen=True)
class EvaluationSet:
    """The scored pairs of one relation and part: rows int64 [n], labels int8 [n], the run's logits float32 [n].

    Empty where the run's split has no such pairs of the relation.
    """

    head: Indices
    tail: Indices
    label: NDArray[np.int8]
    logit: Floats

    @property
    def replaced(self) -> str:
        """Which end of a true pair its negative replaces: `tail`, `head`, or empty where they do not stand so."""
        true, false = self.label == 1, self.label == 0
        for kept, name in ((self.head, "tail"), (self.tail, "head")):
            if true.any() and np.array_equal(kept[true], kept[false]):
                return name
        return ""


@dataclass(frozen=True)
class Connection:
    """Edges between a third node type and another type, by the rows of their tables, int32 [n] each."""

    x_type: str
    y_type: str
    x: NDArray[np.int32]
    y: NDArray[np.int32]


@dataclass(frozen=True)
class SideEdges:
    """Training edges of a relation that touches a scored type, by the rows of their tables, int32 [n] each."""

    head_type: str
    relation: str
    tail_type: str
    head: NDArray[np.int32]
    tail: NDArray[np.int32]

    @property
    def edge_type(self) -> tuple[str, str, str]:
        """Head type, relation and tail type."""
        return self.head_type, self.relation, self.tail_type

    @property
    def ends(self) -> tuple[tuple[str, NDArray[np.int32]], ...]:
        """Node type and rows of either end."""
        return (self.head_type, self.head), (self.tail_type, self.tail)


def read_nodes(directory: RunDirectory, kinds: Iterable[str]) -> dict[str, NodeTable]:
    """Node tables of some types from `nodes.parquet`; ids are unique, indices run from 0 without a gap."""
    import polars as pl

    table = _read_parquet(directory.nodes, {"type": pl.String, "index": pl.Int64, "id": pl.String, "name": pl.String})
    nodes: dict[str, NodeTable] = {}
    for kind in kinds:
        part = table.filter(pl.col("type") == kind).sort("index")
        if part.is_empty():
            raise UserError(f"holds no nodes of type {kind!r}", str(directory.nodes), "Train the run again.")
        if not np.array_equal(part["index"].to_numpy(), np.arange(part.height)):
            raise UserError(
                f"the indices of {kind!r} are not 0 to {part.height - 1}",
                str(directory.nodes),
                CHANGED_AFTER_TRAINING,
            )
        if part["id"].null_count() or part["id"].n_unique() != part.height:
            raise UserError(f"ids of {kind!r} are empty or repeated", str(directory.nodes), "Mend the graph's ids.")
        nodes[kind] = NodeTable(part["id"].to_list(), part["name"].fill_null("").to_list())
    return nodes


def _with_rows(table: pl.DataFrame, sides: Mapping[str, NodeTable], path: Path) -> pl.DataFrame:
    """The table with `head` and `tail`, rows of the node tables, in its own order."""
    import polars as pl

    for side, nodes in sides.items():
        rows = range(len(nodes.ids))
        found = pl.col(f"{side}_id").replace_strict(nodes.ids, rows, default=None, return_dtype=pl.Int64)
        table = table.with_columns(found.alias(side))
        unknown = table.filter(pl.col(side).is_null())
        if unknown.height:
            raise UserError(
                f"the {side} {unknown[f'{side}_id'][0]!r} is not in nodes.parquet", str(path), "Train this seed again."
            )
    return table


def read_pairs(path: Path, relations: list[str], sides: Mapping[str, NodeTable]) -> dict[str, dict[str, Indices]]:
    """True pairs per relation and part, rows (head, tail), int64 [n, 2], sorted and without repeats."""
    import polars as pl

    table = _read_parquet(path, dict.fromkeys(("relation", "head_id", "tail_id", "part"), pl.String))
    strange = table.filter(~pl.col("part").is_in(PARTS))
    if strange.height:
        raise UserError(
            f"{strange['part'][0]!r} is none of {', '.join(PARTS)}",
            f"{path}, column part",
            CHANGED_AFTER_TRAINING,
        )
    table = _with_rows(table.filter(pl.col("relation").is_in(relations)), sides, path)
    return {
        relation: {
            part: table.filter((pl.col("relation") == relation) & (pl.col("part") == part))
            .select("head", "tail")
            .unique()
            .sort("head", "tail")
            .to_numpy()
            .astype(np.int64)
            .reshape(-1, 2)
            for part in PARTS
        }
        for relation in relations
    }


def read_scored(
    path: Path, relations: list[str], sides: Mapping[str, NodeTable], model: str
) -> dict[str, EvaluationSet]:
    """A part's pairs per relation in the file's order, with one model's logits."""
    import polars as pl

    columns: dict[str, Any] = dict.fromkeys(("relation", "head_id", "tail_id"), pl.String)
    table = _read_parquet(path, {**columns, "label": pl.Int8, model: pl.Float32})
    table = _with_rows(table, sides, path)
    return {relation: _scored(table.filter(pl.col("relation") == relation), model) for relation in relations}


def _scored(part: pl.DataFrame, model: str) -> EvaluationSet:
    return EvaluationSet(
        part["head"].to_numpy().astype(np.int64),
        part["tail"].to_numpy().astype(np.int64),
        part["label"].to_numpy().astype(np.int8),
        part[model].to_numpy().astype(np.float32),
    )


def read_tests(
    path: Path, relations: list[str], sides: Mapping[str, NodeTable], model: str
) -> dict[str, EvaluationSet]:
    """Test set per relation in the file's order, with one model's logits; both labels occur, or none."""
    tests = read_scored(path, relations, sides, model)
    for relation, test in tests.items():
        if len(test.label) and set(test.label.tolist()) != {0, 1}:
            raise UserError(f"{relation!r} has no positive or no negative test pairs", str(path), "Train it again.")
    return tests


def read_nearest(path: Path, relations: list[str], tails: int) -> dict[str, NearestTails]:
    """Each tail's nearest trained tails, per relation.

    Raises:
        UserError: The file is damaged, or names a tail that there is not.
    """
    import polars as pl

    columns: dict[str, Any] = {"relation": pl.String, "tail": pl.Int64, "neighbour": pl.Int64}
    table = _read_parquet(path, {**columns, "similarity": pl.Float32})
    for name in ("tail", "neighbour"):
        _within(table[name], tails, f"{path}, column {name}")
    parts = {relation: table.filter(pl.col("relation") == relation) for relation in relations}
    return {
        relation: NearestTails.of(
            part["tail"].to_numpy(), part["neighbour"].to_numpy(), part["similarity"].to_numpy(), tails
        )
        for relation, part in parts.items()
    }


def read_connections(directory: RunDirectory) -> tuple[Connection, ...]:
    """Edges of third node types, in the order of their types.

    Raises:
        UserError: The file is damaged.
    """
    import polars as pl

    columns: dict[str, Any] = {"x_type": pl.String, "x": pl.Int32, "y_type": pl.String, "y": pl.Int32}
    table = _read_parquet(directory.connections, columns)
    found = table.partition_by("x_type", "y_type", as_dict=True)
    return tuple(
        Connection(x_type, y_type, part["x"].to_numpy(), part["y"].to_numpy())
        for (x_type, y_type), part in sorted(found.items())
    )


def read_profiles(path: Path) -> tuple[SideEdges, ...]:
    """What training says of heads and tails besides their labels, in the order of the relations; edges ascend.

    Raises:
        UserError: The file is damaged.
    """
    import polars as pl

    words = ("head_type", "relation", "tail_type")
    columns: dict[str, Any] = dict.fromkeys(words, pl.String) | dict.fromkeys(("head", "tail"), pl.Int32)
    found = _read_parquet(path, columns).partition_by(*words, as_dict=True)
    parts = {edge_type: part.unique().sort("head", "tail") for edge_type, part in sorted(found.items())}
    return tuple(
        SideEdges(head, relation, tail, part["head"].to_numpy(), part["tail"].to_numpy())
        for (head, relation, tail), part in parts.items()
    )


def check_profiles(profiles: Iterable[SideEdges], nodes: Mapping[str, NodeTable], path: Path) -> None:
    """Refuse edges that end in nodes that there are not.

    Raises:
        UserError: The first of them.
    """
    import polars as pl

    for one in profiles:
        for node_type, rows in one.ends:
            _within(pl.Series(rows), len(nodes[node_type].ids), f"{path}, {one.relation} of {node_type}")


def check_connections(connections: Iterable[Connection], nodes: Mapping[str, NodeTable], path: Path) -> None:
    """Refuse edges that end in nodes that there are not.

    Raises:
        UserError: The first of them.
    """
    import polars as pl

    for one in connections:
        for node_type, rows in ((one.x_type, one.x), (one.y_type, one.y)):
            _within(pl.Series(rows), len(nodes[node_type].ids), f"{path}, {node_type}")


def _within(rows: pl.Series, count: int, where: str) -> None:
    if rows.null_count() or (len(rows) and (rows.min() < 0 or rows.max() >= count)):  # type: ignore[operator]
        raise UserError(f"names a node beyond the {count} that there are", where, CHANGED_AFTER_TRAINING)


def _read_parquet(path: Path, columns: Mapping[str, Any]) -> pl.DataFrame:
    import polars as pl

    try:
        table = pl.read_parquet(path, glob=False)
        return table.select(pl.col(name).cast(dtype) for name, dtype in columns.items())
    except FileNotFoundError:
        raise UserError("the file is missing", str(path), "Train this seed again.") from None
    except pl.exceptions.ColumnNotFoundError:
        missing = ", ".join(name for name in columns if name not in table.columns)
        raise UserError(f"the table lacks the column {missing}", str(path), "Train this seed again.") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"the table cannot be read ({reason})", str(path), "Train this seed again.") from None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; what is not finite in it reads as None."""
    try:
        data = json.loads(read_bytes(path), parse_constant=lambda _: None)
    except ValueError:
        raise UserError("is not valid JSON", str(path), "Restore the file or train the run again.") from None
    if not isinstance(data, dict):
        raise UserError("is not a JSON object", str(path), "Restore the file or train the run again.")
    return data


def parse_toml(data: bytes, path: Path) -> dict[str, Any]:
    """TOML in UTF-8; `path` is for the message."""
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"is not valid TOML ({error})", str(path), "Restore the run's profile.") from None


def read_bytes(path: Path) -> bytes:
    """A whole file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError("the file is missing", str(path), "Train the run again.") from None
    except OSError as error:
        raise UserError(f"the file cannot be read ({error.strerror})", str(path), CHECK_PATH) from None
