"""A list of pairs for the scorer (`flykd_console.pair_lists`); each bad row is named by its line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from exporters.pair_columns import plain_columns
from flykd_console.errors import UserError
from flykd_console.pair_lists import name_of, rows_of, text_of

if TYPE_CHECKING:
    from exporters.answers import ScoredPair
    from exporters.lookup import NodeIndex
    from exporters.pair_scores import PairTable
    from exporters.scorer import Scorer

Rows = NDArray[np.int64]
# Places of relations, and rows of heads and tails.
Asked = tuple[Rows, Rows, Rows]

_SHOWN = 5


def score_file(
    scorer: Scorer, path: Path, relation: str | None = None, skipped: list[str] | None = None
) -> list[ScoredPair]:
    """Score every row of a list, in its order; without a relation, each row once per relation of the bundle.

    Args:
        skipped: Hears of each row that names no node or relation of the bundle, which is left out then; None: such
            rows are refused.

    Raises:
        UserError: The file cannot be read, lacks a column, or has rows that name no node or relation of the bundle.
    """
    return score_columns(scorer, path, relation, skipped).lines(scorer)


def score_columns(
    scorer: Scorer, path: Path, relation: str | None = None, skipped: list[str] | None = None
) -> PairTable:
    """As `score_file`, in columns: a million pairs take as long as a hundred thousand lines."""
    text, where = text_of(path), name_of(path)
    asked = _asked_at_once(scorer, text, where, relation)
    if asked is None:
        asked = _asked_by_line(scorer, text, where, relation, skipped)
    return scorer.score_table(*asked)


def _asked_at_once(scorer: Scorer, text: str, where: str, relation: str | None) -> Asked | None:
    """What a plain list of ids or names asks for; None where a row needs a second look."""
    columns = plain_columns(text, scorer.manifest.head_type, scorer.manifest.tail_type, where)
    if columns is None:
        return None
    heads, tails = _found(scorer.heads, columns.heads), _found(scorer.tails, columns.tails)
    if heads is None or tails is None:
        return None
    places = np.arange(len(scorer.relations)) if relation is None else _place(scorer, relation)
    if columns.relations is None:
        count = len(heads)
        return np.tile(places, count), np.repeat(heads, len(places)), np.repeat(tails, len(places))
    named: dict[str, int] = {}
    for name in dict.fromkeys(columns.relations):
        # Without a name every relation is meant, and that is for the look at each line.
        if not name or name not in scorer.relations:
            return None
        named[name] = scorer.relations.index(name)
    return np.fromiter(map(named.__getitem__, columns.relations), np.int64, len(heads)), heads, tails


def _found(nodes: NodeIndex, texts: list[str]) -> Rows | None:
    """The rows of nodes, each by its id, or else looked up as a person's words; None where one is not there."""
    rows = nodes.rows_of_ids(texts)
    odd = np.flatnonzero(rows < 0)
    if not len(odd):
        return rows
    known: dict[str, int] = {}
    for text in dict.fromkeys(texts[place] for place in odd.tolist()):
        try:
            known[text] = nodes.find(text)
        except UserError:
            return None
    rows[odd] = [known[texts[place]] for place in odd.tolist()]
    return rows


def _place(scorer: Scorer, relation: str) -> Rows:
    return np.array([scorer.relations.index(scorer.relation(relation))])


def _asked_by_line(scorer: Scorer, text: str, where: str, relation: str | None, skipped: list[str] | None) -> Asked:
    """What any list asks for, line by line; arguments as in `score_file`."""
    asked: list[tuple[int, int, int]] = []
    wrong: list[tuple[int, str]] = []
    for row in rows_of(text, scorer.manifest.head_type, scorer.manifest.tail_type, where):
        try:
            if row.relation:
                names: tuple[str, ...] = (scorer.relation(row.relation),)
            else:
                names = scorer.relations if relation is None else (scorer.relation(relation),)
            # Near names cost a search through all of them: only for the rows that are shown.
            head, tail = scorer.heads.find(row.head), scorer.tails.find(row.tail)
        except UserError as error:
            if skipped is not None:
                skipped.append(f"line {row.line}: {error.title}")
                continue
            hint = f" ({error.hint.rstrip('.')})" if error.hint else ""
            wrong.append((row.line, error.title + hint))
            if len(wrong) > _SHOWN:
                break
            continue
        asked += [(scorer.relations.index(name), head, tail) for name in names]
    if wrong:
        shown = "; ".join(f"line {line}: {what}" for line, what in wrong[:_SHOWN])
        more = "; and more" if len(wrong) > _SHOWN else ""
        raise UserError(f"rows cannot be scored: {shown}{more}", where, "Mend these rows, then try again.")
    columns = np.array(asked, dtype=np.int64).reshape(-1, 3).T
    return columns[0], columns[1], columns[2]
