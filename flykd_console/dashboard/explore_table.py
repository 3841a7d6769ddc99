"""A ranking as rows: ranks of student, teacher, popularity and neighbours, and whether the graph knows the pair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text

from flykd_console.dashboard.palette import Look
from flykd_console.words import DASH, clipped, grouped, signed

if TYPE_CHECKING:
    from flykd_console.explore.exploration import RankedList, RankedNode

KNOWN_SIGNS = {"train": "●", "validation": "◐", "test": "○"}
_WORDS = {"train": "train", "validation": "valid.", "test": "test"}
RANK_WORDS = "popular, neighb.: ranks without a model; none: untrained"
NO_NEIGHBOURS = "popular: rank without a model; none: untrained"
_RANKS_SHOWN = {"train": 3, "validation": 6, "test": 6}


@dataclass(frozen=True)
class RankColumn:
    """One column of the ranking."""

    head: str
    width: int
    cell: Callable[[RankedNode, Look], Text]
    words: bool = False


def known_style(part: str, look: Look) -> str:
    """A part's colour; the sign and the word tell it without."""
    return {"train": look.curve(2), "validation": look.curve(1), "test": look.curve(0)}.get(part, look.muted)


def columns(width: int, node_type: str, has_teacher: bool, has_neighbours: bool) -> list[RankColumn]:
    """The columns for a width in cells: the ranks, the name, and as many of known, logit and id as leave it room."""
    ranks = [
        RankColumn("rank", 5, lambda n, look: _number(grouped(n.rank), f"bold {look.foreground}")),
        RankColumn("teacher", 7, lambda n, look: _rank(n.teacher_rank, look)),
        RankColumn("popular", 7, _popular),
        RankColumn("neighb.", 7, lambda n, look: _rank(n.neighbours_rank, look)),
    ]
    shown = {"rank": True, "teacher": has_teacher, "popular": True, "neighb.": has_neighbours}
    ranks = [column for column in ranks if shown[column.head]]
    more: list[RankColumn] = []
    spare = width - sum(column.width + 2 for column in ranks) - 2
    for column, name_needs in (
        (RankColumn("known", 8, _known, words=True), 0),
        (RankColumn("logit", 6, lambda n, look: _number(signed(n.logit), look.foreground)), 22),
        (RankColumn("id", 10, lambda n, look: Text(clipped(n.id, 10), style=look.muted), words=True), 24),
    ):
        if spare - column.width - 2 >= name_needs:
            more.append(column)
            spare -= column.width + 2
    room = max(12, spare)
    name = RankColumn(node_type, room, lambda n, look: Text(clipped(n.name, room), style=look.foreground), words=True)
    return [*ranks, name, *more]


def known_words(ranking: RankedList, ranked_type: str, look: Look) -> Text:
    """How many pairs the graph knows by part, and at which ranks the best of them stand."""
    total = sum(map(len, ranking.known_ranks.values()))
    if not total:
        return Text(f"The graph knows no {ranked_type} for it in this relation", style=look.muted)
    words = Text("known  ", style=look.muted)
    for part, ranks in ranking.known_ranks.items():
        if ranks:
            words.append(f"{KNOWN_SIGNS[part]} {_WORDS[part]} {len(ranks)}", style=known_style(part, look))
            most = _RANKS_SHOWN[part]
            some = ", ".join(map(grouped, ranks[:most])) + (" …" if len(ranks) > most else "")
            words.append(f" (rank {some})  ", style=look.muted if part == "train" else look.foreground)
    return words


def _number(text: str, style: str) -> Text:
    return Text(text, style=style, justify="right")


def _rank(rank: int | None, look: Look) -> Text:
    return _number(DASH if rank is None else grouped(rank), look.muted)


def _popular(node: RankedNode, look: Look) -> Text:
    """The rank by training pairs of the relation; `none` marks a node that the relation never trained on."""
    if node.trained:
        return _rank(node.popularity_rank, look)
    return _number("none", look.curve(1))


def _known(node: RankedNode, look: Look) -> Text:
    if not node.known:
        return Text("")
    return Text(f"{KNOWN_SIGNS[node.known]} {_WORDS[node.known]}", style=known_style(node.known, look))
