"""Sets of graphs: texts that are read or refused, folds, and graphs as samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from flykd_console.data.molecules import molecules
from flykd_console.data.tu_text import read_graphs
from flykd_console.errors import UserError
from flykd_console.profile.cohort import Member
from flykd_console.profile.sections import Engine
from flykd_console.tasks.graph_classification.samples import GraphSamples

CPU = torch.device("cpu")
TEXT = "2\n3 0\n7 1 1\n9 2 0 2\n7 1 1\n2 5\n9 1 1\n9 1 0\n"


def write(folder: Path, text: str = TEXT) -> Path:
    path = folder / "SMALL.txt"
    path.write_text(text)
    return path


def write_folds(folder: Path, train: str = "0\n", test: str = "1\n", number: int = 10) -> None:
    (folder / "10fold_idx").mkdir()
    for fold in range(1, number + 1):
        (folder / "10fold_idx" / f"train_idx-{fold}.txt").write_text(train)
        (folder / "10fold_idx" / f"test_idx-{fold}.txt").write_text(test)


def test_a_text_is_read(tmp_path: Path) -> None:
    write_folds(tmp_path)
    graphs = read_graphs(write(tmp_path))
    assert graphs.graph_of.tolist() == [0, 0, 0, 1, 1]
    assert graphs.edges.tolist() == [[0, 1], [1, 2], [3, 4]]
    assert graphs.labels.tolist() == [0, 1]  # as 0 and 5 are numbered
    assert graphs.features.toarray().argmax(axis=1).tolist() == [0, 1, 0, 1, 1]
    assert len(graphs.folds) == 10


def test_where_all_tags_are_alike_degrees_stand_in(tmp_path: Path) -> None:
    graphs = read_graphs(write(tmp_path, TEXT.replace("7 ", "9 ")))
    assert graphs.features.toarray().argmax(axis=1).tolist() == [0, 1, 0, 0, 0]
    assert graphs.folds == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2\n3 0\n", "ends before its last graph"),
        ("1\n2 0\n7 1 5\n7 0\n", "names node 5 of a graph of 2"),
        ("1\n2 0\n7 2 1\n7 0\n", "names fewer neighbours"),
        ("one\n", "no line of whole numbers"),
        ("0\n", "holds no graph"),
        ("1\n-1 0\n", "not below 0"),
    ],
)
def test_texts_that_do_not_fit_are_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_graphs(write(tmp_path, text))


def test_folds_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    write_folds(tmp_path, number=9)
    with pytest.raises(UserError, match="a fold is missing"):
        read_graphs(path)
    (tmp_path / "10fold_idx" / "train_idx-1.txt").write_text("1\n")
    with pytest.raises(UserError, match="is to be learnt from and tested"):
        read_graphs(path)
    (tmp_path / "10fold_idx" / "train_idx-1.txt").write_text("2\n")
    with pytest.raises(UserError, match="names graph 2, but there are 2"):
        read_graphs(path)


def test_a_seed_is_a_fold_and_its_parts_share_no_graph() -> None:
    graphs = molecules()
    samples = [GraphSamples(graphs, 32, Engine(), seed, CPU) for seed in (0, 1)]
    assert samples[0].parts["test"].tolist() == graphs.folds[0].test.tolist()
    assert samples[1].parts["test"].tolist() == graphs.folds[1].test.tolist()
    together = np.concatenate(list(samples[0].parts.values()))
    assert sorted(together.tolist()) == list(range(300))
    assert np.bincount(graphs.labels[samples[0].parts["validation"]]).tolist() == [9, 9, 9]
    with pytest.raises(UserError, match="seed 10 has no fold"):
        GraphSamples(graphs, 32, Engine(), 10, CPU)


def test_batches_are_drawn_by_the_epoch_and_hold_every_training_graph_once() -> None:
    samples = GraphSamples(molecules(), 32, Engine(), 0, CPU)
    epochs = [[step.answers.rows for step in samples.steps(epoch)] for epoch in (0, 0, 1)]
    rows = [torch.cat([one for one in epoch if one is not None]).tolist() for epoch in epochs]
    assert rows[0] == rows[1]
    assert rows[0] != rows[2]
    assert sorted(rows[0]) == samples.parts["train"].tolist()


@pytest.mark.parametrize("kind", ["gcn", "sage", "gat", "gin", "mlp"])
def test_a_graph_is_told_alike_whichever_others_are_looked_at(kind: str) -> None:
    samples = GraphSamples(molecules(), 40, Engine(), 0, CPU)
    member = Member.model_validate({"kind": kind, "dim": 8, "heads": 2 if kind == "gat" else 8, "layers": 2})
    network = samples.network(member, torch.Generator().manual_seed(0))
    whole = GraphSamples(molecules(), 0, Engine(), 0, CPU)
    (step,) = whole.steps(0)
    assert step.answers.rows is not None
    told = dict(zip(step.answers.rows.tolist(), network.see(step.sight).logits, strict=True))
    for part in samples.steps(0):
        assert part.answers.rows is not None
        for graph, logits in zip(part.answers.rows.tolist(), network.see(part.sight).logits, strict=True):
            torch.testing.assert_close(logits, told[graph], rtol=1e-4, atol=1e-4)
