"""Exporting a run that tells classes: as `exporters/bundle.py` does, written aside, verified from disk, then renamed.

choose seed and model → answers.h5 → encoders → checks → README → manifest → checksums → rename → event
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from exporters.classes.answers_file import write_answers
from exporters.classes.card import write_card
from exporters.classes.encoder import write_encoder
from exporters.classes.manifest import (
    ANSWERS,
    ENSEMBLE,
    ClassManifest,
    encoder_file,
    is_file_of_a_bundle,
    read_class_manifest,
)
from exporters.classes.parity import encoder_checks, file_checks, mean_of_probabilities, table_checks
from exporters.classes.temperature import calibration_error, fitted, nll
from exporters.classes.trained import (
    Choice,
    Floats,
    TrainedClasses,
    choose,
    read_trained_classes,
    results_of_classes,
)
from exporters.manifest import CARD, MANIFEST, SCHEMA, record, write_manifest
from exporters.parity import Check, run_checks
from exporters.placing import may_be_replaced, put_in_place, tell_the_run, temporary_folder
from flykd_console.plain_text import plain
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.files import refuse_links, replace_file


@dataclass(frozen=True)
class ClassBundle:
    """What an export made; `files`: name and size in bytes of every file."""

    path: Path
    manifest: ClassManifest
    files: dict[str, int]
    checks: list[Check]
    replaced: bool


def export_classes(
    directory: RunDirectory,
    *,
    seed: int | None = None,
    model: str | None = None,
    out: Path | None = None,
    onnx: bool = True,
    on_start: Callable[[Choice], None] = lambda choice: None,
    on_check: Callable[[Check], None] = lambda check: None,
) -> ClassBundle:
    """Write and verify the bundle of one seed of a run.

    Args:
        seed: None: the one in which the answering model is best by validation.
        model: Who answers: a model's name, `best`, `ensemble`; None: the best member by validation.
        out: The bundle's folder; None: `export/` in the run.
        onnx: Write the encoders beside the answers.
        on_start: Hears what was chosen and why, before anything is written.
        on_check: Hears of every check as it passes.

    Raises:
        UserError: The run has nothing to export, its files are damaged, or the folder holds other things.
        ParityError: A check failed; nothing is left behind.
    """
    # Before the work, and not after it: what follows writes into the run.
    refuse_links(directory.path)
    results = results_of_classes(directory)
    choice = choose(directory, results, model, seed)
    target = Path(os.path.abspath(out or directory.export))
    replaced = may_be_replaced(target, is_file_of_a_bundle)
    run = read_trained_classes(directory, choice, results)
    with temporary_folder(target) as folder:
        on_start(choice)
        bundle = _write(run, folder, onnx, on_check)
        put_in_place(folder, target)
    tell_the_run(directory, [choice.seed], target)
    return replace(bundle, path=target, replaced=replaced)


def _write(run: TrainedClasses, folder: Path, onnx: bool, on_check: Callable[[Check], None]) -> ClassBundle:
    """Write every file of the bundle into the folder and verify them."""
    ensemble = mean_of_probabilities(run) if run.choice.ensemble else None
    answers = {name: model.logits for name, model in run.models.items()}
    if ensemble is not None:
        answers[ENSEMBLE] = ensemble
    write_answers(folder / ANSWERS, run, ensemble)
    temperature, calibration = _calibrated(run, answers)
    opsets: dict[str, int] = {}
    if onnx:
        properties = {"schema": str(SCHEMA), "task": run.task, "answers_sha256": record(folder / ANSWERS).sha256}
        for name, model in run.models.items():
            path, width = folder / encoder_file(name), model.embedding.shape[1]
            mine = {**properties, "model": name}
            opsets[encoder_file(name)] = write_encoder(path, model.network, width, temperature[name], mine)
    parity: dict[str, float] = {}
    draft = _manifest(run, folder, list(answers), temperature, calibration, opsets)
    checks = run_checks(table_checks(folder, run, draft), on_check)
    if onnx:
        checks += run_checks(encoder_checks(folder, run, parity), on_check)
    replace_file(folder / CARD, plain(write_card(run, draft, checks, parity)).encode())
    final = _manifest(run, folder, list(answers), temperature, calibration, opsets)
    stated = {encoder_file(name): value for name, value in parity.items()}
    write_manifest(replace(final, parity=stated, checks=[asdict(check) for check in checks]), folder)
    manifest = read_class_manifest(folder)
    checks += run_checks(file_checks(folder, manifest), on_check)
    sizes = {name: (folder / name).stat().st_size for name in (*manifest.files, MANIFEST)}
    return ClassBundle(folder, manifest, sizes, checks, False)


def _calibrated(run: TrainedClasses, answers: dict[str, Floats]) -> tuple[dict[str, float], dict[str, Any]]:
    """By model its temperature, learnt on validation, and what it does to NLL and ECE of validation and test."""
    labels, temperature = run.data.label, {}
    told: dict[str, Any] = {}
    for name, logits in answers.items():
        chosen = run.part == 1
        # To float32 first, as the encoder holds it.
        temperature[name] = float(np.float32(fitted(logits[chosen], labels[chosen])))
        told[name] = {}
        for number, part in ((1, "validation"), (2, "test")):
            of_part, are = logits[run.part == number], labels[run.part == number]
            told[name][part] = {
                "nll": nll(of_part, are),
                "ece": calibration_error(of_part, are),
                "calibrated_nll": nll(of_part, are, temperature[name]),
                "calibrated_ece": calibration_error(of_part, are, temperature[name]),
            }
    return temperature, told


def _manifest(
    run: TrainedClasses,
    folder: Path,
    models: list[str],
    temperature: dict[str, float],
    calibration: dict[str, Any],
    opsets: dict[str, int],
) -> ClassManifest:
    import h5py
    import onnx

    choice, results = run.choice, run.results
    files = [ANSWERS, *opsets, *([CARD] if (folder / CARD).is_file() else [])]
    splits = run.environment.get("splits")
    needs = {name: model.network.needs_graph for name, model in run.models.items()}
    if choice.ensemble:
        needs[ENSEMBLE] = any(needs.values())
    return ClassManifest(
        schema=SCHEMA,
        task=run.task,
        run=run.directory.name,
        method=results.method,
        model=choice.model,
        model_choice=choice.model_why,
        models=models,
        needs_graph=needs,
        seed=choice.seed,
        seed_choice=choice.seed_why,
        classes=run.data.classes,
        features=run.data.features,
        samples=len(run.data.label),
        nodes=run.data.nodes,
        edges=len(run.data.edges),
        normalised=next(iter(run.models.values())).network.normalised,
        columns={name: list(one) if isinstance(one, list) else one for name, one in run.data.columns.items()},
        temperature=temperature,
        calibration=calibration,
        data={"source": run.source, "fingerprint": results.graph.fingerprint},
        profile_sha256=run.profile_sha256,
        split_sha256=str(splits.get(str(choice.seed), "")) if isinstance(splits, dict) else "",
        headline=results.headline,
        metrics={
            name: {"validation": dict(one.validation.metrics), "test": dict(one.test.metrics)}
            for name, one in results.seeds[str(choice.seed)].items()
        },
        over={entry.name: entry.over for entry in results.models},
        files={name: record(folder / name) for name in files},
        opsets=opsets,
        written_with={"h5py": h5py.__version__, "numpy": np.__version__, "onnx": onnx.__version__},
    )
