"""Lists of pairs with outcomes, held against the models of runs or of a bundle, with heuristics beside them.

Where a bundle or a run stores its scores is looked up here; what they are worth on the list, `compare.listed` says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flykd_console.compare.listed import HeadScores, Known, Listed, ModelFigures, Outcome, ask, figures
from flykd_console.errors import UserError
from flykd_console.pair_lists import name_of, read_list
from flykd_console.relation_names import is_meant
from flykd_console.words import counted

if TYPE_CHECKING:
    from exporters.lookup import NodeIndex
    from exporters.scorer import Scorer
    from flykd_console.compare.loading import LoadedRun
    from flykd_console.explore.exploration import Tables
    from flykd_console.pair_lists import ListedPair

_SHOWN = 3


@dataclass(frozen=True)
class ListTable:
    """What a list says of the models of one run or bundle under one relation.

    Attributes:
        of: The run or the bundle.
        seeds: Those whose models are averaged over.
        counts: Pairs that were asked by outcome, mean over the seeds.
        notes: What was left out and why, a sentence each.
    """

    of: str
    relation: str
    seeds: list[int]
    counts: dict[Outcome, float]
    models: list[ModelFigures]
    notes: list[str]


@dataclass(frozen=True)
class _Resolved:
    """A list's pairs of one relation by rows of the nodes: distinct, with their outcomes."""

    pairs: list[tuple[int, int]]
    outcomes: list[Outcome]
    notes: list[str]


def of_bundle(scorer: Scorer, path: Path, relation: str | None, resamples: int) -> list[ListTable]:
    """A list against a bundle's model, popularity, and neighbours where the bundle holds them.

    Raises:
        UserError: The list cannot be read, has no outcomes, or names no pair of the bundle.
    """
    ends = scorer.manifest.head_type, scorer.manifest.tail_type
    rows = _read(path, *ends)
    relations = scorer.relations if relation is None else (scorer.relation(relation),)
    others = _of_others(rows, scorer.relations, ends)
    tables = []
    every = np.arange(len(scorer.heads))
    for name in relations:
        mine = _resolved([row for row in rows if _meant(row.relation, name, ends)], scorer.heads, scorer.tails, path)
        if mine is None:
            continue
        train = scorer.training_pairs(name)

        def logits(tail: int, name: str = name) -> np.ndarray[Any, Any]:
            return scorer.score(every, np.full(len(every), tail), name)[0]

        def beside(rival: str, tail: int, name: str = name) -> np.ndarray[Any, Any]:
            return scorer.beside.scores("tail", tail, name)[rival].astype(np.float64)

        models: dict[str, HeadScores] = {scorer.manifest.model: logits}
        models |= {rival: partial(beside, rival) for rival in scorer.beside.scores("tail", 0, name)}
        known = Known(train, _but(len(scorer.heads), scorer.unembedded("head", name)),
                      _but(len(scorer.tails), scorer.unembedded("tail", name)))  # fmt: skip
        asked = ask(mine.pairs, mine.outcomes, scorer.tails.ids, known, models)
        tables.append(_table(scorer.path.name, name, [], [asked], mine, resamples, others))
    return _any(tables, path)


def of_runs(runs: Sequence[LoadedRun], path: Path, relation: str | None, resamples: int) -> list[ListTable]:
    """A list against every model of some runs that left embeddings, and against the runs' heuristics.

    Raises:
        UserError: The list cannot be read, has no outcomes, or names no pair of the runs.
    """
    tables: list[ListTable] = []
    rows: list[ListedPair] | None = None
    for run in runs:
        ends = run.head_type, run.tail_type
        # Standard input can be read once; runs that are compared mostly have the same types.
        rows = _read(path, *ends) if rows is None else rows
        tables += _of_run(run, rows, path, relation, resamples)
    return _any(tables, path)


def _of_run(
    run: LoadedRun, rows: Sequence[ListedPair], path: Path, relation: str | None, resamples: int
) -> list[ListTable]:
    import polars as pl

    from exporters.lookup import NodeIndex

    nodes = pl.read_parquet(run.directory.nodes, glob=False).sort("index")
    heads, tails = (
        NodeIndex(kind, mine["id"].to_list(), mine["name"].to_list())
        for kind in (run.head_type, run.tail_type)
        for mine in [nodes.filter(pl.col("type") == kind)]
    )

    ends = run.head_type, run.tail_type
    wanted = [name for name in sorted(run.targets) if _meant(relation, name, ends)]
    if not wanted:
        raise UserError(
            f"there is no relation {relation!r}", run.name, f"Choose one: {', '.join(sorted(run.targets))}."
        )
    tables = []
    heuristics, notes = _heuristics(run)
    notes += _of_others(rows, sorted(run.targets), ends)
    for name in wanted:
        mine = _resolved([row for row in rows if _meant(row.relation, name, ends)], heads, tails, path)
        if mine is None:
            continue
        asked = [_of_seed(run, seed, name, mine, heads, tails, heuristics) for seed in run.seeds]
        tables.append(_table(run.name, name, list(run.seeds), asked, mine, resamples, notes))
    return tables


def _of_seed(
    run: LoadedRun,
    seed: int,
    relation: str,
    mine: _Resolved,
    heads: NodeIndex,
    tails: NodeIndex,
    heuristics: Mapping[int, Mapping[str, Any]],
) -> Listed:
    """A seed's models and heuristics on the list."""
    import polars as pl

    from flykd_console.explore.exploration import read_tables
    from flykd_console.explore.rivals import popularity

    directory = run.directory_of(seed)
    found: dict[str, Tables] = {}
    for entry in run.models:
        place = directory.embeddings(seed, entry.name)
        if place.is_file():
            name = entry.label if entry.distilled else entry.name
            found[f"{name} ({entry.name})" if name in found else name] = read_tables(place)
    if not found:
        raise UserError(f"no model of seed {seed} left embeddings", run.name, "Train the seed again.")
    labels = pl.read_parquet(directory.labels(seed), glob=False).filter(
        (pl.col("relation") == relation) & (pl.col("part") == "train")
    )
    head_rows = {node_id: row for row, node_id in enumerate(heads.ids)}
    tail_rows = {node_id: row for row, node_id in enumerate(tails.ids)}
    train = np.array(
        [
            (head_rows[head], tail_rows[tail])
            for head, tail in zip(labels["head_id"].to_list(), labels["tail_id"].to_list(), strict=True)
        ],
        dtype=np.int64,
    ).reshape(-1, 2)
    models: dict[str, HeadScores] = {
        name: lambda tail, tables=tables: tables.logits("tail", tail, relation)  # type: ignore[misc]
        for name, tables in found.items()
    }
    if seed in heuristics:
        models |= {name: of[relation] for name, of in heuristics[seed].items()}
    else:
        popular = popularity(train, "head", (len(heads), len(tails))).astype(np.float64)
        models["popularity"] = lambda tail: popular
    known_heads = np.logical_and.reduce([tables.head.any(axis=1) for tables in found.values()])
    known_tails = np.logical_and.reduce([tables.tails[relation].any(axis=1) for tables in found.values()])
    return ask(mine.pairs, mine.outcomes, tails.ids, Known(train, known_heads, known_tails), models)


def _heuristics(run: LoadedRun) -> tuple[dict[int, dict[str, dict[str, HeadScores]]], list[str]]:
    """The run's heuristics by seed, name and relation, from its graph and split made again; a note where that fails."""
    from flykd_console.graph.paths import open_seen_graph
    from flykd_console.heuristics.base import TrainingEdges
    from flykd_console.heuristics.find import heuristic

    names = run.profile.evaluation.heuristics
    found: dict[int, dict[str, dict[str, HeadScores]]] = {}
    for seed in run.seeds if names else ():
        try:
            seen = open_seen_graph(run.profile, seed, run.fingerprint, run.splits.get(str(seed)))
        except UserError as error:
            return {}, [f"Of heuristics only popularity is shown: {error.title}."]
        counts = {node_type: seen.graph.count(node_type) for node_type in seen.graph.nodes}
        training = TrainingEdges(seen.split.train, seen.split.targets, counts, seed)
        found[seed] = {
            name: {
                target.relation: lambda tail, scorer=scorer, target=target: scorer.block(target, np.array([tail]))[0]  # type: ignore[misc]
                for target in seen.split.targets
            }
            for name in names
            for scorer in [heuristic(name, training)]
        }
    return found, []


def _read(path: Path, head_type: str, tail_type: str) -> list[ListedPair]:
    rows = read_list(path, head_type, tail_type, outcomes=True)
    if all(row.outcome is None for row in rows):
        raise UserError(
            "has no column of outcomes", name_of(path), "Add a column outcome: approved, failed, in trial, or 1 and 0."
        )
    return rows


def _meant(written: str | None, relation: str, ends: tuple[str, str]) -> bool:
    """Whether a row or an option that may name a relation means this one; without a name every one is meant."""
    return written is None or is_meant(written, ends[0], relation, ends[1])


def _of_others(rows: Sequence[ListedPair], relations: Sequence[str], ends: tuple[str, str]) -> list[str]:
    """How many rows name a relation that is not scored."""
    others = [row.relation for row in rows if not any(_meant(row.relation, one, ends) for one in relations)]
    return [f"{counted(len(others), 'row')} left out of another relation, first {others[0]!r}."] if others else []


def _resolved(rows: Sequence[ListedPair], heads: NodeIndex, tails: NodeIndex, path: Path) -> _Resolved | None:
    """The pairs whose ends are there; None where there is none.

    Raises:
        UserError: A pair has two outcomes.
    """
    outcomes: dict[tuple[int, int], Outcome] = {}
    strange: list[str] = []
    repeated = 0
    rows_of: dict[tuple[str, str], int | None] = {}
    for row in rows:
        ends = []
        for side, index, text in (("head", heads, row.head), ("tail", tails, row.tail)):
            if (side, text) not in rows_of:
                rows_of[side, text] = index.known(text)
            ends.append(rows_of[side, text])
        if ends[0] is None or ends[1] is None:
            strange.append(row.head if ends[0] is None else row.tail)
            continue
        assert row.outcome is not None
        pair = ends[0], ends[1]
        repeated += pair in outcomes
        if outcomes.setdefault(pair, row.outcome) != row.outcome:
            raise UserError(
                f"line {row.line} gives {row.head} with {row.tail} another outcome than a line before",
                name_of(path),
                "Keep one of the two.",
            )
    if not outcomes:
        return None
    notes = []
    if strange:
        first = ", ".join(repr(text) for text in dict.fromkeys(strange[:_SHOWN]))
        notes.append(f"{counted(len(strange), 'row')} left out that name a node which is not there, first {first}.")
    if repeated:
        notes.append(f"{counted(repeated, 'row')} left out that repeat a pair.")
    return _Resolved(list(outcomes), list(outcomes.values()), notes)


def _but(count: int, without: frozenset[int]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    kept = np.ones(count, dtype=np.bool_)
    kept[list(without)] = False
    return kept


def _table(
    of: str,
    relation: str,
    seeds: list[int],
    asked: Sequence[Listed],
    mine: _Resolved,
    resamples: int,
    further: Sequence[str],
) -> ListTable:
    counts: Counter[Outcome] = Counter()
    for one in asked:
        counts.update(one.outcomes)
    notes = list(mine.notes)
    per_seed = " in a seed" if len(asked) > 1 else ""
    trained, unknown = (max(getattr(one, what) for one in asked) for what in ("trained", "unknown"))
    if trained:
        notes.append(f"{counted(trained, 'pair')} left out that {relation} is trained on{per_seed}.")
    if unknown:
        notes.append(f"{counted(unknown, 'pair')} left out with an end that no training edge leads to{per_seed}.")
    return ListTable(
        of=of,
        relation=relation,
        seeds=seeds,
        counts={outcome: count / len(asked) for outcome, count in counts.items()},
        models=figures(asked, resamples) if counts else [],
        notes=[*notes, *further],
    )


def _any(tables: list[ListTable], path: Path) -> list[ListTable]:
    if not any(table.counts for table in tables):
        why = "; ".join(dict.fromkeys(note.rstrip(".") for table in tables for note in table.notes))
        raise UserError(
            f"no pair of it can be asked{': ' + why if why else ''}", name_of(path),
            "Ids or names must be those of the graph, and pairs new to the model.",
        )  # fmt: skip
    return tables


def as_json(tables: Sequence[ListTable]) -> list[dict[str, Any]]:
    """The tables as plain objects."""
    return [asdict(table) for table in tables]
