"""What a run that tells classes refuses: each in one line that says what, where, and what to do, before it trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flykd_console.errors import UserError
from flykd_console.profile.load import load_profile
from flykd_console.tasks.make import prepare
from tests.end_to_end.test_class_bundles import graph_text
from tests.support.tiny_cohort import small_citations, write_npz

GRAPH = small_citations()
LABELS = GRAPH.labels
TRAIN = GRAPH.parts["train"]


def refusal(profile: str, *settings: str) -> str:
    """The line that a run ends with."""
    with pytest.raises(UserError) as caught:  # noqa: PT012
        loaded = load_profile(profile, ["run.seeds=[0]", *settings])
        prepare(loaded, torch.device("cpu"), lambda message: None)
    line = str(caught.value)
    assert "\n" not in line
    assert "Traceback" not in line
    return line


def changed(array: Any, place: int, value: int) -> Any:
    found = array.copy()
    found[place] = value
    return found


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x_shape": np.array([60, 5])}, "names a column beyond the 5"),
        ({"x_indptr": GRAPH.features.indptr[:-1]}, "no matrix in CSR"),
        ({"x_shape": np.array([60, 12, 1])}, "no matrix in CSR"),
        ({"x_data": np.full_like(GRAPH.features.data, np.nan)}, "not all finite"),
        ({"x_data": np.array(["a"] * len(GRAPH.features.data))}, "has no numbers 'x_data'"),
        ({"x": np.ones((59, 12))}, "59 rows, but y has 60"),
        ({"y": changed(LABELS, 3, -2)}, "y[3] is -2, but classes are counted from 0"),
        ({"y": LABELS + 1}, "class 0 has no node to train on"),
        ({"y": changed(LABELS, 59, 9)}, "class 3 has no node to train on"),
        ({"y": LABELS.astype(np.float64)}, "whole numbers of 1 dimensions"),
        ({"train_idx": TRAIN[LABELS[TRAIN] != 2]}, "class 2 has no node to train on"),
        ({"train_idx": np.array([0, 60])}, "train_idx names node 60"),
        ({"val_idx": TRAIN}, "is in train_idx and in val_idx"),
        ({"edges": np.zeros((0, 2), dtype=np.int64)}, "joins no two nodes"),
        ({"edges": np.array([[0, 60]])}, "edges names node 60"),
        ({"y": np.array([{}] * 60, dtype=object)}, "pickled objects"),
        ({"y": None}, "has no array 'y'"),
    ],
)
def test_a_file_of_nodes_that_does_not_fit(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    path = write_npz(tmp_path / "bad.npz", GRAPH, **arrays)
    line = refusal("mutual/gml-node", f"data.source='{path}'")
    assert said in line
    assert "bad.npz" in line


@pytest.mark.parametrize(
    ("year", "said"),
    [
        (np.full(60, 2000.5), "year is float64"),
        (np.array(["soon"] * 60), "whole numbers"),
        (np.full(3, 2000), "year has 3 entries, but y has 60"),
        (np.full(60, 1990), "the validation part has no node"),
        (None, "knows no year"),
    ],
)
def test_dates_that_cannot_be_read(tmp_path: Path, year: Any, said: str) -> None:
    path = write_npz(tmp_path / "years.npz", GRAPH, year=year)
    settings = [f"data.source='{path}'", "data.split='by_time'", "data.cuts=[2000, 2004]"]
    assert said in refusal("mutual/gml-node", *settings)


def test_a_fold_that_is_missing(tmp_path: Path) -> None:
    path = graph_text(tmp_path)
    (path.parent / "10fold_idx" / "test_idx-7.txt").unlink()
    line = refusal("mutual/gml-graph", f"data.source='{path}'")
    assert "a fold is missing" in line
    assert "test_idx-7.txt" in line


def test_a_seed_that_has_no_fold(tmp_path: Path) -> None:
    path = graph_text(tmp_path)
    assert "seed 12 has no fold" in refusal("mutual/gml-graph", f"data.source='{path}'", "run.seeds=[12]")


def test_graphs_without_any_edge(tmp_path: Path) -> None:
    path = graph_text(tmp_path)
    lines = ["40"]
    for graph in range(40):
        lines += [f"2 {graph % 2}", "3 0", "5 0"]
    path.write_text("\n".join(lines) + "\n")
    line = refusal("mutual/gml-graph", f"data.source='{path}'")
    assert "joins no two nodes in any graph" in line
    assert "RINGS.txt" in line


@pytest.mark.parametrize(
    ("folds", "said"),
    [("0\n1\n40", "names graph 40"), ("a", "no list of numbers"), ("20", "is to be learnt from and tested")],
)
def test_a_fold_that_does_not_fit(tmp_path: Path, folds: str, said: str) -> None:
    path = graph_text(tmp_path)
    (path.parent / "10fold_idx" / "test_idx-1.txt").write_text(folds)
    assert said in refusal("mutual/gml-graph", f"data.source='{path}'")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("cohort.distill.hidden_layers=[[9, 1]]", "does not fit: the teacher has"),
        ("cohort.distill.hidden_layers=[[1, 9]]", "does not fit: the teacher has"),
        ("cohort.distill.hidden_layers=[[0, 1]]", "hidden_layers"),
        ("cohort.distill.hidden_layers=[[1, 1], [1, 1]]", "names [1, 1] twice"),
        ("cohort.distill.hidden_layers=[]", "names no layers"),
    ],
)
def test_a_map_of_layers_that_does_not_fit(setting: str, said: str) -> None:
    assert said in refusal("node/kd-features", setting)


def test_a_member_that_is_named_twice(tmp_path: Path) -> None:
    member = '[cohort.members.gcn]\nkind = "gcn"\n'
    path = tmp_path / "twice.toml"
    path.write_text('[run]\nname = "x"\n[task]\nkind = "node_classification"\n' + 2 * member)
    line = refusal(str(path))
    assert "twice.toml" in line
    assert "gcn" in line or "line 7" in line


@pytest.mark.parametrize("name", ["ensemble", "best", "alone-gcn", "label", "sample_id"])
def test_a_member_by_a_name_that_is_taken(name: str) -> None:
    assert "the name is taken" in refusal("mutual/gml-node", f"cohort.members.{name}.kind='gcn'")
