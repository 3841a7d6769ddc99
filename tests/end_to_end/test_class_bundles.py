"""Bundles of runs that tell classes: exported, held against torch, asked without torch, and refused where damaged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from exporters.classes.bundle import export_classes
from exporters.classes.manifest import ANSWERS, ENSEMBLE, encoder_file
from exporters.classes.scorer import ClassScorer
from exporters.classes.temperature import calibration_error, fitted, nll
from exporters.manifest import CARD, MANIFEST, record
from exporters.verification import verify_bundle, verify_run
from flykd_console.cli.app import main as command
from flykd_console.errors import UserError
from flykd_console.profile.schema import Profile
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.results import read_results
from flykd_console.training.worker import main
from tests.support.tiny_cohort import MEMBERS, small_citations, write_npz
from tests.support.tiny_run import make_run

SCORER = Path(__file__).parents[2] / "scorer"
GML = {"weight": 1.0, "entropy": 0.02, "logit_weighting": {"kind": "pooled"}}
KINDS = {
    **MEMBERS,
    "gin": {"kind": "gin", "dim": 8},
    "mlp": {"kind": "mlp", "dim": 8},
    "flat": {"kind": "mlp", "dim": 8, "layers": 1},
    "deep": {"kind": "gat", "dim": 4, "heads": 2, "layers": 3, "residual": True},
}


def trained(folder: Path, **settings: Any) -> RunDirectory:
    directory = make_run(folder / "runs", Profile.model_validate(settings))
    assert main([str(directory.path)]) == 0
    return directory


def of_nodes(folder: Path, **cohort: Any) -> RunDirectory:
    source = write_npz(folder / "small.npz", small_citations())
    return trained(
        folder,
        run={"name": "tiny-nodes", "seeds": [0, 1], "device": "cpu"},
        task={"kind": "node_classification"},
        data={"source": str(source)},
        cohort={"members": KINDS, "epochs": 6, "alone": True, "mutual": GML} | cohort,
        engine={"threads": 1},
    )


def of_graphs(folder: Path, source: str = "embedded") -> RunDirectory:
    return trained(
        folder,
        run={"name": "tiny-graphs", "seeds": [0], "device": "cpu"},
        task={"kind": "graph_classification"},
        data={"source": source, "split": "folds", "normalise_features": False},
        cohort={
            "members": {name: KINDS[name] for name in ("gin", "gat", "mlp")},
            "epochs": 2,
            "batch": 64,
            "alone": False,
            "mutual": GML,
        },
        engine={"threads": 1},
    )


def graph_text(folder: Path, tags: tuple[int, ...] = (3, 5)) -> Path:
    """Forty graphs of two classes, paths and rings, with ten folds beside them."""
    lines = ["40"]
    for graph in range(40):
        size, ring = 4 + graph % 3, graph % 2
        lines.append(f"{size} {ring}")
        for node in range(size):
            near = [other for other in (node - 1, node + 1) if 0 <= other < size]
            if ring and node in (0, size - 1):
                near.append(size - 1 - node)
            lines.append(f"{tags[node % len(tags)]} {len(near)} {' '.join(map(str, near))}")
    path = folder / "RINGS" / "RINGS.txt"
    folds = path.parent / "10fold_idx"
    folds.mkdir(parents=True)
    path.write_text("\n".join(lines) + "\n")
    for fold in range(10):
        test = [graph for graph in range(40) if graph // 4 == fold]
        train = [graph for graph in range(40) if graph // 4 != fold]
        (folds / f"test_idx-{fold + 1}.txt").write_text("\n".join(map(str, test)))
        (folds / f"train_idx-{fold + 1}.txt").write_text("\n".join(map(str, train)))
    return path


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    directory = of_nodes(tmp_path_factory.mktemp("nodes"))
    export_classes(directory)
    return directory


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    folder = tmp_path_factory.mktemp("graphs")
    directory = of_graphs(folder, str(graph_text(folder)))
    export_classes(directory)
    return directory


@pytest.fixture
def bundle(nodes: RunDirectory, tmp_path: Path) -> Path:
    return Path(shutil.copytree(nodes.export, tmp_path / "bundle"))


def run_command(arguments: list[str]) -> int:
    try:
        return int(command(arguments) or 0)
    except SystemExit as error:
        return int(error.code or 0)


# What is chosen, and what it says.


def test_the_member_that_validation_puts_first_answers_and_no_test_is_looked_at(nodes: RunDirectory) -> None:
    results = read_results(nodes.results)
    with ClassScorer(nodes.export) as scorer:
        manifest = scorer.manifest
    first = max(results.seeds, key=lambda seed: results.seeds[seed]["best"].validation.metrics["accuracy"])
    assert manifest.seed == int(first)
    values = {name: results.seeds[first][name].validation.metrics["accuracy"] for name in KINDS}
    assert manifest.model == max(values, key=lambda name: values[name])
    assert "test figures played no part" in manifest.model_choice
    assert manifest.models == [*KINDS, ENSEMBLE]


def test_stored_answers_are_those_of_the_run(nodes: RunDirectory) -> None:
    with ClassScorer(nodes.export) as scorer:
        frame = pl.read_parquet(nodes.samples(scorer.manifest.seed, "test"))
        rows = [int(one) for one in frame["sample_id"]]
        for name in scorer.manifest.models:
            told = scorer.known(rows, name, raw=True)
            expected = np.exp(np.array(frame[name].to_list()))
            np.testing.assert_allclose(told.probability, expected, atol=1e-6)
            assert told.part == ["test"] * len(rows)
            assert told.label.tolist() == frame["label"].to_list()


def test_encoders_give_what_torch_left_for_every_kind_of_network(nodes: RunDirectory, graphs: RunDirectory) -> None:
    for directory in (nodes, graphs):
        with ClassScorer(directory.export) as scorer:
            for name in scorer.manifest.members:
                assert scorer.distance_of_encoder(name) < 1e-5
                assert 0.0 <= scorer.manifest.parity[encoder_file(name)] < 1e-4


def test_operator_sets_are_as_old_as_each_kind_allows(nodes: RunDirectory, graphs: RunDirectory) -> None:
    import onnx

    with ClassScorer(nodes.export) as scorer:
        opsets = {name: scorer.manifest.opsets[encoder_file(name)] for name in KINDS}
    assert opsets == {"gcn": 16, "gat": 18, "sage": 16, "gin": 17, "mlp": 13, "flat": 13, "deep": 18}
    assert onnx.load(nodes.export / encoder_file("mlp")).ir_version == 7
    # Nodes are summed by graph, which 13 cannot.
    assert onnx.load(graphs.export / encoder_file("mlp")).opset_import[0].version == 16


def test_the_file_that_was_trained_on_gives_the_known_answers_again(nodes: RunDirectory) -> None:
    source = nodes.path.parent.parent / "small.npz"
    with ClassScorer(nodes.export) as scorer:
        for name in scorer.manifest.models:
            np.testing.assert_allclose(
                scorer.new(source, name).probability, scorer.known(model=name).probability, atol=1e-3
            )


def test_graphs_of_a_text_are_read_by_the_tags_of_training(graphs: RunDirectory, tmp_path: Path) -> None:
    source = graphs.path.parent.parent / "RINGS" / "RINGS.txt"
    lines = source.read_text().splitlines()
    # The second graph alone: five nodes of a ring.
    alone = tmp_path / "one.txt"
    alone.write_text("\n".join(["1", *lines[6:12]]) + "\n")
    with ClassScorer(graphs.export) as scorer:
        whole, one = scorer.new(source), scorer.new(alone)
        np.testing.assert_allclose(whole.probability, scorer.known().probability, atol=1e-3)
        np.testing.assert_allclose(one.probability[0], whole.probability[1], atol=1e-4)
        alone.write_text("1\n1 0\n4 0\n")
        with pytest.raises(UserError, match="tag 4, which no graph of training has"):
            scorer.new(alone)


def test_other_features_of_a_known_node_change_its_neighbours_too(nodes: RunDirectory, tmp_path: Path) -> None:
    path, graph = tmp_path / "other.npz", small_citations()
    x = graph.features.toarray()
    with ClassScorer(nodes.export) as scorer:
        np.savez(path, x=x[[7, 3]], nodes=np.array([7, 3]))
        told = scorer.new(path, "gcn")
        assert told.ids == ["7", "3"]
        np.testing.assert_allclose(told.probability, scorer.known([7, 3], "gcn").probability, atol=1e-3)
        np.savez(path, x=1.0 - x[[7, 3]], nodes=np.array([7, 3]))
        assert np.abs(scorer.new(path, "gcn").probability - told.probability).max() > 1e-4


def test_a_new_node_is_joined_to_known_ones(nodes: RunDirectory, tmp_path: Path) -> None:
    """A copy of a node with its neighbours hears what the node hears, by a mean of neighbours."""
    path, graph = tmp_path / "new.npz", small_citations()
    around = [int(v if u == 7 else u) for u, v in graph.edges if 7 in (u, v)]
    links = np.array([[0, other] for other in around])
    np.savez(path, x=graph.features.toarray()[[7]], links=links)
    with ClassScorer(nodes.export) as scorer:
        told = scorer.new(path, "sage")
        assert told.ids == ["new 0"]
        assert told.part == [""]
        apart = np.abs(told.probability - scorer.known([7], "sage").probability).max()
        assert apart < 0.2
        # Alone it hears nobody.
        np.savez(path, x=graph.features.toarray()[[7]], edges=np.zeros((0, 2), dtype=np.int64))
        assert not np.allclose(scorer.new(path, "sage").probability, told.probability, atol=1e-4)


def test_a_network_without_edges_needs_no_graph(nodes: RunDirectory, tmp_path: Path) -> None:
    path, x = tmp_path / "rows.npz", small_citations().features.toarray()
    np.savez(path, x=x[:3])
    with ClassScorer(nodes.export) as scorer:
        told = scorer.new(path, "mlp")
        np.testing.assert_allclose(told.probability, scorer.known([0, 1, 2], "mlp").probability, atol=1e-3)
        with pytest.raises(UserError, match="no edges, and this model listens to neighbours"):
            scorer.new(path, "gcn")


def test_the_ensemble_answers_where_it_is_asked_for(nodes: RunDirectory, tmp_path: Path) -> None:
    bundle = export_classes(nodes, model="deep-ensemble", out=tmp_path / "deep")
    assert bundle.manifest.model == ENSEMBLE
    assert bundle.manifest.members == [f"alone-{name}" for name in KINDS]
    results = read_results(nodes.results).seeds[str(bundle.manifest.seed)]
    with ClassScorer(bundle.path) as scorer:
        test = np.flatnonzero(scorer.parts == 2)
        accuracy = (scorer.known(test.tolist()).told == scorer.labels[test]).mean()
    assert accuracy == pytest.approx(results["deep-ensemble"].test.metrics["accuracy"])


def test_two_exports_give_the_same_bytes(nodes: RunDirectory, tmp_path: Path) -> None:
    first, second = (export_classes(nodes, out=tmp_path / name).path for name in ("a", "b"))
    for name in (ANSWERS, CARD, encoder_file("gat"), MANIFEST):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_the_card_has_every_rival_beside_its_model(nodes: RunDirectory) -> None:
    card = (nodes.export / CARD).read_text()
    results = read_results(nodes.results)
    for entry in results.models:
        assert f"| {entry.label} |" in card
    assert "| alone-gcn |" in card
    assert "deep-ensemble" in card
    assert "played no part" in card


def test_python_exports_and_asks_the_same(nodes: RunDirectory, tmp_path: Path) -> None:
    import flykd_console as fk

    run = fk.load(nodes.path)
    with run.export_classes(model="gcn", out=tmp_path / "out") as scorer:
        assert scorer.manifest.model == "gcn"
        assert len(scorer.known([0, 1]).told) == 2
    with pytest.raises(UserError, match="ranks no drugs"):
        run.export(out=tmp_path / "other")


# Temperature.


def test_the_temperature_is_that_of_smallest_nll() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=400)
    honest = rng.normal(size=(400, 4)) + 2.0 * np.eye(4)[labels]
    loud = 5.0 * honest
    found = fitted(loud, labels)
    for other in (0.9 * found, 1.1 * found):
        assert nll(loud, labels, found) < nll(loud, labels, other)
    assert calibration_error(loud, labels, found) < calibration_error(loud, labels)
    assert found == pytest.approx(5.0 * fitted(honest, labels), rel=1e-4)


# verify, and files of strangers.


def test_verify_says_that_a_run_and_its_bundle_are_what_they_claim(nodes: RunDirectory, graphs: RunDirectory) -> None:
    for directory in (nodes, graphs):
        findings = list(verify_run(directory))
        assert all(one.passed for one in findings), [one for one in findings if not one.passed]
        assert {"stored answers", "bundle", "bundle's files", "bundle's answers"} <= {one.name for one in findings}


def test_verify_finds_an_answer_that_was_changed(nodes: RunDirectory, tmp_path: Path) -> None:
    copy = RunDirectory(Path(shutil.copytree(nodes.path, tmp_path / nodes.name)))
    path = copy.samples(0, "test")
    frame = pl.read_parquet(path)
    frame.with_columns(pl.col("gcn").list.reverse()).write_parquet(path)
    failed = [one.name for one in verify_run(copy) if not one.passed]
    assert failed == ["stored answers"]


def reseal(bundle: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a manifest, and let its checksums be right."""
    data = json.loads((bundle / MANIFEST).read_text())
    for name in data["files"]:
        if (bundle / name).is_file():
            found = record(bundle / name)
            data["files"][name] = {"bytes": found.bytes, "sha256": found.sha256}
    change(data)
    (bundle / MANIFEST).write_text(json.dumps(data))


def test_an_altered_file_is_told(bundle: Path) -> None:
    path = bundle / ANSWERS
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match="is not the file that was exported"):
        ClassScorer(bundle)
    assert [one.passed for one in verify_bundle(bundle)] == [False, False]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "nobody"}, "none that answers"),
        ({"models": ["gcn", "gcn"]}, "a model twice"),
        ({"models": ["../gcn"], "model": "../gcn"}, "unusable name"),
        ({"task": "poetry"}, "names the task"),
        ({"classes": 0}, "no usable sizes"),
        ({"classes": 4}, "no table of"),
        ({"samples": 10**9}, "other numbers"),
        ({"features": 10**9}, "fit into memory|checked"),
        ({"temperature": {}}, "no usable 'temperature'"),
        ({"seed": "0"}, "no usable 'seed'"),
        ({"schema": 99}, "newer program"),
        ({"columns": {"tags": ["x"]}}, "no usable 'columns'"),
    ],
)
def test_a_strangers_manifest_is_refused(bundle: Path, change: dict[str, Any], said: str) -> None:
    reseal(bundle, lambda data: data.update(change))
    with pytest.raises(UserError, match=said), ClassScorer(bundle) as scorer:  # noqa: PT012
        scorer.known()
        scorer.distance_of_encoder("gcn")


def test_a_strangers_graph_is_not_run(bundle: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    place = bundle / encoder_file("mlp")
    model = onnx.load(place)
    model.graph.node.append(helper.make_node("RandomNormal", [], ["noise"], shape=[2], dtype=TensorProto.FLOAT))
    place.write_bytes(model.SerializeToString())
    reseal(bundle, lambda data: None)
    with ClassScorer(bundle) as scorer, pytest.raises(UserError, match="the operator 'RandomNormal'"):
        scorer.distance_of_encoder("mlp")


def test_an_encoder_of_other_answers_is_refused(bundle: Path, nodes: RunDirectory, tmp_path: Path) -> None:
    other = export_classes(nodes, seed=1 - json.loads((bundle / MANIFEST).read_text())["seed"], out=tmp_path / "other")
    shutil.copy(other.path / encoder_file("gcn"), bundle / encoder_file("gcn"))
    reseal(bundle, lambda data: None)
    with ClassScorer(bundle) as scorer, pytest.raises(UserError, match="belongs to other answers"):
        scorer.distance_of_encoder("gcn")


def test_tables_that_point_elsewhere_are_refused(bundle: Path) -> None:
    import h5py

    with h5py.File(bundle / ANSWERS, "a") as file:
        del file["samples/label"]
        file["samples/label"] = h5py.ExternalLink("/etc/passwd", "/")
    reseal(bundle, lambda data: None)
    with pytest.raises(UserError, match="which may lead out of it"):
        ClassScorer(bundle)


def test_folders_of_others_are_not_replaced(nodes: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds 'notes.txt', which no export wrote"):
        export_classes(nodes, out=tmp_path / "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_damaged_run_exports_nothing(nodes: RunDirectory, tmp_path: Path) -> None:
    copy = RunDirectory(Path(shutil.copytree(nodes.path, tmp_path / nodes.name)))
    path = copy.embeddings(0, "gcn")
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(UserError, match="damaged"):
        export_classes(copy, seed=0, out=tmp_path / "out")
    path.unlink()
    copy.embeddings(1, "gcn").unlink()
    with pytest.raises(UserError, match="left no rows of its samples"):
        export_classes(copy, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


# The command line.


def test_score_prints_and_writes_what_it_is_asked(
    nodes: RunDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = str(nodes.export)
    assert run_command(["score", bundle, "--samples", "0,4-6", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["sample"] for row in rows] == ["0", "4", "5", "6"]
    for row in rows:
        assert row["calibrated"] is True
        assert row["probability"] == pytest.approx(max(row["p0"], row["p1"], row["p2"]))
        assert row["p0"] + row["p1"] + row["p2"] == pytest.approx(1.0)
    assert run_command(["score", bundle, "--all", "--raw", "--to", str(tmp_path / "all.parquet")]) == 0
    frame = pl.read_parquet(tmp_path / "all.parquet")
    assert frame.height == 60
    assert not frame["calibrated"].any()
    assert set(frame["part"]) == {"train", "validation", "test"}
    assert run_command(["score", bundle, "--samples", "0-3", "--to", str(tmp_path / "some.csv")]) == 0
    assert pl.read_csv(tmp_path / "some.csv").height == 4
    capsys.readouterr()
    assert run_command(["score", bundle, "--samples", "0-3", "--model", "ensemble"]) == 0
    out = capsys.readouterr().out
    assert "by ensemble" in out
    assert "calibrated on validation" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to score is named"),
        (["--samples", "0", "--all", "--to", "x.csv"], "three questions"),
        (["--samples", "60"], "there is no node 60"),
        (["--samples", "a"], "no number and no span"),
        (["--samples", "3-1"], "no number and no span"),
        (["--samples", "0", "--model", "nobody"], "there is no model 'nobody'"),
        (["--samples", "0", "--to", "x.xlsx"], "no form that can be written"),
        (["--disease", "asthma"], "asks for drugs and diseases"),
        (["--samples", "0", "--top", "3"], "asks for drugs and diseases"),
        (["--data", "missing.npz"], "cannot be read"),
        (["--data", "text.txt"], "is no .npz"),
    ],
)
def test_score_refuses_in_one_line(
    nodes: RunDirectory, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["score", str(nodes.export), *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"edges": np.zeros((0, 2), int)}, "has no array 'x'"),
        ({"x": np.ones((2, 11)), "edges": np.zeros((0, 2), int)}, "11 columns, but the models were trained on 12"),
        ({"x": np.ones((2, 12)), "edges": np.array([[0, 2]])}, "edges names node 2"),
        ({"x": np.ones((2, 12)), "edges": np.array([[0.0, 1.0]])}, "whole numbers of 2 dimensions"),
        ({"x": np.full((2, 12), np.nan), "edges": np.zeros((0, 2), int)}, "not all finite"),
        ({"x": np.array([["a"] * 12])}, "but numbers [n, f] are wanted"),
        ({"x": np.ones((2, 12)), "nodes": np.array([0])}, "nodes names 1, but x has 2 rows"),
        ({"x": np.ones((2, 12)), "nodes": np.array([0, 60])}, "nodes names node 60"),
        ({"x": np.ones((2, 12)), "nodes": np.array([3, 3])}, "names one twice"),
        ({"x": np.ones((1, 12)), "links": np.array([[0, 99]])}, "links names node 99"),
        ({"x": np.array([{}], dtype=object)}, "pickled objects"),
    ],
)
def test_new_samples_that_do_not_fit_are_refused(
    nodes: RunDirectory, tmp_path: Path, arrays: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "new.npz", **arrays)
    assert run_command(["score", str(nodes.export), "--model", "gcn", "--data", str(tmp_path / "new.npz")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--ensemble"], "--model ensemble"),
        (["--dtype", "int8"], "tells classes"),
        (["--model", "nobody"], "there is no model 'nobody'"),
        (["--seed", "9"], "seed 9 has no finished best"),
    ],
)
def test_export_refuses_in_one_line(
    nodes: RunDirectory, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["export", str(nodes.path), *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_answers_alone_tell_of_known_samples_and_say_so_of_new_ones(nodes: RunDirectory, tmp_path: Path) -> None:
    bundle = export_classes(nodes, out=tmp_path / "alone", onnx=False)
    assert set(bundle.files) == {ANSWERS, CARD, MANIFEST}
    with ClassScorer(bundle.path) as scorer:
        assert len(scorer.known([0]).ids) == 1
        with pytest.raises(UserError, match="answers only"):
            scorer.new(nodes.path.parent.parent / "small.npz")


def test_asking_a_bundle_needs_the_files_of_the_scorers_distribution_alone(nodes: RunDirectory, tmp_path: Path) -> None:
    project = tomllib.loads((SCORER / "pyproject.toml").read_text())
    for source, place in project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"].items():
        target = tmp_path / "site" / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SCORER / source, target)
    code = (
        "import sys\n"
        "for name in ('torch', 'dgl', 'scipy', 'polars', 'pyarrow', 'pydantic', 'msgspec', 'onnx', 'rich', 'typer'):\n"
        "    sys.modules[name] = None\n"
        "from exporters.__main__ import main\n"
        f"sys.exit(main([{str(nodes.export)!r}, '--data', {str(nodes.path.parent.parent / 'small.npz')!r}]))\n"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("sample,part,label,told,probability,p0,p1,p2,calibrated,model")
    assert len(lines) == 61


def test_a_student_and_its_teacher_are_exported_each_by_itself(tmp_path: Path) -> None:
    """GLNN: the student needs no graph, the teacher does."""
    directory = of_nodes(
        tmp_path,
        members={"mlp": KINDS["mlp"]},
        teacher={"kind": "gcn", "layers": 2, "dim": 8, "residual": False},
        distill={"alpha": 1.0, "temperature": 1.0},
        mutual={},
        epochs=2,
    )
    student = export_classes(directory)
    assert (student.manifest.models, student.manifest.model) == (["mlp"], "mlp")
    assert student.manifest.needs_graph == {"mlp": False}
    assert student.manifest.model_choice == "the only one of its kind"
    teacher = export_classes(directory, model="teacher", out=tmp_path / "teacher")
    assert teacher.manifest.models == ["teacher"]
    assert teacher.manifest.needs_graph == {"teacher": True}
    assert all(one.passed for one in verify_bundle(teacher.path))
