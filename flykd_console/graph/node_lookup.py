"""Finding nodes by what people write: an id in any of its spellings (`node_ids`), or a name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from flykd_console.node_ids import IdLookup

if TYPE_CHECKING:
    import polars as pl


class NodeLookup:
    """Finds the nodes of one type.

    Args:
        table: `id, name`, both strings; a node's index is its row.
    """

    def __init__(self, table: pl.DataFrame) -> None:
        self._ids = table["id"].to_list()
        self._lookup = IdLookup(self._ids)
        self._by_name: dict[str, list[int]] = {}
        for row, name in enumerate(table["name"].to_list()):
            self._by_name.setdefault(name.strip().lower(), []).append(row)

    def by_id(self, text: str) -> int | None:
        """The node of an id, or of the group that the id has been merged into; None where there is none, or several."""
        return self._lookup.row(text)

    def find(self, text: str) -> list[int]:
        """The node of an id, else every node of that name (capitals do not matter), else of another spelling of the
        id; ascending.
        """
        exact = self._lookup.exact(text)
        if exact is not None:
            return [exact]
        named = self._by_name.get(text.strip().lower())
        if named is not None:
            return named
        found = self._lookup.row(text)
        return [] if found is None else [found]

    def near(self, text: str) -> list[str]:
        """Up to three names much like the text; the ids that it could be, where it could be several."""
        import difflib

        several = self._lookup.rows(text)
        if several:
            return [self._ids[row] for row in several[:3]]
        return difflib.get_close_matches(text.strip().lower(), self._by_name, n=3, cutoff=0.6)

    def find_all(self, texts: Iterable[str]) -> tuple[list[int], list[str]]:
        """Nodes of several ids or names, ascending and each once, and the texts that match none."""
        rows: set[int] = set()
        unknown = []
        for text in texts:
            found = self.find(text)
            rows.update(found)
            if not found:
                unknown.append(text)
        return sorted(rows), unknown


def rows_of(column: pl.Series, ids: Sequence[str]) -> pl.Series:
    """The nodes' indices of a column of ids in whatever spelling, Int64, null where an id means no node or several."""
    import polars as pl

    known = (
        pl.DataFrame({"id": ids}, {"id": pl.String}).with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
    )
    found = column.to_frame("id").join(known, on="id", how="left", maintain_order="left")
    strange = found.filter(pl.col("row").is_null())["id"].unique().drop_nulls().to_list()
    if not strange:
        return found["row"]
    lookup = IdLookup(ids)
    spelt = pl.DataFrame(
        {"id": strange, "other": [lookup.row(text) for text in strange]}, {"id": pl.String, "other": pl.Int64}
    )
    return found.join(spelt, on="id", how="left", maintain_order="left").select(pl.coalesce("row", "other"))["row"]
