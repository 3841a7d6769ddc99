"""What `flykd-console score` gives programs: JSON, CSV and Parquet, each row with the run, seeds, model and method."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flykd_console.errors import CHECK_PATH, UserError
from flykd_console.plain_text import shown_json

if TYPE_CHECKING:
    from exporters.answers import Ranked, ScoredPair
    from exporters.consensus import Agreed
    from exporters.pair_scores import PairTable
    from exporters.scorer import Scorer
    from exporters.whole_matrix import Wanted

    Row = Ranked | ScoredPair | Agreed


def print_json(scorer: Scorer, rows: Sequence[Row]) -> None:
    """A list of objects on standard output."""
    import json

    print(shown_json(json.dumps(_records(scorer, rows), indent=2, ensure_ascii=False)))


def print_csv(scorer: Scorer, rows: Sequence[Row], asked: str | None = None) -> None:
    """CSV on standard output, safe to open in a spreadsheet.

    Args:
        asked: Name of a node that is not in the graph, whose list it is.
    """
    _write_csv(sys.stdout, scorer, rows, asked)


def write_rows(scorer: Scorer, rows: Sequence[Row], path: Path, asked: str | None = None) -> None:
    """The same rows as a CSV or Parquet file.

    Raises:
        UserError: The file cannot be written, or its name says no known form.
    """
    import io

    from exporters.table_files import check_target
    from flykd_console.runs.files import replace_file

    check_target(path)
    try:
        if path.suffix == ".csv":
            text = io.StringIO()
            _write_csv(text, scorer, rows, asked)
            replace_file(path, text.getvalue().encode())
            return
        import polars as pl

        buffer = io.BytesIO()
        pl.DataFrame(_records(scorer, rows, asked), infer_schema_length=None).write_parquet(buffer)
        replace_file(path, buffer.getvalue())
    except OSError as error:
        raise UserError(
            f"the file cannot be written ({error.strerror})", str(path), "Choose another place with --to."
        ) from None


@contextmanager
def as_csv(path: Path) -> Iterator[Path]:
    """A list of pairs as the scorer reads it: a Parquet file as CSV, whose line n + 1 is row n; any other as it is.

    Raises:
        UserError: The file cannot be read.
    """
    if path.suffix != ".parquet":
        yield path
        return
    import tempfile

    import polars as pl

    try:
        table = pl.read_parquet(path, glob=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"the file cannot be read ({reason})", str(path), CHECK_PATH) from None
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "pairs.csv"
        table.write_csv(copy)
        try:
            yield copy
        except UserError as error:
            if error.where != str(copy):
                raise
            raise UserError(error.title, f"{path} (line n + 1 is its row n)", error.hint) from None


def write_matrix(scorer: Scorer, relations: Sequence[str], wanted: Wanted, path: Path) -> int:
    """Every list of every relation into one file, with progress on standard error; how many rows it has.

    Raises:
        UserError: The file cannot be written, the bundle lacks what was asked for, or nothing is left to rank.
    """
    from rich.progress import Progress

    from exporters.table_files import table_file
    from exporters.whole_matrix import WholeMatrix
    from flykd_console.cli.console import PlainConsole

    matrices = {relation: WholeMatrix(scorer, relation, wanted) for relation in relations}
    if not any(len(matrix.tails) for matrix in matrices.values()):
        raise UserError("nothing is left to rank", "flykd-console score --all", "Leave --through out, or name another.")
    with table_file(path) as table, Progress(console=PlainConsole(stderr=True), transient=True) as progress:
        for relation, matrix in matrices.items():
            task = progress.add_task(relation, total=len(matrix.tails))
            for tails, block in matrix.blocks():
                table.write(*_columns(scorer, relation, block))
                progress.advance(task, tails)
    return table.rows


def write_pairs(scorer: Scorer, pairs: PairTable, path: Path) -> None:
    """Scored pairs as a CSV or Parquet file, with the columns of `ScoredPair`.

    Raises:
        UserError: The file cannot be written, or its name says no known form.
    """
    import numpy as np

    from exporters.manifest import provenance
    from exporters.table_files import Words, table_file
    from exporters.true_pairs import KNOWN

    same = np.zeros(len(pairs), np.int32)
    columns: dict[str, Any] = {"relation": Words(scorer.relations, pairs.relation)}
    for side, nodes, rows in (("head", scorer.heads, pairs.head), ("tail", scorer.tails, pairs.tail)):
        columns |= {f"{side}_id": Words(nodes.ids, rows), f"{side}_name": Words(nodes.names, rows)}
    columns |= {"logit": pairs.logit, "probability": pairs.probability, "known": Words(KNOWN, pairs.known)}
    columns |= {"head_trained": pairs.head_trained, "tail_trained": pairs.tail_trained}
    columns |= {name: Words(_one(value), same) for name, value in provenance(scorer.manifest).items()}
    with table_file(path) as table:
        table.write(columns, {"probability": np.isnan(pairs.probability)})


def _columns(scorer: Scorer, relation: str, block: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Columns of a block as a file has them, and where nothing stands."""
    import numpy as np

    from exporters.manifest import provenance
    from exporters.table_files import Words
    from exporters.true_pairs import KNOWN

    same = np.zeros(len(block["head"]), np.int32)
    columns: dict[str, Any] = {"relation": Words(_one(relation), same)}
    for side, nodes in (("head", scorer.heads), ("tail", scorer.tails)):
        columns |= {f"{side}_id": Words(nodes.ids, block[side]), f"{side}_name": Words(nodes.names, block[side])}
    for name in ("rank", "logit", "probability", "popularity_rank", "neighbours_rank", "adjusted", "beyond"):
        if name in block:
            columns[name] = block[name].astype(np.int32) if name.endswith("rank") else block[name]
    columns["known"] = Words(KNOWN, block["known"])
    columns |= {name: block[name] for name in ("head_trained", "tail_trained")}
    columns |= {name: Words(_one(value), same) for name, value in provenance(scorer.manifest).items()}
    nulls = {name: block[name] == 0 for name in ("popularity_rank", "neighbours_rank")}
    return columns, nulls | {"probability": np.isnan(block["probability"])}


def _one(word: str) -> tuple[str]:
    return (word,)


def _records(scorer: Scorer, rows: Sequence[Row], asked: str | None = None) -> list[dict[str, Any]]:
    from dataclasses import asdict

    who = _same_in_all(scorer, asked)
    return [asdict(row) | who for row in rows]


def _same_in_all(scorer: Scorer, asked: str | None) -> dict[str, str]:
    """What every row says: who scored, and whose list it is where that is no node of the graph."""
    from exporters.manifest import provenance

    whose = {} if asked is None else {"asked": asked}
    return whose | provenance(scorer.manifest)


def _write_csv(file: Any, scorer: Scorer, rows: Sequence[Row], asked: str | None = None) -> None:
    import csv
    from dataclasses import fields

    from exporters.answers import Ranked
    from exporters.table_files import safe_cell

    names = [one.name for one in fields(rows[0] if rows else Ranked)]
    writer = csv.DictWriter(file, [*names, *_same_in_all(scorer, asked)], lineterminator="\n")
    writer.writeheader()
    for record in _records(scorer, rows, asked):
        writer.writerow({name: safe_cell(_flat(value)) for name, value in record.items()})


def _flat(value: Any) -> Any:
    """A cell: several numbers with blanks between them."""
    return " ".join(f"{one:g}" for one in value) if isinstance(value, tuple) else value
