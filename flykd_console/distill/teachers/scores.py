"""Another program's scores as a teacher: a table of pairs with their logits, and one logit for all other pairs.

    distill.teachers = [{ kind = "scores", file = "my_scores.csv" }]

The table has the columns `relation, x_id, y_id, score`, others are ignored: CSV or TSV, plain or gzip, or Parquet. The
relation is a target of the profile, `x_id` and `y_id` are the graph's ids of its head and its tail, and the score is a
logit. Every row is checked; those of pairs that a student is never asked about are then left aside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from flykd_console.distill.teacher import Teacher
from flykd_console.distill.teachers.base import TeacherKind
from flykd_console.errors import UserError
from flykd_console.profile.section import TeacherSettings
from flykd_console.words import counted

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray
    from torch import Tensor

    from flykd_console.distill.inputs import DistillInputs
    from flykd_console.distill.pairs.pair_space import PairSpace
    from flykd_console.graph.knowledge_graph import Targets
    from flykd_console.model.encoded import Encoded

COLUMNS = ("relation", "x_id", "y_id", "score")


class ScoresSettings(TeacherSettings):
    """A table of scores that another program made."""

    kind: Literal["scores"] = "scores"
    # Not left without a default: what a profile says of a missing key would not name it.
    file: str = Field("", description="table with the columns relation, x_id, y_id, score (a logit); must be given")
    default: float = Field(
        -4.0,
        allow_inf_nan=False,
        description="logit of pairs that the file does not name; -4 is a probability of 1.8 %, about the share of true "
        "pairs among all: what a list leaves out is unlikely, but not ruled out",
    )

    @model_validator(mode="after")
    def _has_file(self) -> ScoresSettings:
        if not self.file:
            raise ValueError("a teacher of kind 'scores' needs a file, such as file = 'my_scores.csv'")
        return self


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
        assert isinstance(settings, ScoresSettings)
        path = Path(settings.file).expanduser()
        rows = read_scores(path, inputs.targets, inputs.node_ids)
        return FixedScores(inputs.space, rows, settings.default)


class FixedScores(Teacher):
    """Logits of listed pairs, and one for all others: a table of all pairs where it fits, a search otherwise.

    Args:
        space: The pairs that labels are about.
        rows: As `read_scores` gives them; pairs outside of the space are left aside.
        default: Logit of the pairs that are not listed.
    """

    def __init__(self, space: PairSpace, rows: pl.DataFrame, default: float) -> None:
        self._space = space
        self._default = default
        # Per relation the listed pairs' flat indices, ascending int64 [k], and their logits, float32 [k].
        self._listed = [_listed(space, number, rows) for number in range(len(space.relations))]
        self._tables: list[Tensor] | None = None
        if all(pairs.area <= space.dense_limit for pairs in space.relations):
            self._tables = [self._table(number) for number in range(len(space.relations))]

    def logits(self, indices: list[Tensor]) -> list[Tensor]:
        return [self._of(number, index) for number, index in enumerate(indices)]

    def block(
        self, relation: int, rows: Tensor | None = None, columns: Tensor | None = None
    ) -> Callable[[slice], Tensor]:
        import torch

        pairs = self._space.relations[relation]
        device = pairs.heads.device
        heads = torch.arange(len(pairs.heads), device=device) if rows is None else rows
        tails = torch.arange(pairs.tail_count, device=device) if columns is None else columns
        return lambda some: self._of(relation, pairs.flat(heads[some].unsqueeze(1), tails))

    def _of(self, relation: int, index: Tensor) -> Tensor:
        """Logits of flat indices of any shape, int64 [...] -> float32 [...], a copy."""
        if self._tables is not None:
            return self._tables[relation].index_select(0, index.reshape(-1)).view(index.shape)
        return self._searched(relation, index)

    def _table(self, relation: int) -> Tensor:
        """Logits of all pairs of a relation, float32 [area]."""
        flat, scores = self._listed[relation]
        table = scores.new_full((self._space.relations[relation].area,), self._default)
        return table.index_copy_(0, flat, scores)

    def _searched(self, relation: int, index: Tensor) -> Tensor:
        import torch

        flat, scores = self._listed[relation]
        if not len(flat):
            return scores.new_full(index.shape, self._default)
        place = torch.searchsorted(flat, index).clamp_(max=len(flat) - 1)
        return torch.where(flat[place] == index, scores[place], self._default)


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
    rows = _load(path)
    _check_scores(rows, path)
    _check_relations(rows, targets, path)
    rows = _numbered(rows, "x_id", "head", targets.head, node_ids, path)
    rows = _numbered(rows, "y_id", "tail", targets.tail, node_ids, path)
    _check_distinct(rows, path)
    return rows.select("relation", "head", "tail", "score")


def _load(path: Path) -> pl.DataFrame:
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

    nodes = pl.DataFrame({column: node_ids(node_type)}, {column: pl.String}).with_row_index(name)
    found = rows.join(nodes.with_columns(pl.col(name).cast(pl.Int64)), on=column, how="left", maintain_order="left")
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


def _listed(space: PairSpace, number: int, rows: pl.DataFrame) -> tuple[Tensor, Tensor]:
    """The listed pairs of a relation in the space: flat indices, ascending int64 [k], and logits, float32 [k]."""
    import numpy as np
    import polars as pl
    import torch

    pairs = space.relations[number]
    mine = rows.filter(pl.col("relation") == pairs.relation)
    heads = _places(space.heads[pairs.heads.cpu().numpy()], mine["head"].to_numpy())
    tails = _places(space.tails[pairs.relation], mine["tail"].to_numpy())
    inside = (heads >= 0) & (tails >= 0)
    flat = heads[inside] * pairs.tail_count + tails[inside]
    order = np.argsort(flat)
    scores = mine["score"].to_numpy()[inside][order]
    device = pairs.heads.device
    return torch.from_numpy(flat[order]).to(device), torch.from_numpy(scores).to(device)


def _places(nodes: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where nodes stand among distinct others, in any order, int64 [n]; -1 where they do not."""
    import numpy as np

    place = np.full(max(nodes.max(), wanted.max(initial=0)) + 1, -1, np.int64)
    place[nodes] = np.arange(len(nodes))
    found: NDArray[np.int64] = place[wanted]
    return found


KIND = Scores
