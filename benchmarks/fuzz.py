"""Commands on mutated files, each in a child process with limits: no traceback, no hang, no crash: k of n.

    python benchmarks/fuzz.py                 # 20 mutations of each kind of file
    python benchmarks/fuzz.py --count 1000

A mutation flips bits, cuts, repeats, or writes what parsers dislike. A command may refuse the file (exit code 1 or 2, a
line on standard error) or not notice: then it must print what it prints for the sound file, or `verify` must notice.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from exporters.bundle import export_run
from flykd_console.runs.directory import RunDirectory
from flykd_console.training import worker
from tests.support.tiny_run import make_run, small_kg, tiny_profile

# What a user writes: another sound file is another input, and no damage.
INPUTS = ("graph table", "profile")
SECONDS = 60
BYTES = 8 << 30
NASTY = (
    b"[" * 100_000, b"{" * 5000, b"\xff\xfe\x00", b"9" * 5000, b"\x1b[2J", b"NaN", b'"' * 100, b"-1", b"1e999", b"../",
)  # fmt: skip


def main() -> None:
    """Mutate, call, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20, help="mutations of each kind of file (20)")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations (0)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        fuzz(Path(name), options.count, random.Random(options.seed))


def fuzz(root: Path, count: int, draws: random.Random) -> dict[str, Counter[str]]:
    """Every kind of file, `count` times each; outcomes by kind, printed too."""
    os.environ["FLYKD_CACHE"] = str(root / "cache")
    run = make_run(root / "runs", tiny_profile(small_kg(root)))
    worker.main([str(run.path)])
    export_run(run)
    outcomes: dict[str, Counter[str]] = {}
    for kind, (path, command) in targets(root, run).items():
        sound = call(root, command)
        found = Counter[str]()
        for number in range(count):
            kept = path.read_bytes()
            path.write_bytes(mutated(kept, draws))
            outcome = judge(call(root, command), sound, lambda: call(root, ["verify", run.name]))
            if outcome == "changed" and kind in INPUTS:
                outcome = "other input"
            if outcome not in ("refused", "same", "other input", "noticed by verify"):
                print(f"{kind} {number}: {outcome}")
                shutil.copy(path, Path(tempfile.gettempdir()) / f"fuzz-{kind.replace(' ', '-')}-{number}")
            found[outcome] += 1
            path.write_bytes(kept)
        outcomes[kind] = found
        words = ", ".join(f"{number} {outcome}" for outcome, number in sorted(found.items()))
        good = sum(found[outcome] for outcome in ("refused", "same", "noticed by verify", "other input"))
        print(f"{kind:15} {good} of {count}: {words}", flush=True)
    return outcomes


def targets(root: Path, run: RunDirectory) -> dict[str, tuple[Path, list[str]]]:
    """By kind the file that is mutated, and the command that reads it."""
    score = ["score", str(run.export), "--tail", "0", "--csv"]
    return {
        "graph table": (root / "kg.csv", ["graph", "info", str(root / "kg.csv"), "--json"]),
        "profile": (run.profile, ["profiles", "check", str(run.profile)]),
        "event log": (run.events, ["watch", run.name, "--plain"]),
        "results": (run.results, ["compare", run.name, "--csv"]),
        "stored scores": (run.test_scores(45), ["compare", run.name, "--csv"]),
        "weights": (run.weights(45, "student"), ["verify", run.name]),
        "tables": (run.export / "embeddings.h5", score),
        "head": (run.export / "ranking_head.onnx", score),
        "manifest": (run.export / "manifest.json", score),
    }


def mutated(data: bytes, draws: random.Random) -> bytes:
    """One mutation."""
    place = draws.randrange(len(data))
    match draws.randrange(5):
        case 0:
            changed = bytearray(data)
            for _ in range(draws.choice((1, 1, 8, 100))):
                changed[draws.randrange(len(data))] ^= 1 << draws.randrange(8)
            return bytes(changed)
        case 1:
            return data[:place]
        case 2:
            return data[:place] + data[place // 2 : place] + data[place:]
        case 3:
            return data[:place] + draws.choice(NASTY) + data[place:]
        case _:
            return data[:place] + draws.choice(NASTY) + data[place + draws.randrange(1, 200) :]


def call(root: Path, command: list[str]) -> tuple[int, str, str]:
    """Exit code, standard output and error of a command; 124 where it took too long."""
    environment = os.environ | {"FLYKD_RUNS": str(root / "runs"), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "flykd_console", *command],
            env=environment,
            capture_output=True,
            timeout=SECONDS,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES)),
        )
    except subprocess.TimeoutExpired:
        return 124, "", ""
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def judge(got: tuple[int, str, str], sound: tuple[int, str, str], verified: Callable[[], tuple[int, str, str]]) -> str:
    """What became of a mutated file."""
    code, out, err = got
    if code == 124:
        return "hang"
    if "Traceback" in err:
        return "traceback"
    if code < 0 or code > 130:
        return "crash"
    if code != 0:
        return "refused"
    if out == sound[1]:
        return "same"
    return "noticed by verify" if verified()[0] != 0 else "changed"


if __name__ == "__main__":
    main()
