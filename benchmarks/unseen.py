"""Diseases that are not in the graph: how well their drugs are ranked by profile alone, against the same ones inside.

    python benchmarks/unseen.py --graph kg.csv.gz --diseases 200

Two students of `--profile` are trained on the same labels. For one the diseases are taken out of the graph
with every edge of theirs, and are asked for afterwards by what the graph had said of them (`score --profile`). For the
other they stay, without a label (`split.kind = "disease"`). Some further diseases are the test of both: what the two
trainings differ by for other reasons. AP is over all drugs, by disease and relation.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import polars as pl

from benchmarks.measure import console, machine, show
from exporters.answers import Ranked
from exporters.scorer import Scorer
from flykd_console.errors import UserError
from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph, Pairs, Targets
from flykd_console.graph.load import load_graph
from flykd_console.profile.load import load_profile
from flykd_console.relation_names import spelling
from flykd_console.seeding import numpy_rng

# Diseases that both trainings test.
_CONTROLS = 20
_ALL = 1_000_000


def chosen_tails(graph: KnowledgeGraph, targets: Targets, count: int, seed: int) -> tuple[list[int], list[int]]:
    """Rows of tails with a label that are taken out, and of those that both trainings test, drawn at random."""
    labelled = np.unique(np.concatenate([graph.edges[target][1] for target in targets]))
    drawn = numpy_rng(seed, "benchmarks/unseen").permutation(labelled)
    out, controls = drawn[:count], drawn[count : count + _CONTROLS]
    return sorted(out.tolist()), sorted(controls.tolist())


def without(graph: KnowledgeGraph, node_type: str, rows: Sequence[int]) -> KnowledgeGraph:
    """The graph without some nodes of a type and every edge of theirs."""
    kept = np.ones(graph.count(node_type), dtype=bool)
    kept[list(rows)] = False
    place = np.cumsum(kept) - 1
    edges: dict[EdgeType, Pairs] = {}
    for edge_type, ends in graph.edges.items():
        there = np.ones(len(ends[0]), dtype=bool)
        for kind, side in zip((edge_type.head, edge_type.tail), ends, strict=True):
            if kind == node_type:
                there &= kept[side]
        kinds = (edge_type.head, edge_type.tail)
        moved = [
            place[side[there]] if kind == node_type else side[there] for kind, side in zip(kinds, ends, strict=True)
        ]
        edges[edge_type] = (moved[0], moved[1])
    nodes = dict(graph.nodes) | {node_type: graph.nodes[node_type].filter(pl.Series(kept))}
    return KnowledgeGraph(nodes, edges, graph.source)


def write(graph: KnowledgeGraph, path: Path) -> None:
    """The graph in kg form, one direction of every edge."""
    frames = []
    for edge_type, ends in graph.edges.items():
        columns: dict[str, object] = {"relation": [edge_type.relation] * len(ends[0])}
        for side, kind, rows in zip("xy", (edge_type.head, edge_type.tail), ends, strict=True):
            table = graph.nodes[kind]
            columns |= {f"{side}_id": table["id"].gather(rows), f"{side}_type": [kind] * len(rows)}
            columns |= {f"{side}_name": table["name"].gather(rows)}
        frames.append(pl.DataFrame(columns))
    pl.concat(frames).write_parquet(path)


def trained(graph: Path, diseases: Sequence[str], options: argparse.Namespace, name: str) -> Path:
    """The bundle of a student of the profile whose test are these diseases, by id."""
    from flykd_console.api import load, train

    settings: dict[str, object] = {"split.kind": "disease", "split.diseases": list(diseases), "engine.threads": 1}
    settings |= {"evaluation.heuristics": []}
    if options.epochs is not None:
        settings["distill.epochs"] = options.epochs
    place = Path("runs") / name
    if not (place / "results.json").is_file():
        run = train(options.profile, seeds=[options.seed], graph=graph, device="cpu", name=name, settings=settings)
        run.path.rename(place)
    run = load(place)
    return run.bundle or run.export().path


@dataclass(frozen=True, eq=False)
class Question:
    """A disease with labels of a relation: its profile by relation, and the ids of its drugs."""

    disease: str
    relation: str
    profile: Mapping[str, Any]
    drugs: frozenset[str]


def questions(graph: KnowledgeGraph, targets: Targets, rows: Sequence[int]) -> list[Question]:
    """Every disease and relation with a label, and what else the graph says of it."""
    ids = {kind: graph.ids(kind) for kind in graph.nodes}
    profiles: dict[int, dict[str, list[str]]] = {row: {} for row in rows}
    for edge_type, (heads, tails) in graph.edges.items():
        ends = ((edge_type.head, heads, edge_type.tail, tails), (edge_type.tail, tails, edge_type.head, heads))
        for kind, mine, other, theirs in ends:
            if kind != targets.tail or edge_type in targets:
                continue
            for row in rows:
                found = {ids[other][node] for node in theirs[mine == row].tolist()}
                if found:
                    key = spelling(*edge_type)
                    profiles[row][key] = sorted(found | set(profiles[row].get(key, ())))
    asked = []
    for target in targets:
        heads, tails = graph.edges[target]
        for row in rows:
            drugs = frozenset(ids[targets.head][head] for head in heads[tails == row].tolist())
            if drugs:
                asked.append(Question(ids[targets.tail][row], target.relation, profiles[row], drugs))
    return asked


def precision(order: Sequence[Ranked], rank: Callable[[Ranked], float], drugs: frozenset[str]) -> float:
    """Average precision of a list by a rank; a drug that is not listed is never found, equal ranks are drawn."""
    draws = numpy_rng(0, "benchmarks/unseen/ties").random(len(order))
    keys = np.lexsort((draws, np.array([rank(one) for one in order], dtype=np.float64)))
    hits = np.array([order[place].id in drugs for place in keys])
    found = np.cumsum(hits)[hits] / (np.flatnonzero(hits) + 1)
    return float(found.sum() / len(drugs))


def _last(rank: int | None) -> float:
    return np.inf if rank is None else rank


# What orders a list, by the name of its row.
RANKS: dict[str, Callable[[Ranked], float]] = {
    "model": lambda one: one.rank,
    "neighbours": lambda one: _last(one.neighbours_rank),
    "popularity": lambda one: _last(one.popularity_rank),
}


def answers(asked: Sequence[Question], ask: Callable[[Question], Sequence[Ranked]]) -> dict[str, dict[int, float]]:
    """AP of every question that has an answer, by what orders it and the question's number."""
    found: dict[str, dict[int, float]] = {name: {} for name in RANKS}
    for number, question in enumerate(asked):
        try:
            order = ask(question)
        except UserError:
            continue
        for name, rank in RANKS.items():
            found[name][number] = precision(order, rank, question.drugs)
    return found


def by_profile(scorer: Scorer) -> Callable[[Question], Sequence[Ranked]]:
    """Ask for a disease by its profile; nodes that went out with their diseases are left out of it."""

    def ask(question: Question) -> Sequence[Ranked]:
        placed = scorer.profile({"edges": question.profile}, question.relation, _ALL, skip_unknown=True)
        return placed.ranking

    return ask


def by_embedding(scorer: Scorer, ask: Callable[[Question], Sequence[Ranked]]) -> Callable[[Question], Sequence[Ranked]]:
    """The same lists, ordered by the mean of its relatives' embeddings alone."""

    def alone(question: Question) -> Sequence[Ranked]:
        relation, listed = question.relation, ask(question)
        vector = scorer.embed(scorer.place({"edges": question.profile}, skip_unknown=True), relation)
        logits = scorer.tables.embeddings("head", relation) @ (scorer.tables.vector(relation) * vector)
        order = sorted(listed, key=lambda one: -logits[one.index])
        return [replace(one, rank=rank) for rank, one in enumerate(order, start=1)]

    return alone


def by_id(scorer: Scorer) -> Callable[[Question], Sequence[Ranked]]:
    """Ask for a disease of the graph."""
    return lambda question: scorer.rank_heads(question.disease, question.relation, _ALL)


def means(asked: Sequence[Question], found: Mapping[int, float], among: Collection[int]) -> list[str]:
    """Mean AP of some questions by relation, and the mean of these, in per cent."""
    relations = list(dict.fromkeys(question.relation for question in asked))
    each = []
    for relation in relations:
        values = [found[number] for number in among if asked[number].relation == relation]
        each.append(100.0 * float(np.mean(values)) if values else float("nan"))
    return [f"{value:.2f}" for value in (float(np.mean(each)), *each)]


def main() -> None:
    """Train, ask and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graph", default="embedded")
    parser.add_argument("--profile", default="best")
    parser.add_argument("--diseases", type=int, default=200)
    parser.add_argument("--seed", type=int, default=46)
    parser.add_argument("--epochs", type=int, help="of the student; default: the profile's")
    parser.add_argument("--folder", type=Path, help="keep graphs, runs and bundles here, and use those that are there")
    options = parser.parse_args()
    settings = load_profile(options.profile, [f"graph.source={json.dumps(options.graph)}"]).graph
    graph = load_graph(settings)
    targets = graph.targets(settings.targets)
    out, controls = chosen_tails(graph, targets, options.diseases, options.seed)
    ids = graph.ids(targets.tail)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).absolute()
        folder.mkdir(exist_ok=True)
        os.chdir(folder)
        for name, left_out in (("whole", []), ("reduced", out)):
            if not (folder / f"{name}.parquet").is_file():
                write(without(graph, targets.tail, left_out), folder / f"{name}.parquet")
        asked, kept = [ids[row] for row in out], [ids[row] for row in controls]
        outside = Scorer(trained(folder / "reduced.parquet", kept, options, "outside"))
        inside = Scorer(trained(folder / "whole.parquet", [*asked, *kept], options, "inside"))
        report(graph, targets, (out, controls), (outside, inside), options)


def report(
    graph: KnowledgeGraph,
    targets: Targets,
    rows: tuple[Sequence[int], Sequence[int]],
    scorers: tuple[Scorer, Scorer],
    options: argparse.Namespace,
) -> None:
    """Ask both bundles, and print."""
    outside, inside = scorers
    asked, control = (questions(graph, targets, some) for some in rows)
    ask = cache(by_profile(outside))
    placed, there = answers(asked, ask), answers(asked, by_id(inside))
    alone = answers(asked, by_embedding(outside, ask))
    among = sorted(placed["model"].keys() & there["model"].keys())
    table = [
        ["not in the graph: score --profile", *means(asked, placed["model"], among)],
        ["not in the graph: relatives' embeddings alone", *means(asked, alone["model"], among)],
        ["not in the graph: neighbours by profile alone", *means(asked, placed["neighbours"], among)],
        ["inside the graph: student", *means(asked, there["model"], among)],
        ["inside the graph: neighbours", *means(asked, there["neighbours"], among)],
        ["popularity", *means(asked, placed["popularity"], among)],
    ]
    for name, scorer in (("without", outside), ("with", inside)):
        found = answers(control, by_id(scorer))["model"]
        table.append([f"tested by both: student {name} the others", *means(control, found, sorted(found))])
    console.print(machine())
    console.print(
        f"{options.graph}: {len(rows[0])} diseases left out, {len(asked)} lists, of which {len(among)} could be asked "
        f"for in both; {len(control)} lists of {len(rows[1])} diseases tested by both"
    )
    relations = list(dict.fromkeys(question.relation for question in asked))
    show("AP in per cent, mean over diseases", ["ranked by", "mean", *relations], table)


if __name__ == "__main__":
    main()
