"""The bundle's table of contents: file names, schema version, provenance and checksums, as plain JSON and dataclasses.

Writer and scorer share this module, so it imports nothing but the standard library (and numpy where tables are read).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from flykd_console.errors import CHECK_PATH, UserError

SCHEMA = 3
ENCODING_VERSION = "1.0"

MANIFEST = "manifest.json"
EMBEDDINGS = "embeddings.h5"
SCORING_HEAD = "scoring_head.onnx"
RANKING_HEAD = "ranking_head.onnx"
CARD = "README.md"
PROFILES = "profiles.h5"

# Bytes of a manifest.
_LARGEST = 1 << 26

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class FileRecord:
    """What a file of the bundle must be: its size in bytes and its SHA-256 (hexadecimal)."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """A bundle's contents and where they come from.

    Attributes:
        schema: Version of the bundle's layout.
        run: Name of the run that was exported.
        method: Distillation method named by the run's profile.
        model: Its name in the run: student, baseline, teacher, or a further model's.
        seeds: The seed that was exported, or those whose logits are averaged; `seed_choice` says why these.
        dim: Width d of every embedding.
        head_type: Node type of the heads; `tail_type` that of the tails.
        relations: Scored relations; a relation's place is its index in the ONNX heads.
        nodes: Number of nodes of each type.
        graph: `source` and `fingerprint` of the knowledge graph.
        profile_sha256: SHA-256 of the run's resolved profile.
        split_sha256: SHA-256 of the split of this seed, empty where the run left none.
        metrics: The run's own figures for this model and seed: `test` and `validation`.
        checks: What was verified before the bundle got its name: `name`, `detail`.
        calibration: Per relation the numbers that make a probability of a logit, sigmoid(slope logit + intercept), with
            the base rate that it assumes and the validation pairs that it was learnt from; or the `problem`.
        missing: What the scorer cannot do because the run left no such file: `neighbours`, `through`, `profiles`; the
            file's name.
        written_with: Versions of the libraries that wrote the files.
        dtype: How embeddings are stored: float32, float16 or int8; `loss` is what lists lose by it
            (`exporters.precision.loss_of`), empty for float32.
        files: Record of each file except the manifest.
    """

    schema: int
    run: str
    method: str
    model: str
    seeds: list[int]
    seed_choice: str
    dim: int
    head_type: str
    tail_type: str
    relations: list[str]
    nodes: dict[str, int]
    graph: dict[str, Any]
    profile_sha256: str
    split_sha256: str
    metrics: dict[str, Any]
    files: dict[str, FileRecord]
    checks: list[dict[str, str]] = field(default_factory=list)
    calibration: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    written_with: dict[str, str] = field(default_factory=dict)
    dtype: str = "float32"
    loss: dict[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write `manifest.json` into the folder."""
        write_manifest(self, folder)


def provenance(manifest: Manifest) -> dict[str, str]:
    """Who scored: the run, its seeds, the model and the method, as every output says them."""
    return {
        "run": manifest.run,
        "seeds": " ".join(map(str, manifest.seeds)),
        "model": manifest.model,
        "method": manifest.method,
    }


def record(path: Path) -> FileRecord:
    """Size and SHA-256 of a file, read once in blocks."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileRecord(path.stat().st_size, digest)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a bundle folder.

    Raises:
        UserError: No bundle, an unreadable or incomplete manifest, one of another schema, or of a bundle that tells
            classes.
    """
    data = manifest_data(folder)
    if tells_classes(data):
        raise UserError(
            "this bundle tells classes of nodes or graphs, and ranks no drugs", str(folder), "See: flykd-console score"
        )
    return _from_json(data, folder / MANIFEST)


def tells_classes(data: Mapping[str, Any]) -> bool:
    """Whether a manifest's data are of a bundle of `exporters.classes`."""
    return "task" in data


def manifest_data(folder: Path) -> dict[str, Any]:
    """What a bundle folder's `manifest.json` says, before any of it is checked but the schema.

    Raises:
        UserError: No bundle, an unreadable manifest, or one of another schema.
    """
    data, path = _read_json(folder), folder / MANIFEST
    schema = data["schema"]
    if schema < SCHEMA:
        raise UserError(
            f"the bundle was written by an older program (schema {schema}, this one reads {SCHEMA})",
            str(path),
            "Export the run again.",
        )
    if schema > SCHEMA:
        raise UserError(
            f"the bundle was written by a newer program (schema {schema}, this one reads {SCHEMA})",
            str(path),
            "Update flykd-console, or export again with this version.",
        )
    return data


def read_records(folder: Path) -> dict[str, FileRecord]:
    """The files that a bundle of any schema lists.

    Raises:
        UserError: No bundle, or a manifest that cannot be read or lists none.
    """
    return _records(_read_json(folder), folder / MANIFEST)


def _read_json(folder: Path) -> dict[str, Any]:
    """The manifest as it stands, of any schema."""
    path = folder / MANIFEST
    try:
        if path.stat().st_size > _LARGEST:
            raise damaged("is larger than any manifest", path)
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(
            "this is not a bundle: it holds no manifest.json", str(folder), "Write one: flykd-console export"
        ) from None
    except OSError as error:
        raise UserError(f"the manifest cannot be read ({error.strerror})", str(path), CHECK_PATH) from None
    except (ValueError, RecursionError):
        raise damaged("is not valid JSON", path) from None
    schema = data.get("schema") if isinstance(data, dict) else None
    if type(schema) is not int or schema < 1:
        raise damaged("names no schema version", path)
    found: dict[str, Any] = data
    return found


def verify_files(folder: Path, records: Mapping[str, FileRecord]) -> None:
    """Hold files against their records: there, of the right size, of the right SHA-256.

    Raises:
        UserError: A file is missing, cut short or altered; names the first one.
    """
    for name, expected in records.items():
        path = folder / name
        try:
            size = path.stat().st_size
            if size != expected.bytes:
                raise damaged(f"is {size} bytes long where the manifest says {expected.bytes}", path)
            if record(path).sha256 != expected.sha256:
                raise damaged("is not the file that was exported (its SHA-256 differs from the manifest's)", path)
        except FileNotFoundError:
            raise damaged("is missing", path) from None
        except OSError as error:
            raise UserError(f"the file cannot be read ({error.strerror})", str(path), CHECK_PATH) from None


def hdf5_name(name: str) -> str:
    """A node type or relation as the name of an HDF5 group: `/` would open a group, so it is written `%2F`."""
    return "%2E" if name == "." else name.replace("%", "%25").replace("/", "%2F")


def read_table(file: Any, path: str) -> Any:
    """An embedding table at a path of the HDF5 file, widened to float32 [n, d] from whatever type it is stored in."""
    import numpy as np

    table = file[path][:]
    if table.dtype == np.int8:
        return table.astype(np.float32) * file[f"{path}_scale"][:][:, None]
    return table.astype(np.float32, copy=False)


def table_path(file: Container[str], relation: str, side: str, node_type: str) -> str:
    """Where in the HDF5 file a relation's embeddings lie: a table of its own where it has one, else its node type's.

    Args:
        file: Knows what paths there are.
        side: `head` or `tail`, of which `node_type` is the type.
    """
    own = f"relations/{hdf5_name(relation)}/{side}_embedding"
    return own if own in file else f"nodes/{hdf5_name(node_type)}/embedding"


def damaged(what: str, path: Path) -> UserError:
    """The error for a file of a bundle that is not what an export left."""
    return UserError(f"the bundle is damaged: {path.name} {what}", str(path.parent), "Copy or export the bundle again.")


def checked_values(data: dict[str, Any], kind: type[Any], path: Path) -> dict[str, Any]:
    """The values of a manifest of a kind, each of the type that the dataclass says; `files` as records.

    Raises:
        UserError: One is missing, or of another type.
    """
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for one in fields(kind):
        value = data.get(one.name)
        if not _is_a(value, hints[one.name] if one.name != "files" else dict[str, dict[str, Any]]):
            raise damaged(f"has no usable {one.name!r}", path)
        values[one.name] = value
    values["files"] = _records(data, path)
    return values


def write_manifest(manifest: Any, folder: Path) -> None:
    """Write `manifest.json` into the folder: UTF-8, sorted keys, equal contents give equal bytes."""
    text = json.dumps(asdict(manifest), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    partial = folder / f".{MANIFEST}.partial"
    partial.write_text(text + "\n", encoding="utf-8")
    os.replace(partial, folder / MANIFEST)


def _from_json(data: dict[str, Any], path: Path) -> Manifest:
    manifest = Manifest(**checked_values(data, Manifest, path))
    if not set(manifest.files) <= {EMBEDDINGS, SCORING_HEAD, RANKING_HEAD, CARD, PROFILES}:
        raise damaged("lists files that no bundle has", path)
    if len(set(manifest.relations)) != len(manifest.relations):
        raise damaged("lists a relation twice", path)
    if EMBEDDINGS not in manifest.files or not manifest.relations or manifest.dim < 1:
        raise damaged(f"lists no {EMBEDDINGS}, no relation or no width", path)
    return manifest


def _records(data: dict[str, Any], path: Path) -> dict[str, FileRecord]:
    try:
        return {name: FileRecord(int(r["bytes"]), str(r["sha256"])) for name, r in data["files"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise damaged("has no usable 'files'", path) from None


def _is_a(value: Any, hint: Any) -> bool:
    """Whether a JSON value is of the annotated type (int, str, list and dict of those, Any)."""
    if hint is Any:
        return True
    origin, inner = get_origin(hint), get_args(hint)
    if origin is list:
        return isinstance(value, list) and all(_is_a(item, inner[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(_is_a(item, inner[1]) for item in value.values())
    return type(value) is hint
