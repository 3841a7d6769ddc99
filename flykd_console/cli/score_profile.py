"""`flykd-console score --profile FILE`: the list of a node that is not in the graph, and what it is placed by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flykd_console.cli import score_output, score_tables
from flykd_console.plain_text import shown_json
from flykd_console.words import counted

if TYPE_CHECKING:
    from exporters.answers import Lender, Order, Placed
    from exporters.scorer import Scorer

# Nodes by which it is placed that a table shows.
_SHOWN = 5


def answers_of(
    scorer: Scorer,
    path: Path,
    relations: Sequence[str],
    top: int,
    exclude_known: bool,
    skip_unknown: bool,
    order: Order,
) -> list[Placed]:
    """The answer under each relation; what is left out of the profile is told on standard error."""
    from exporters.node_profile import read_profile
    from flykd_console.cli.console import say

    unseen = scorer.place(read_profile(path), skip_unknown=skip_unknown)
    if unseen.left_out:
        shown = "; ".join(unseen.left_out[:_SHOWN])
        more = f"; and {len(unseen.left_out) - _SHOWN} more" if len(unseen.left_out) > _SHOWN else ""
        say(f"Left out {counted(len(unseen.left_out), 'node')} of the profile: {shown}{more}", err=True)
    return [scorer.rank_unseen(unseen, name, top, exclude_known, **order) for name in relations]


def print_json(scorer: Scorer, answers: Sequence[Placed]) -> None:
    """One object: who was asked for, by relation the nodes that place it and its list, and who scored."""
    import json
    from dataclasses import asdict

    from exporters.manifest import provenance

    first = answers[0]
    found: dict[str, Any] = {"name": first.name, "type": first.node_type, "given": first.given}
    found |= {"left_out": first.left_out, **provenance(scorer.manifest)}
    found["relations"] = {
        one.relation: {
            "lenders": [asdict(lender) for lender in one.lenders],
            "ranking": [asdict(row) for row in one.ranking],
        }
        for one in answers
    }
    print(shown_json(json.dumps(found, indent=2, ensure_ascii=False)))


def tell_answers(
    scorer: Scorer, answers: Sequence[Placed], order: Order, to: Path | None, json: bool, csv: bool
) -> None:
    """Print them, or write the lists with the node's name in each row.

    Raises:
        UserError: The file cannot be written.
    """
    name, rows = answers[0].name, _rows(answers)
    if to is not None:
        score_output.write_rows(scorer, rows, to, asked=name)
        print(f"Wrote {len(rows)} rows to {to}")
    elif json:
        print_json(scorer, answers)
    elif csv:
        score_output.print_csv(scorer, rows, asked=name)
    else:
        print_answers(scorer, answers, order)


def print_answers(scorer: Scorer, answers: Sequence[Placed], order: Order) -> None:
    """Who is asked for, and per relation by which nodes it is placed and its list."""
    from rich.text import Text

    first = answers[0]
    kind = (scorer.tails if scorer.side_of(first.node_type) == "head" else scorer.heads).node_type
    console = score_tables.shown_console()
    console.print(Text.assemble((first.name, "bold"), f" ({first.node_type}, not in the graph)"))
    given = ", ".join(f"{count} of {relation}" for relation, count in first.given.items())
    console.print(Text(f"Its profile: {given}"))
    for one in answers:
        columns = score_tables.columns_of(scorer, one.relation, order, by_profile=True)
        score_tables.print_list(console, one.relation, kind, columns, one.ranking)
        console.print(Text(f"Placed by {counted(len(one.lenders), f'{one.node_type} node')}:"))
        for lender in one.lenders[:_SHOWN]:
            console.print(Text(f"  {_lender(lender)}"))
        if len(one.lenders) > _SHOWN:
            console.print(Text(f"  and {len(one.lenders) - _SHOWN} less similar"))
    notes = score_tables.order_notes(scorer, kind, order, by_profile=True)
    notes.append("No probabilities: they were calibrated on nodes of the graph, and this one is placed by its profile.")
    if any(not row.trained for row in _rows(answers)):
        notes.append(f"none: the relation has no training pair of this {kind}; its place rests on others.")
    console.print()
    for note in notes:
        console.print(Text(note, style="dim"))


def _rows(answers: Sequence[Placed]) -> list[Any]:
    return [row for one in answers for row in one.ranking]


def _lender(one: Lender) -> str:
    """A node that lends its embedding, how similar it is, and why."""
    shared = []
    for part in one.shared:
        names = list(part.names)
        if part.count > len(names):
            names.append(f"{part.count - len(names)} more")
        shared.append(f"{part.relation}: {', '.join(names)}")
        if part.named:
            shared[-1] += " (named in the profile)"
    return f"{one.similarity:.2f}  {one.name or one.id} ({one.id}): {'; '.join(shared)}"
