"""What a run leaves of every sample, for comparing runs sample by sample."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from flykd_console.runs.files import replace_file
from flykd_console.tasks.classification.metrics import Floats, Integers


def save_answers(path: Path, ids: Sequence[str], labels: Integers, answers: Mapping[str, Floats]) -> None:
    """Parquet: `sample_id, label` and a list of log-probabilities by class for each model; whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {name: pl.Series(name, logs.tolist(), dtype=pl.List(pl.Float32)) for name, logs in answers.items()}
    frame = pl.DataFrame({"sample_id": list(ids), "label": labels, **columns})
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    replace_file(path, buffer.getvalue())
