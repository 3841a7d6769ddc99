"""What checkpoints cost: the seconds in which states are written against those of all training, in one run.

    python benchmarks/checkpoints.py                             # profiles/flykd.toml, embedded graph, 400 epochs
    python benchmarks/checkpoints.py --graph kg.csv.gz --epochs 40 --every 20

The run trains in this process as a worker does, with the profile's `engine.checkpoint_every` unless it is given.
Time counts the making of the tensors' bytes, their checksum, the write, the sync and the renames.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.training import machine_with_torch
from flykd_console.profile.load import load_profile
from flykd_console.runs.events import StageFinished
from flykd_console.training import worker
from flykd_console.training.checkpoint import Checkpointer
from tests.support.tiny_run import events_of, make_run


class Stopwatch:
    """Counts calls of `Checkpointer.save` and their seconds and bytes."""

    def __init__(self) -> None:
        self.calls, self.seconds, self.bytes = 0, 0.0, 0
        self._save = Checkpointer.save

    def save(self, checkpointer: Checkpointer, epoch: int, epochs: int, seconds: float) -> None:
        """As `Checkpointer.save`, timed."""
        began = time.perf_counter()
        self._save(checkpointer, epoch, epochs, seconds)
        self.seconds += time.perf_counter() - began
        self.calls += 1
        self.bytes = max(self.bytes, checkpointer.path.stat().st_size)


def main() -> None:
    """Train once, print the share."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="flykd", help="profile (flykd)")
    parser.add_argument("--graph", help="graph instead of the profile's")
    parser.add_argument("--epochs", type=int, default=400, help="of teacher, baseline and student (400)")
    parser.add_argument("--every", type=int, help="epochs between two checkpoints; default: the profile's")
    options = parser.parse_args()
    changes = [f"finetune.epochs={options.epochs}", f"distill.epochs={options.epochs}", "run.seeds=[45]"]
    changes += [f"graph.source={options.graph}"] if options.graph else []
    changes += [f"engine.checkpoint_every={options.every}"] if options.every else []
    profile = load_profile(options.profile, changes)
    torch.set_num_threads(max(1, profile.engine.threads or torch.get_num_threads()))
    watch = Stopwatch()
    Checkpointer.save = lambda self, *given: watch.save(self, *given)  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as name:
        os.environ.setdefault("FLYKD_CACHE", str(Path(name) / "cache"))
        run = make_run(Path(name), profile)
        with contextlib.redirect_stdout(io.StringIO()):
            code = worker.main([str(run.path), "--fresh"])
        assert code == 0, run.path
        trained = sum(event.seconds for event in events_of(run) if isinstance(event, StageFinished))
    print(machine_with_torch())
    each = watch.seconds / max(1, watch.calls)
    print(f"{watch.calls} checkpoints of up to {watch.bytes / 1e6:.1f} MB, {1000 * each:.1f} ms each")
    print(f"{watch.seconds:.2f} s of {trained:.1f} s of training: {100 * watch.seconds / trained:.2f} %")


if __name__ == "__main__":
    main()
