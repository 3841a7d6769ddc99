"""What `flykd-console score` gives people: a table per relation, or one of pairs, and what the columns mean."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flykd_console.words import DASH

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from exporters.answers import Order, Ranked, ScoredPair
    from exporters.consensus import Agreed
    from exporters.lookup import NodeIndex
    from exporters.scorer import Scorer


def print_rankings(
    scorer: Scorer, side: str, node: str, relations: Sequence[str], rows: Sequence[Ranked], order: Order
) -> None:
    """One table per relation, and what its columns mean."""
    from rich.text import Text

    nodes, ranked = (scorer.heads, scorer.tails) if side == "head" else (scorer.tails, scorer.heads)
    row = nodes.find(node)
    console = shown_console()
    console.print(_heading(nodes, row))
    for relation in relations:
        found = [one for one in rows if one.relation == relation]
        columns = columns_of(scorer, relation, order) | _elsewhere(scorer, side, row, relation, relations, found)
        print_list(console, relation, ranked.node_type, columns, found)
    notes = [*order_notes(scorer, ranked.node_type, order), *_probability_notes(scorer, relations)]
    if any(not one.trained for one in rows):
        notes.append(f"none: the relation has no training pair of this {ranked.node_type}; its place rests on others.")
    silent = max(len(scorer.unembedded("tail" if side == "head" else "head", relation)) for relation in relations)
    if silent:
        notes.append(f"{silent} {ranked.node_type} nodes that no training edge leads to are left out.")
    for note in notes:
        console.print(Text(note, style="dim"))


def print_list(
    console: Console, relation: str, kind: str, columns: Mapping[str, Callable[[Ranked], str]], found: Sequence[Ranked]
) -> None:
    """The table of one relation's list, with its name."""
    from rich.text import Text

    table = _table(["rank", kind, "id", *columns, "known"], left={1, 2, len(columns) + 3}, title=relation)
    for one in found:
        cells = [str(one.rank), one.name, one.id, *(cell(one) for cell in columns.values()), one.known]
        table.add_row(*map(Text, cells))
    console.print()
    console.print(table if found else Text(f"{relation}: nothing is left to rank"))


def _heading(nodes: NodeIndex, row: int) -> Text:
    """Whose list it is."""
    from rich.text import Text

    return Text.assemble((nodes.names[row] or nodes.ids[row], "bold"), f" ({nodes.node_type} {nodes.ids[row]})")


def print_consensus(scorer: Scorer, side: str, node: str, relations: Sequence[str], rows: Sequence[Agreed]) -> None:
    """One table per relation."""
    from rich.text import Text

    nodes, ranked = (scorer.heads, scorer.tails) if side == "head" else (scorer.tails, scorer.heads)
    row = nodes.find(node)
    console = shown_console()
    console.print(_heading(nodes, row))
    for relation in relations:
        found = [one for one in rows if one.relation == relation]
        table = _table(
            ["rank", ranked.node_type, "id", "mean rank", "spread", "by seed", "known"], left={1, 2, 6}, title=relation
        )
        for one in found:
            by_seed = " ".join(f"{rank:g}" for rank in one.seed_ranks)
            cells = [str(one.rank), one.name, one.id, f"{one.mean_rank:.1f}", f"{one.spread:.1f}", by_seed, one.known]
            table.add_row(*map(Text, cells))
        console.print()
        console.print(table if found else Text(f"{relation}: nothing is left to rank"))
    seeds = ", ".join(map(str, scorer.manifest.seeds))
    console.print(Text(f"Ranks by the models of seeds {seeds}; spread: their standard deviation.", style="dim"))


def columns_of(
    scorer: Scorer, relation: str, order: Order, by_profile: bool = False
) -> dict[str, Callable[[Ranked], str]]:
    """The columns between a node's id and whether the pair is known: their heads, and what stands in them.

    Args:
        by_profile: The list is of a node that is not in the graph.
    """
    columns: dict[str, Callable[[Ranked], str]] = {
        "popularity": lambda one: _rank(one.popularity_rank) if one.trained else "none"
    }
    if by_profile or "neighbours" not in scorer.manifest.missing:
        columns["neighbours"] = lambda one: _rank(one.neighbours_rank)
    if order.get("beyond"):
        columns["times higher"] = lambda one: f"{one.beyond or 0.0:.1f}"
    if order.get("adjust"):
        columns["adjusted"] = lambda one: f"{one.adjusted or 0.0:.4f}"
    columns["logit"] = lambda one: f"{one.logit:.3f}"
    if scorer.is_calibrated(relation) and not by_profile:
        columns["probability"] = lambda one: _probability(one.probability)
    return columns


def _elsewhere(
    scorer: Scorer, side: str, row: int, relation: str, relations: Sequence[str], found: Sequence[Ranked]
) -> dict[str, Callable[[Ranked], str]]:
    """Columns of the probabilities under the other relations that are shown, by their names."""
    columns: dict[str, Callable[[Ranked], str]] = {}
    indices, asked = [one.index for one in found], [row] * len(found)
    for other in relations:
        if other != relation and scorer.is_calibrated(other):
            heads, tails = (indices, asked) if side == "tail" else (asked, indices)
            values = dict(zip(indices, scorer.score(heads, tails, other)[1].tolist(), strict=True))
            columns[other] = lambda one, values=values: _probability(values[one.index])  # type: ignore[misc]
    return columns


def order_notes(scorer: Scorer, kind: str, order: Order, by_profile: bool = False) -> list[str]:
    """What the ranks and the order mean."""
    missing = None if by_profile else scorer.manifest.missing.get("neighbours")
    rivals = "popularity" if missing else "popularity and neighbours"
    notes = [f"Ranks by model, {rivals} are among the same {kind} nodes; {DASH}: the neighbours have no such pair."]
    if missing:
        notes = [f"No ranks by neighbours: the run left no {missing}."]
    if beyond := order.get("beyond"):
        notes.append(
            f"Sorted by how many times higher the model ranks than {beyond} does (equals share their mean rank)."
        )
    if order.get("adjust"):
        notes.append(
            "Sorted by the frequent-flyer correction: ranks in the whole matrix, in the drug's and the disease's."
        )
    if through := order.get("through"):
        notes.append(f"Only what the graph joins by {scorer.waypoint(through).words}, whatever part its edges are in.")
    return notes


def _probability_notes(scorer: Scorer, relations: Sequence[str]) -> list[str]:
    """The base rates that probabilities assume, or why there are none."""
    notes = []
    for relation in relations:
        numbers = scorer.manifest.calibration.get(relation, {})
        if scorer.is_calibrated(relation):
            notes.append(
                f"Probabilities of {relation} assume a base rate of {100 * numbers['base_rate']:.0f} %: calibrated on "
                f"{numbers['positives']} true validation pairs and {numbers['negatives']} others."
            )
        else:
            notes.append(f"No probabilities of {relation}: {numbers.get('problem', 'not calibrated')}.")
    return notes


def print_pairs(scorer: Scorer, rows: Sequence[ScoredPair]) -> None:
    from rich.text import Text

    kinds = [scorer.manifest.head_type, scorer.manifest.tail_type]
    columns = [*kinds, "relation", "logit", "probability", "never trained", "known"]
    table = _table(columns, left={0, 1, 2, 5, 6})
    for one in rows:
        names = [one.head_name or one.head_id, one.tail_name or one.tail_id]
        trained = zip(kinds, (one.head_trained, one.tail_trained), strict=True)
        never = ", ".join(kind for kind, there in trained if not there)
        cells = [*names, one.relation, f"{one.logit:.3f}", _probability(one.probability), never, one.known]
        table.add_row(*map(Text, cells))
    console = shown_console()
    console.print(table)
    for note in _probability_notes(scorer, list(dict.fromkeys(one.relation for one in rows))):
        console.print(Text(note, style="dim"))


def shown_console() -> Console:
    """Where tables are printed."""
    from flykd_console.cli.console import PlainConsole

    return PlainConsole(width=None if sys.stdout.isatty() else 120)


def _rank(rank: int | None) -> str:
    return DASH if rank is None else str(rank)


def _probability(value: float | None) -> str:
    return DASH if value is None else f"{value:.4f}"


def _table(columns: Sequence[str], left: set[int], title: str | None = None) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=title and Text(title, "bold"), title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False
    )
    for place, column in enumerate(columns):
        text = place in left
        table.add_column(Text(column), justify="left" if text else "right", overflow="fold" if text else "ellipsis")
    return table
