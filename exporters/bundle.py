"""Exporting a run: write the bundle under a temporary name, verify it from disk, then put it in its place in one step.

    choose the seed → embeddings.h5 → ONNX heads → checks → README → manifest → checksums → rename → event

A failed check or an interruption removes what was written; an older bundle is replaced only by a verified one.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
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
    record,
)
from exporters.model_card import write_card
from exporters.onnx_head import metadata, write_ranking_head, write_scoring_head
from exporters.parity import Check, check_files, run_checks, verify
from exporters.placing import may_be_replaced, put_in_place, tell_the_run, temporary_folder
from exporters.precision import Dtype, check_loss, loss_of, rounded
from exporters.trained_run import TrainedRun, choose_seeds, read_trained_run, results_of
from flykd_console.errors import UserError
from flykd_console.plain_text import plain
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.embedded import model_of
from flykd_console.runs.files import refuse_links, replace_file

FILES = (EMBEDDINGS, SCORING_HEAD, RANKING_HEAD, PROFILES, CARD, MANIFEST)
# Points of AP that smaller tables may lose.
MAX_LOSS = 0.5


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
    replaced = may_be_replaced(target, FILES.__contains__)
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
    with temporary_folder(target) as folder:
        on_start(name, seeds, why)
        bundle = _write(run, folder, why, loss, onnx, profiles is not False and run.profiles is not None, on_check)
        put_in_place(folder, target)
    tell_the_run(directory, seeds, target)
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
