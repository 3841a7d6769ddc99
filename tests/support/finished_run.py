"""Fabricates a small finished run directory in the form that training leaves, with numpy alone.

Embeddings are random; test scores, probes and metrics follow from them, so that every file agrees with every other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray
from safetensors.numpy import save_file
from sklearn.metrics import average_precision_score, roc_auc_score

from flykd_console.runs import events as ev
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.log import EventWriter
from flykd_console.runs.models import ModelEntry, Role
from flykd_console.runs.results import GraphSource, ModelResult, Scores, build_results, read_results, write_results
from flykd_console.runs.stage import Phase

Floats = NDArray[np.float32]
MODELS = ("teacher", "baseline", "student")
# Nodes of third types: proteins are joined to heads and tails, pathways to proteins.
THIRD = {"protein": 12, "pathway": 3}


@dataclass(frozen=True)
class RunSpec:
    """What the run is like.

    Attributes:
        dims: Width of teacher, baseline and student.
        further: Models beside these three.
        validation: Validation macro AUPRC of the student by seed; the default makes the last seed the best.
        pooled: Each relation has a tail table of its own; else all share one.
        known_per_part: True pairs per relation in train, validation and test.
        empty: (relation, part) pairs without any true pair; a test part keeps its scored pairs.
        names: Replacements of node names, by id.
        probe: Probe pairs per relation.
        beside: Leave what scores are shown beside and calibrated on: validation scores, neighbours, third nodes, and
            profiles.
    """

    name: str = "flykd-20260102-030405"
    seeds: tuple[int, ...] = (45, 46)
    relations: tuple[str, ...] = ("contraindication", "indication")
    head_type: str = "drug"
    tail_type: str = "disease"
    heads: int = 30
    tails: int = 50
    dims: tuple[int, int, int] = (12, 8, 8)
    further: tuple[ModelEntry, ...] = ()
    validation: dict[int, float] | None = None
    pooled: bool = True
    known_per_part: tuple[int, int, int] = (60, 12, 25)
    empty: tuple[tuple[str, str], ...] = ()
    names: dict[str, str] | None = None
    probe: int = 4096
    beside: bool = True

    @property
    def models(self) -> list[ModelEntry]:
        """The models as their profile lists them."""
        teacher, baseline, student = self.dims
        return [
            ModelEntry(name="teacher", role=Role.TEACHER, label="teacher", dim=teacher),
            ModelEntry(name="baseline", role=Role.BASELINE, label="baseline", dim=baseline),
            ModelEntry(name="student", role=Role.STUDENT, label="flykd", dim=student, over="baseline"),
            *self.further,
        ]


def make_finished_run(root: Path, spec: RunSpec | None = None) -> RunDirectory:
    """Write the whole directory `<root>/<spec.name>` and return it."""
    spec = spec or RunSpec()
    directory = RunDirectory((root / spec.name).absolute())
    (directory.path / "control").mkdir(parents=True)
    directory.profile.write_text(
        f'[run]\nname = "flykd"\nseeds = {list(spec.seeds)}\n\n[graph]\nsource = "embedded"\n'
        f'targets = {json.dumps(list(spec.relations))}\n\n[split]\nkind = "complex_disease"\n'
        + "".join(f'\n[models.{entry.name}]\nrole = "{entry.role}"\n' for entry in spec.further)
    )
    ids = {"head": [f"H{i:04d}" for i in range(spec.heads)], "tail": [f"T{i:04d}" for i in range(spec.tails)]}
    kinds = {"head": spec.head_type, "tail": spec.tail_type}
    names = spec.names or {}
    rows = [
        (kinds[side], i, key, names.get(key, f"{kinds[side]} {key}")) for side in ids for i, key in enumerate(ids[side])
    ]
    if spec.beside:
        rows += [(kind, i, f"{kind[0].upper()}{i}", f"{kind} {i}") for kind in THIRD for i in range(THIRD[kind])]
        rows += [("sign/symptom", i, f"E{i}", f"symptom {i}") for i in range(6)]
        _write_connections(directory, spec)
    # Not in order: readers must go by the index.
    rows.reverse()
    schema = {"type": pl.String, "index": pl.Int64, "id": pl.String, "name": pl.String}
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(directory.nodes)
    results = {seed: _write_seed(directory, spec, seed, ids) for seed in spec.seeds}
    if spec.beside:
        for seed in spec.seeds:
            _write_profiles(directory, spec, seed)
    source = GraphSource(source="embedded", fingerprint="9f8c" * 16)
    write_results(directory, build_results(directory.name, "flykd", source, results, spec.models))
    environment = {
        "graph": {"source": "embedded", "fingerprint": source.fingerprint, "nodes": 2414, "edges": 42108},
        "splits": {str(seed): f"{seed:064d}" for seed in spec.seeds},
    }
    directory.environment.write_text(json.dumps(environment))
    _write_events(directory, spec, results)
    return directory


def forget_models(directory: RunDirectory, *names: str) -> None:
    """Make a finished run one that never trained these models."""
    results = read_results(directory.results)
    kept = [entry for entry in results.models if entry.name not in names]
    models = [msgspec.structs.replace(entry, over="") if entry.over in names else entry for entry in kept]
    seeds = {
        seed: {name: found for name, found in measured.items() if name not in names}
        for seed, measured in results.seeds.items()
    }
    write_results(directory, msgspec.structs.replace(results, models=models, seeds=seeds))
    for seed in map(int, seeds):
        scores = pl.read_parquet(directory.test_scores(seed))
        scores.drop(names).write_parquet(directory.test_scores(seed))
        for name in names:
            directory.embeddings(seed, name).unlink()


def logits_of(heads: Floats, vector: Floats, tails: Floats) -> Floats:
    """DistMult, summed in float64: float32 [n]."""
    return np.asarray((heads.astype(np.float64) * vector * tails).sum(axis=1), dtype=np.float32)


def _write_seed(directory: RunDirectory, spec: RunSpec, seed: int, ids: dict[str, list[str]]) -> dict[str, ModelResult]:
    random = np.random.default_rng(seed)
    directory.seed(seed).mkdir()
    tables = {}
    for entry in spec.models:
        # Pairs are drawn after the three: they are the same whatever further models there are.
        draws = random if entry.name in MODELS else np.random.default_rng([seed, *entry.name.encode()])
        tables[entry.name] = _write_model(directory, spec, seed, entry, draws)
    labels: list[tuple[str, str, str, str]] = []
    tests: list[tuple[Any, ...]] = []
    relation_scores: dict[str, dict[str, ev.RelationScore]] = {model: {} for model in tables}
    for relation in spec.relations:
        total = sum(spec.known_per_part)
        flat = random.choice(spec.heads * spec.tails, size=total + spec.known_per_part[2], replace=False)
        pairs = np.stack(np.divmod(flat, spec.tails), axis=1)
        train, validation, test = np.split(pairs[:total], np.cumsum(spec.known_per_part)[:2])
        for part, some in (("train", train), ("validation", validation), ("test", test)):
            if (relation, part) not in spec.empty:
                labels += [(relation, ids["head"][h], ids["tail"][t], part) for h, t in some]
        scored = np.concatenate([test, pairs[total:]])
        truth = np.repeat([1, 0], [len(test), len(pairs) - total]).astype(np.int8)
        columns = []
        for model in tables:
            head, tail, vector = tables[model]["head"], tables[model][f"tail/{relation}"], tables[model][relation]
            columns.append(logits_of(head[scored[:, 0]], vector, tail[scored[:, 1]]))
            relation_scores[model][relation] = ev.RelationScore(
                auprc=float(average_precision_score(truth, columns[-1])),
                auroc=float(roc_auc_score(truth, columns[-1])),
                positives=len(test),
                negatives=len(truth) - len(test),
            )
        for n, (h, t) in enumerate(scored):
            tests.append((relation, ids["head"][h], ids["tail"][t], int(truth[n]), *(float(c[n]) for c in columns)))
    if spec.beside:
        _write_beside(directory, spec, seed, ids, tables, labels)
    schema: dict[str, Any] = dict.fromkeys(("relation", "head_id", "tail_id", "part"), pl.String)
    pl.DataFrame(labels, schema=schema, orient="row").write_parquet(directory.labels(seed))
    schema = {"relation": pl.String, "head_id": pl.String, "tail_id": pl.String, "label": pl.Int8}
    schema |= dict.fromkeys(tables, pl.Float32)
    pl.DataFrame(tests, schema=schema, orient="row").write_parquet(directory.test_scores(seed))
    best = (spec.validation or {}).get(seed, 0.5 + 0.01 * spec.seeds.index(seed))
    return {
        entry.name: ModelResult(
            dim=entry.dim or 0,
            parameters=1000 * (entry.dim or 0),
            epochs=100,
            seconds=1.5,
            test=macro(relation_scores[entry.name]),
            validation=_scores(best, best, {}),
        )
        for entry in spec.models
    }


def _write_beside(
    directory: RunDirectory,
    spec: RunSpec,
    seed: int,
    ids: dict[str, list[str]],
    tables: dict[str, dict[str, Floats]],
    labels: list[tuple[str, str, str, str]],
) -> None:
    """Validation scores whose negatives the student scores low, and five trained neighbours of every tail."""
    random = np.random.default_rng([seed, 1])
    rows = {side: {key: row for row, key in enumerate(ids[side])} for side in ids}
    scored: list[tuple[Any, ...]] = []
    near: list[tuple[Any, ...]] = []
    for relation in spec.relations:

        def logit(model: str, head: int, tail: int, relation: str = relation) -> float:
            table = tables[model]
            return float(logits_of(table["head"][[head]], table[relation], table[f"tail/{relation}"][[tail]])[0])

        mine = [(rows["head"][h], rows["tail"][t], part) for r, h, t, part in labels if r == relation]
        for label in (1, 0):
            for head, true, part in mine:
                drawn = random.integers(0, spec.tails, 10).tolist()
                tail = true if label else min((logit("student", head, one), one) for one in drawn)[1]
                if part == "validation":
                    logits = (logit(model, head, tail) for model in tables)
                    scored.append((relation, ids["head"][head], ids["tail"][tail], label, *logits))
        trained = sorted({tail for _, tail, part in mine if part == "train"})
        for tail in range(spec.tails):
            others = random.permutation([one for one in trained if one != tail])[:5]
            near += [(relation, tail, int(one), float(random.random())) for one in others]
    columns: dict[str, Any] = {"relation": pl.String, "head_id": pl.String, "tail_id": pl.String, "label": pl.Int8}
    columns |= dict.fromkeys(tables, pl.Float32)
    pl.DataFrame(scored, schema=columns, orient="row").write_parquet(directory.scores(seed, "validation"))
    columns = {"relation": pl.String, "tail": pl.Int32, "neighbour": pl.Int32, "similarity": pl.Float32}
    pl.DataFrame(near, schema=columns, orient="row").write_parquet(directory.neighbours(seed))


def _write_connections(directory: RunDirectory, spec: RunSpec) -> None:
    """Protein i is joined to the heads and tails whose number leaves i divided by 12, pathways to proteins likewise."""
    ends = [
        ("protein", spec.head_type, spec.heads),
        ("protein", spec.tail_type, spec.tails),
        ("pathway", "protein", 12),
    ]
    edges = [(x, row % THIRD[x], y, row) for x, y, count in ends for row in range(count)]
    columns = {"x_type": pl.String, "x": pl.Int32, "y_type": pl.String, "y": pl.Int32}
    pl.DataFrame(edges, schema=columns, orient="row").write_parquet(directory.connections)


def _write_profiles(directory: RunDirectory, spec: RunSpec, seed: int) -> None:
    """Heads and tails joined to proteins as in the connections; symptoms, had and denied; each tail's parent.

    Tails of the lower half have one of six symptoms; the parent of tail n is tail n / 2.
    """
    head, tail = spec.head_type, spec.tail_type
    found = [(head, "head_protein", "protein", row, row % THIRD["protein"]) for row in range(spec.heads)]
    found += [("protein", "tail_protein", tail, row % THIRD["protein"], row) for row in range(spec.tails)]
    found += [(tail, "phenotype", "sign/symptom", row, row % 6) for row in range(spec.tails // 2)]
    found += [(tail, "phenotype_negative", "sign/symptom", row, 5 - row % 6) for row in range(spec.tails // 2)]
    found += [(tail, "parent", tail, row // 2, row) for row in range(1, spec.tails)]
    columns: dict[str, Any] = dict.fromkeys(("head_type", "relation", "tail_type"), pl.String)
    columns |= {"head": pl.Int32, "tail": pl.Int32}
    pl.DataFrame(found, schema=columns, orient="row").write_parquet(directory.profiles(seed))


def _write_model(
    directory: RunDirectory, spec: RunSpec, seed: int, entry: ModelEntry, random: np.random.Generator
) -> dict[str, Floats]:
    dim = entry.dim or 1
    head = random.standard_normal((spec.heads, dim), dtype=np.float32)
    shared = random.standard_normal((spec.tails, dim), dtype=np.float32)
    tensors: dict[str, NDArray[Any]] = {"head.embedding": head}
    tables: dict[str, Floats] = {"head": head}
    for relation in spec.relations:
        own = 0.3 * random.standard_normal(shared.shape, dtype=np.float32)
        tail = np.asarray(shared + own, dtype=np.float32) if spec.pooled else shared.copy()
        vector = random.standard_normal(dim, dtype=np.float32)
        pairs = random.integers(0, spec.heads, spec.probe), random.integers(0, spec.tails, spec.probe)
        tensors |= {
            f"tail.embedding/{relation}": tail,
            f"relation/{relation}": vector,
            f"probe/{relation}/head": pairs[0],
            f"probe/{relation}/tail": pairs[1],
            f"probe/{relation}/logit": logits_of(head[pairs[0]], vector, tail[pairs[1]]),
        }
        tables |= {f"tail/{relation}": tail, relation: vector}
    metadata = {
        "schema": "1",
        "head_type": spec.head_type,
        "tail_type": spec.tail_type,
        "relations": json.dumps(list(spec.relations)),
        "dim": str(dim),
        "seed": str(seed),
        "model": entry.name,
    }
    save_file(tensors, directory.embeddings(seed, entry.name), metadata)
    return tables


def macro(relations: dict[str, ev.RelationScore]) -> Scores:
    """The scores that follow from those of the relations."""
    auprc = float(np.mean([score.auprc for score in relations.values()]))
    return _scores(auprc, float(np.mean([score.auroc for score in relations.values()])), relations)


def _scores(auprc: float, auroc: float, relations: dict[str, ev.RelationScore]) -> Scores:
    metrics = {"macro_auprc": auprc, "macro_auroc": auroc}
    return Scores(macro_auprc=auprc, macro_auroc=auroc, relations=relations, metrics=metrics)


def _phase(entry: ModelEntry) -> Phase:
    return Phase.DISTILL if entry.distilled else Phase.FINETUNE


def _write_events(directory: RunDirectory, spec: RunSpec, results: dict[int, dict[str, ModelResult]]) -> None:
    t = 1_790_000_000.0
    stages = [
        ev.PlannedStage(seed=seed, stage=entry.name, epochs=100, phase=_phase(entry), models=[entry.name])
        for seed in spec.seeds
        for entry in spec.models
    ]
    facts = ev.GraphFacts(source="embedded", nodes=2414, edges=42108, targets=list(spec.relations))
    log = EventWriter(directory.events)
    log.write(
        ev.RunStarted(
            t=t, run=directory.name, name="flykd", method="flykd", seeds=list(spec.seeds), stages=stages, device="cpu",
            graph=facts, teacher_dim=spec.dims[0], student_dim=spec.dims[2], models=spec.models, pid=1,
        )
    )  # fmt: skip
    for n, stage in enumerate(stages):
        result = results[stage.seed][stage.stage]
        assert result.test.macro_auprc is not None
        assert result.test.macro_auroc is not None
        log.write(
            ev.StageStarted(
                t=t + n, seed=stage.seed, stage=stage.stage, phase=stage.phase, models=stage.models, epochs=100,
                dim=result.dim or 0, parameters=1,
            ),
            ev.Evaluation(
                t=t + n, seed=stage.seed, stage=stage.stage, model=stage.stage, epoch=100, split="test",
                metrics=dict(result.test.metrics), macro_auprc=result.test.macro_auprc,
                macro_auroc=result.test.macro_auroc, relations=result.test.relations,
            ),
            ev.StageFinished(t=t + n, seed=stage.seed, stage=stage.stage, epochs=100, seconds=1.0),
        )  # fmt: skip
    log.write(ev.RunFinished(t=t + len(stages), outcome="finished", seconds=float(len(stages))))
    log.close()
