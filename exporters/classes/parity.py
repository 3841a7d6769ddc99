"""The checks that a bundle of classes must pass before it gets its name: what lies on disk against what torch left.

Logits are sums of many products in float32, taken in another order by another program: two agree when they differ by at
most 1e-4 · (1 + |z|). How far they are apart is measured and written down, on the run's samples and on made-up ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.agreement import ParityError, same_bits, same_signature
from exporters.classes.encoder import signature
from exporters.classes.manifest import ENSEMBLE, ClassManifest, encoder_file
from exporters.classes.opened_answers import OpenedAnswers
from exporters.classes.scorer import ClassScorer
from exporters.classes.temperature import log_softmax, nll
from exporters.classes.trained import TrainedClasses
from exporters.manifest import verify_files
from flykd_console.words import counted

Floats = NDArray[np.float32]
TOLERANCE = 1e-4
METRIC_TOLERANCE = 1e-6


def mean_of_probabilities(run: TrainedClasses) -> Floats:
    """Of the members of a run the logarithm of their mean probabilities, float32 [N, C]."""
    members = [np.exp(log_softmax(model.logits)) for model in run.models.values()]
    found: Floats = np.log(np.maximum(np.mean(members, axis=0), np.finfo(np.float32).tiny)).astype(np.float32)
    return found


def table_checks(folder: Path, run: TrainedClasses, manifest: ClassManifest) -> dict[str, Callable[[], str]]:
    """Checks of the answers, by name."""
    return {
        "tables": lambda: _tables(folder, run, manifest),
        "figures": lambda: _figures(folder, run, manifest),
    }


def encoder_checks(folder: Path, run: TrainedClasses, parity: dict[str, float]) -> dict[str, Callable[[], str]]:
    """Checks of the encoders, by name; what they find goes into `parity`."""
    sessions: dict[str, Any] = {}
    return {
        "encoders": lambda: _signatures(folder, run, sessions),
        "samples": lambda: _samples(run, sessions, parity),
        "made-up nodes": lambda: _probes(run, sessions, parity),
    }


def file_checks(folder: Path, manifest: ClassManifest) -> dict[str, Callable[[], str]]:
    """Last checks, of the bundle as it will be opened."""
    return {"checksums": lambda: _checksums(folder, manifest), "scorer": lambda: _scorer(folder)}


def _tables(folder: Path, run: TrainedClasses, manifest: ClassManifest) -> str:
    tables, count = OpenedAnswers(folder, manifest), 0
    try:
        for name, model in run.models.items():
            for what, found, expected in (
                ("logits", tables.logits(name), model.logits),
                ("rows", tables.embedding(name), model.embedding),
            ):
                assert found is not None
                same_bits(f"{what} of {name}", found, expected)
                count += found.size
        for what, numbers, wanted in (
            ("parts", tables.parts(), run.part),
            ("classes", tables.labels(), run.data.label),
            ("edges", tables.edges(), run.data.edges),
        ):
            if not np.array_equal(numbers, wanted):
                raise ParityError(f"{what} read back differently")
        if not np.array_equal(tables.features(), run.data.dense()):
            raise ParityError("features read back differently")
    finally:
        tables.close()
    return f"{count} values of {counted(len(run.models), 'model')} equal the run's bit for bit; parts, edges, features"


def _figures(folder: Path, run: TrainedClasses, manifest: ClassManifest) -> str:
    """Accuracy and NLL of both parts, from the bundle alone, against the run's results."""
    tables, worst = OpenedAnswers(folder, manifest), 0.0
    try:
        parts, labels = tables.parts(), tables.labels()
        for name in manifest.models:
            logits = tables.logits(name)
            for number, part in ((1, "validation"), (2, "test")):
                stated = manifest.metrics.get(_name_in_run(run, name), {}).get(part, {})
                chosen = parts == number
                worst = max(worst, figures_differ(f"{name}, {part}", logits[chosen], labels[chosen], stated))
    finally:
        tables.close()
    return f"accuracy and NLL of {counted(len(manifest.models), 'model')}; largest difference {worst:.1e}"


def figures_differ(what: str, logits: Any, labels: Any, stated: Mapping[str, Any]) -> float:
    """The largest difference of accuracy and NLL from what is stated, once both are close enough.

    Raises:
        ParityError: One is not.
    """
    found = {"accuracy": float((logits.argmax(axis=1) == labels).mean()), "nll": nll(logits, labels)}
    worst = 0.0
    for metric, value in found.items():
        if metric not in stated:
            raise ParityError(f"{what}: there is no {metric} to compare with")
        difference = abs(value - stated[metric])
        if not difference <= METRIC_TOLERANCE * (1.0 + abs(value)):
            raise ParityError(f"{what}: {metric} is {value:.8f} where the run has {stated[metric]:.8f}")
        worst = max(worst, difference)
    return worst


def _name_in_run(run: TrainedClasses, name: str) -> str:
    """The run calls the mean of the alone-trained otherwise."""
    if name != ENSEMBLE:
        return name
    return run.choice.ensemble


def _signatures(folder: Path, run: TrainedClasses, sessions: dict[str, Any]) -> str:
    import onnxruntime

    for name, model in run.models.items():
        file = encoder_file(name)
        try:
            session = onnxruntime.InferenceSession(folder / file, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors share no base class of its own
            raise ParityError(f"{file} cannot be loaded ({error})") from error
        inputs, outputs = signature(model.network, model.embedding.shape[1])
        same_signature("inputs", inputs, session.get_inputs())
        same_signature("outputs", outputs, session.get_outputs())
        sessions[name] = session
    return f"{counted(len(run.models), 'graph')} with their inputs and outputs; they take any number of nodes and edges"


def _samples(run: TrainedClasses, sessions: Mapping[str, Any], parity: dict[str, float]) -> str:
    """Logits and rows of every sample of the run, all looked at together."""
    data = run.data
    feed: dict[str, Any] = {"x": data.dense(), "edges": data.edges, "graph_of": data.graph_of}
    for name, model in run.models.items():
        logits, rows = _run(sessions[name], feed, len(data.label), ["logits", "embedding"])
        parity[name] = _close(f"{name}, samples", logits, model.logits)
        _close(f"{name}, rows of samples", rows, model.embedding)
    return f"{len(data.label)} samples through every encoder; largest difference {max(parity.values()):.1e}"


def _probes(run: TrainedClasses, sessions: Mapping[str, Any], parity: dict[str, float]) -> str:
    """Other features and edges than the run's; and no edge at all, which must give numbers."""
    worst = 0.0
    for name, model in run.models.items():
        expected = model.probe["logits"]
        found = _run(sessions[name], model.probe, len(expected), ["logits"])[0]
        difference = _close(f"{name}, made-up nodes", found, expected)
        parity[name], worst = max(parity[name], difference), max(worst, difference)
        lonely = {**model.probe, "edges": np.zeros((0, 2), dtype=np.int64)}
        if not np.isfinite(_run(sessions[name], lonely, len(expected), ["logits"])[0]).all():
            raise ParityError(f"{name}: without edges its logits are not finite")
    return f"random features and edges, nodes without either; largest difference {worst:.1e}"


def _run(session: Any, feed: Mapping[str, Any], samples: int, outputs: list[str]) -> list[Any]:
    wanted = [one.name for one in session.get_inputs()]
    known = {**feed, "graphs": np.array([samples], dtype=np.int64)}
    found: list[Any] = session.run(outputs, {name: known[name] for name in wanted})
    return found


def _close(what: str, found: Floats, expected: Any) -> float:
    """The largest difference, once every value is close enough."""
    if found.shape != expected.shape:
        raise ParityError(f"{what}: {list(found.shape)} where torch left {list(expected.shape)}")
    difference = np.abs(found.astype(np.float64) - expected)
    # Written so that a NaN fails.
    failed = ~(difference <= TOLERANCE * (1.0 + np.abs(expected)))
    if failed.any():
        raise ParityError(f"{what}: {int(failed.sum())} of {found.size} differ, by {np.nanmax(difference):.1e} at most")
    return float(difference.max(initial=0.0))


def _checksums(folder: Path, manifest: ClassManifest) -> str:
    verify_files(folder, manifest.files)
    return f"SHA-256 of {len(manifest.files)} files as the manifest lists them"


def _scorer(folder: Path) -> str:
    """The scorer opens the bundle as a user will, and tells of its samples."""
    with ClassScorer(folder) as scorer:
        answers = scorer.known()
        if not np.isfinite(answers.probability).all():
            raise ParityError("a probability is not finite")
    return f"opens with numpy, h5py and onnxruntime alone; {answers.model} tells of {len(answers.ids)} samples"
