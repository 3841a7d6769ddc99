"""Another program's scores as a teacher: a table of pairs with their logits, and one logit for all other pairs.

    distill.teachers = [{ kind = "scores", file = "my_scores.csv" }]

The table has the columns `relation, x_id, y_id, score` (or `drug_id, disease_id` and the like), others are ignored: CSV
or TSV, plain or gzip, or Parquet. The relation is a target of the profile, `x_id` and `y_id` are the graph's ids of its
head and its tail, and the score is a logit. Every row is checked; those of pairs that a student is never asked about
are then left aside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from flykd_console.distill.teachers.base import TeacherKind
from flykd_console.errors import UserError
from flykd_console.pair_lists import renamed
from flykd_console.profile.section import FilePath, TeacherSettings
from flykd_console.relation_names import is_meant
from flykd_console.words import counted

if TYPE_CHECKING:
    import polars as pl

    from flykd_console.distill.inputs import DistillInputs
    from flykd_console.distill.teacher import Teacher
    from flykd_console.graph.knowledge_graph import Targets
    from flykd_console.model.encoded import Encoded

COLUMNS = ("relation", "x_id", "y_id", "score")


class ScoresSettings(TeacherSettings):
    """A table of scores that another program made."""

    kind: Literal["scores"] = "scores"
    file: FilePath = Field(description="table with the columns relation, x_id, y_id, score (a logit)")
    default: float = Field(
        -4.0,
        allow_inf_nan=False,
        description="logit of pairs that the file does not name; -4 is a probability of 1.8 %, about the share of true "
        "pairs among all: what a list leaves out is unlikely, but not ruled out",
    )


class Scores(TeacherKind):
    """Reads the table of an entry."""

    settings = ScoresSettings

    @classmethod
    def build(cls, settings: TeacherSettings, inputs: DistillInputs, networks: Sequence[Encoded]) -> Teacher:
        """The teacher of an entry; it asks for no networks.

        Raises:
            UserError: The file is missing or damaged, or lacks a column; a row has no finite score, names a relation
                that is no target or a node that the graph lacks, or repeats a pair; a target has no row.
        """
        from flykd_console.distill.fixed_scores import FixedScores

        assert isinstance(settings, ScoresSettings)
        rows = read_scores(Path(settings.file), inputs.targets, inputs.node_ids)
        return FixedScores(inputs.space, rows, settings.default)


def read_scores(path: Path, targets: Targets, node_ids: Callable[[str], Sequence[str]]) -> pl.DataFrame:
    """Read a table of scores.

    Args:
        path: The table.
        targets: The relations that are learnt.
        node_ids: Per node type the ids of its nodes, by number.

    Returns:
        A row per row of the table: `relation` (text), `head` and `tail` (int64, numbers of nodes), `score` (float32).

    Raises:
        UserError: As `Scores.build`; names the file and, where one is at fault, the row, counted from 1 below the
            header.
    """
    rows = _load(path, targets)
    _check_scores(rows, path)
    rows = _named(rows, targets)
    _check_relations(rows, targets, path)
    rows = _numbered(rows, "x_id", "head", targets.head, node_ids, path)
    rows = _numbered(rows, "y_id", "tail", targets.tail, node_ids, path)
    _check_distinct(rows, path)
    return rows.select("relation", "head", "tail", "score")


def _load(path: Path, targets: Targets) -> pl.DataFrame:
    """The needed columns as text and `row`; `score` as float32, null where it is no number; rows of nothing left out.

    Polars overlooks a row of too many fields unless every column is read, so all are.
    """
    import polars as pl

    from flykd_console.graph.formats import kg, kg_faults

    if not path.exists():
        raise UserError("there is no such file of scores", str(path), "Check `file` in distill.teachers.")
    if path.is_dir():
        raise UserError("is a directory, not a file of scores", str(path), "Name the file in it.")
    separator = kg_faults.check_file(path, kg.FORMATS)
    try:
        table = kg.scan(path, separator).collect()
        if not set(COLUMNS) <= set(table.columns):
            table = table.rename(renamed(table.columns, targets.head, targets.tail, "x_id", "y_id"))
        missing = [column for column in COLUMNS if column not in table.columns]
        if missing:
            raise UserError(
                f"lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}",
                f"{path}, header",
                f"It needs {', '.join(COLUMNS)}; found {', '.join(table.columns[:12])}.",
            )
        rows = table.select(pl.col(COLUMNS).cast(pl.String)).with_row_index("row", offset=1)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise kg_faults.explain(path, separator, error) from error
    rows = rows.filter(~pl.all_horizontal(pl.col(COLUMNS).is_null()))
    said = pl.col("score").fill_null("")
    # Logits are float32: what is finite in float64 alone is refused with the infinite ones.
    score = said.str.strip_chars().cast(pl.Float64, strict=False).cast(pl.Float32)
    return rows.with_columns(pl.col("relation", "x_id", "y_id").fill_null(""), said=said, score=score)


def _check_scores(rows: pl.DataFrame, path: Path) -> None:
    import polars as pl

    wrong = rows.filter(~pl.col("score").is_finite().fill_null(False))
    if wrong.height:
        raise _fault(
            f"the score {wrong['said'][0]!r} is not a finite number", path, wrong, "Give a logit, or take the row out."
        )


def _named(rows: pl.DataFrame, targets: Targets) -> pl.DataFrame:
    """Targets that are written with their types by their names."""
    import polars as pl

    written = rows["relation"].unique().to_list()
    names = {one: target.relation for one in written for target in targets if is_meant(one, *target)}
    return rows.with_columns(pl.col("relation").replace(names))


def _check_relations(rows: pl.DataFrame, targets: Targets, path: Path) -> None:
    import polars as pl

    names = [target.relation for target in targets]
    wrong = rows.filter(~pl.col("relation").is_in(names))
    if wrong.height:
        raise _fault(
            f"the relation {wrong['relation'][0]!r} is not among graph.targets",
            path,
            wrong,
            f"Name one of {', '.join(names)}, or take its rows out.",
        )
    for name in names:
        if name not in rows["relation"]:
            raise UserError(
                f"no row is of the relation {name!r}",
                f"{path}, {counted(rows.height, 'row')}",
                "Add scores of its pairs, or take it out of graph.targets.",
            )


def _numbered(
    rows: pl.DataFrame,
    column: str,
    name: str,
    node_type: str,
    node_ids: Callable[[str], Sequence[str]],
    path: Path,
) -> pl.DataFrame:
    """The rows with the numbers of a column's nodes, int64, as column `name`."""
    import polars as pl

    from flykd_console.graph.node_lookup import rows_of

    found = rows.with_columns(rows_of(rows[column], node_ids(node_type)).alias(name))
    unknown = found.filter(pl.col(name).is_null())
    if unknown.height:
        raise _fault(
            f"{column} {unknown[column][0]!r} is no {node_type} of the graph",
            path,
            unknown,
            f"{column} is the id of a {node_type}, as graph.source has it: correct it, or take the row out.",
        )
    return found


def _check_distinct(rows: pl.DataFrame, path: Path) -> None:
    import polars as pl

    pair = ("relation", "head", "tail")
    again = rows.filter(~pl.struct(pair).is_first_distinct())
    if again.height:
        second = again.row(0, named=True)
        first = rows.filter(pl.all_horizontal(pl.col(key) == second[key] for key in pair))["row"][0]
        raise _fault(
            f"the {second['relation']} pair {second['x_id']}, {second['y_id']} was scored before in row {first}",
            path,
            again,
            "Keep one of the two rows.",
        )


def _fault(title: str, path: Path, rows: pl.DataFrame, hint: str) -> UserError:
    return UserError(title, f"{path}, row {rows['row'][0]}", hint)


KIND = Scores
