"""Splits by time: which edge is in which part, and that nothing later reaches a model, a heuristic or a bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from flykd_console.dates import UNDATED
from flykd_console.errors import UserError
from flykd_console.graph.connecting_edges import connecting_edges
from flykd_console.graph.formats.kg_write import write_kg
from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph, Targets
from flykd_console.graph.load import load_graph
from flykd_console.graph.orientation import orient_targets
from flykd_console.graph.split.edge_split import PARTS, EdgeSplit
from flykd_console.graph.split.make import split_graph
from flykd_console.graph.split.negatives import evaluation_pairs
from flykd_console.heuristics.find import heuristic
from flykd_console.model.link_model import link_model
from flykd_console.profile import sections
from flykd_console.profile.models import models_of
from flykd_console.profile.rooms import heuristics
from flykd_console.profile.schema import Profile
from flykd_console.profile.sections import Graph
from flykd_console.tasks.base import Objective
from flykd_console.tasks.link_prediction.task import LinkPrediction
from flykd_console.training.loops.replay import adam
from tests.support.graph_files import HEADER, both_ways, full_row
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph

TARGETS = Targets([CONTRAINDICATION, INDICATION])
PROTEINS = EdgeType("gene/protein", "protein_protein", "gene/protein")
DRUG_PROTEIN = EdgeType("drug", "drug_protein", "gene/protein")
DISEASE_PROTEIN = EdgeType("gene/protein", "disease_protein", "disease")
TRIAL = EdgeType("drug", "trial", "disease")
CUTS = {"kind": "by_time", "train_until": 2010, "validate_until": 2014}
YEARS = np.arange(2000, 2020)


def dated(graph: KnowledgeGraph, missing: float = 0.1, seed: int = 0) -> KnowledgeGraph:
    """The graph with a year from 2000 to 2019 for nearly every edge."""
    rng = np.random.default_rng(seed)
    dates = {}
    for edge_type, (heads, _) in sorted(graph.edges.items()):
        drawn = (rng.choice(YEARS, len(heads)) * 10_000 + 1231).astype(np.int32)
        drawn[rng.random(len(heads)) < missing] = UNDATED
        dates[edge_type] = drawn
    return replace(graph, dates=dates)


def split_of(graph: KnowledgeGraph, **settings: Any) -> EdgeSplit:
    return split_graph(graph, TARGETS, sections.Split.model_validate(CUTS | settings), 45)


def year_of(graph: KnowledgeGraph, edge_type: EdgeType) -> dict[tuple[int, int], int]:
    assert graph.dates is not None
    return {
        (head, tail): date // 10_000
        for head, tail, date in zip(*graph.edges[edge_type], graph.dates[edge_type], strict=True)
        if date != UNDATED
    }


# Which edge is in which part.


def test_every_relation_is_cut_by_date() -> None:
    graph = dated(small_graph())
    split = split_of(graph)
    between = {"train": (0, 2010), "validation": (2011, 2014), "test": (2015, 9999)}
    for edge_type in graph.edges:
        years = year_of(graph, edge_type)
        for part, (first, last) in between.items():
            found = set(zip(*split.part(part)[edge_type], strict=True))
            wanted = {pair for pair, year in years.items() if first <= year <= last}
            assert wanted <= found
            if part != "train":
                assert wanted == found


@pytest.mark.parametrize(("policy", "labels", "others"), [("background", 0, 1), ("oldest", 1, 1), ("out", 0, 0)])
def test_what_has_no_date_is_where_the_profile_says_and_is_told(policy: str, labels: int, others: int) -> None:
    graph = dated(small_graph())
    assert graph.dates is not None
    split = split_of(graph, undated=policy)
    for edge_type, (heads, tails) in graph.edges.items():
        unknown = graph.dates[edge_type] == UNDATED
        pairs = set(zip(heads[unknown].tolist(), tails[unknown].tolist(), strict=True))
        placed = [pairs & set(zip(*split.part(part)[edge_type], strict=True)) for part in PARTS]
        kept = labels if edge_type in TARGETS else others
        assert placed == [pairs if kept else set(), set(), set()]
        if edge_type in TARGETS:
            left = split.undated.get(edge_type, (np.zeros(0, np.int64), np.zeros(0, np.int64)))
            assert set(zip(*left, strict=True)) == (set() if kept else pairs)
    told = " ".join(split.notes)
    assert ("count as oldest" in told) == bool(labels or others)
    assert ("are in no part" in told) == (not (labels and others))


def test_true_pairs_without_a_date_are_not_asked_in_a_ranking_and_not_told_in_validation() -> None:
    graph = dated(small_graph(), missing=0.3)
    split = split_of(graph)
    for target in TARGETS:
        undated = set(zip(*split.undated[target], strict=True))
        assert undated
        for part in ("validation", "test"):
            assert undated <= set(zip(*split.known_before(part, target), strict=True))
    # A graph without what later became known, or became known nobody knows when, has the same negatives in validation.
    edges = {}
    for edge_type in graph.edges:
        heads, tails = zip(*(split.part(part)[edge_type] for part in PARTS[:2]), strict=True)
        edges[edge_type] = np.concatenate(heads), np.concatenate(tails)
    bare = replace(graph, edges=edges, dates=None)
    of_all, of_bare = (evaluation_pairs(g, split, "validation", 45, filter_true=True) for g in (graph, bare))
    for one, other in zip(of_all, of_bare, strict=True):
        assert (one.heads == other.heads).all()
        assert (one.tails == other.tails).all()


def test_a_pair_that_is_told_twice_counts_once_and_since_the_earlier_time() -> None:
    graph = dated(small_graph(), missing=0.0)
    assert graph.dates is not None
    heads, tails = graph.edges[DRUG_PROTEIN]
    twice = {**graph.edges, DRUG_PROTEIN: (np.repeat(heads, 2), np.repeat(tails, 2))}
    dates = {**graph.dates, DRUG_PROTEIN: np.repeat(graph.dates[DRUG_PROTEIN], 2)}
    one, other = split_of(graph), split_of(replace(graph, edges=twice, dates=dates))
    assert one.fingerprint == other.fingerprint


def test_parts_are_the_same_under_every_seed() -> None:
    graph = dated(small_graph())
    settings = sections.Split.model_validate(CUTS)
    assert len({split_graph(graph, TARGETS, settings, seed).fingerprint for seed in (1, 2, 3)}) == 1


# Reading.


def kg_file(path: Path, rows: list[tuple[Any, str]], column: str = "year") -> Path:
    """A kg.csv of the drug d0 .. and disease s0 .., a row each: (its pair, its date)."""
    lines = [",".join([*HEADER, column])]
    lines += [",".join([*full_row(row), date]) for row, date in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def row(drug: int, disease: int, relation: str = "indication") -> tuple[str, str, str, str, str]:
    return relation, "drug", f"d{drug}", "disease", f"s{disease}"


def dates_in(path: Path, column: str = "year") -> list[int]:
    graph = load_graph(Graph(source=str(path), time_column=column), use_cache=False)
    assert graph.dates is not None
    found: list[int] = graph.dates[INDICATION].tolist()
    return found


def test_an_edge_has_the_earliest_date_of_all_its_rows_of_either_direction(tmp_path: Path) -> None:
    straight, mirrored = both_ways([row(0, 0)])
    rows = [(straight, "2012"), (mirrored, "2009-05"), (row(0, 1), ""), (row(0, 1), "2015|2011"), (row(1, 0), "")]
    assert dates_in(kg_file(tmp_path / "kg.csv", rows)) == [20090531, 20111231, 20111231, UNDATED]


def test_a_mirrored_row_alone_has_its_date(tmp_path: Path) -> None:
    first, second = row(0, 0), both_ways([row(1, 1)])[1]
    assert dates_in(kg_file(tmp_path / "kg.csv", [(first, "2012"), (second, "2013")])) == [20121231, 20131231]


@pytest.mark.parametrize("kind", [pl.Int16, pl.Float64, pl.Date, pl.Datetime, pl.String, pl.List(pl.String)])
def test_columns_of_parquet_may_be_numbers_dates_texts_or_lists(tmp_path: Path, kind: Any) -> None:
    values = pl.Series("year", ["2012-12-31", "2011-12-31"], dtype=pl.String).str.to_date()
    if kind in (pl.Int16, pl.Float64):
        values = values.dt.year().cast(kind)
    elif kind == pl.List(pl.String):
        values = pl.Series("year", [["2012", "2013"], ["2011"]])
    else:
        values = values.cast(kind)
    text = pl.DataFrame([full_row(row(0, 0)), full_row(row(0, 1))], HEADER, orient="row")
    text.with_columns(values).write_parquet(tmp_path / "kg.parquet")
    assert dates_in(tmp_path / "kg.parquet") == [20121231, 20111231]


def test_a_field_that_is_no_date_is_named_with_its_line(tmp_path: Path) -> None:
    path = kg_file(tmp_path / "kg.csv", [(row(0, 0), "2012"), (row(0, 1), "soon")])
    with pytest.raises(UserError, match="line 3 has the year 'soon', which is no date"):
        dates_in(path)
    pl.read_csv(path, infer_schema=False).write_parquet(tmp_path / "kg.parquet")
    with pytest.raises(UserError, match="row 2 has the year 'soon', which is no date"):
        dates_in(tmp_path / "kg.parquet")


def test_a_column_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    path = kg_file(tmp_path / "kg.csv", [(row(0, 0), "2012")])
    with pytest.raises(UserError, match="no column 'yeer'") as caught:
        dates_in(path, "yeer")
    assert caught.value.hint == "The graph has year."
    with pytest.raises(UserError, match="relation tells no time"):
        dates_in(path, "relation")
    with pytest.raises(UserError, match="no column 'date' in the embedded graph"):
        load_graph(Graph(source="embedded", time_column="date"))


def test_a_graph_in_another_layout_has_its_years_too(tmp_path: Path) -> None:
    pl.DataFrame([("d0", "drug", "a"), ("s0", "disease", "b"), ("s1", "disease", "c")], ["id", "category", "name"],
                 orient="row").write_csv(tmp_path / "n.tsv", separator="\t")  # fmt: skip
    edges = [
        ("d0", "indication", "s0", "2011|2013"),
        ("d0", "indication", "s1", None),
        ("d0", "indication", "s0", "2012"),
    ]
    columns = ["subject", "predicate", "object", "publication_year"]
    pl.DataFrame(edges, columns, orient="row").write_csv(tmp_path / "e.tsv", separator="\t")
    assert dates_in(tmp_path, "publication_year") == [20111231, UNDATED]


def test_dates_come_back_from_the_cache_and_belong_to_their_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLYKD_CACHE", str(tmp_path / "cache"))
    path = kg_file(tmp_path / "kg.csv", [(row(0, 0), "2012"), (row(0, 1), "")])
    plain = load_graph(Graph(source=str(path)))
    settings = Graph(source=str(path), time_column="year")
    first, again = load_graph(settings), load_graph(settings)
    assert plain.dates is None
    assert again.dates is not None
    assert again.dates[INDICATION].tolist() == [20121231, UNDATED]
    assert first.fingerprint == again.fingerprint != plain.fingerprint


def test_turning_a_target_keeps_its_dates() -> None:
    graph = dated(small_graph())
    assert graph.dates is not None
    edges = {**graph.edges, EdgeType("disease", "indication", "drug"): graph.edges[INDICATION][::-1]}
    dates = {**graph.dates, EdgeType("disease", "indication", "drug"): graph.dates[INDICATION]}
    del edges[INDICATION], dates[INDICATION]
    turned = orient_targets(replace(graph, edges=edges, dates=dates), ["contraindication", "indication"],
                            ["disease_disease"])  # fmt: skip
    assert turned.dates is not None
    assert (turned.dates[INDICATION] == graph.dates[INDICATION]).all()


# Bad settings.


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ({"kind": "by_time", "train_until": 2010}, "needs split.validate_until"),
        ({"kind": "by_time", "train_until": 2014, "validate_until": 2010}, "is not before"),
        ({"kind": "by_time", "train_until": "soon", "validate_until": 2010}, "'soon' is no date"),
        (
            {"kind": "by_time", "train_until": 2010, "validate_until": 2014, "fractions": [0.8, 0.1, 0.1]},
            "does not apply",
        ),
        ({"kind": "by_time", "train_until": 2010, "validate_until": 2014, "hops": 1}, "split.hops"),
        ({"kind": "random", "train_until": 2010}, "belongs to kind = 'by_time'"),
        ({"kind": "random", "undated": "out"}, "belongs to kind = 'by_time'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(split: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        sections.Split.model_validate(split)


def test_a_profile_names_the_column() -> None:
    with pytest.raises(ValidationError, match=r"needs graph\.time_column"):
        Profile.model_validate({"split": CUTS})


def test_a_graph_without_dates_or_with_none_of_a_target_is_refused() -> None:
    graph = small_graph()
    with pytest.raises(UserError, match="the graph has no dates"):
        split_of(graph)
    found = dated(graph)
    assert found.dates is not None
    never = {**found.dates, INDICATION: np.full_like(found.dates[INDICATION], UNDATED)}
    with pytest.raises(UserError, match="no edge of the relation 'indication' has a date"):
        split_of(replace(found, dates=never))


def test_cuts_beyond_all_dates_are_refused_with_what_shows_their_range() -> None:
    with pytest.raises(UserError, match="leaves the relation 'contraindication' without test edges") as caught:
        split_of(dated(small_graph()), validate_until=2050)
    assert "graph info" in str(caught.value.hint)


# Nothing later is seen.


def later(graph: KnowledgeGraph, edge_type: EdgeType) -> NDArray[np.bool_]:
    """Edges that no training sees: those after training, but for pairs that validate."""
    assert graph.dates is not None
    known = graph.dates[edge_type] != UNDATED
    cut = 2014 if edge_type in TARGETS else 2010
    found: NDArray[np.bool_] = known & (graph.dates[edge_type] // 10_000 > cut)
    return found


def without_later(graph: KnowledgeGraph, share: float) -> KnowledgeGraph:
    """A share of the later edges is gone, whole relations that came up later among them."""
    assert graph.dates is not None
    rng = np.random.default_rng(7)
    edges, dates = {}, {}
    for edge_type, (heads, tails) in graph.edges.items():
        kept = ~(later(graph, edge_type) & (rng.random(len(heads)) < share))
        if edge_type == TRIAL:
            continue
        edges[edge_type], dates[edge_type] = (heads[kept], tails[kept]), graph.dates[edge_type][kept]
    return replace(graph, edges=edges, dates=dates)


def with_other_later(graph: KnowledgeGraph) -> KnowledgeGraph:
    """Later edges join other nodes, at other later times; test pairs are flipped among them."""
    assert graph.dates is not None
    rng = np.random.default_rng(8)
    edges, dates = {}, {}
    for edge_type, (heads, tails) in graph.edges.items():
        moved = later(graph, edge_type)
        others = tails.copy()
        others[moved] = rng.integers(graph.count(edge_type.tail), size=int(moved.sum()))
        new = graph.dates[edge_type].copy()
        new[moved] = rng.integers(2015, 2030, size=int(moved.sum())) * 10_000 + 1231
        # A pair that was known before stays so: what is moved onto one is told again, later.
        width = graph.count(edge_type.tail)
        old = ~moved
        again = moved & np.isin(heads * width + others, (heads * width + tails)[old])
        edges[edge_type], dates[edge_type] = (heads[~again], others[~again]), new[~again]
    return replace(graph, edges=edges, dates=dates)


def profile_of(**tables: Any) -> Profile:
    base: dict[str, Any] = {
        "teacher": {"dim": 8},
        # Wide enough for a column of degrees under each edge type.
        "student": {"dim": 40, "degrees": True, "self_loop": True, "biases": "head", "popularity": 0.1},
        "pretrain": {"batch_size": 64},
        "split": CUTS | {"filter_negatives": True},
        "graph": {"time_column": "year", "pooling": {"all_relations": True, "weights": "rarity"}},
        "negatives": {"replace": "both", "distribution": "degree", "candidates": "linked"},
        "distill": {"random_graph": {"labels_per_relation": 50, "unseen": 0.5}, "lsp": {"weight": 10.0}},
    }
    return Profile.model_validate(base | tables)


def stepped(objective: Objective, model: torch.nn.Module, steps: int = 4) -> None:
    optimizer = adam(model.parameters(), 0.01)
    for epoch in range(steps):
        weights = {"original": 1.0} if objective.curriculum is None else objective.curriculum.weights(epoch)
        optimizer.zero_grad()
        objective(epoch, weights)["total"].backward()
        optimizer.step()


def seen(graph: KnowledgeGraph, profile: Profile) -> dict[str, NDArray[Any]]:
    """All that follows from training: embeddings of teacher and student, heuristics, and what a bundle shows beside."""
    task = LinkPrediction(profile, graph, graph.targets(profile.graph.targets), 45, torch.device("cpu"))
    teacher_spec, _, student_spec = models_of(profile)
    teacher, student = task.new_model(teacher_spec), task.new_model(student_spec)
    for model, name in ((teacher, "teacher"), (student, "student")):
        assert isinstance(model, torch.nn.Module)
        stepped(task.pretraining(model, name), model, 2)
    assert isinstance(teacher, torch.nn.Module)
    assert isinstance(student, torch.nn.Module)
    stepped(task.supervised(teacher, "teacher"), teacher)
    stepped(task.distilled(student_spec, student, [teacher], lambda *_: None), student)
    found: dict[str, NDArray[Any]] = {}
    for name, model in (("teacher", teacher), ("student", student)):
        encoded = task.data.encode_all(link_model(model))
        found[f"{name} heads"] = encoded.head.numpy()
        for relation, tails in encoded.tails.items():
            found[f"{name} tails of {relation}"] = tails.numpy()
            found[f"{name} vector of {relation}"] = encoded.relation[relation].numpy()
    drugs, diseases = np.arange(graph.count("drug")), np.arange(graph.count("disease"))
    for name in heuristics():
        for target in task.data.targets:
            scores = heuristic(name, task.data.training).block(target, diseases, drugs)
            found[f"{name} of {target.relation}"] = np.asarray(scores)
    for types, pairs in connecting_edges(task.data.told, task.data.targets).items():
        found[f"connections {types}"] = np.stack(pairs)
    for relation, steps in task.data.distances.items():
        found[f"distances of {relation}"] = steps
    for stored in task.data.evaluation("validation"):
        found[f"validation pairs of {stored.relation}"] = np.stack([stored.heads, stored.tails])
    return found


def history() -> KnowledgeGraph:
    """The small graph with years, and a relation that begins after all training."""
    graph = small_graph()
    graph = replace(graph, edges=dict(graph.edges) | {TRIAL: graph.edges[INDICATION]})
    found = dated(graph)
    assert found.dates is not None
    since = np.full(len(found.edges[TRIAL][0]), 2016_1231, dtype=np.int32)
    return replace(found, dates={**found.dates, TRIAL: since})


@pytest.mark.parametrize("change", ["gone", "half gone", "others"])
def test_no_later_edge_changes_a_bit_of_teacher_student_heuristics_or_bundle(change: str) -> None:
    graph = history()
    changed = {
        "gone": lambda: _but_for_a_test(graph, without_later(graph, 1.0)),
        "half gone": lambda: without_later(graph, 0.5),
        "others": lambda: with_other_later(graph),
    }[change]()
    before, after = seen(graph, profile_of()), seen(changed, profile_of())
    assert before.keys() == after.keys()
    assert len(before) > 12
    for name, values in before.items():
        assert values.tobytes() == after[name].tobytes(), name


def _but_for_a_test(graph: KnowledgeGraph, bare: KnowledgeGraph) -> KnowledgeGraph:
    """A test must not be empty: two pairs of each target that are not the graph's own, dated last of all."""
    assert bare.dates is not None
    edges, dates = dict(bare.edges), dict(bare.dates)
    for target in TARGETS:
        free = np.setdiff1d(np.arange(2400), graph.edges[target][0] * 60 + graph.edges[target][1])[[5, 70, 1500]]
        heads, tails = edges[target]
        edges[target] = np.append(heads, free // 60), np.append(tails, free % 60)
        dates[target] = np.append(dates[target], np.full(3, 2019_1231, dtype=np.int32))
    return replace(bare, edges=edges, dates=dates)


def test_an_earlier_edge_does_change_them() -> None:
    graph = history()
    assert graph.dates is not None
    moved = {**graph.dates, DRUG_PROTEIN: np.full_like(graph.dates[DRUG_PROTEIN], 2016_1231)}
    before, after = seen(graph, profile_of()), seen(replace(graph, dates=moved), profile_of())
    assert before["student heads"].tobytes() != after["student heads"].tobytes()
    assert before["teacher heads"].tobytes() != after["teacher heads"].tobytes()


def announced() -> KnowledgeGraph:
    """Each indication of a year has in the same year a protein of its own that drug and disease share."""
    rng = np.random.default_rng(3)
    flat = np.sort(rng.choice(40 * 60, 300, replace=False))
    heads, tails = flat // 60, flat % 60
    years = rng.choice(YEARS, 300).astype(np.int32) * 10_000 + 1231
    own = np.arange(300)
    edges = {INDICATION: (heads, tails), DRUG_PROTEIN: (heads, own), DISEASE_PROTEIN: (own, tails)}
    graph = small_graph()
    proteins = pl.DataFrame({"id": [f"p{i}" for i in own], "name": [f"p{i}" for i in own]})
    return KnowledgeGraph(
        {**graph.nodes, "gene/protein": proteins}, edges, "announced", dates=dict.fromkeys(edges, years)
    )


def test_an_edge_that_announces_a_pair_helps_at_random_and_not_by_time() -> None:
    graph = announced()
    found = {}
    for kind in ("random", "by_time"):
        split = CUTS if kind == "by_time" else {"kind": kind, "fractions": (0.6, 0.1, 0.3)}
        profile = Profile.model_validate({"split": split, "graph": {"time_column": "year", "targets": ["indication"]}})
        task = LinkPrediction(profile, graph, graph.targets(["indication"]), 45, torch.device("cpu"))
        scores, _ = task.assess_heuristic("shared_neighbours")
        found[kind] = scores.macro_auroc
    assert found["random"] is not None
    assert found["by_time"] is not None
    assert found["random"] > 0.6
    assert abs(found["by_time"] - 0.5) < 0.1


def test_a_written_graph_has_its_years_when_it_is_read(tmp_path: Path) -> None:
    graph = load_graph(Graph(source="embedded", time_column="year"))
    for name in ("kg.csv", "kg.parquet"):
        write_kg(graph, tmp_path / name)
        again = load_graph(Graph(source=str(tmp_path / name), time_column="year"), use_cache=False)
        assert again.fingerprint == graph.fingerprint
