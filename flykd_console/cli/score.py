"""`flykd-console score`: rank drugs for a disease or diseases for a drug, or score a CSV of pairs, from a bundle."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flykd_console.errors import UserError

if TYPE_CHECKING:
    from exporters.scorer import Ranked, ScoredPair, Scorer

_WHAT, _HOW = "What is scored", "How it is shown"


def command(
    bundle: Annotated[
        str | None,
        typer.Argument(
            help="A bundle's folder, or a run with an export; default: the newest of those.", show_default=False
        ),
    ] = None,
    disease: Annotated[
        str | None, typer.Option(metavar="NAME-OR-ID", help="Rank drugs for this disease.", rich_help_panel=_WHAT)
    ] = None,
    drug: Annotated[
        str | None, typer.Option(metavar="NAME-OR-ID", help="Rank diseases for this drug.", rich_help_panel=_WHAT)
    ] = None,
    tail: Annotated[
        str | None,
        typer.Option(metavar="NAME-OR-ID", help="As --disease, for other node types.", rich_help_panel=_WHAT),
    ] = None,
    head: Annotated[
        str | None, typer.Option(metavar="NAME-OR-ID", help="As --drug, for other node types.", rich_help_panel=_WHAT)
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Score a CSV: head,tail[,relation] or drug,disease.", rich_help_panel=_WHAT),
    ] = None,
    relation: Annotated[
        str | None, typer.Option(metavar="RELATION", help="Default: every relation.", rich_help_panel=_WHAT)
    ] = None,
    exclude_known: Annotated[
        bool, typer.Option("--exclude-known", help="Leave true pairs of the graph out.", rich_help_panel=_WHAT)
    ] = False,
    top: Annotated[int, typer.Option(min=1, metavar="N", help="How many, per relation.", rich_help_panel=_HOW)] = 20,
    json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.", rich_help_panel=_HOW)] = False,
    csv: Annotated[bool, typer.Option("--csv", help="CSV instead of a table.", rich_help_panel=_HOW)] = False,
) -> None:
    """Rank drugs for a disease, or diseases for a drug, from a bundle; or score a CSV of pairs.

    A node is named by its id, its name, or the beginning of its name. Known pairs of the graph are marked with their
    part. With both --disease and --drug that one pair is scored.

    - flykd-console score runs/flykd-20260101-120000 --disease asthma --relation indication
    - flykd-console score bundle --pairs pairs.csv --csv > scores.csv
    """
    if json and csv:
        raise UserError("both --json and --csv are given", "flykd-console score", "Choose one.")
    if pairs is not None and any(name is not None for name in (disease, drug, tail, head)):
        raise UserError(
            "--pairs scores a file and takes no --disease or --drug", "flykd-console score", "Leave one out."
        )

    from exporters.scorer import Scorer

    with Scorer(find_bundle(bundle)) as scorer:
        named = _by_side(scorer, {"tail": tail, "head": head, "disease": disease, "drug": drug})
        if pairs is None and not named:
            raise UserError(
                "nothing to score is named", "flykd-console score", "Give --disease NAME, --drug NAME or --pairs FILE."
            )
        relations = scorer.relations if relation is None else (scorer.relation(relation),)
        rows: Sequence[Ranked | ScoredPair]
        if len(named) == 1:
            ((side, node),) = named.items()
            rank = scorer.rank_tails if side == "head" else scorer.rank_heads
            ranking = [row for name in relations for row in rank(node, name, top, exclude_known)]
            rows, show = ranking, partial(_print_rankings, scorer, side, node, relations, ranking)
        else:
            scored = _score_pairs(scorer, pairs, named, relations, relation)
            rows, show = scored, partial(_print_pairs, scorer, scored)
        if json:
            _write_json(rows)
        elif csv:
            _write_csv(rows)
        else:
            show()


def _score_pairs(
    scorer: Scorer, pairs: Path | None, named: dict[str, str], relations: Sequence[str], relation: str | None
) -> list[ScoredPair]:
    """The pairs of a file, or the one pair that was named, under every relation asked for."""
    if pairs is None:
        pair = (named["head"], named["tail"])
        return [row for name in relations for row in scorer.score_pairs([pair], name)]
    from exporters.pairs import score_file

    return score_file(scorer, pairs, relation)


def find_bundle(name: str | None) -> Path:
    """The folder of a bundle: named itself, or by the run that it was exported from; None: the newest run's.

    Raises:
        UserError: There is no such bundle or run, or the run has no export.
    """
    from exporters.manifest import MANIFEST
    from flykd_console.runs.find import find_run, list_runs, runs_root

    if name is None:
        exported = [run.export for run in list_runs() if (run.export / MANIFEST).is_file()]
        if not exported:
            raise UserError("no run has been exported yet", str(runs_root()), "Write a bundle: flykd-console export")
        return exported[0]
    path = Path(name)
    if (path / MANIFEST).is_file():
        return path
    if path.is_dir() and not (path / "profile.toml").is_file():
        raise UserError("this is not a bundle: it holds no manifest.json", name, "Write one: flykd-console export")
    if path.is_file():
        raise UserError("a bundle is a folder, and this is a file", name, f"Name its folder: {path.parent}")
    run = find_run(name)
    if not (run.export / MANIFEST).is_file():
        raise UserError(
            "this run has not been exported", run.name, f"Write its bundle: flykd-console export {run.name}"
        )
    return run.export


def _by_side(scorer: Scorer, options: dict[str, str | None]) -> dict[str, str]:
    """The nodes that were named, by side: a disease is the tail unless the bundle says otherwise."""
    named: dict[str, str] = {}
    for option, node in options.items():
        if node is not None:
            side = option if option in ("head", "tail") else scorer.side_of(option)
            if side in named:
                raise UserError(f"the {side} is named twice", f"--{option}", "Leave one out.")
            named[side] = node
    return named


# Stands below every printed table.
_UNCALIBRATED = "Probabilities are sigmoids of logits and not calibrated: they order, no more."


def _print_rankings(scorer: Scorer, side: str, node: str, relations: Sequence[str], rows: Sequence[Ranked]) -> None:
    """One table per relation; with several, each also shows the probabilities under the others."""
    from rich.text import Text

    from flykd_console.cli.console import PlainConsole

    nodes, ranked = (scorer.heads, scorer.tails) if side == "head" else (scorer.tails, scorer.heads)
    row = nodes.find(node)
    console = PlainConsole(width=None if sys.stdout.isatty() else 120)
    console.print(Text.assemble((nodes.names[row] or nodes.ids[row], "bold"), f" ({nodes.node_type} {nodes.ids[row]})"))
    for relation in relations:
        found = [one for one in rows if one.relation == relation]
        others = [name for name in relations if name != relation]
        columns = ["", ranked.node_type, "id", "logit", "probability", *others, "known"]
        table = _table(columns, left={1, 2, len(columns) - 1}, title=relation)
        indices = [one.index for one in found]
        heads, tails = (indices, [row] * len(indices)) if side == "tail" else ([row] * len(indices), indices)
        beside = [scorer.score(heads, tails, name)[1].tolist() for name in others]
        for place, one in enumerate(found):
            elsewhere = [f"{values[place]:.4f}" for values in beside]
            cells = [
                str(one.rank),
                one.name,
                one.id,
                f"{one.logit:.3f}",
                f"{one.probability:.4f}",
                *elsewhere,
                one.known,
            ]
            table.add_row(*map(Text, cells))
        console.print()
        console.print(table if found else Text(f"{relation}: nothing is left to rank"))
    silent = max(len(scorer.unembedded("tail" if side == "head" else "head", relation)) for relation in relations)
    if silent:
        console.print(
            Text(f"{silent} {ranked.node_type} nodes that no training edge leads to are left out.", style="dim")
        )
    console.print(Text(_UNCALIBRATED, style="dim"))


def _print_pairs(scorer: Scorer, rows: Sequence[ScoredPair]) -> None:
    from rich.text import Text

    from flykd_console.cli.console import PlainConsole

    columns = [scorer.manifest.head_type, scorer.manifest.tail_type, "relation", "logit", "probability", "known"]
    table = _table(columns, left={0, 1, 2, 5})
    for one in rows:
        names = [one.head_name or one.head_id, one.tail_name or one.tail_id]
        cells = [*names, one.relation, f"{one.logit:.3f}", f"{one.probability:.4f}", one.known]
        table.add_row(*map(Text, cells))
    console = PlainConsole(width=None if sys.stdout.isatty() else 120)
    console.print(table)
    console.print(Text(_UNCALIBRATED, style="dim"))


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


def _write_json(rows: Sequence[Ranked | ScoredPair]) -> None:
    import json
    from dataclasses import asdict

    from flykd_console.plain_text import shown_json

    print(shown_json(json.dumps([asdict(row) for row in rows], indent=2, ensure_ascii=False)))


def _write_csv(rows: Sequence[Ranked | ScoredPair]) -> None:
    import csv
    from dataclasses import asdict, fields

    from exporters.scorer import Ranked
    from flykd_console.plain_text import spreadsheet_cell

    writer = csv.DictWriter(sys.stdout, [one.name for one in fields(rows[0] if rows else Ranked)], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: spreadsheet_cell(value) for name, value in asdict(row).items()} for row in rows)
