"""What a limit of address space (ulimit -v) leaves possible: 10^8 labels, rankings and heuristics at PrimeKG's size.

    python benchmarks/limited_memory.py                         # 4 GiB, the synthetic graph at full size
    python benchmarks/limited_memory.py --gib 3 --scale 0.1

Each case runs in a process of its own, without the limit and under it. Numbers must be the same but for rounding, and
what does not fit must say so in one line.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import console, machine, show


def _task(scale: str, distill: dict[str, Any]) -> Any:
    from benchmarks.training import task_of
    from flykd_console.graph.load import load_graph
    from flykd_console.profile.schema import Profile

    profile = Profile.model_validate({"graph": {"source": "synthetic", "scale": float(scale)}, "distill": distill})
    return task_of(profile, load_graph(profile.graph))


def labels(scale: str, sampler: str) -> list[float]:
    """Loss of an epoch of 10^8 labels, and the length of its gradient."""
    from flykd_console.profile.models import models_of

    task = _task(scale, {"random_graph": {"sampler": sampler, "labels_per_relation": 10**8}})
    teacher, _, student = models_of(task.profile)
    model = task.new_model(student)
    objective = task.distilled(student, model, [task.new_model(teacher)], lambda *_: None)
    loss = objective(0, {"pseudo_random": 1.0})["total"]
    loss.backward()
    size = sum(float(p.grad.square().sum()) for p in model.parameters() if p.grad is not None)
    return [float(loss.detach()), size]


def ranking(scale: str) -> list[float]:
    """A model's AP, in both directions, of every relation."""
    from benchmarks.links import SEED, drawn
    from flykd_console.tasks.link_prediction.ranking import rank_heads, rank_tails

    data = _task(scale, {}).data
    scorer = drawn(data, 80)
    ways: tuple[Callable[..., Any], ...] = (rank_heads, rank_tails)
    return [r.scores.ap for way in ways for r in way(data.split, "test", scorer, SEED).values()]


def heuristics(scale: str) -> list[float]:
    """Every scorer's headline on the test part."""
    task = _task(scale, {})
    return [task.assess_heuristic(name)[0].value(task.headline) or 0.0 for name in task.profile.evaluation.heuristics]


CASES: dict[str, tuple[Callable[..., list[float]], list[str]]] = {
    "10^8 labels, blocks": (labels, ["blocks"]),
    "10^8 labels, exact": (labels, ["exact"]),
    "10^8 labels, pairs": (labels, ["pairs"]),
    "ranking, both directions": (ranking, []),
    "scorers without training": (heuristics, []),
}


def one(name: str, scale: str, gib: float) -> None:
    """Carry out a case in this process, and print what it found."""
    if gib:
        resource.setrlimit(resource.RLIMIT_AS, (int(gib * 2**30), int(gib * 2**30)))
    from flykd_console.mishaps import ran_out

    function, arguments = CASES[name]
    begun = time.perf_counter()
    try:
        found = function(scale, *arguments)
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
        print(json.dumps({"error": "memory ran out"}))
        return
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"found": found, "seconds": time.perf_counter() - begun, "peak": peak}))


def in_process(name: str, scale: float, gib: float) -> dict[str, Any]:
    """What a case found in a process of its own; `died` with its last line where it did."""
    from flykd_console.runs.spawn import worker_environment

    # Freed memory is given back: what is kept counts against the limit.
    environment = {key: value for key, value in worker_environment().items() if not key.startswith("MALLOC_")}
    command = [sys.executable, __file__, "--one", name, "--scale", str(scale), "--gib", str(gib)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": f"died: {(done.stderr.strip().splitlines() or ['without a word'])[-1][:90]}"}
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def judged(free: dict[str, Any], limited: dict[str, Any]) -> str:
    """Whether the limit changed anything, in words."""
    if "error" in limited:
        return str(limited["error"])
    if "error" in free:
        return "only under the limit"
    apart = max(abs(a - b) / max(abs(a), 1e-12) for a, b in zip(free["found"], limited["found"], strict=True))
    return "the same numbers" if apart == 0 else f"the same to {apart:.0e}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gib", type=float, default=4.0)
    parser.add_argument("--scale", type=float, default=1.0, help="size of the synthetic graph; 1.0 is full PrimeKG")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--one", choices=list(CASES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        one(options.one, str(options.scale), options.gib)
        return
    rows = []
    for name in options.cases:
        free, limited = in_process(name, options.scale, 0.0), in_process(name, options.scale, options.gib)
        cells = [
            f"{found['seconds']:.1f} s, {found['peak']:.2f} GiB" if "found" in found else found["error"]
            for found in (free, limited)
        ]
        rows.append([name, *cells, judged(free, limited)])
    console.print(f"{machine()}; synthetic graph of scale {options.scale:g}")
    show("Under a limit of address space", ["case", "no limit", f"{options.gib:g} GiB", "numbers"], rows)


if __name__ == "__main__":
    main()
