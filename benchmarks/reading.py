"""From a file to the end of the first epoch, the first time and from the cache; the baseline is pandas reading it.

    python benchmarks/reading.py kg.csv.gz
    python benchmarks/reading.py --scale 1.0              # writes a table of PrimeKG's size (1 GB) and reads that
    python benchmarks/reading.py --scale 1.0 --keep kg.csv

The whole chain: reading, turning targets the same way, splitting, the message graph, disease pooling, preparing the
teacher, and one epoch of it. Each case runs in a process of its own, with a cache folder of its own; imports are
counted apart. The first case after writing finds the file in the page cache, as all others do.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import console, in_child, machine, peak_gib, show

# The public reference implementation up to its first epoch, at PrimeKG's size on two other cores: a constant.
REFERENCE_SECONDS = 320.0
STEPS = ("read", "split", "messages", "pooling", "prepare", "epoch")


# Each of these runs in a process of its own, and imports what it needs there.


def ready(path: str) -> dict[str, float]:
    """From the table to the end of the teacher's first epoch, step by step."""
    start = time.perf_counter()
    import polars  # noqa: F401
    import scipy.sparse  # noqa: F401
    import torch._dynamo  # noqa: F401 - every optimiser of torch imports it when first used

    from benchmarks.training import LEARNING_RATE, epoch_of, task_of
    from flykd_console.graph.load import load_graph
    from flykd_console.graph.orientation import orient_targets
    from flykd_console.profile.models import models_of
    from flykd_console.profile.schema import Profile
    from flykd_console.training.loops.replay import adam

    marks = [time.perf_counter()]
    profile = Profile.model_validate({"graph": {"source": path}})
    graph = load_graph(profile.graph)
    graph = orient_targets(graph, profile.graph.targets, profile.graph.pooling.relations)
    graph.fingerprint  # noqa: B018
    marks.append(time.perf_counter())
    task = task_of(profile, graph)
    task.fingerprints  # noqa: B018
    marks.append(time.perf_counter())
    task.data.messages  # noqa: B018
    marks.append(time.perf_counter())
    task.data.pooling  # noqa: B018
    marks.append(time.perf_counter())
    teacher = task.new_model(models_of(profile)[0])
    objective = task.supervised(teacher, "teacher")
    marks.append(time.perf_counter())
    epoch_of(objective, adam(teacher.parameters(), LEARNING_RATE))()
    marks.append(time.perf_counter())
    seconds = dict(zip(STEPS, (after - before for before, after in itertools.pairwise(marks)), strict=True))
    return {"import": marks[0] - start, "all": marks[-1] - marks[0], "peak": peak_gib()} | seconds


def pandas_alone(path: str) -> dict[str, float]:
    """Pandas reading the columns that are needed."""
    start = time.perf_counter()
    import pandas

    imported = time.perf_counter()
    columns = ["relation", "x_id", "x_type", "x_name", "y_id", "y_type", "y_name"]
    pandas.read_csv(path, usecols=columns, dtype=str)
    seconds = time.perf_counter() - imported
    return {"import": imported - start, "read": seconds, "all": seconds, "peak": peak_gib()}


def write(path: str, scale: str) -> dict[str, float]:
    """Make a table of a share of PrimeKG's size."""
    from flykd_console.graph.formats.kg_write import write_kg
    from flykd_console.graph.sources.synthetic.generate import generate, primekg_size

    start = time.perf_counter()
    graph = generate(primekg_size(float(scale)))
    made = time.perf_counter()
    rows = write_kg(graph, Path(path))
    seconds = time.perf_counter() - made
    return {"make": made - start, "write": seconds, "rows": rows, "peak": peak_gib()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graph", nargs="?", help="a table; without it, one is made")
    parser.add_argument("--scale", type=float, default=0.1, help="size of the table that is made")
    parser.add_argument("--keep", metavar="FILE", help="where to leave the table that is made")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.abspath(options.graph or options.keep or os.path.join(folder, "kg.csv"))
        if options.graph is None:
            written = in_child(write, path, str(options.scale))
            console.print(
                f"made in {written['make']:.1f} s, {written['rows']:,.0f} rows written in {written['write']:.1f} s, "
                f"peak {written['peak']:.2f} GiB"
            )
        cache = os.path.join(folder, "cache")
        start = time.perf_counter()
        cases = {
            "pandas, reading alone": in_child(pandas_alone, path, cache=cache),
            "first time": in_child(ready, path, cache=cache),
            "from the cache": in_child(ready, path, cache=cache),
        }
        size = os.path.getsize(path) / 1e6
    name = os.path.basename(path)
    console.print(f"{machine()}\n{name}, {size:,.0f} MB, measured in {time.perf_counter() - start:.0f} s")
    show(
        "Seconds from file to the end of the first epoch",
        ["case", "imports", *STEPS, "all but imports", "peak GiB"],
        [
            [
                case,
                f"{found['import']:.2f}",
                *(f"{found[step]:.2f}" if step in found else "" for step in STEPS),
                f"{found['all']:.2f}",
                f"{found['peak']:.2f}",
            ]
            for case, found in cases.items()
        ],
    )
    baseline = cases.pop("pandas, reading alone")["all"]
    show(
        "Against",
        ["case", "pandas reading it takes", "the reference takes"],
        [
            [case, f"{baseline / found['all']:.1f}x as long", f"{REFERENCE_SECONDS / found['all']:.0f}x as long"]
            for case, found in cases.items()
        ],
    )
    console.print(f"The reference: {REFERENCE_SECONDS:.0f} s at PrimeKG's size, a constant that was not measured here.")


if __name__ == "__main__":
    main()
