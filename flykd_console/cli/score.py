"""`flykd-console score`: rank drugs for a disease or diseases for a drug, or score a CSV of pairs, from a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flykd_console.cli import score_output, score_tables
from flykd_console.cli.bundles import find_bundle
from flykd_console.cli.score_profile import answers_of, tell_answers
from flykd_console.errors import UserError
from flykd_console.plain_text import shown_json

if TYPE_CHECKING:
    from exporters.answers import Order, Ranked, ScoredPair
    from exporters.consensus import Agreed
    from exporters.pair_scores import PairTable
    from exporters.scorer import Scorer

Rival = Literal["popularity", "neighbours"]

# Rows left out that are named.
_SHOWN = 5

_WHAT, _HOW = "What is scored", "How it is shown"
_CLASSES = "Bundles that tell classes of nodes or graphs"
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
    profile: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Rank for a node that is not in the graph: a .toml or .json of what it would be joined to.",
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
        bool,
        typer.Option(
            "--all", help="Rank drugs for every disease into --to, or tell every sample.", rich_help_panel=_WHAT
        ),
    ] = False,
    skip_unknown: Annotated[
        bool,
        typer.Option(
            "--skip-unknown",
            help="Leave pairs of unknown nodes out; of --profile unknown nodes.",
            rich_help_panel=_WHAT,
        ),
    ] = False,
    relation: Annotated[
        str | None, typer.Option(metavar="RELATION", help="Default: every relation.", rich_help_panel=_WHAT)
    ] = None,
    exclude_known: Annotated[
        bool,
        typer.Option(
            "--exclude-known",
            help="Leave true pairs of the graph out; of --profile what it says is known.",
            rich_help_panel=_WHAT,
        ),
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
    samples: Annotated[
        str | None,
        typer.Option(metavar="NUMBERS", help="Of these nodes or graphs, such as 0,5-9.", rich_help_panel=_CLASSES),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Of new ones: x and edges in an .npz, or a text of graphs (docs/mutual.md).",
            rich_help_panel=_CLASSES,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Who is asked; default: the one that the export chose by validation.",
            show_default=False,
            rich_help_panel=_CLASSES,
        ),
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Probabilities without the temperature.", rich_help_panel=_CLASSES)
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
    - flykd-console score bundle --profile mine.toml --relation indication
    - flykd-console score bundle --pairs pairs.csv --to scores.parquet
    - flykd-console score bundle --pairs trials.tsv --evaluate
    - flykd-console score gml-node --samples 0,5-9
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
    if profile is not None:
        others = (disease, drug, tail, head, pairs)
        if everything or consensus or any(one is not None for one in others):
            raise UserError("--profile ranks for one node", "flykd-console score", "Name no other, no pairs, no --all.")
    if beyond is not None and adjust:
        raise UserError("--beyond and --adjust are two orders", "flykd-console score", "Choose one.")

    if evaluate and (pairs is None or csv or to is not None):
        raise UserError(
            "--evaluate asks for a list of pairs, and prints tables or JSON",
            "flykd-console score",
            "Give --pairs FILE.",
        )

    from exporters.manifest import manifest_data, tells_classes
    from exporters.scorer import Scorer
    from flykd_console.cli.score_classes import Asked, refuse_classes, score_classes

    if consensus and (everything or pairs is not None or through or beyond or adjust):
        raise UserError(
            "--consensus orders one node's list by itself", "flykd-console score", "Give --disease or --drug alone."
        )
    if to is not None:
        from exporters.table_files import check_target

        check_target(to)
    folder = find_bundle(bundle)
    asked = Asked(samples, data, everything, model, raw)
    if tells_classes(manifest_data(folder)):
        names: dict[str, object] = {
            "--disease": disease,
            "--drug": drug,
            "--tail": tail,
            "--head": head,
            "--pairs": pairs,
            "--profile": profile,
        }
        names |= {"--relation": relation, "--through": through, "--beyond": beyond, "--top": top}
        flags = {"--evaluate": evaluate, "--skip-unknown": skip_unknown, "--exclude-known": exclude_known}
        flags |= {"--consensus": consensus, "--adjust": adjust}
        given = {name: value is not None for name, value in names.items()} | flags
        score_classes(folder, asked, given, to, json, csv)
        return
    refuse_classes(asked)
    order: Order = {"beyond": beyond, "adjust": adjust, "through": through}
    with Scorer(folder) as scorer:
        if evaluate and pairs is not None:
            _evaluate(scorer, pairs, relation, json)
            return
        named = _by_side(scorer, {"tail": tail, "head": head, "disease": disease, "drug": drug})
        if pairs is None and profile is None and not named and not everything:
            raise UserError(
                "nothing to score is named",
                "flykd-console score",
                "Give --disease NAME, --drug NAME, --profile FILE, --pairs FILE or --all.",
            )
        relations = scorer.relations if relation is None else (scorer.relation(relation),)
        if everything:
            from exporters.whole_matrix import Wanted

            assert to is not None
            count = score_output.write_matrix(scorer, relations, Wanted(top, exclude_known, order), to)
            print(f"Wrote {count} rows to {to}")
            return
        if profile is not None:
            count = top or 20
            answers = answers_of(scorer, profile, relations, count, exclude_known, skip_unknown, order)
            tell_answers(scorer, answers, order, to, json, csv)
            return
        rows: Sequence[Ranked | ScoredPair | Agreed]
        if consensus and len(named) != 1:
            raise UserError("--consensus is of one list", "flykd-console score", "Give --disease or --drug alone.")
        if consensus:
            from exporters.consensus import consensus as agree

            ((side, node),) = named.items()
            agreed = [row for name in relations for row in agree(scorer, side, node, name, top or 20, exclude_known)]
            rows, show = agreed, partial(score_tables.print_consensus, scorer, side, node, relations, agreed)
        elif len(named) == 1:
            ((side, node),) = named.items()
            rank = scorer.rank_tails if side == "head" else scorer.rank_heads
            ranking = [row for name in relations for row in rank(node, name, top or 20, exclude_known, **order)]
            rows, show = ranking, partial(score_tables.print_rankings, scorer, side, node, relations, ranking, order)
        else:
            if any(order.values()):
                raise UserError(
                    "--through, --beyond and --adjust order a ranking, and pairs have none",
                    "flykd-console score",
                    "Name a disease or a drug alone.",
                )
            table = _score_pairs(scorer, pairs, named, relations, relation, skip_unknown)
            if to is not None:
                score_output.write_pairs(scorer, table, to)
                print(f"Wrote {len(table)} rows to {to}")
                return
            scored = table.lines(scorer)
            rows, show = scored, partial(score_tables.print_pairs, scorer, scored)
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
) -> PairTable:
    """The pairs of a file, or the one pair that was named, under every relation asked for; rows left out are told."""
    if pairs is None:
        import numpy as np

        places = np.array([scorer.relations.index(name) for name in relations])
        head, tail = (np.full(len(places), scorer.row(side, named[side])) for side in ("head", "tail"))
        return scorer.score_table(places, head, tail)
    from exporters.pairs import score_columns
    from flykd_console.cli.console import say

    skipped: list[str] | None = [] if skip_unknown else None
    with score_output.as_csv(pairs) as readable:
        found = score_columns(scorer, readable, relation, skipped)
    if skipped:
        more = f"; and {len(skipped) - _SHOWN} more" if len(skipped) > _SHOWN else ""
        say(f"Left out {len(skipped)} rows: {'; '.join(skipped[:_SHOWN])}{more}", err=True)
    return found


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
