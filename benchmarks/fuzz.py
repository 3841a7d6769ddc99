"""Commands on mutated files, each in a child process with limits: no traceback, no hang, no crash: k of n.

    python benchmarks/fuzz.py                                   # 20 mutations of each kind of file
    python benchmarks/fuzz.py --count 1000 --kind cache --kind head

A mutation flips bits, cuts, repeats, or writes what parsers dislike. A command may refuse the file (exit code 1 or 2, a
line on standard error) or not notice: then it must print what it prints for the sound file, or `verify` must notice.
Children are forked from a process that has imported everything and read nothing; each may take 60 seconds of the
processor and 8 GiB. A checkpoint is resumed, and must end in the undisturbed run's weights, byte for byte.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import flykd_console.cli.compare
import flykd_console.cli.graph
import flykd_console.cli.profiles
import flykd_console.cli.score
import flykd_console.cli.watch
import flykd_console.compare.compare
import flykd_console.graph.load
import flykd_console.training.run  # noqa: F401 - what commands import late
from flykd_console.cli.app import main as command_line
from flykd_console.runs.directory import RunDirectory
from flykd_console.training import worker
from tests.support.loops import at, stop
from tests.support.undisturbed import Undisturbed

# What a user writes: another sound file is another input, and no damage.
INPUTS = ("graph table", "profile")
SOUND = ("refused", "same", "other input", "noticed by verify")
SECONDS, WALL_SECONDS = 60, 900
BYTES = 8 << 30
NASTY = (
    b"[" * 100_000, b"{" * 5000, b"\xff\xfe\x00", b"9" * 5000, b"\x1b[2J", b"NaN", b'"' * 100, b"-1", b"1e999", b"../",
)  # fmt: skip


class Answer(NamedTuple):
    """What a child said: its exit code (negative: killed by that signal), standard output and error."""

    code: int
    out: str
    err: str


class Target(NamedTuple):
    """A kind of file: where it lies, what reads it, and what else is looked at when nothing was refused."""

    path: Path
    read: Callable[[], int]
    verify: Callable[[], int]


def main() -> None:
    """Mutate, call, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20, help="mutations of each kind of file (20)")
    parser.add_argument("--kind", action="append", help="these kinds alone")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations (0)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        fuzz(Path(name), options.count, random.Random(options.seed), options.kind)


def fuzz(root: Path, count: int, draws: random.Random, kinds: list[str] | None = None) -> dict[str, Counter[str]]:
    """Every kind of file, `count` times each; outcomes by kind, printed too."""
    os.environ |= {"FLYKD_CACHE": str(root / "cache"), "FLYKD_RUNS": str(root / "whole"), "COLUMNS": "200"}
    runs = Undisturbed(root)
    child(lambda: int(runs.whole.path is None), limited=False)
    outcomes: dict[str, Counter[str]] = {}
    for kind, target in targets(root, runs).items():
        if kinds and kind not in kinds:
            continue
        sound = child(target.read)
        assert sound.code == 0, (kind, sound)
        found = Counter[str]()
        for number in range(count):
            kept = target.path.read_bytes()
            data = mutated(kept, draws)
            target.path.write_bytes(data)
            outcome = judge(kind, child(target.read), sound, lambda one=target: child(one.verify))  # type: ignore[misc]
            if outcome not in SOUND:
                place = Path(tempfile.gettempdir()) / f"fuzz-{kind.replace(' ', '-')}-{number}"
                place.write_bytes(data)
                print(f"{kind} {number}: {outcome}; the file: {place}", flush=True)
            found[outcome] += 1
            target.path.write_bytes(kept)
        outcomes[kind] = found
        words = ", ".join(f"{number} {outcome}" for outcome, number in sorted(found.items()))
        print(f"{kind:15} {sum(found[one] for one in SOUND)} of {count}: {words}", flush=True)
    good = sum(found[one] for found in outcomes.values() for one in SOUND)
    print(f"{good} of {sum(found.total() for found in outcomes.values())} inputs did no harm")
    return outcomes


def targets(root: Path, runs: Undisturbed) -> dict[str, Target]:
    """By kind the file that is mutated, and what reads it."""
    run, table = runs.whole, root / "kg.csv"
    score = ("score", str(run.export), "--tail", "disease 24", "--relation", "indication", "--csv")
    (kept,) = (root / "cache" / "graphs").glob("*.npz")
    state = root / "kept.state"
    stopped = root / "stopped"
    child(lambda: _stop_late(runs, stopped, state), limited=False)

    def command(*arguments: str) -> Callable[[], int]:
        return lambda: _called(arguments)

    verify = command("verify", run.name)
    return {
        "graph table": Target(table, command("graph", "info", str(table), "--json"), verify),
        "profile": Target(run.profile, command("profiles", "check", str(run.profile)), verify),
        "event log": Target(run.events, command("watch", run.name, "--plain"), verify),
        "results": Target(run.results, command("compare", run.name, "--csv"), verify),
        "stored scores": Target(run.test_scores(45), command("compare", run.name, "--csv"), verify),
        "weights": Target(run.weights(45, "student"), verify, verify),
        "checkpoint": Target(state, lambda: _resumed(runs, stopped, state), verify),
        "tables": Target(run.export / "embeddings.h5", command(*score), verify),
        "head": Target(run.export / "ranking_head.onnx", command(*score), verify),
        "manifest": Target(run.export / "manifest.json", command(*score), verify),
        "cache": Target(kept, command("graph", "info", str(table), "--json"), verify),
    }


def _called(arguments: tuple[str, ...]) -> int:
    try:
        command_line(arguments)
    except SystemExit as left:
        return int(left.code or 0)


def _stop_late(runs: Undisturbed, stopped: Path, state: Path) -> int:
    """A run that was stopped in its last stage, and its checkpoint aside."""
    import pytest

    run = runs.new("to-stop")
    with pytest.MonkeyPatch.context() as patched:
        at(patched, "student", 9, stop)
        worker.main([str(run.path)])
    run.older_state(45, "student").unlink()
    shutil.copy(run.state(45, "student"), state)
    run.path.rename(stopped)
    return 0


def _resumed(runs: Undisturbed, stopped: Path, state: Path) -> int:
    """Go on from a checkpoint; 0 where the end is the undisturbed one's, and it prints which bytes it has."""
    with tempfile.TemporaryDirectory(dir=stopped.parent) as name:
        run = RunDirectory(Path(name) / "run")
        shutil.copytree(stopped, run.path)
        shutil.copy(state, run.state(45, "student"))
        code = worker.main([str(run.path)])
        if code == 0:
            print(runs.differs(run) or "as the undisturbed one")
    return code


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


def child(work: Callable[[], int], limited: bool = True) -> Answer:
    """Work in a forked child under limits; its exit code, -SIGXCPU where it took too long, and what it said."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = os.fork()
        if not process:
            _in_child(work, out.fileno(), err.fileno(), limited)
        deadline = time.monotonic() + WALL_SECONDS
        while True:
            done, status = os.waitpid(process, os.WNOHANG)
            if done:
                break
            if time.monotonic() > deadline:
                os.kill(process, signal.SIGKILL)
                os.waitpid(process, 0)
                return Answer(-signal.SIGXCPU, "", "")
            time.sleep(0.002)
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode(errors="replace"))
        return Answer(os.waitstatus_to_exitcode(status), *said)


def _in_child(work: Callable[[], int], out: int, err: int, limited: bool) -> None:
    code = 1
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        if limited:
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
            resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
        import torch

        torch.set_num_threads(1)
        code = work()
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def judge(kind: str, got: Answer, sound: Answer, verified: Callable[[], Answer]) -> str:
    """What became of a mutated file."""
    if got.code == -signal.SIGXCPU:
        return "hang"
    if "Traceback" in got.err:
        return "traceback"
    if got.code < 0 or got.code > 130:
        return "crash"
    if got.code != 0:
        return "refused" if got.err.strip() or got.out.strip() else "refused without a word"
    if got.out == sound.out:
        return "same"
    if kind in INPUTS:
        return "other input"
    return "noticed by verify" if verified().code != 0 else "changed"


if __name__ == "__main__":
    main()
