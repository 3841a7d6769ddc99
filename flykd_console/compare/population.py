"""The tested pairs of all seeds, numbered alike, so that what several seeds test is resampled once for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from flykd_console.compare.bootstrap import Population, RelationScores
from flykd_console.compare.comparable import restricted
from flykd_console.compare.loading import LoadedRun
from flykd_console.compare.models import Contender
from flykd_console.errors import UserError
from flykd_console.node_ids import IdLookup

_KIND = ["relation", "label"]


@dataclass(frozen=True)
class Restriction:
    """Test pairs of these tails alone; `name` is what the tables call them."""

    name: str
    ids: frozenset[str]


def spelt_as(runs: Sequence[LoadedRun], only: Restriction) -> Restriction:
    """A restriction with its ids as the runs write them; what no tested tail is stays as it stands."""
    tails = {tail for run in runs for frame in run.scores.values() for tail in frame["tail_id"].unique().to_list()}
    ids = sorted(tails)
    lookup = IdLookup(ids)
    rows = {text: lookup.row(text) for text in only.ids}
    return Restriction(only.name, frozenset(text if row is None else ids[row] for text, row in rows.items()))


def tested_pairs(
    runs: Sequence[LoadedRun], contenders: Sequence[Contender], seeds: Sequence[int], only: Restriction | None
) -> tuple[Population, dict[int, dict[str, RelationScores]]]:
    """What seeds test together; by seed and relation the pairs and every contender's logits, in one order for all.

    Raises:
        UserError: A restriction leaves a relation of a seed no pairs.
    """
    population, frames = numbered({seed: _tested(runs, contenders, seed, only) for seed in seeds})
    return population, {seed: _by_relation(runs, contenders, seed, frames[seed], only) for seed in seeds}


def numbered(tested: Mapping[int, pl.DataFrame]) -> tuple[Population, dict[int, pl.DataFrame]]:
    """The population of some seeds, and by seed its pairs with their numbers.

    Args:
        tested: By seed the pairs, with `relation`, `label`, `head_id`, `tail_id`; a pair is listed once under a
            relation and label.

    Returns:
        The population; by seed the same rows with `tail`, numbered from 0 over everything, and `pair`, numbered from 0
        within relation and label.
    """
    frames = [frame.with_columns(seed=pl.lit(seed)) for seed, frame in tested.items()]
    # Ids hold no tab: tables of them are tab-separated files, too.
    pair = pl.concat_str("head_id", "tail_id", separator="\t").rank("dense").over(_KIND)
    together = pl.concat(frames).with_columns(
        (pl.col("tail_id").rank("dense").cast(pl.Int64) - 1).alias("tail"),
        (pair.cast(pl.Int64) - 1).alias("pair"),
    )
    counted = together.group_by(_KIND).agg(pl.col("pair").n_unique())
    count = {(relation, label): pairs for relation, label, pairs in counted.iter_rows()}
    relations = together["relation"].unique().to_list()
    pairs = {relation: (count.get((relation, 1), 0), count.get((relation, 0), 0)) for relation in relations}
    tails = together["tail"].unique().sort().to_numpy()
    by_seed = {seed: together.filter(pl.col("seed") == seed).drop("seed") for seed in tested}
    return Population(tails, pairs), by_seed


def _tested(
    runs: Sequence[LoadedRun], contenders: Sequence[Contender], seed: int, only: Restriction | None
) -> pl.DataFrame:
    """The pairs of a seed, and every contender's logits in a column by its number."""
    logits = [one.runs[0].scores[seed][one.model].alias(str(number)) for number, one in enumerate(contenders)]
    frame = runs[0].scores[seed].select("relation", "label", "head_id", "tail_id").with_columns(*logits)
    frame = restricted(frame, only.ids if only else None)
    if only is not None and frame.is_empty():
        raise UserError(
            f"none of its {len(only.ids)} ids is a {runs[0].tail_type} of the {runs[0].part} pairs of seed {seed}",
            only.name,
            "It takes ids as the graph has them, in a column tail_id, disease_id, node_id or id.",
        )
    return frame


def _by_relation(
    runs: Sequence[LoadedRun],
    contenders: Sequence[Contender],
    seed: int,
    frame: pl.DataFrame,
    only: Restriction | None,
) -> dict[str, RelationScores]:
    """Per relation the labels and every contender's logits, in one order for all."""
    found = {}
    for relation in sorted(runs[0].targets):
        part = frame.filter(pl.col("relation") == relation)
        labels = part["label"].to_numpy()
        for kind, value in (("positive", 1), ("negative", 0)):
            if not (labels == value).any():
                where = f" of the ids in {only.name}" if only else ""
                raise UserError(
                    f"{relation} has no {kind} {runs[0].part} pair{where} in seed {seed}", runs[0].name,
                    "Name more ids." if only else "",
                )  # fmt: skip
        logits = {one: part[str(number)].to_numpy() for number, one in enumerate(contenders)}
        found[relation] = RelationScores(labels, part["tail"].to_numpy(), logits, part["pair"].to_numpy())
    return found
