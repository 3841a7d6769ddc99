"""A list of pairs for the scorer (`flykd_console.pair_lists`); each bad row is named by its line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flykd_console.errors import UserError
from flykd_console.pair_lists import name_of, read_list

if TYPE_CHECKING:
    from exporters.answers import ScoredPair
    from exporters.scorer import Scorer

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
    asked: list[tuple[int, int, str]] = []
    wrong: list[tuple[int, str]] = []
    for row in read_list(path, scorer.manifest.head_type, scorer.manifest.tail_type):
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
        asked += [(head, tail, name) for name in names]
    if wrong:
        shown = "; ".join(f"line {line}: {what}" for line, what in wrong[:_SHOWN])
        more = "; and more" if len(wrong) > _SHOWN else ""
        raise UserError(f"rows cannot be scored: {shown}{more}", name_of(path), "Mend these rows, then try again.")
    # One call per relation; the answers go back to the order of the file.
    answers: dict[int, ScoredPair] = {}
    for name in scorer.relations:
        places = [place for place, (_, _, other) in enumerate(asked) if other == name]
        pairs = [(asked[place][0], asked[place][1]) for place in places]
        answers.update(zip(places, scorer.score_pairs(pairs, name), strict=True))
    return [answers[place] for place in range(len(asked))]
