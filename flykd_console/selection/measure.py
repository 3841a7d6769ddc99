"""What a candidate costs where it is used: bytes of its bundle, and milliseconds of an answer on this machine's CPU.

An answer is what a service gives: one tail against all heads, the best twenty, from an opened bundle, one at a time.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from exporters.bundle import export_run
from exporters.manifest import EMBEDDINGS, MANIFEST, RANKING_HEAD, SCORING_HEAD, read_manifest
from exporters.scorer import Scorer
from flykd_console.errors import UserError
from flykd_console.runs.directory import RunDirectory
from flykd_console.seeding import numpy_rng

TOP = 20
WARM_UP = 20
ANSWERS = 300


@dataclass(frozen=True)
class Cost:
    """What one bundle costs.

    Attributes:
        bundle: Its folder.
        bytes: Of the files that scoring needs: tables and heads.
        p50: Milliseconds that half of the answers take at most; `p99` 99 in a hundred.
        answers: How many were timed.
    """

    bundle: Path
    bytes: int
    p50: float
    p99: float
    answers: int


def exported(run: RunDirectory, model: str) -> Path:
    """The bundle of a model of a run, verified; one that was written of these results stays as it is.

    Raises:
        UserError: The run has nothing to export, or its files are damaged.
        exporters.agreement.ParityError: The bundle is not what was trained.
    """
    manifest = run.export / MANIFEST
    if manifest.is_file() and manifest.stat().st_mtime_ns > run.results.stat().st_mtime_ns:
        known = read_manifest(run.export)
        if known.model == model and RANKING_HEAD in known.files:
            return run.export
    return export_run(run, model=model).path


def measure(bundle: Path, answers: int = ANSWERS) -> Cost:
    """Size and latency of a bundle; tails and relations are asked in turn, those that the model knows something of."""
    size = sum((bundle / name).stat().st_size for name in (EMBEDDINGS, SCORING_HEAD, RANKING_HEAD))
    with Scorer(bundle) as scorer:
        order = numpy_rng(0, "latency").permutation(len(scorer.tails))
        questions = [
            (int(row), relation)
            for row in order[: answers + WARM_UP]
            for relation in scorer.relations
            if _answers(scorer, int(row), relation)
        ]
        if not questions:
            raise UserError("the model knows nothing of any tail", str(bundle), "Train it on a graph with edges.")
        for row, relation in questions[:WARM_UP]:
            scorer.rank_heads(row, relation, TOP)
        times = []
        for number in range(answers):
            row, relation = questions[number % len(questions)]
            begun = time.perf_counter()
            scorer.rank_heads(row, relation, TOP)
            times.append(1e3 * (time.perf_counter() - begun))
    return Cost(bundle, size, statistics.median(times), float(np.percentile(times, 99)), answers)


def _answers(scorer: Scorer, row: int, relation: str) -> bool:
    try:
        scorer.rank_heads(row, relation, 1)
    except UserError:
        return False
    return True
