"""The README of a bundle that tells classes: who answers, what it learnt from, how well, against whom, how to ask."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from exporters.classes.manifest import ANSWERS, ENSEMBLE, ClassManifest, encoder_file
from exporters.classes.trained import TrainedClasses
from exporters.parity import Check
from flykd_console.runs.results import Spread
from flykd_console.words import DASH, metric_words, per_cent, signed

_TAGS = ("graph-ml", "knowledge-distillation", "mutual-learning", "onnx")
_ROW_METRICS = ("accuracy", "macro_f1", "rarest_class", "nll", "ece")


def write_card(
    run: TrainedClasses, manifest: ClassManifest, checks: Sequence[Check], parity: Mapping[str, float]
) -> str:
    """The card as Markdown, with the header that model hubs read."""
    return "\n".join(
        [
            *_front_matter(manifest),
            f"# {manifest.method}: classes of {manifest.what}s",
            "",
            *_summary(manifest),
            "",
            *_use(manifest),
            "",
            *_learnt(run, manifest),
            "",
            *_figures(run, manifest),
            "",
            *_over_seeds(run),
            *_calibration(manifest),
            "",
            *_files(manifest, parity),
            "",
            "## Checks that it passed",
            "",
            *(f"- {check.name}: {check.detail}" for check in checks),
            "",
            *_limits(manifest),
            "",
        ]
    )


def _front_matter(manifest: ClassManifest) -> list[str]:
    task = manifest.task.replace("_", "-")
    lines = ["---", "library_name: flykd-console", "pipeline_tag: graph-ml", "tags:"]
    return [*lines, f"- {task}", *(f"- {tag}" for tag in _TAGS), "---", ""]


def _summary(manifest: ClassManifest) -> list[str]:
    return [
        f"Tells which of {manifest.classes} classes a {manifest.what} belongs to. `{manifest.model}` answers "
        f"({manifest.model_choice}); it can also be asked of {_names(manifest.models)}.",
        "",
        f"Exported from the run `{_text(manifest.run)}`, seed {manifest.seed} ({manifest.seed_choice}).",
    ]


def _use(manifest: ClassManifest) -> list[str]:
    lines = [
        "## How to use it",
        "",
        "```",
        "flykd-console score . --samples 0,1,2             # as it was trained on",
    ]
    if manifest.opsets:
        lines.append("flykd-console score . --data others.npz           # other features, other graphs")
    lines += [
        "```",
        "",
        "From Python, with the `exporters` package, numpy, h5py and onnxruntime:",
        "",
        "```python",
        "from exporters.classes.scorer import ClassScorer",
        "",
        'with ClassScorer(".") as scorer:',
        "    print(scorer.known([0, 1, 2]).probability)",
        "```",
    ]
    if not manifest.opsets:
        return [*lines, "", "The bundle holds answers only: of new features nothing can be told with it."]
    member = manifest.model if manifest.model != ENSEMBLE else manifest.members[0]
    feed = ['"x": x']
    if manifest.needs_graph[member]:
        feed.append('"edges": edges')
    if manifest.what == "graph":
        feed.append('"graph_of": graph_of, "graphs": np.array([number_of_graphs])')
    return [
        *lines,
        "",
        "With onnxruntime alone (features float32 [n, f] as a file has them, undirected edges int64 [e, 2] once each):",
        "",
        "```python",
        "import numpy as np, onnxruntime",
        "",
        f"encoder = onnxruntime.InferenceSession({json.dumps(encoder_file(member))})",
        f"logits, probability, embedding = encoder.run(None, {{{', '.join(feed)}}})",
        "```",
    ]


def _learnt(run: TrainedClasses, manifest: ClassManifest) -> list[str]:
    sizes = ", ".join(
        f"{int((run.part == number).sum())} {part}" for number, part in enumerate(("train", "validation", "test"))
    )
    divided = ", each divided by its sum" if manifest.normalised else ""
    split = run.profile.get("data", {}).get("split", "given")
    return [
        "## What it learnt from",
        "",
        f"- Data: {_text(str(manifest.data['source']))}, fingerprint `{manifest.data['fingerprint']}`",
        f"- {manifest.nodes} nodes with {manifest.features} features{divided}, {manifest.edges} undirected edges",
        f"- Split `{split}`, {manifest.what}s: {sizes}",
        f"- Profile SHA-256 `{manifest.profile_sha256}`, split SHA-256 `{manifest.split_sha256}`",
    ]


def _figures(run: TrainedClasses, manifest: ClassManifest) -> list[str]:
    """Every model of the seed with its rival beside it."""
    lines = [
        f"## How well it does, seed {manifest.seed}, test",
        "",
        "In per cent, NLL in nats. A model's rival is the same network trained alone from the same initialisation, the "
        "deep ensemble of those, or the best of those by validation.",
        "",
        "| model | accuracy | macro-F1 | rarest class | NLL | ECE | rival | rival's accuracy | gain, points |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for entry in run.results.models:
        test = manifest.metrics[entry.name]["test"]
        cells = [entry.label, *(_metric(test, name) for name in _ROW_METRICS)]
        rival = manifest.metrics.get(entry.over, {}).get("test", {})
        if rival:
            gain = signed(100 * (test["accuracy"] - rival["accuracy"]))
            cells += [entry.over, per_cent(rival["accuracy"]), gain]
        else:
            cells += [DASH] * 3
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _metric(values: Mapping[str, float], name: str) -> str:
    if name not in values:
        return DASH
    return f"{values[name]:.3f}" if name == "nll" else per_cent(values[name])


def _over_seeds(run: TrainedClasses) -> list[str]:
    """Gains over all seeds: one seed's figures are one draw."""
    if len(run.results.seeds) < 2:
        return []
    gaining = [(entry, run.results.summary[entry.name]) for entry in run.results.models if entry.over]
    lines = [
        f"Over all {len(run.results.seeds)} seeds of the run, mean ± deviation:",
        "",
        "| model | accuracy | gain over its rival, points |",
        "|---|---|---|",
    ]
    for entry, summary in gaining:
        accuracy, gain = summary.metrics.get("accuracy"), summary.gains.get("accuracy")
        lines.append(f"| {entry.label} | {_spread(accuracy, 100)} | {_spread(gain, 1, sign=True)} |")
    return [*lines, ""] if gaining else []


def _spread(value: Spread | None, scale: float, sign: bool = False) -> str:
    if value is None:
        return DASH
    mean = signed(scale * value.mean) if sign else f"{scale * value.mean:.2f}"
    return mean if value.std is None else f"{mean} ± {scale * value.std:.2f}"


def _calibration(manifest: ClassManifest) -> list[str]:
    lines = [
        "## Probabilities",
        "",
        "`probability` is softmax(logits / T), with T learnt on validation (Guo et al. 2017); the class that is told "
        "stays the same. Test, before and after:",
        "",
        "| model | T | NLL | NLL with T | ECE | ECE with T |",
        "|---|---|---|---|---|---|",
    ]
    for name in manifest.models:
        test = manifest.calibration[name]["test"]
        cells = [name, f"{manifest.temperature[name]:.3f}"]
        cells += [f"{test[key]:.3f}" for key in ("nll", "calibrated_nll")]
        cells += [per_cent(test[key]) for key in ("ece", "calibrated_ece")]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _files(manifest: ClassManifest, parity: Mapping[str, float]) -> list[str]:
    lines = [
        "## Files",
        "",
        f"- `{ANSWERS}`: every {manifest.what}'s logits and row by model, its class and part, the graph",
    ]
    for name in manifest.members:
        if name in parity:
            file = encoder_file(name)
            lines.append(
                f"- `{file}`: {name}, ONNX operator set {manifest.opsets[file]}; its logits are at most "
                f"{parity[name]:.1e} from torch's"
            )
    return lines


def _limits(manifest: ClassManifest) -> list[str]:
    return [
        "## What it is not",
        "",
        f"- Its figures are of one split of one set: {metric_words(manifest.headline)} elsewhere is another matter.",
        f"- Stored answers include those on {manifest.what}s that it was trained on: `part` says which.",
        "- It tells one of its classes of anything it is shown, also of what belongs to none of them.",
    ]


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _text(value: str) -> str:
    return " ".join(value.replace("|", "\\|").replace("`", "'").split())
