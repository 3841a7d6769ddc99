"""One hash of everything that two short runs leave: weights, embeddings, scores. A refactoring must not change it.

    python benchmarks/same_weights.py            # prints the hash, and one a run
    python benchmarks/same_weights.py --keep DIR # leaves the runs there

The runs go through the command line, so the script knows nothing of how the program is built: two seeds of the embedded
graph, few epochs, one thread. The first is FlyKD with every structure loss; the second has two deeper attention
teachers, blocks of strong labels, a temperature, and keeps the best epoch.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl
from safetensors.numpy import load_file

COMMON = {
    "run.seeds": "[45, 46]",
    "run.device": "cpu",
    "engine.threads": "1",
    "finetune.epochs": "30",
    "finetune.plateau": "{last_epochs = 15, patience = 1}",
    "distill.epochs": "40",
}
RUNS = {
    "flykd": {
        "distill.lsp": "{weight = 500.0}",
        "distill.hidden": "{weight = 1.0}",
        "distill.anchor": "{rank_weight = 1.0, distribution_weight = 1.0}",
    },
    "other": {
        "teacher": '{dim = 32, layers = 3, kind = "rgat"}',
        "student.dim": "24",
        "finetune.select": "best",
        "finetune.validate_every": "10",
        "distill.teachers": "2",
        "distill.temperature": "2.0",
        "distill.random_graph": '{sampler = "blocks", min_logit = 0.0, unseen = 0.3, labels_per_relation = 2000}',
    },
}


def main() -> None:
    """Train, and print the hashes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="leave the runs in this folder, which is new")
    folder = parser.parse_args().keep
    with tempfile.TemporaryDirectory() as temporary:
        root = folder or Path(temporary)
        found = {name: hash_of(train(name, settings, root)) for name, settings in RUNS.items()}
    for name, digest in found.items():
        print(f"{name:8}{digest}")
    print(f"{'all':8}{hashlib.sha256(''.join(found.values()).encode()).hexdigest()}")


def train(name: str, settings: dict[str, str], root: Path) -> Path:
    """Carry out a run without a dashboard; its directory."""
    chosen = {"run.name": name} | COMMON | settings
    options = [word for key, value in chosen.items() for word in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "flykd_console", "run", "flykd", "--headless", "--fresh", *options]
    environment = os.environ | {"FLYKD_RUNS": str(root), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return next(root.glob(f"{name}-*"))


def hash_of(run: Path) -> str:
    """SHA-256 over every tensor and every score of a run, by file and name."""
    digest = hashlib.sha256()
    for path in sorted(run.glob("seed-*/*.safetensors")):
        for tensor, values in sorted(load_file(path).items()):
            digest.update(f"{path.relative_to(run)} {tensor} {values.dtype} {values.shape}".encode())
            digest.update(values.tobytes())
    for path in sorted(run.glob("seed-*/*.parquet")):
        digest.update(f"{path.relative_to(run)}".encode())
        frame = pl.read_parquet(path)
        digest.update(frame.select(sorted(frame.columns)).write_csv().encode())
    return digest.hexdigest()


if __name__ == "__main__":
    main()
