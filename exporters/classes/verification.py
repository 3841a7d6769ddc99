"""What a run that tells classes, or its bundle, claims on disk, held against what is there; nothing is trained.

Each function says what it found, or raises `ParityError` or `UserError` with what differs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from exporters.agreement import ParityError
from exporters.classes.manifest import ENSEMBLE, read_class_manifest
from exporters.classes.parity import encoder_checks, figures_differ, table_checks
from exporters.classes.scorer import ClassScorer
from exporters.classes.trained import choose, read_trained_classes, results_of_classes
from exporters.manifest import verify_files
from exporters.parity import run_checks
from flykd_console.runs.directory import RunDirectory
from flykd_console.words import counted


def stored_answers(directory: RunDirectory) -> str:
    """Accuracy and NLL of every seed, part and model follow from what the run left of each sample."""
    results, count, worst = results_of_classes(directory), 0, 0.0
    for seed, models in results.seeds.items():
        for part in ("validation", "test"):
            path = directory.samples(int(seed), part)
            try:
                frame = pl.read_parquet(path, glob=False)
                labels = frame["label"].to_numpy()
                answers = {name: np.array(frame[name].to_list()) for name in models if name in frame.columns}
            except (OSError, pl.exceptions.PolarsError) as error:
                raise ParityError(f"{path} cannot be read ({str(error).splitlines()[0][:100]})") from None
            for name in models:
                if name not in answers:
                    raise ParityError(f"{path} has no answers of {name}")
                scores = models[name].validation if part == "validation" else models[name].test
                worst = max(
                    worst, figures_differ(f"seed {seed}, {part}, {name}", answers[name], labels, scores.metrics)
                )
                count += 1
    return f"accuracy and NLL of {count} models and parts follow from their stored answers; off by {worst:.1e}"


def bundle_of_run(directory: RunDirectory) -> str:
    """The bundle in the run is of the run's models, to the last bit."""
    manifest = read_class_manifest(directory.export)
    results = results_of_classes(directory)
    names = manifest.members
    wanted = next((e.name for e in results.models if e.name in names), None)
    if wanted is None:
        raise ParityError("the run has none of the bundle's models")
    choice = choose(directory, results, wanted, manifest.seed)
    run = read_trained_classes(directory, choice, results)
    if list(run.models) != names:
        raise ParityError(f"the bundle has {', '.join(names)}, the run {', '.join(run.models)}")
    checks = table_checks(directory.export, run, manifest)
    if manifest.opsets:
        checks |= encoder_checks(directory.export, run, {})
    passed = run_checks(checks, lambda check: None)
    return f"{counted(len(names), 'model')} of seed {manifest.seed}, as the run has them: {len(passed)} checks"


def bundle_files(folder: Path) -> str:
    """Every file has the SHA-256 of the manifest."""
    manifest = read_class_manifest(folder)
    verify_files(folder, manifest.files)
    return f"SHA-256 of {len(manifest.files)} files as the manifest lists them"


def bundle_answers(folder: Path) -> str:
    """The stored answers have the figures of the manifest, and the encoders give them again."""
    with ClassScorer(folder) as scorer:
        manifest, worst, apart = scorer.manifest, 0.0, 0.0
        for name in manifest.models:
            logits = scorer.tables.logits(name)
            for number, part in ((1, "validation"), (2, "test")):
                chosen = scorer.parts == number
                stated = manifest.calibration.get(name, {}).get(part, {})
                found = scorer.known(np.flatnonzero(chosen).tolist(), name)
                labels = scorer.labels[chosen]
                if not len(labels):
                    continue
                value = float(-np.log(found.probability[np.arange(len(labels)), labels]).mean())
                if not abs(value - float(stated.get("calibrated_nll", np.nan))) <= 1e-6 * (1.0 + value):
                    raise ParityError(f"{name}, {part}: NLL is {value:.6f}, not what the manifest says")
                if name in manifest.metrics:
                    figures = manifest.metrics[name].get(part, {})
                    worst = max(worst, figures_differ(f"{name}, {part}", logits[chosen], labels, figures))
            if name != ENSEMBLE and manifest.opsets:
                apart = max(apart, scorer.distance_of_encoder(name))
    encoders = f"; its encoders give its answers again, at most {apart:.1e} off" if manifest.opsets else ""
    return f"figures of {counted(len(manifest.models), 'model')} as the manifest has them, off by {worst:.1e}{encoders}"
