"""Finished runs that can be compared: equal graph, splits and test pairs, with models as good as a test asks for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
from sklearn.metrics import average_precision_score, roc_auc_score

from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.events import RelationScore
from flykd_console.runs.models import ModelEntry, Role
from flykd_console.runs.results import read_results, write_results
from tests.support.finished_run import RunSpec, macro, make_finished_run


def comparable_run(
    root: Path,
    name: str,
    method: str = "flykd",
    student: float = 1.0,
    seeds: tuple[int, ...] = (45, 46, 47),
    distill: str = "",
    pairs: int = 60,
    further: tuple[ModelEntry, ...] = (),
) -> RunDirectory:
    """A run whose teacher and baseline are those of every other such run, and whose student is as good as `student`.

    Args:
        student: Distance between the mean logits of true and false pairs, in deviations.
        distill: TOML of the profile's `distill`, after the section's heading.
        pairs: Test positives per relation.
        further: Models beside these three.
    """
    spec = RunSpec(
        name=name, seeds=seeds, heads=40, tails=60, known_per_part=(60, 12, pairs), probe=64, further=further
    )
    directory = make_finished_run(root, spec)
    with directory.profile.open("a") as file:
        file.write(f'\n[distill]\nmethod = "{method}"\n{distill}')
    results = read_results(directory.results)
    models = [
        msgspec.structs.replace(entry, label=method) if entry.name == "student" else entry for entry in results.models
    ]
    results = msgspec.structs.replace(results, method=method, models=models)
    write_results(directory, results)
    for seed in seeds:
        noise = np.random.default_rng([seed, *method.encode()])
        rescore(directory, seed, "student", lambda label, draw=noise: student * label + draw.normal(size=len(label)))
    return directory


def take_rival(directory: RunDirectory, model: str, over: str) -> None:
    """Let a model's gain be taken over another model of its run."""
    results = read_results(directory.results)
    models = [msgspec.structs.replace(e, over=over) if e.name == model else e for e in results.models]
    write_results(directory, msgspec.structs.replace(results, models=models))


def rescore(directory: RunDirectory, seed: int, model: str, logits: object) -> None:
    """Give a model other logits (a function of the labels) and the results that follow from them."""
    frame = pl.read_parquet(directory.test_scores(seed))
    assert callable(logits)
    frame = frame.with_columns(pl.Series(model, logits(frame["label"].to_numpy()), dtype=pl.Float32))
    put_scores(directory, seed, frame)


def put_scores(directory: RunDirectory, seed: int, frame: pl.DataFrame) -> None:
    """Replace a seed's test scores, and its results by what follows from them."""
    frame.write_parquet(directory.test_scores(seed))
    results = read_results(directory.results)
    models = dict(results.seeds[str(seed)])
    for model in [m for m in models if m in frame.columns]:
        relations = {}
        for (relation,), part in frame.group_by("relation", maintain_order=True):
            truth, scores = part["label"].to_numpy(), part[model].to_numpy()
            relations[str(relation)] = RelationScore(
                auprc=float(average_precision_score(truth, scores)),
                auroc=float(roc_auc_score(truth, scores)),
                positives=int(truth.sum()),
                negatives=int((truth == 0).sum()),
            )
        models[model] = msgspec.structs.replace(models[model], test=macro(relations))
    seeds = {**results.seeds, str(seed): models}
    write_results(directory, msgspec.structs.replace(results, seeds=seeds))


def put_rankings(
    directory: RunDirectory, values: Mapping[str, float], part: str = "test", spread: float = 0.1
) -> dict[int, pl.DataFrame]:
    """Write every seed's rankings, and the AP that follows from them into the results.

    Args:
        values: By model the mean AP of a tail; each tail's is up to `spread` off, and as hard for all models.
    """
    results = read_results(directory.results)
    seeds, frames = dict(results.seeds), {}
    for seed in map(int, results.seeds):
        rng = np.random.default_rng([seed, 7])
        true = pl.read_parquet(directory.labels(seed)).filter(pl.col("part") == part)
        frame = true.group_by("relation", "tail_id").agg(pl.len().alias("true")).sort("relation", "tail_id")
        shared = rng.uniform(-spread, spread, size=len(frame))
        frame = frame.with_columns(
            pl.Series(model, mean + shared + rng.uniform(-spread, spread, size=len(frame)) / 4, dtype=pl.Float32)
            for model, mean in values.items()
        )
        frame.write_parquet(directory.ranking(seed, part))
        frames[seed] = frame
        models = dict(seeds[str(seed)])
        for model in values:
            ap = float(frame.group_by("relation").agg(pl.col(model).cast(pl.Float64).mean())[model].to_numpy().mean())
            scores = getattr(models[model], part)
            scores = msgspec.structs.replace(scores, metrics={**scores.metrics, "macro_ap": ap})
            models[model] = msgspec.structs.replace(models[model], **{part: scores})
        seeds[str(seed)] = models
    write_results(directory, msgspec.structs.replace(results, seeds=seeds))
    return frames


def add_heuristic(directory: RunDirectory, name: str) -> None:
    """Give a finished run a scorer without training, with the scores of its baseline."""
    results = read_results(directory.results)
    entry = ModelEntry(name=name, role=Role.HEURISTIC, label=name)
    seeds = {seed: {**models, name: models["baseline"]} for seed, models in results.seeds.items()}
    write_results(directory, msgspec.structs.replace(results, models=[*results.models, entry], seeds=seeds))
    for seed in map(int, seeds):
        frame = pl.read_parquet(directory.test_scores(seed))
        frame.with_columns(pl.col("baseline").alias(name)).write_parquet(directory.test_scores(seed))


def edit_environment(directory: RunDirectory, **changes: object) -> None:
    """Change entries of `environment.json`."""
    facts = json.loads(directory.environment.read_text())
    directory.environment.write_text(json.dumps(facts | changes))
