"""A bundle holds what the run holds, is byte-equal when made twice, and appears whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
from safetensors.numpy import load_file

from exporters import bundle as bundling
from exporters import placing
from exporters.agreement import ParityError
from exporters.bundle import Bundle, export_run
from exporters.manifest import CARD, EMBEDDINGS, MANIFEST, PROFILES, RANKING_HEAD, SCORING_HEAD, read_manifest
from exporters.parity import Check
from flykd_console.errors import UserError
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import ExportFinished
from flykd_console.runs.log import EventFollower
from tests.support.faults import FaultyDisk
from tests.support.finished_run import RunSpec, make_finished_run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return make_finished_run(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def bundle(run: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return export_run(run, out=tmp_path_factory.mktemp("out") / "bundle")


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_a_bundle_holds_six_files_with_the_hashes_of_the_manifest(bundle: Bundle) -> None:
    assert sorted(path.name for path in bundle.path.iterdir()) == sorted(
        [EMBEDDINGS, SCORING_HEAD, RANKING_HEAD, PROFILES, MANIFEST, CARD]
    )
    files = read_manifest(bundle.path).files
    assert {name: one.sha256 for name, one in files.items()} == {
        name: digest for name, digest in digests(bundle.path).items() if name != MANIFEST
    }
    assert bundle.files == {path.name: path.stat().st_size for path in bundle.path.iterdir()}


def test_embeddings_and_pairs_are_those_of_the_run(bundle: Bundle, run: RunDirectory) -> None:
    tensors = load_file(run.embeddings(46, "student"))
    with h5py.File(bundle.path / EMBEDDINGS) as file:
        np.testing.assert_array_equal(file["nodes/drug/embedding"][:], tensors["head.embedding"])
        assert "embedding" not in file["nodes/disease"]
        for index, relation in enumerate(("contraindication", "indication")):
            group = file[f"relations/{relation}"]
            np.testing.assert_array_equal(group["tail_embedding"][:], tensors[f"tail.embedding/{relation}"])
            np.testing.assert_array_equal(group["vector"][:], tensors[f"relation/{relation}"])
            assert group["head_type"].asstr()[()] == "drug"
            assert group["tail_type"].asstr()[()] == "disease"
            assert group.attrs["index"] == index
            assert [group[f"pairs/{part}"].shape for part in ("train", "validation", "test")] == [
                (60, 2),
                (12, 2),
                (25, 2),
            ]
            assert int(group["test_set/label"][:].sum()) == 25
        assert file["nodes/drug/id"].asstr()[3] == "H0003"
        assert file["nodes/drug/name"].asstr()[3] == "drug H0003"


def test_every_group_and_dataset_says_its_encoding_and_bears_no_time(bundle: Bundle) -> None:
    silent: list[str] = []
    timed: list[str] = []

    def visit(name: str, thing: h5py.HLObject) -> None:
        if not {"encoding-type", "encoding-version"} <= set(thing.attrs):
            silent.append(name)
        info = h5py.h5o.get_info(thing.id)
        if any((info.atime, info.mtime, info.ctime, info.btime)):
            timed.append(name)

    with h5py.File(bundle.path / EMBEDDINGS) as file:
        visit("/", file)
        file.visititems(visit)
        assert file["nodes/drug/embedding"].chunks == (30, 8)
    assert silent == []
    assert timed == []


def test_a_shared_tail_table_is_stored_once(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, RunSpec(pooled=False, seeds=(45,)))
    path = export_run(run).path
    with h5py.File(path / EMBEDDINGS) as file:
        shared = load_file(run.embeddings(45, "student"))["tail.embedding/indication"]
        np.testing.assert_array_equal(file["nodes/disease/embedding"][:], shared)
        assert "tail_embedding" not in file["relations/indication"]


def test_two_exports_of_a_run_are_equal_byte_for_byte(run: RunDirectory, bundle: Bundle, tmp_path: Path) -> None:
    """The second one in a process of its own, where memory and hash seeds differ."""
    code = (
        "from pathlib import Path; from exporters.bundle import export_run; "
        "from flykd_console.runs.directory import RunDirectory; "
        f"export_run(RunDirectory(Path({str(run.path)!r})), out=Path({str(tmp_path / 'again')!r}))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "5"})
    assert digests(tmp_path / "again") == digests(bundle.path)


def test_equal_models_of_two_runs_give_equal_tables_and_graphs(tmp_path: Path, bundle: Bundle) -> None:
    other = make_finished_run(tmp_path, RunSpec(name="other-20270101-000000"))
    again = digests(export_run(other).path)
    for name in (EMBEDDINGS, SCORING_HEAD, RANKING_HEAD):
        assert again[name] == digests(bundle.path)[name]


def test_the_default_seed_is_the_best_on_validation_data_and_never_on_test_data(tmp_path: Path) -> None:
    spec = RunSpec(seeds=(45, 46, 47), validation={45: 0.61, 46: 0.75, 47: 0.75})
    told: list[tuple[str, Sequence[int], str]] = []
    run = make_finished_run(tmp_path, spec)
    manifest = export_run(run, on_start=lambda *said: told.append(said)).manifest
    assert manifest.seeds == [46]
    assert told == [("student", [46], manifest.seed_choice)]
    assert "validation" in manifest.seed_choice
    assert "75.00" in manifest.seed_choice


def test_a_seed_in_work_is_not_chosen(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, RunSpec(seeds=(45, 46)))
    run.embeddings(46, "student").unlink()
    assert export_run(run).manifest.seeds == [45]
    with pytest.raises(UserError, match=r"seed 46 has no finished student.*Finished seeds: 45"):
        export_run(run, seed=46)


def test_any_of_the_three_models_can_be_exported(run: RunDirectory, tmp_path: Path) -> None:
    manifest = export_run(run, model="teacher", out=tmp_path / "t").manifest
    assert (manifest.model, manifest.dim) == ("teacher", 12)
    with pytest.raises(UserError, match="no model 'pupil'"):
        export_run(run, model="pupil", out=tmp_path / "p")


def test_tables_alone_are_a_bundle_without_heads(run: RunDirectory, tmp_path: Path) -> None:
    made = export_run(run, onnx=False, out=tmp_path / "tables")
    assert sorted(made.files) == sorted([EMBEDDINGS, PROFILES, CARD, MANIFEST])
    assert "test AUPRC" in [check.name for check in made.checks]


def test_every_check_is_told_as_it_passes(run: RunDirectory, tmp_path: Path) -> None:
    told: list[Check] = []
    made = export_run(run, out=tmp_path / "b", on_check=told.append)
    assert told == made.checks
    assert [check.name for check in told] == [
        "graphs", "metadata", "tables", "known pairs", "neighbours", "random pairs", "valid. pairs", "test pairs",
        "test AUPRC", "probabilities", "ranking", "profiles", "checksums", "scorer",
    ]  # fmt: skip


def test_the_run_logs_its_export(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path, RunSpec(seeds=(45,)))
    made = export_run(run)
    last = EventFollower(run.events).read()[-1]
    assert isinstance(last, ExportFinished)
    assert (last.seeds, last.bundle) == ([45], str(made.path))


def test_a_failed_check_leaves_nothing_behind(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> str:
        raise ParityError("it differs")

    monkeypatch.setattr(bundling, "verify", fail)
    events = run.events.read_bytes()
    with pytest.raises(ParityError, match="it differs"):
        export_run(run, out=tmp_path / "b")
    assert list(tmp_path.iterdir()) == []
    assert run.events.read_bytes() == events


def test_an_interrupted_export_leaves_nothing_behind(run: RunDirectory, tmp_path: Path) -> None:
    def interrupt(check: Check) -> None:
        if check.name == "ranking":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_run(run, out=tmp_path / "b", on_check=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_an_older_bundle_survives_a_failed_export_and_yields_to_a_good_one(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_run(run, out=tmp_path / "b", seed=45)
    older = digests(tmp_path / "b")
    with monkeypatch.context() as patch:
        patch.setattr(bundling, "_check_scorer", lambda *_: (_ for _ in ()).throw(ParityError("no")))
        with pytest.raises(ParityError):
            export_run(run, out=tmp_path / "b")
    assert digests(tmp_path / "b") == older
    assert export_run(run, out=tmp_path / "b").replaced
    assert read_manifest(tmp_path / "b").seeds == [46]
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_an_older_bundle_comes_back_when_the_rename_fails(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_run(run, out=tmp_path / "b", seed=45)
    older = digests(tmp_path / "b")
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if ".partial-" in self.name:
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(placing, "exchanged", lambda one, other: False)
    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(UserError, match="No space left"):
        export_run(run, out=tmp_path / "b")
    assert digests(tmp_path / "b") == older
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_new_bundle_takes_the_place_of_an_older_one_and_leaves_nothing(
    exchanges: bool, run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_run(run, out=tmp_path / "b", seed=45)
    older = digests(tmp_path / "b")
    if not exchanges:
        monkeypatch.setattr(placing, "exchanged", lambda one, other: False)
    export_run(run, out=tmp_path / "b")
    assert digests(tmp_path / "b") != older
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_an_older_bundle_that_a_kill_left_aside_is_put_back(run: RunDirectory, tmp_path: Path) -> None:
    export_run(run, out=tmp_path / "b", seed=45)
    older = digests(tmp_path / "b")
    (tmp_path / "b").rename(tmp_path / ".b.older-999999999")
    with pytest.raises(UserError):
        export_run(run, out=tmp_path / "b", seed=99)
    export_run(run, out=tmp_path / "b", seed=45)
    assert digests(tmp_path / "b").keys() == older.keys()
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_disk_that_is_full_at_any_file_of_a_bundle_is_one_line(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_run(run, out=tmp_path / "b", seed=45)
    older = digests(tmp_path / "b")
    for n in range(1, 1000):
        disk = FaultyDisk(tmp_path, n)
        with disk.mounted(), suppress(UserError):
            export_run(run, out=tmp_path / "b", seed=45)
        if disk.failed is None:
            break
        assert digests(tmp_path / "b").keys() == older.keys()
        assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert n > 10


def test_a_folder_with_other_things_is_never_replaced(run: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"holds 'thesis.tex', which no export wrote"):
        export_run(run, out=tmp_path)
    (tmp_path / "a file").write_text("")
    with pytest.raises(UserError, match="is not a folder"):
        export_run(run, out=tmp_path / "a file")
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_what_killed_exports_left_is_cleared_after_an_hour(run: RunDirectory, tmp_path: Path) -> None:
    old, young = tmp_path / ".b.partial-1", tmp_path / ".b.partial-2"
    old.mkdir()
    young.mkdir()
    os.utime(old, (0, 0))
    export_run(run, out=tmp_path / "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == [young.name, "b"]


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(RunSpec(seeds=(1,), relations=("treats",), head_type="compound", tail_type="condition"), id="one"),
        pytest.param(RunSpec(seeds=(1,), dims=(2, 2, 2)), id="two dims"),
        pytest.param(RunSpec(seeds=(1,), probe=3), id="few probes"),
        pytest.param(RunSpec(seeds=(1,), empty=(("indication", "train"), ("indication", "test"))), id="no known pairs"),
        pytest.param(
            RunSpec(
                seeds=(1,), head_type="gene/protein", tail_type="effect/phenotype", relations=("a/b", "%2F", ".", "é")
            ),
            id="slashes",
        ),
        pytest.param(RunSpec(seeds=(1,), heads=13, tails=9000, dims=(2, 2, 64)), id="many blocks"),
        pytest.param(
            RunSpec(seeds=(1,), names={"T0001": "Ménière’s 病 🧠", "T0002": "", "H0001": "a|b\nc"}), id="unicode"
        ),
    ],
)
def test_runs_of_other_shapes_export_and_verify(spec: RunSpec, tmp_path: Path) -> None:
    made = export_run(make_finished_run(tmp_path, spec))
    assert [check.name for check in made.checks][-1] == "scorer"
    assert made.manifest.relations == list(spec.relations)
    assert made.manifest.nodes == {spec.head_type: spec.heads, spec.tail_type: spec.tails}


def test_the_code_in_the_card_runs(bundle: Bundle) -> None:
    card = (bundle.path / CARD).read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        done = subprocess.run(
            [sys.executable, "-c", block],
            cwd=bundle.path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr.decode()


def test_the_card_of_tables_alone_computes_the_runs_logits(run: RunDirectory, tmp_path: Path) -> None:
    made = export_run(run, onnx=False, out=tmp_path / "tables")
    (block,) = re.findall(r"```python\n(.*?)```", (made.path / CARD).read_text(encoding="utf-8"), flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(block.replace(f'"{EMBEDDINGS}"', repr(str(made.path / EMBEDDINGS))), names)
    tensors = load_file(run.embeddings(46, "student"))
    expected = tensors["head.embedding"][0] * tensors["relation/contraindication"]
    logits = np.asarray(names["logits"])
    np.testing.assert_allclose(logits[0, 0], expected @ tensors["tail.embedding/contraindication"][0], rtol=1e-5)


def test_the_card_tells_the_runs_figures_and_limits(bundle: Bundle, run: RunDirectory) -> None:
    card = (bundle.path / CARD).read_text(encoding="utf-8")
    test = json.loads(run.results.read_text())["seeds"]["46"]["student"]["test"]
    assert f"| **distilled student** (this one) | 8 | 8000 | {100 * test['macro_auprc']:.2f} |" in card
    assert "The graph is made up" in card
    assert "no medical advice" in card
    assert "| indication | 60 | 12 | 25 |" in card


def test_exporting_imports_no_torch_and_no_terminal_program(run: RunDirectory, tmp_path: Path) -> None:
    code = (
        "import sys; from flykd_console.cli.app import main\n"
        f"try: main(['export', {str(run.path)!r}, '--out', {str(tmp_path / 'b')!r}])\n"
        "except SystemExit as done: assert not done.code, done.code\n"
        "bad = {'torch', 'dgl', 'textual'} & {m.split('.')[0] for m in sys.modules}\n"
        "assert not bad, bad"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "✓ test AUPRC" in done.stdout


def test_a_bundle_of_another_schema_yields_to_an_export(run: RunDirectory, tmp_path: Path) -> None:
    folder = export_run(run, out=tmp_path / "b").path
    for schema in (1, 99):
        manifest = json.loads((folder / MANIFEST).read_text())
        (folder / MANIFEST).write_text(json.dumps({"schema": schema, "files": manifest["files"]}))
        assert export_run(run, out=folder).replaced
        assert read_manifest(folder).schema not in (1, 99)
