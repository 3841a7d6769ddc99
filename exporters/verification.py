"""What is claimed on disk, held against what is there: a run's files against each other, or a bundle against itself.

Nothing is trained here: seals and records of weights, figures from stored scores, the event log against the results,
and the parity of the bundle are recomputed. Every check says what it found or what differs; none stops the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl

from exporters.agreement import ParityError
from exporters.calibration import calibrate
from exporters.classes import verification as classes
from exporters.ensemble import mean_of
from exporters.manifest import PROFILES, SCORING_HEAD, manifest_data, read_manifest, tells_classes, verify_files
from exporters.metrics import average_precision
from exporters.parity import verify
from exporters.precision import Dtype, rounded
from exporters.trained_run import read_trained_run
from flykd_console.compare.stored_scores import TOLERANCE, disagreements
from flykd_console.errors import UserError
from flykd_console.profile.load import load_profile
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import Evaluation
from flykd_console.runs.log import EventFollower
from flykd_console.runs.results import Results, read_results, summarise
from flykd_console.runs.sealed import seal_of
from flykd_console.runs.stage_record import read_record


@dataclass(frozen=True)
class Finding:
    """One check: its name, whether everything was as claimed, and what was found, or the first thing that differs."""

    name: str
    passed: bool
    detail: str


class DiffersError(Exception):
    """Something on disk is not what it claims; the message is the whole sentence."""


def verify_run(directory: RunDirectory) -> Iterator[Finding]:
    """Every check of a run, one after another as it is done."""
    yield _carried_out("profile", lambda: _profile(directory))
    yield _carried_out("event log", lambda: _log(directory))
    yield _carried_out("tensor files", lambda: _tensors(directory))
    if not directory.results.is_file():
        yield Finding("results", True, "none yet")
        return
    yield _carried_out("results", lambda: _summary(directory))
    if directory.tells_classes:
        yield _carried_out("stored answers", lambda: classes.stored_answers(directory))
    else:
        yield _carried_out("stored scores", lambda: _scores(directory))
    yield _carried_out("log and results", lambda: _log_and_results(directory))
    if directory.export.is_dir():
        parity = classes.bundle_of_run if directory.tells_classes else _parity
        yield _carried_out("bundle", lambda: parity(directory))
        yield from verify_bundle(directory.export)


def verify_bundle(folder: Path) -> Iterator[Finding]:
    """Every check of a bundle by itself."""
    if tells_classes(manifest_data(folder)):
        yield _carried_out("bundle's files", lambda: classes.bundle_files(folder))
        yield _carried_out("bundle's answers", lambda: classes.bundle_answers(folder))
        return
    yield _carried_out("bundle's files", lambda: _checksums(folder))
    files = read_manifest(folder).files
    if PROFILES in files:
        yield _carried_out("bundle's edges", lambda: _profiles(folder))
    if SCORING_HEAD in files:
        yield _carried_out("bundle's scores", lambda: _bundle_scores(folder))


def _carried_out(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, check())
    except (UserError, DiffersError, ParityError, OSError) as error:
        return Finding(name, False, str(error))


# A run.


def _profile(directory: RunDirectory) -> str:
    profile = load_profile(directory.profile)
    return f"sound; {len(profile.run.seeds)} seeds"


def _log(directory: RunDirectory) -> str:
    follower, count = EventFollower(directory.events), 0
    while events := follower.read(seconds=1.0):
        count += len(events)
    if follower.skipped:
        raise DiffersError(f"{follower.skipped} of its lines are no records")
    return f"{count} records"


def _tensors(directory: RunDirectory) -> str:
    count = 0
    for path in sorted(directory.path.glob("seed-*/*")):
        if path.suffix not in (".safetensors", ".state"):
            continue
        seal = seal_of(path.read_bytes(), path)
        count += 1
        if path.suffix == ".state" or path.name.endswith(".embeddings.safetensors"):
            continue
        record = read_record(path.with_suffix(".json"))
        if record is None:
            raise DiffersError(f"{path} has no readable record beside it")
        if record.sha256 != seal:
            raise DiffersError(f"{path} is another file than its record tells of")
    return f"{count} files have the checksums that they carry and that their records name"


def _summary(directory: RunDirectory) -> str:
    results = read_results(directory.results)
    if summarise(results.seeds, results.models) != results.summary:
        raise DiffersError("the means in results.json are not those of its seeds")
    return f"the means of {len(results.seeds)} seeds follow from their figures"


def _parts(directory: RunDirectory, results: Results) -> Iterator[tuple[int, str, Path]]:
    for seed in results.seeds:
        for part in ("validation", "test"):
            path = directory.scores(int(seed), part)
            if path.is_file():
                yield int(seed), part, path


def _scores(directory: RunDirectory) -> str:
    results, count = read_results(directory.results), 0
    for seed, part, path in _parts(directory, results):
        try:
            frame = pl.read_parquet(path, glob=False)
        except pl.exceptions.PolarsError as error:
            raise DiffersError(f"{path} cannot be read ({str(error).splitlines()[0][:100]})") from None
        for model, result in results.seeds[str(seed)].items():
            if model not in frame.columns:
                continue
            count += 1
            stated = result.test if part == "test" else result.validation
            for wrong in disagreements(frame, model, stated):
                raise DiffersError(f"seed {seed}, {part}: {wrong}")
    return f"AUPRC of {count} models follows from their stored scores"


def _log_and_results(directory: RunDirectory) -> str:
    results, said = read_results(directory.results), dict[tuple[int, str], Evaluation]()
    follower = EventFollower(directory.events)
    while events := follower.read(seconds=1.0):
        for event in events:
            if isinstance(event, Evaluation) and event.split == "test":
                said[event.seed, event.model or event.stage] = event
    for (seed, model), event in said.items():
        result = results.seeds.get(str(seed), {}).get(model)
        if result is None:
            continue
        for metric, value in event.metrics.items():
            stated = result.test.metrics.get(metric)
            if value is not None and (stated is None or abs(value - stated) > TOLERANCE):
                raise DiffersError(f"seed {seed}: the log says {value} of {model}'s {metric}, the results {stated}")
    return f"{len(said)} test evaluations are the same in both"


def _parity(directory: RunDirectory) -> str:
    manifest = read_manifest(directory.export)
    results = read_results(directory.results)
    members = [read_trained_run(directory, one, manifest.model, results) for one in manifest.seeds]
    whole = members[0] if len(members) == 1 else mean_of(members)
    run = rounded(whole, cast(Dtype, manifest.dtype))
    checks = verify(directory.export, run, calibrate(run), SCORING_HEAD in manifest.files, lambda check: None)
    return f"{manifest.model} of seeds {', '.join(map(str, manifest.seeds))} is the run's: {len(checks)} checks"


# A bundle.


def _checksums(folder: Path) -> str:
    manifest = read_manifest(folder)
    verify_files(folder, manifest.files)
    return f"SHA-256 of {len(manifest.files)} files as the manifest lists them"


def _profiles(folder: Path) -> str:
    from exporters.opened_bundle import OpenedBundle

    with OpenedBundle(folder, verify=False) as bundle:
        return f"{bundle.profiles.check()} edges of profiles end in nodes that are there"


def _bundle_scores(folder: Path) -> str:
    from exporters.scorer import Scorer

    with Scorer(folder) as scorer:
        stated = scorer.manifest.metrics.get("test")
        relations = stated.get("relations", {}) if isinstance(stated, dict) else {}
        for relation in scorer.relations:
            heads, tails, labels = scorer.tables.test_set(relation)
            scores = scorer.score(heads, tails, relation)[0]
            if not np.isfinite(scores).all():
                raise DiffersError(f"scores of {relation!r} are not all finite")
            claimed = relations.get(relation, {}).get("auprc")
            if not labels.any() or claimed is None:
                continue
            found = average_precision(labels, scores)
            # Pairs that tie but for rounding may change their order.
            if abs(found - claimed) > 1e-3:
                raise DiffersError(f"AUPRC of {relation!r} is {100 * found:.2f} %, not {100 * claimed:.2f} %")
    return "its test set scores as its manifest says"
