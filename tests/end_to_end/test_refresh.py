"""A bundle's model trained again on a newer graph: a new bundle, and new entries with the edges that explain them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from exporters.bundle import export_run
from exporters.scorer import Scorer
from flykd_console.cli.app import main
from flykd_console.graph.knowledge_graph import KnowledgeGraph
from flykd_console.runs.find import list_runs
from flykd_console.training import worker
from tests.support.small_graph import INDICATION, small_graph, write_kg_csv
from tests.support.tiny_run import make_run, small_kg, tiny_profile


def refresh(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["refresh", *arguments])
    assert isinstance(left.value.code, int)
    return left.value.code


def test_a_bundle_is_refreshed_and_its_difference_explained(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    directory = make_run(runs, tiny_profile(small_kg(runs.parent)))
    assert worker.main([str(directory.path)]) == 0
    bundle = export_run(directory).path
    graph = small_graph()
    heads, tails = graph.edges[INDICATION]
    rng = np.random.default_rng(7)
    more = rng.integers(len(graph.ids("drug")), size=30), rng.integers(len(graph.ids("disease")), size=30)
    grown = dict(graph.edges) | {INDICATION: (np.append(heads, more[0]), np.append(tails, more[1]))}
    newer = write_kg_csv(KnowledgeGraph(graph.nodes, grown, "newer"), runs.parent / "newer.csv")

    capsys.readouterr()
    assert refresh(str(bundle), "--graph", str(newer), "--top", "5", "--json", "--out", "diff.md") == 0
    diff = json.loads(capsys.readouterr().out)
    with Scorer(bundle) as old, Scorer(diff["b"]) as new:
        assert (new.manifest.model, new.manifest.seeds) == (old.manifest.model, old.manifest.seeds)
        assert new.manifest.graph["fingerprint"] != old.manifest.graph["fingerprint"]
    entries = [one for relation in diff["relations"] for tail in relation["tails"] for one in tail["new"]]
    assert any("new indication" in " ".join(one["why"]) for one in entries)
    assert "## indication" in (runs.parent / "diff.md").read_text()

    count = len(list_runs(runs))
    assert refresh(str(bundle), "--graph", str(newer)) == 0
    assert "was done" in capsys.readouterr().out
    assert len(list_runs(runs)) == count


def test_a_bundle_without_its_run_and_a_graph_that_is_not_there_are_refused(
    runs: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from tests.support.finished_run import RunSpec, make_finished_run

    run = make_finished_run(tmp_path / "elsewhere", RunSpec(seeds=(45,)))
    bundle = export_run(run, out=tmp_path / "bundle").path
    assert refresh(str(bundle), "--graph", "embedded") == 2
    assert "of this bundle is not there" in capsys.readouterr().err
    inside = export_run(run).path
    assert refresh(str(inside), "--graph", "nowhere.csv") == 2
    assert "there is no such graph file" in capsys.readouterr().err
