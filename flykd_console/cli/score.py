"""`flykd-console score`: rank drugs for a disease or diseases for a drug, or score a CSV of pairs, from a bundle."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from flykd_console.cli import score_output
from flykd_console.errors import UserError
from flykd_console.plain_text import shown_json
from flykd_console.words import DASH

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from exporters.answers import Order, Ranked, ScoredPair
    from exporters.consensus import Agreed
    from exporters.lookup import NodeIndex
    from exporters.scorer import Scorer

Rival = Literal["popularity", "neighbours"]

# Rows left out that are named.
_SHOWN = 5

_WHAT, _HOW = "What is scored", "How it is shown"
# Of the bootstrap, as `compare` takes them.
_RESAMPLES = 2000


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
        typer.Option(
            metavar="FILE",
            help="Score a CSV, TSV or .parquet: drug,disease[,relation], or head,tail, or ids; -: standard input.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    evaluate: Annotated[
        bool,
        typer.Option(
            "--evaluate",
            help="Of --pairs with a column outcome (approved, failed, in trial, or 1 and 0): AUROC and enrichment.",
            rich_help_panel=_WHAT,
        ),
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Rank drugs for every disease, into the file of --to.", rich_help_panel=_WHAT)
    ] = False,
    skip_unknown: Annotated[
        bool, typer.Option("--skip-unknown", help="Leave pairs of unknown nodes out.", rich_help_panel=_WHAT)
    ] = False,
    relation: Annotated[
        str | None, typer.Option(metavar="RELATION", help="Default: every relation.", rich_help_panel=_WHAT)
    ] = None,
    exclude_known: Annotated[
        bool, typer.Option("--exclude-known", help="Leave true pairs of the graph out.", rich_help_panel=_WHAT)
    ] = False,
    through: Annotated[
        str | None,
        typer.Option(
            metavar="NODE",
            help="Keep drugs that reach the disease by this protein, pathway, phenotype: its id or name, or TYPE:NAME.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    beyond: Annotated[
        Rival | None,
        typer.Option(help="Sort by how many times higher the model ranks than this rival does.", rich_help_panel=_HOW),
    ] = None,
    consensus: Annotated[
        bool,
        typer.Option("--consensus", help="Mean rank and spread over the seeds of the bundle.", rich_help_panel=_HOW),
    ] = False,
    adjust: Annotated[
        bool,
        typer.Option("--adjust", help="Sort by the frequent-flyer correction of ranks.", rich_help_panel=_HOW),
    ] = False,
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="How many, per relation and node; default: 20, with --all every one.",
            show_default=False,
            rich_help_panel=_HOW,
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a .csv or .parquet instead of printing.", rich_help_panel=_HOW),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.", rich_help_panel=_HOW)] = False,
    csv: Annotated[bool, typer.Option("--csv", help="CSV instead of a table.", rich_help_panel=_HOW)] = False,
) -> None:
    """Rank drugs for a disease, or diseases for a drug, from a bundle; or score a CSV of pairs.

    A node is named by its id, its name, or the beginning of its name. Known pairs of the graph are marked with their
    part. With both --disease and --drug that one pair is scored.

    Beside each drug stand its ranks by popularity (training pairs of the relation) and by nearest neighbours, two
    scorers without a model: what is new in a list stands low there. "none": the relation has no training pair of it.

    - flykd-console score runs/flykd-20260101-120000 --disease asthma --relation indication
    - flykd-console score bundle --disease asthma --beyond popularity --through ADRB2
    - flykd-console score bundle --pairs pairs.csv --to scores.parquet
    - flykd-console score bundle --pairs trials.tsv --evaluate
    - flykd-console score bundle --all --top 50 --exclude-known --to every-disease.csv
    """
    if sum((json, csv, to is not None)) > 1:
        raise UserError("several of --json, --csv and --to are given", "flykd-console score", "Choose one.")
    if everything and (pairs is not None or any(name is not None for name in (disease, drug, tail, head))):
        raise UserError("--all ranks for every disease", "flykd-console score", "Name no disease, drug or pairs.")
    if everything and to is None:
        raise UserError("--all writes a file", "flykd-console score", "Name it: --to FILE.parquet or --to FILE.csv")
    if pairs is not None and any(name is not None for name in (disease, drug, tail, head)):
        raise UserError(
            "--pairs scores a file and takes no --disease or --drug", "flykd-console score", "Leave one out."
        )
    if beyond is not None and adjust:
        raise UserError("--beyond and --adjust are two orders", "flykd-console score", "Choose one.")

    if evaluate and (pairs is None or csv):
        raise UserError(
            "--evaluate asks for a list of pairs, and prints tables or JSON",
            "flykd-console score",
            "Give --pairs FILE.",
        )

    from exporters.scorer import Scorer

    if consensus and (everything or pairs is not None or through or beyond or adjust):
        raise UserError(
            "--consensus orders one node's list by itself", "flykd-console score", "Give --disease or --drug alone."
        )
    if to is not None:
        from exporters.table_files import check_target

        check_target(to)
    order: Order = {"beyond": beyond, "adjust": adjust, "through": through}
    with Scorer(find_bundle(bundle)) as scorer:
        if evaluate and pairs is not None:
            _evaluate(scorer, pairs, relation, json)
            return
        named = _by_side(scorer, {"tail": tail, "head": head, "disease": disease, "drug": drug})
        if pairs is None and not named and not everything:
            raise UserError(
                "nothing to score is named",
                "flykd-console score",
                "Give --disease NAME, --drug NAME, --pairs FILE or --all.",
            )
        relations = scorer.relations if relation is None else (scorer.relation(relation),)
        if everything:
            from exporters.whole_matrix import Wanted

            assert to is not None
            count = score_output.write_matrix(scorer, relations, Wanted(top, exclude_known, order), to)
            print(f"Wrote {count} rows to {to}")
            return
        rows: Sequence[Ranked | ScoredPair | Agreed]
        if consensus and len(named) != 1:
            raise UserError("--consensus is of one list", "flykd-console score", "Give --disease or --drug alone.")
        if consensus:
            from exporters.consensus import consensus as agree

            ((side, node),) = named.items()
            agreed = [row for name in relations for row in agree(scorer, side, node, name, top or 20, exclude_known)]
            rows, show = agreed, partial(_print_consensus, scorer, side, node, relations, agreed)
        elif len(named) == 1:
            ((side, node),) = named.items()
            rank = scorer.rank_tails if side == "head" else scorer.rank_heads
            ranking = [row for name in relations for row in rank(node, name, top or 20, exclude_known, **order)]
            rows, show = ranking, partial(_print_rankings, scorer, side, node, relations, ranking, order)
        else:
            if any(order.values()):
                raise UserError(
                    "--through, --beyond and --adjust order a ranking, and pairs have none",
                    "flykd-console score",
                    "Name a disease or a drug alone.",
                )
            scored = _score_pairs(scorer, pairs, named, relations, relation, skip_unknown)
            rows, show = scored, partial(_print_pairs, scorer, scored)
        if to is not None:
            score_output.write_rows(scorer, rows, to)
            print(f"Wrote {len(rows)} rows to {to}")
        elif json:
            score_output.print_json(scorer, rows)
        elif csv:
            score_output.print_csv(scorer, rows)
        else:
            show()


def _evaluate(scorer: Scorer, pairs: Path, relation: str | None, json: bool) -> None:
    """What the bundle's model is worth on a list with outcomes."""
    from flykd_console.cli.listed import as_json, of_bundle
    from flykd_console.cli.listed_tables import print_tables
    from flykd_console.cli.titled import table_console

    tables = of_bundle(scorer, pairs, relation, _RESAMPLES)
    if json:
        import json as form

        print(shown_json(form.dumps(as_json(tables), indent=2, ensure_ascii=False)))
    else:
        print_tables(table_console(), tables)


def _score_pairs(
    scorer: Scorer,
    pairs: Path | None,
    named: dict[str, str],
    relations: Sequence[str],
    relation: str | None,
    skip_unknown: bool,
) -> list[ScoredPair]:
    """The pairs of a file, or the one pair that was named, under every relation asked for; rows left out are told."""
    if pairs is None:
        pair = (named["head"], named["tail"])
        return [row for name in relations for row in scorer.score_pairs([pair], name)]
    from exporters.pairs import score_file
    from flykd_console.cli.console import say

    skipped: list[str] | None = [] if skip_unknown else None
    with score_output.as_csv(pairs) as readable:
        found = score_file(scorer, readable, relation, skipped)
    if skipped:
        more = f"; and {len(skipped) - _SHOWN} more" if len(skipped) > _SHOWN else ""
        say(f"Left out {len(skipped)} rows: {'; '.join(skipped[:_SHOWN])}{more}", err=True)
    return found


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


def _print_rankings(
    scorer: Scorer, side: str, node: str, relations: Sequence[str], rows: Sequence[Ranked], order: Order
) -> None:
    """One table per relation, and what its columns mean."""
    from rich.text import Text

    nodes, ranked = (scorer.heads, scorer.tails) if side == "head" else (scorer.tails, scorer.heads)
    row = nodes.find(node)
    console = _console()
    console.print(_heading(nodes, row))
    for relation in relations:
        found = [one for one in rows if one.relation == relation]
        columns = _columns(scorer, relation, order) | _elsewhere(scorer, side, row, relation, relations, found)
        table = _table(
            ["rank", ranked.node_type, "id", *columns, "known"], left={1, 2, len(columns) + 3}, title=relation
        )
        for one in found:
            cells = [str(one.rank), one.name, one.id, *(cell(one) for cell in columns.values()), one.known]
            table.add_row(*map(Text, cells))
        console.print()
        console.print(table if found else Text(f"{relation}: nothing is left to rank"))
    notes = [*_order_notes(scorer, ranked.node_type, order), *_probability_notes(scorer, relations)]
    if any(not one.trained for one in rows):
        notes.append(f"none: the relation has no training pair of this {ranked.node_type}; its place rests on others.")
    silent = max(len(scorer.unembedded("tail" if side == "head" else "head", relation)) for relation in relations)
    if silent:
        notes.append(f"{silent} {ranked.node_type} nodes that no training edge leads to are left out.")
    for note in notes:
        console.print(Text(note, style="dim"))


def _heading(nodes: NodeIndex, row: int) -> Text:
    """Whose list it is."""
    from rich.text import Text

    return Text.assemble((nodes.names[row] or nodes.ids[row], "bold"), f" ({nodes.node_type} {nodes.ids[row]})")


def _print_consensus(scorer: Scorer, side: str, node: str, relations: Sequence[str], rows: Sequence[Agreed]) -> None:
    """One table per relation."""
    from rich.text import Text

    nodes, ranked = (scorer.heads, scorer.tails) if side == "head" else (scorer.tails, scorer.heads)
    row = nodes.find(node)
    console = _console()
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


def _columns(scorer: Scorer, relation: str, order: Order) -> dict[str, Callable[[Ranked], str]]:
    """The columns between a node's id and whether the pair is known: their heads, and what stands in them."""
    columns: dict[str, Callable[[Ranked], str]] = {
        "popularity": lambda one: _rank(one.popularity_rank) if one.trained else "none"
    }
    if "neighbours" not in scorer.manifest.missing:
        columns["neighbours"] = lambda one: _rank(one.neighbours_rank)
    if order.get("beyond"):
        columns["times higher"] = lambda one: f"{one.beyond or 0.0:.1f}"
    if order.get("adjust"):
        columns["adjusted"] = lambda one: f"{one.adjusted or 0.0:.4f}"
    columns["logit"] = lambda one: f"{one.logit:.3f}"
    if scorer.is_calibrated(relation):
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


def _order_notes(scorer: Scorer, kind: str, order: Order) -> list[str]:
    """What the ranks and the order mean."""
    rivals = "popularity and neighbours" if "neighbours" not in scorer.manifest.missing else "popularity"
    notes = [f"Ranks by model, {rivals} are among the same {kind} nodes; {DASH}: the neighbours have no such pair."]
    if file := scorer.manifest.missing.get("neighbours"):
        notes = [f"No ranks by neighbours: the run left no {file}."]
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


def _print_pairs(scorer: Scorer, rows: Sequence[ScoredPair]) -> None:
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
    console = _console()
    console.print(table)
    for note in _probability_notes(scorer, list(dict.fromkeys(one.relation for one in rows))):
        console.print(Text(note, style="dim"))


def _console() -> Console:
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
