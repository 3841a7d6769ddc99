"""Exporting a run: write the bundle under a temporary name, verify it from disk, then put it in its place in one step.

    choose the seed → embeddings.h5 → ONNX heads → checks → README → manifest → checksums → rename → event

A failed check or an interruption removes what was written; an older bundle is replaced only by a verified one.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from exporters.agreement import ParityError
from exporters.calibration import Calibration, calibrate
from exporters.ensemble import mean_of
from exporters.hdf5 import write_hdf5, write_profiles
from exporters.lookup import normal_form
from exporters.manifest import (
    CARD,
    EMBEDDINGS,
    MANIFEST,
    PROFILES,
    RANKING_HEAD,
    SCHEMA,
    SCORING_HEAD,
    Manifest,
    read_manifest,
    read_records,
    record,
    verify_files,
)
from exporters.model_card import write_card
from exporters.onnx_head import metadata, write_ranking_head, write_scoring_head
from exporters.parity import Check, check_files, run_checks, verify
from exporters.precision import Dtype, check_loss, loss_of, rounded
from exporters.trained_run import TrainedRun, choose_seeds, read_trained_run, results_of
from flykd_console.errors import UserError
from flykd_console.plain_text import plain
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.embedded import model_of
from flykd_console.runs.events import ExportFinished
from flykd_console.runs.files import exchanged, refuse_links, replace_file, synced
from flykd_console.runs.lock import is_held
from flykd_console.runs.log import EventWriter

FILES = (EMBEDDINGS, SCORING_HEAD, RANKING_HEAD, PROFILES, CARD, MANIFEST)
# Points of AP that smaller tables may lose.
MAX_LOSS = 0.5
_OLDER = ".older-"
_STALE_SECONDS = 3600.0


@dataclass(frozen=True)
class Bundle:
    """What an export made.

    Attributes:
        path: The bundle's folder.
        files: Name and size in bytes of every file.
        checks: What was verified, in order.
        replaced: Whether an older bundle stood there.
        example: A relation and the name or id of a tail that the bundle knows, to try next.
    """

    path: Path
    manifest: Manifest
    files: dict[str, int]
    checks: list[Check]
    replaced: bool
    example: tuple[str, str]


def export_run(
    directory: RunDirectory,
    *,
    seed: int | None = None,
    ensemble: bool = False,
    out: Path | None = None,
    onnx: bool = True,
    model: str | None = None,
    dtype: Dtype = "float32",
    max_loss: float = MAX_LOSS,
    profiles: bool | None = None,
    on_start: Callable[[str, Sequence[int], str], None] = lambda model, seeds, why: None,
    on_check: Callable[[Check], None] = lambda check: None,
) -> Bundle:
    """Write and verify the bundle of one model of a run.

    Args:
        seed: Which seed; None: the one whose model is best on validation data.
        ensemble: The mean of the models of all finished seeds instead, by averaged logits.
        out: The bundle's folder; None: `export/` in the run.
        onnx: Write the ONNX heads beside the tables.
        model: Name of a model that left embeddings; None: the one that the run is about.
        dtype: How embeddings are stored (`exporters.precision`).
        max_loss: The most that they may lose by it, in points of AP.
        profiles: Write what the graph says of heads and tails besides their labels, by which nodes that it has not
            can be asked for; None: where the run left it.
        on_start: Hears the model, the seeds and why they were chosen, before anything is written.
        on_check: Hears of every check as it passes.

    Raises:
        UserError: The run has nothing to export, its files are damaged, the folder holds other things, or the tables
            lose more than allowed.
        ParityError: A check failed; nothing is left behind.
    """
    # Before the work, and not after it: what follows writes into the run.
    refuse_links(directory.path)
    results = results_of(directory)
    name = model_of(directory, results, model).name
    seeds, why = ([seed], "chosen by hand") if seed is not None else choose_seeds(directory, name, results, ensemble)
    target = Path(os.path.abspath(out or directory.export))
    replaced = _may_be_replaced(target)
    members = [read_trained_run(directory, one, name, results) for one in seeds]
    whole = members[0] if len(members) == 1 else mean_of(members)
    if profiles and whole.profiles is None:
        raise UserError(
            f"seed {seeds[0]} left no {whole.missing['profiles']}",
            f"{directory.name}, --profiles",
            f"flykd-console run --resume {directory.name} writes it (without training).",
        )
    run = rounded(whole, dtype)
    loss = {} if run is whole else loss_of(whole, run)
    if loss:
        check_loss(loss, max_loss, dtype)
    with _temporary_folder(target) as folder:
        on_start(name, seeds, why)
        bundle = _write(run, folder, why, loss, onnx, profiles is not False and run.profiles is not None, on_check)
        _put_in_place(folder, target)
    _tell_the_run(directory, seeds, target)
    return replace(bundle, path=target, replaced=replaced)


def _write(
    run: TrainedRun,
    folder: Path,
    why: str,
    loss: dict[str, Any],
    onnx: bool,
    profiles: bool,
    on_check: Callable[[Check], None],
) -> Bundle:
    """Write every file of the bundle into the folder and verify them."""
    write_hdf5(folder / EMBEDDINGS, run)
    if profiles:
        write_profiles(folder / PROFILES, run)
    calibration = calibrate(run)
    if onnx:
        numbers = np.array([calibration[relation].numbers for relation in run.relations], dtype=np.float32)
        properties = metadata(run.relations, run.head_type, run.tail_type, record(folder / EMBEDDINGS).sha256)
        write_scoring_head(folder / SCORING_HEAD, run.vectors(), numbers, properties)
        write_ranking_head(folder / RANKING_HEAD, run.vectors(), numbers, properties)
    checks = verify(folder, run, calibration, onnx, on_check)
    example = _example(run)
    card = write_card(run, why, calibration, checks, example, onnx, loss, profiles)
    replace_file(folder / CARD, plain(card).encode())
    written = [name for name in FILES if (folder / name).is_file()]
    _manifest(run, why, loss, calibration, checks, {name: folder / name for name in written}).write(folder)
    manifest = read_manifest(folder)
    last: dict[str, Callable[[], str]] = {"checksums": lambda: check_files(folder, manifest)}
    if onnx:
        last["scorer"] = lambda: _check_scorer(folder, run, example)
    checks += run_checks(last, on_check)
    sizes = {name: (folder / name).stat().st_size for name in (*written, MANIFEST)}
    return Bundle(folder, manifest, sizes, checks, False, example)


def _manifest(
    run: TrainedRun,
    why: str,
    loss: dict[str, Any],
    calibration: dict[str, Calibration],
    checks: list[Check],
    files: dict[str, Path],
) -> Manifest:
    import h5py
    import onnx

    splits = run.environment.get("splits")
    return Manifest(
        schema=SCHEMA,
        run=run.directory.name,
        method=run.results.method,
        model=run.model,
        seeds=list(run.seeds),
        seed_choice=why,
        dim=run.dim,
        head_type=run.head_type,
        tail_type=run.tail_type,
        relations=run.relations,
        nodes={kind: len(table.ids) for kind, table in run.nodes.items()},
        graph=run.graph,
        profile_sha256=run.profile_sha256,
        split_sha256=",".join(str(splits.get(str(seed), "")) for seed in run.seeds) if isinstance(splits, dict) else "",
        metrics={
            "test": msgspec.to_builtins(run.result.test),
            "validation": msgspec.to_builtins(run.result.validation),
        },
        files={name: record(path) for name, path in files.items()},
        checks=[asdict(check) for check in checks],
        calibration={relation: one.as_json() for relation, one in calibration.items()},
        missing=run.missing,
        written_with={"h5py": h5py.__version__, "numpy": np.__version__, "onnx": onnx.__version__},
        dtype=run.dtype,
        loss=loss,
    )


def _check_scorer(folder: Path, run: TrainedRun, example: tuple[str, str]) -> str:
    """The scorer opens the bundle as a user will, and ranks for the example."""
    from exporters.scorer import Scorer

    relation, name = example
    with Scorer(folder) as scorer:
        ranking = scorer.rank_heads(name, relation)
    # Heads that no training edge leads to are in no ranking.
    if len(ranking) != min(20, int(run.tensors["head.embedding"].any(axis=1).sum())):
        raise ParityError(f"{len(ranking)} heads are ranked for {name!r}")
    return f"opens with numpy and h5py alone; ranks {run.head_type} for {name!r}"


def _example(run: TrainedRun) -> tuple[str, str]:
    """A relation and a tail to rank for, by its name where only one tail is called so.

    Of the tails that a training edge leads to, for of others the model knows nothing: the one with the most true test
    pairs, without such pairs those of validation or training.
    """
    relation = "indication" if "indication" in run.relations else run.relations[-1]
    embedded = np.asarray(run.tensors[run.tail_tensor(relation)].any(axis=1))
    parts = (run.pairs[relation][part][:, 1] for part in ("test", "validation", "train"))
    known = (tails[embedded[tails]].tolist() for tails in parts)
    counts = Counter(next(filter(None, known), None) or np.flatnonzero(embedded)[:1].tolist() or [0])
    row = max(counts, key=lambda row: (counts[row], -row))
    table = run.nodes[run.tail_type]
    name = table.names[row]
    key = normal_form(name)
    alike = sum(normal_form(other) == key for other in table.names)
    return relation, name if key and alike == 1 and name not in table.ids else table.ids[row]


def _may_be_replaced(target: Path) -> bool:
    """Whether a bundle stands at the target already.

    Raises:
        UserError: Something else stands there, which an export must not remove.
    """
    if not target.exists() and not target.is_symlink():
        return False
    if not target.is_dir() or target.is_symlink():
        raise UserError("is not a folder", str(target), "Choose another place with --out.")
    present = {path.name for path in target.iterdir()}
    if not present:
        return False
    foreign = sorted(present - set(FILES))
    if foreign or MANIFEST not in present:
        what = f"holds {foreign[0]!r}, which no export wrote" if foreign else "is not a bundle"
        raise UserError(f"the folder {what}", str(target), "Choose another folder with --out.")
    # Names prove nothing: somebody's own README.md and manifest.json are not to be lost.
    try:
        if any(not stat.S_ISREG(path.lstat().st_mode) for path in target.iterdir()):
            raise UserError("a name in it is no ordinary file", str(target))
        records = read_records(target)
        verify_files(target, {CARD: records[CARD]} if CARD in records else {})
    except UserError as error:
        raise UserError(
            f"the folder holds files of a bundle's names that no export left so ({error.title})",
            str(target),
            "Choose another folder with --out, or remove it by hand.",
        ) from None
    return True


@contextmanager
def _temporary_folder(target: Path) -> Iterator[Path]:
    """A folder beside the target; whatever is still in it at the end is removed."""
    folder = target.with_name(f".{target.name}.partial-{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(target)
        folder.mkdir()
    except OSError as error:
        raise UserError(
            f"the bundle cannot be written there ({error.strerror})",
            str(target.parent),
            "Choose another place with --out.",
        ) from None
    try:
        yield folder
    except OSError as error:
        raise UserError(
            f"the bundle cannot be written ({error.strerror or error})",
            str(target),
            "Make room, or choose another place with --out.",
        ) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_stale(target: Path) -> None:
    """Put back an older bundle, and remove what exports that were killed more than an hour ago have left."""
    for path in sorted(target.parent.glob(f".{target.name}{_OLDER}*")):
        if not target.exists():
            path.rename(target)
    for path in target.parent.glob(f".{target.name}.partial-*"):
        if time.time() - path.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


def _put_in_place(folder: Path, target: Path) -> None:
    """Give the verified folder its final name; an older bundle is there until then, and goes after."""
    for path in folder.iterdir():
        synced(path)
    synced(folder)
    if target.exists() and exchanged(folder, target):
        synced(target.parent)
        return
    # Where a disk cannot exchange two names: what a kill between the two renames leaves, the next export puts back.
    older = target.with_name(f".{target.name}{_OLDER}{os.getpid()}")
    if target.exists():
        target.rename(older)
    try:
        folder.rename(target)
    except BaseException:
        if older.exists():
            older.rename(target)
        raise
    synced(target.parent)
    shutil.rmtree(older, ignore_errors=True)


def _tell_the_run(directory: RunDirectory, seeds: Sequence[int], target: Path) -> None:
    """Append the event. A run on a disk that cannot be written exports all the same, to a folder elsewhere."""
    try:
        log = EventWriter(directory.events, cut=not is_held(directory))
    except OSError:
        return
    try:
        log.write(ExportFinished(seeds=list(seeds), bundle=str(target)))
    finally:
        log.close()
