"""`python -m exporters BUNDLE --disease NAME` (or `--profile FILE`): CSV, with numpy and h5py alone.

Of a bundle that tells classes: `--samples 0,5-9`, or `--data FILE`, which needs onnxruntime.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from exporters.answers import RIVALS, Order, Ranked
from exporters.classes.columns import print_csv, sample_numbers
from exporters.classes.scorer import ClassScorer
from exporters.node_profile import read_profile
from exporters.scorer import Scorer
from flykd_console.errors import UserError
from flykd_console.plain_text import plain, spreadsheet_cell


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m exporters`: a ranking as CSV on standard output; 2 where the user can mend what went wrong."""
    parser = argparse.ArgumentParser(prog="flykd-score", description="Rank with an exported bundle.")
    parser.add_argument("bundle", help="the bundle's folder")
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--disease", "--tail", metavar="NAME-OR-ID", dest="tail", help="rank heads for this tail")
    asked.add_argument("--drug", "--head", metavar="NAME-OR-ID", dest="head", help="rank tails for this head")
    asked.add_argument("--profile", metavar="FILE", help="rank for a node that is not in the graph: a .toml or .json")
    asked.add_argument("--samples", metavar="NUMBERS", help="of nodes or graphs: their classes, such as 0,5-9")
    asked.add_argument("--data", metavar="FILE", help="of new nodes or graphs: their classes")
    parser.add_argument("--relation", help="needed where the bundle has several")
    parser.add_argument("--top", type=int, default=20, help="how many (20)")
    parser.add_argument("--beyond", choices=RIVALS, help="by how many times higher than this rival the model ranks")
    parser.add_argument("--adjust", action="store_true", help="by the frequent-flyer correction")
    parser.add_argument("--through", metavar="NODE", help="keep what is joined by this protein, pathway, phenotype")
    parser.add_argument("--exclude-known", action="store_true", help="leave true pairs of the graph out")
    options = parser.parse_args(arguments)
    try:
        if options.samples is not None or options.data is not None:
            with ClassScorer(options.bundle) as classes:
                known = options.data is None
                print_csv(
                    classes, classes.known(sample_numbers(options.samples)) if known else classes.new(options.data)
                )
            return 0
        with Scorer(options.bundle) as scorer:
            how = options.relation, options.top, options.exclude_known
            order: Order = {"beyond": options.beyond, "adjust": options.adjust, "through": options.through}
            ranking: Sequence[Ranked]
            if options.profile is not None:
                ranking = scorer.profile(read_profile(Path(options.profile)), *how, **order).ranking
            elif options.head is None:
                ranking = scorer.rank_heads(options.tail, *how, **order)
            else:
                ranking = scorer.rank_tails(options.head, *how, **order)
    except UserError as error:
        print(plain(str(error)), file=sys.stderr)
        return 2
    try:
        _write(ranking)
    except OSError as error:
        # A full disk, or a reader that has gone; the interpreter's last flush is to have nothing to complain of.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if isinstance(error, BrokenPipeError):
            return 141
        print(f"standard output cannot be written ({error.strerror}). Make room, then call it again.", file=sys.stderr)
        return 2
    return 0


def _write(ranking: Sequence[Ranked]) -> None:
    writer = csv.DictWriter(sys.stdout, [one.name for one in fields(Ranked)])
    writer.writeheader()
    writer.writerows({name: spreadsheet_cell(value) for name, value in asdict(one).items()} for one in ranking)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
