"""A bundle whose manifest was signed again by a stranger: nothing outside it is read, no traceback comes of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import onnx
import pytest
from onnx import TensorProto, external_data_helper, helper

from exporters.bundle import export_run
from exporters.manifest import EMBEDDINGS, MANIFEST, PROFILES, RANKING_HEAD, SCORING_HEAD, record
from exporters.scorer import Scorer
from flykd_console.errors import UserError
from tests.support.finished_run import RunSpec, make_finished_run

SECRET = "a secret of this machine"
TAIL = "relations/indication/tail_embedding"
NEAREST = "relations/indication/nearest"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = make_finished_run(tmp_path_factory.mktemp("runs"), RunSpec(seeds=(45,)))
    return export_run(run).path


@pytest.fixture
def bundle(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "bundle"))


def _resign(bundle: Path) -> None:
    """Make the manifest and the heads agree with the tables, as whoever sends a bundle can."""
    digest = record(bundle / EMBEDDINGS).sha256
    for name in (SCORING_HEAD, RANKING_HEAD):
        try:
            model = onnx.load(bundle / name, load_external_data=False)
        except Exception:  # a head that is none is sent as it is
            continue
        for one in model.metadata_props:
            if one.key == "embeddings_sha256":
                one.value = digest
        (bundle / name).write_bytes(model.SerializeToString())
    manifest = json.loads((bundle / MANIFEST).read_text())
    for name in manifest["files"]:
        found = record(bundle / name)
        manifest["files"][name] = {"bytes": found.bytes, "sha256": found.sha256}
    (bundle / MANIFEST).write_text(json.dumps(manifest))


def _use(bundle: Path, engine: Literal["numpy", "onnx"] = "numpy") -> None:
    with Scorer(bundle, engine=engine) as scorer:
        for relation in scorer.relations:
            scorer.rank_heads(0, relation)
            scorer.rank_tails(0, relation)
            scorer.score_pairs([(0, 0)], relation)
            scorer.tables.nearest(relation)
            scorer.tables.vector(relation)
        scorer.tables.connections()


def _tables(change: Callable[[Any, Path], None]) -> Callable[[Path], None]:
    def damage(bundle: Path) -> None:
        with h5py.File(bundle / EMBEDDINGS, "r+") as file:
            change(file, bundle)

    return damage


def _replace(file: Any, place: str, **what: Any) -> Any:
    del file[place]
    return file.create_dataset(place, **what)


def _external_link(file: Any, bundle: Path) -> None:
    other = bundle.parent / "other.h5"
    with h5py.File(other, "w") as secret:
        secret["names"] = np.array([SECRET] * 50, dtype=object)
    del file["nodes/disease/name"]
    file["nodes/disease/name"] = h5py.ExternalLink(str(other), "/names")


def _soft_link(file: Any, bundle: Path) -> None:
    del file[TAIL]
    file[TAIL] = h5py.SoftLink("/relations/contraindication/tail_embedding")


def _external_storage(file: Any, bundle: Path) -> None:
    (bundle.parent / "raw").write_bytes(SECRET.encode() * 100)
    _replace(file, TAIL, shape=(50, 8), dtype="<f4", external=[(str(bundle.parent / "raw"), 0, 1600)])


def _virtual(file: Any, bundle: Path) -> None:
    other = bundle.parent / "other.h5"
    with h5py.File(other, "w") as secret:
        secret["x"] = np.ones((50, 8), dtype="<f4")
    layout = h5py.VirtualLayout((50, 8), dtype="<f4")
    layout[:] = h5py.VirtualSource(str(other), "x", shape=(50, 8))
    del file[TAIL]
    file.create_virtual_dataset(TAIL, layout)


def _two_names(file: Any, bundle: Path) -> None:
    del file[TAIL]
    file[TAIL] = file["relations/contraindication/tail_embedding"]


def _cycle(file: Any, bundle: Path) -> None:
    file["nodes/again"] = file["/"]


def _foreign_filter(file: Any, bundle: Path) -> None:
    _replace(file, TAIL, data=np.ones((50, 8), dtype="<f4"), chunks=(50, 8), compression="lzf")


def _references(file: Any, bundle: Path) -> None:
    _replace(file, TAIL, shape=(50, 8), dtype=h5py.ref_dtype)


def _promise(file: Any, bundle: Path) -> None:
    _replace(file, TAIL, shape=(10**12, 8), dtype="<f4", chunks=(1000, 8), maxshape=(None, 8))


def _zip_bomb(file: Any, bundle: Path) -> None:
    zeros = np.zeros((2_000_000, 8), dtype="<f4")
    _replace(file, TAIL, data=zeros, compression="gzip", chunks=(100_000, 8))


def _nearest(**changed: Any) -> Callable[[Any, Path], None]:
    """Sparse rows of 50 tails with one neighbour each, but for what is changed."""
    sound = {
        "indptr": np.arange(51, dtype="<i4"),
        "index": np.zeros(50, dtype="<i4"),
        "similarity": np.ones(50, dtype="<f4"),
    }

    def write(file: Any, bundle: Path) -> None:
        file.pop(NEAREST, None)
        for name, values in (sound | changed).items():
            file[f"{NEAREST}/{name}"] = values

    return write


TABLES: dict[str, Callable[[Any, Path], None]] = {
    "external link": _external_link,
    "soft link": _soft_link,
    "external storage": _external_storage,
    "virtual dataset": _virtual,
    "one dataset under two names": _two_names,
    "cycle": _cycle,
    "filter": _foreign_filter,
    "references": _references,
    "promise": _promise,
    "zip bomb": _zip_bomb,
    "short table": lambda file, _: _replace(file, TAIL, data=np.ones((49, 8), dtype="<f4")),
    "wide table": lambda file, _: _replace(file, TAIL, data=np.ones((50, 9), dtype="<f4")),
    "flat table": lambda file, _: _replace(file, TAIL, data=np.ones(50, dtype="<f4")),
    "table of text": lambda file, _: _replace(file, TAIL, data=np.array(["x"] * 50, dtype=object)),
    "table that is a group": lambda file, _: (file.pop(TAIL), file.create_group(TAIL)),  # type: ignore[dict-item]
    "no table": lambda file, _: (file.pop("nodes/drug/embedding"), None),  # type: ignore[dict-item]
    "row of NaN": lambda file, _: file[TAIL].__setitem__(3, np.nan),
    "infinity": lambda file, _: file["nodes/drug/embedding"].__setitem__((0, 0), np.inf),
    "fewer names": lambda file, _: _replace(file, "nodes/disease/name", data=np.array(["x"] * 40, dtype=object)),
    "names as numbers": lambda file, _: _replace(file, "nodes/disease/name", data=np.arange(50)),
    "scalar name": lambda file, _: _replace(file, "nodes/disease/name", data="x"),
    "no ids": lambda file, _: (file.pop("nodes/disease/id"), None),  # type: ignore[dict-item]
    "nodes that are a table": lambda file, _: _replace(file, "nodes/disease", data=np.arange(3)),
    "pairs out of range": lambda file, _: file["relations/indication/pairs/train"].__setitem__((0, 1), 50),
    "negative pairs": lambda file, _: file["relations/indication/pairs/train"].__setitem__((0, 0), -1),
    "pairs of three": lambda file, _: _replace(
        file, "relations/indication/pairs/test", data=np.ones((4, 3), dtype="<i4")
    ),
    "pairs that are fractions": lambda file, _: _replace(file, "relations/indication/pairs/test", data=np.ones((4, 2))),
    "no pairs": lambda file, _: (file.pop("relations/indication/pairs"), None),  # type: ignore[dict-item]
    "neighbours out of range": _nearest(index=np.full(50, 50, dtype="<i4")),
    "negative neighbours": _nearest(index=np.full(50, -1, dtype="<i4")),
    "rows that go back": _nearest(indptr=np.r_[0, 50, np.arange(1, 50)].astype("<i4")),
    "rows past the end": _nearest(indptr=np.r_[np.arange(50), 60].astype("<i4")),
    "too few rows": _nearest(indptr=np.r_[0, 50].astype("<i4")),
    "neighbours that are fractions": _nearest(index=np.zeros(50)),
    "similarities of NaN": _nearest(similarity=np.full(50, np.nan, dtype="<f4")),
    "too few similarities": _nearest(similarity=np.ones(3, dtype="<f4")),
    "neighbours without similarity": lambda file, bundle: (_nearest()(file, bundle), file.pop(f"{NEAREST}/similarity"))[
        0
    ],
    "connections out of range": lambda file, _: file["connections/0/x"].__setitem__(0, 10**6),
    "negative connections": lambda file, _: file["connections/0/y"].__setitem__(0, -1),
    "connections with one end": lambda file, _: (file.pop("connections/0/y"), None),  # type: ignore[dict-item]
    "connections of unequal ends": lambda file, _: _replace(file, "connections/0/y", data=np.zeros(1, dtype="<i4")),
    "connections of no type": lambda file, _: file["connections/0"].attrs.__delitem__("x_type"),
    "connections of a type without nodes": lambda file, _: file["connections/0"].attrs.__setitem__("x_type", "nothing"),
    "vector of another width": lambda file, _: _replace(
        file, "relations/indication/vector", data=np.ones(3, dtype="<f4")
    ),
    "vector of NaN": lambda file, _: file["relations/indication/vector"].__setitem__(0, np.nan),
    "no relation": lambda file, _: (file.pop("relations/indication"), None),  # type: ignore[dict-item]
}


@pytest.mark.parametrize("damage", TABLES)
def test_tables_of_another_kind_or_from_elsewhere_are_refused_in_one_line(damage: str, bundle: Path) -> None:
    _tables(TABLES[damage])(bundle)
    _resign(bundle)
    with pytest.raises(UserError) as refused:
        _use(bundle)
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)


def _ask_by_profile(bundle: Path) -> None:
    with Scorer(bundle) as scorer:
        scorer.profile({"edges": {"tail_protein": ["P1"], "phenotype": ["E1"]}}, "indication")
        scorer.profile({"type": "drug", "edges": {"head_protein": ["P1"]}}, "indication")


def _attribute(name: str, value: Any) -> Callable[[Any, Path], None]:
    return lambda file, _: file["edges/0"].attrs.__setitem__(name, value)


_ELSEWHERE = h5py.ExternalLink("other.h5", "/x")
EDGES: dict[str, Callable[[Any, Path], Any]] = {
    "external link": lambda file, _: (file.pop("edges/0/head"), file.__setitem__("edges/0/head", _ELSEWHERE)),
    "promise": lambda file, _: _replace(file, "edges/0/head", shape=(10**12,), dtype="<i4", chunks=(1000,)),
    "zip bomb": lambda file, _: _replace(
        file, "edges/0/head", data=np.zeros(16_000_000, dtype="<i4"), compression="gzip", chunks=(1_000_000,)
    ),
    "no edges": lambda file, _: (file.pop("edges"), None),
    "edges that are a table": lambda file, _: _replace(file, "edges", data=np.arange(3)),
    "a relation that is a table": lambda file, _: _replace(file, "edges/0", data=np.arange(3)),
    "one end": lambda file, _: (file.pop("edges/0/tail"), None),
    "ends of two lengths": lambda file, _: _replace(file, "edges/0/tail", data=np.zeros(3, dtype="<i4")),
    "ends that are pairs": lambda file, _: _replace(file, "edges/0/tail", data=np.zeros((30, 2), dtype="<i4")),
    "ends that are fractions": lambda file, _: _replace(file, "edges/0/tail", data=np.zeros(30)),
    "beyond the nodes": lambda file, _: [group["head"].__setitem__(0, 10_000) for group in file["edges"].values()],
    "below the nodes": lambda file, _: [group["tail"].__setitem__(0, -1) for group in file["edges"].values()],
    "no type": lambda file, _: (file["edges/0"].attrs.pop("head_type"), None),
    "a type that is a number": _attribute("head_type", 3),
    "a type that is a list": _attribute("head_type", ["drug", "drug"]),
    "a type that is a reference": lambda file, _: file["edges/0"].attrs.__setitem__("head_type", file["edges"].ref),
    "a type that nobody names": _attribute("tail_type", "nothing"),
    "types that are not scored": lambda file, _: [
        group.attrs.update({"head_type": "protein", "tail_type": "protein"}) for group in file["edges"].values()
    ],
    "one relation twice": lambda file, _: file["edges/1"].attrs.update(dict(file["edges/0"].attrs)),
    "nodes without names": lambda file, _: (file.pop("nodes/sign%2Fsymptom/name"), None),
    "names as numbers": lambda file, _: _replace(file, "nodes/sign%2Fsymptom/name", data=np.arange(6)),
    "fewer names": lambda file, _: _replace(file, "nodes/sign%2Fsymptom/name", data=np.array(["x"] * 4, dtype=object)),
    "no nodes": lambda file, _: (file.pop("nodes"), None),
}


@pytest.mark.parametrize("damage", EDGES)
def test_profiles_of_another_kind_or_from_elsewhere_are_refused_in_one_line(damage: str, bundle: Path) -> None:
    with h5py.File(bundle / PROFILES, "r+") as file:
        EDGES[damage](file, bundle)
    _resign(bundle)
    with pytest.raises(UserError) as refused:
        _ask_by_profile(bundle)
    assert any(word in str(refused.value) for word in (PROFILES, "embeddings.h5 lacks nodes/"))
    assert "\n" not in str(refused.value)
    with Scorer(bundle) as scorer:  # what does not ask for profiles goes on
        assert scorer.rank_heads(0, "indication")


def test_profiles_that_were_altered_or_taken_away_are_refused_when_they_are_asked_for(bundle: Path) -> None:
    data = bytearray((bundle / PROFILES).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / PROFILES).write_bytes(data)
    with pytest.raises(UserError, match=r"profiles.h5 is not the file that was exported"):
        _ask_by_profile(bundle)
    (bundle / PROFILES).unlink()
    with pytest.raises(UserError, match=r"profiles.h5 is missing"):
        _ask_by_profile(bundle)
    (bundle / PROFILES).symlink_to(bundle / EMBEDDINGS)
    with pytest.raises(UserError):
        _ask_by_profile(bundle)


def _model(bundle: Path, name: str = SCORING_HEAD) -> Any:
    return onnx.load(bundle / name)


def _external_data(bundle: Path) -> None:
    model = _model(bundle)
    external_data_helper.convert_model_to_external_data(model, location="../raw", size_threshold=0)
    (bundle.parent / "raw").write_bytes(b"\0" * 4096)
    for tensor in model.graph.initializer:
        external_data_helper.set_external_data(tensor, "../raw", 0, 64)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
    (bundle / SCORING_HEAD).write_bytes(model.SerializeToString())


def _endless_loop(bundle: Path) -> None:
    model = _model(bundle)
    body = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("Loop", ["", ""], ["x"], body=body))
    (bundle / SCORING_HEAD).write_bytes(model.SerializeToString())


def _other_width(bundle: Path) -> None:
    model = _model(bundle)
    for tensor in model.graph.initializer:
        if tensor.name == "vectors":
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.ones((2, 5), dtype=np.float32), "vectors"))
    (bundle / SCORING_HEAD).write_bytes(model.SerializeToString())


def _swapped(bundle: Path) -> None:
    shutil.copy(bundle / SCORING_HEAD, bundle / RANKING_HEAD)


def _garbage(bundle: Path) -> None:
    (bundle / RANKING_HEAD).write_bytes(bytes(range(256)) * 40)


def _empty(bundle: Path) -> None:
    (bundle / RANKING_HEAD).write_bytes(b"")


def _link(bundle: Path) -> None:
    head = bundle / RANKING_HEAD
    head.rename(bundle.parent / "head.onnx")
    head.symlink_to(bundle.parent / "head.onnx")


def _other_relations(bundle: Path) -> None:
    model = _model(bundle)
    for one in model.metadata_props:
        if one.key == "relations":
            one.value = "[" * 100_000
    (bundle / SCORING_HEAD).write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    "damage",
    [_external_data, _endless_loop, _other_width, _swapped, _garbage, _empty, _link, _other_relations],
    ids=lambda one: one.__name__,
)
def test_heads_of_another_kind_or_from_elsewhere_are_refused_in_one_line(
    damage: Callable[[Path], None], bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    damage(bundle)
    _resign(bundle)
    # Only who runs a head hears of a width that its tables do not have.
    with pytest.raises(UserError) as refused:
        _use(bundle, "onnx" if damage is _other_width else "numpy")
    assert "\n" not in str(refused.value)
    assert capfd.readouterr().err == ""


def _set(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda manifest: manifest.__setitem__(key, value)


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest["files"].__setitem__("../../secret", {"bytes": 1, "sha256": "0"}),
        _set("relations", ["indication", "indication"]),
        _set("relations", ["indication"]),
        _set("relations", ["contraindication", "unheard of"]),
        _set("dim", 9),
        _set("dim", 10**30),
        _set("nodes", {"drug": 30, "disease": 49}),
        _set("nodes", {}),
        _set("head_type", "gene"),
        _set("head_type", "../nodes"),
        _set("tail_type", ""),
        _set("files", {}),
        _set("metrics", []),
    ],
)
def test_a_manifest_that_says_other_things_than_the_files_is_refused(
    change: Callable[[dict[str, Any]], None], bundle: Path
) -> None:
    manifest = json.loads((bundle / MANIFEST).read_text())
    change(manifest)
    (bundle / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(UserError) as refused:
        _use(bundle)
    assert "\n" not in str(refused.value)


def test_a_manifest_of_a_hundred_thousand_brackets_is_refused(bundle: Path) -> None:
    (bundle / MANIFEST).write_text("[" * 100_000)
    with pytest.raises(UserError, match="is not valid JSON"):
        Scorer(bundle)


def test_sound_neighbours_are_read(bundle: Path) -> None:
    _tables(_nearest())(bundle)
    _resign(bundle)
    _use(bundle)


def test_compressed_tables_are_read(bundle: Path) -> None:
    with Scorer(bundle) as scorer:
        before = scorer.rank_heads(0, "indication")
    with h5py.File(bundle / EMBEDDINGS, "r+") as file:
        values = file[TAIL][:]
        _replace(file, TAIL, data=values, compression="gzip", shuffle=True, chunks=(50, 8))
    _resign(bundle)
    with Scorer(bundle) as scorer:
        assert scorer.rank_heads(0, "indication") == before
