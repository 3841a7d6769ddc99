"""Fails the file calls of this program, one a time, and says how many times nothing was lost: k of n.

    python benchmarks/faults.py                          # every 10th call of each case
    python benchmarks/faults.py --every 1                # every call, until a run sees none fail
    python benchmarks/faults.py --case export --case cache

Cases: `train` a small run, then resume it; `export` over an older bundle; `cache` of a graph; `reports` of compare and
report over older files; `selection` over an older one. After each fault what is on disk must be the old or the new:
every tensor file has the checksum that it carries, every JSON and Parquet file and every bundle is whole, and no file
of another time is among them. Then the same is done again without a fault, and must end as if nothing had happened,
byte for byte (results: but for seconds). Which places were reached is printed, and how often.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from exporters.bundle import export_run
from flykd_console.cli.app import main as command_line
from flykd_console.errors import UserError
from flykd_console.graph.load import load_graph
from flykd_console.profile.sections import Graph
from tests.support.faults import FaultyDisk
from tests.support.small_graph import small_graph, write_kg_csv
from tests.support.undisturbed import Undisturbed, digests, not_whole, quietly

Failed = Counter[tuple[str, str]]


def main() -> None:
    """Break, mend, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=10, help="fail every so many calls (10)")
    parser.add_argument("--case", action="append", choices=CASES, help="these alone")
    options = parser.parse_args()
    torch.set_num_threads(1)
    tried = sound = 0
    with tempfile.TemporaryDirectory() as name:
        os.environ["FLYKD_CACHE"] = str(Path(name) / "cache")
        os.environ["FLYKD_RUNS"] = str(Path(name) / "whole")
        runs = Undisturbed(Path(name))
        for case in options.case or CASES:
            failed = Failed()
            good = CASES[case](runs, options.every, failed)
            for (purpose, call), count in sorted(failed.items()):
                print(f"  {count:5} × {purpose} {call}")
            print(f"{case}: {good} of {failed.total()} faults lost nothing", flush=True)
            tried, sound = tried + failed.total(), sound + good
    print(f"{sound} of {tried} faults lost nothing")


def train(runs: Undisturbed, every: int, failed: Failed) -> int:
    """A whole run, resumed after the fault."""
    n, sound = 1, 0
    while True:
        run = runs.new(f"fault-{n}")
        disk = FaultyDisk(run.path, n)
        with disk.mounted():
            quietly(run)
        if disk.failed is None:
            shutil.rmtree(run.path.parent)
            return sound
        problem = not_whole(run) or ("" if quietly(run) == 0 else "it does not go on") or runs.differs(run)
        sound += _told(n, disk, problem, failed)
        shutil.rmtree(run.path.parent)
        n += every


def export(runs: Undisturbed, every: int, failed: Failed) -> int:
    """A bundle over that of another model."""
    run, target = runs.whole, runs.root / "bundles" / "bundle"

    def state() -> dict[str, str]:
        return digests(target)

    def new() -> None:
        with contextlib.suppress(UserError):
            export_run(run, seed=45, out=target)

    def old() -> None:
        shutil.rmtree(target, ignore_errors=True)
        export_run(run, seed=45, model="baseline", out=target)

    return _old_or_new(target.parent, old, new, state, every, failed)


def cache(runs: Undisturbed, every: int, failed: Failed) -> int:
    """A graph read from its file and kept; what is read next is the same, whatever the cache holds."""
    source = write_kg_csv(small_graph(), runs.root / "cached.csv")
    os.utime(source, (0, 0))
    kept = Path(os.environ["FLYKD_CACHE"])
    settings = Graph(source=str(source))
    fingerprint = load_graph(settings, use_cache=False).fingerprint
    n, sound = 1, 0
    while True:
        shutil.rmtree(kept, ignore_errors=True)
        disk = FaultyDisk(kept, n)
        said: list[str] = []
        with disk.mounted():
            under = load_graph(settings, said.append).fingerprint
        if disk.failed is None:
            return sound
        left = [path for path in kept.rglob("*") if path.suffix in (".tmp", ".part")]
        problem = "another graph" if under != fingerprint else ""
        problem = problem or (f"left {left[0].name}" if left else "")
        for _ in range(2):
            problem = problem or ("" if load_graph(settings).fingerprint == fingerprint else "another graph then")
        sound += _told(n, disk, problem, failed)
        n += every


def reports(runs: Undisturbed, every: int, failed: Failed) -> int:
    """What compare and report write over older files."""
    run, folder = runs.whole, runs.root / "reports"
    folder.mkdir()

    def new() -> None:
        _command("compare", run.name, "--markdown", "--out", str(folder / "table.md"))
        _command("report", run.name, "--out", str(folder / "page.html"))

    def old() -> None:
        (folder / "table.md").write_text("an older table\n")
        (folder / "page.html").write_text("an older page\n")

    return _old_or_new(folder, old, new, lambda: _without_times(folder), every, failed)


def selection(runs: Undisturbed, every: int, failed: Failed) -> int:
    """The file in which a selection says what it chose."""
    from flykd_console.runs.files import replace_file

    folder = runs.root / "selected"
    folder.mkdir()
    path = folder / "selection.json"

    def new() -> None:
        with contextlib.suppress(OSError):
            replace_file(path, b'{"chosen": "new"}\n' * 100)

    return _old_or_new(folder, lambda: path.write_text("{}\n"), new, lambda: digests(folder), every, failed)


CASES: dict[str, Callable[[Undisturbed, int, Failed], int]] = {
    "train": train, "export": export, "cache": cache, "reports": reports, "selection": selection,
}  # fmt: skip


def _old_or_new(
    folder: Path,
    old: Callable[[], object],
    new: Callable[[], object],
    state: Callable[[], dict[str, str]],
    every: int,
    failed: Failed,
) -> int:
    """Fail the n-th call of `new` over what `old` left: each file is the old or the new, and a second call mends it."""
    folder.mkdir(parents=True, exist_ok=True)
    old()
    before = state()
    new()
    after = state()
    assert before != after
    n, sound = 1, 0
    while True:
        old()
        disk = FaultyDisk(folder, n)
        with disk.mounted():
            new()
        if disk.failed is None:
            return sound
        found = state()
        problem = "" if all(found.get(name) in (before.get(name), after.get(name)) for name in found) else "neither"
        if len({path.name for path in folder.iterdir()} - {path.split("/")[0] for path in found}) > 1:
            problem = problem or "something is left"
        new()
        problem = problem or ("" if state() == after else "it is not mended")
        sound += _told(n, disk, problem, failed)
        n += every


def _told(n: int, disk: FaultyDisk, problem: str, failed: Failed) -> bool:
    assert disk.failed is not None
    failed[disk.failed] += 1
    if problem:
        print(f"call {n}, {' '.join(disk.failed)}: {problem}")
    return not problem


def _command(*arguments: str) -> None:
    with (
        contextlib.suppress(SystemExit),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        command_line(arguments)


def _without_times(folder: Path) -> dict[str, str]:
    """Which of the older files still stands, and whether the newer ones are whole: pages tell the time."""
    found = {}
    for path in sorted(folder.iterdir()):
        text = path.read_text()
        whole = text.rstrip().endswith("</html>") if path.suffix == ".html" else len(text) > 100
        found[path.name] = "old" if text.startswith("an older") else f"whole {whole}"
    return found


if __name__ == "__main__":
    main()
