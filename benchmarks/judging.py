"""The quick look at a text table against the one line by line, which it saves, and polars reading the same columns.

python benchmarks/judging.py                 # tables of a tenth of PrimeKG's size, with and without quoted names
python benchmarks/judging.py --scale 1.0
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import polars as pl

from benchmarks.measure import console, machine, show
from flykd_console.graph.formats.kg import COLUMNS
from flykd_console.graph.formats.kg_write import write_kg
from flykd_console.graph.sources.synthetic.generate import generate, primekg_size
from flykd_console.graph.tables.judge import judge_by_line
from flykd_console.graph.tables.uniform import uniform

REPEATS = 3
QUOTED = 15  # every so many names have a comma


def quoted_names(plain: Path, target: Path) -> None:
    """The same table where some names hold the separator."""
    with plain.open(encoding="utf-8") as lines, target.open("w", encoding="utf-8") as copy:
        copy.write(next(lines))
        for number, line in enumerate(lines):
            if number % QUOTED == 0:
                fields = line.split(",")
                fields[5] = f'"{fields[5]}, type 1"'
                line = ",".join(fields)
            copy.write(line)


def processor_seconds(call: Callable[[], object]) -> float:
    """The least of a few: other work on the machine only adds."""
    found = []
    for _ in range(REPEATS):
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
    return min(found)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=0.1, help="size of the table; 1.0 is PrimeKG's")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        plain, quoted = Path(folder, "plain.csv"), Path(folder, "quoted.csv")
        write_kg(generate(primekg_size(options.scale)), plain)
        quoted_names(plain, quoted)
        for name, file in (("plain", plain), ("quoted names", quoted)):
            text = pl.scan_csv(file, infer_schema=False, glob=False).select(COLUMNS)
            slow = processor_seconds(lambda file=file: judge_by_line(file, "", ",", '"', 12, Path))  # type: ignore[misc]
            quick = processor_seconds(lambda file=file: uniform(file, ",", '"', 12))  # type: ignore[misc]
            reading = processor_seconds(lambda text=text: text.collect(engine="streaming"))  # type: ignore[misc]
            size = f"{file.stat().st_size / 1e6:,.0f}"
            rows.append([name, size, f"{slow:.2f}", f"{quick:.2f}", f"{slow / quick:.1f}x", f"{reading:.2f}"])
    console.print(machine())
    show(
        "Seconds of processor time",
        ["table", "MB", "line by line", "quick look", "saved", "polars reading seven columns"],
        rows,
    )


if __name__ == "__main__":
    main()
