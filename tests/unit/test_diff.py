"""Two bundles against each other: ranks by hand, what one alone has, and the three forms."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from exporters.bundle import export_run
from exporters.diff import diff_bundles
from exporters.diff_text import to_html, to_json, to_markdown
from exporters.scorer import Scorer
from flykd_console.cli.app import main
from flykd_console.errors import UserError
from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph
from flykd_console.graph.new_edges import NewEdges
from tests.support.finished_run import RunSpec, make_finished_run
from tests.support.small_graph import INDICATION, small_graph


@pytest.fixture
def bundles(tmp_path: Path) -> tuple[Path, Path]:
    """Two bundles; the second knows ten diseases and five drugs more."""
    first = make_finished_run(tmp_path, RunSpec(name="flykd-20260102-030405", seeds=(45,), heads=30, tails=20))
    second = make_finished_run(
        tmp_path, RunSpec(name="flykd-20260202-030405", seeds=(46,), heads=35, tails=30, relations=("indication",))
    )
    return export_run(first).path, export_run(second).path


def test_ranks_are_those_among_the_heads_of_both(bundles: tuple[Path, Path]) -> None:
    diff = diff_bundles(*bundles, top=5)
    assert (diff.heads, diff.tails) == (30, 20)
    assert {side: len(ids) for side, ids in diff.only_b.items()} == {"head": 5, "tail": 10}
    assert diff.only_a == {"head": [], "tail": []}
    assert diff.relations_apart == ["contraindication"]
    (relation,) = diff.relations
    assert len(relation.tails) == 20
    by_id = {tail.tail_id: tail for tail in relation.tails}
    with Scorer(bundles[0]) as a, Scorer(bundles[1]) as b:
        places: dict[str, dict[str, int]] = {}
        for name, scorer in (("a", a), ("b", b)):
            order = [one.id for one in scorer.rank_heads("T0003", "indication", top=100)]
            shared = [key for key in order if key in a.heads.ids]
            places[name] = {key: rank for rank, key in enumerate(shared, 1)}
    tail = by_id["T0003"]
    new = [key for key, rank in places["b"].items() if rank <= 5 < places["a"][key]]
    lost = [key for key, rank in places["a"].items() if rank <= 5 < places["b"][key]]
    assert [one.head_id for one in tail.new] == new
    assert [one.head_id for one in tail.lost] == lost
    assert all((one.before, one.after) == (places["a"][one.head_id], places["b"][one.head_id]) for one in tail.new)
    ranks = [[places[name][key] for key in sorted(places["a"])] for name in "ab"]
    assert tail.correlation == pytest.approx(spearmanr(*ranks).statistic)


def test_a_bundle_does_not_differ_from_itself(bundles: tuple[Path, Path]) -> None:
    diff = diff_bundles(bundles[0], bundles[0])
    assert [relation.relation for relation in diff.relations] == ["contraindication", "indication"]
    for relation in diff.relations:
        assert relation.correlation == pytest.approx(1.0)
        assert relation.overlap == 1.0
        assert not any(tail.new or tail.lost for tail in relation.tails)


def test_the_forms_say_the_same_and_the_command_writes_them(
    bundles: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    diff = diff_bundles(*bundles)
    (relation,) = diff.relations
    head = next(one for tail in relation.tails for one in tail.new)
    for text in (to_json(diff), to_markdown(diff), to_html(diff)):
        assert head.head_name in text
    assert json.loads(to_json(diff))["relations"][0]["overlap"] == relation.overlap
    files = [str(tmp_path / f"diff.{form}") for form in ("md", "html", "json")]
    options = [word for file in files for word in ("--out", file)]
    with pytest.raises(SystemExit) as left:
        main(["diff", *map(str, bundles), *options])
    assert left.value.code == 0
    assert Path(files[0]).read_text() == to_markdown(diff)
    assert "mean correlation of ranks" in capsys.readouterr().out


def test_names_with_bars_and_tags_stay_text(tmp_path: Path) -> None:
    names = {f"H{n:04d}": f"<b>drug|{n}</b>" for n in range(30)}
    runs = [
        make_finished_run(tmp_path, RunSpec(name=f"flykd-2026010{n}-030405", seeds=(44 + n,), names=names))
        for n in (1, 2)
    ]
    diff = diff_bundles(*(export_run(run).path for run in runs))
    assert "<b>drug" not in to_html(diff)
    table = [line for line in to_markdown(diff).splitlines() if line.startswith("| ") and "drug" in line]
    assert table
    assert all(line.replace("\\|", "").count("|") == 5 for line in table)


def test_bundles_without_anything_in_common_are_refused(tmp_path: Path, bundles: tuple[Path, Path]) -> None:
    other = make_finished_run(tmp_path, RunSpec(name="o-20260302-030405", seeds=(45,), relations=("binds",)))
    with pytest.raises(UserError, match="no relation in common"):
        diff_bundles(bundles[0], export_run(other).path)
    with pytest.raises(UserError, match="this is not a bundle"):
        diff_bundles(bundles[0], tmp_path)
    with pytest.raises(UserError, match="0 is not a number of results"):
        diff_bundles(*bundles, top=0)


def test_new_edges_between_and_around_two_nodes_are_told() -> None:
    before = small_graph()
    drugs, diseases = before.ids("drug"), before.ids("disease")
    heads, tails = before.edges[INDICATION]
    pairs = set(zip(heads.tolist(), tails.tolist(), strict=True))
    new = next((h, t) for h in range(len(drugs)) for t in range(len(diseases)) if (h, t) not in pairs)
    grown = dict(before.edges) | {INDICATION: (np.append(heads, new[0]), np.append(tails, new[1]))}
    edges = NewEdges(before, KnowledgeGraph(before.nodes, grown, "grown"))
    assert edges.count == 1
    told = edges.between(("drug", drugs[new[0]]), ("disease", diseases[new[1]]))
    assert told[0] == "new indication between them"
    other = next(h for h in range(len(drugs)) if h != new[0])
    around = edges.between(("drug", drugs[other]), ("disease", diseases[new[1]]))
    assert around
    assert "between them" not in " ".join(around)
    untouched = next(t for t in range(len(diseases)) if t != new[1])
    assert edges.between(("drug", drugs[other]), ("disease", diseases[untouched])) == ()
    assert NewEdges(before, before).count == 0
    assert isinstance(next(iter(grown)), EdgeType)
