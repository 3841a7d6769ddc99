"""Parts of an epoch on a GPU, and what bounds them: samplers, ranking, memory, bandwidth and arithmetic.

    python benchmarks/gpu_parts.py                                   # PrimeKG's full size, the first CUDA device
    python benchmarks/gpu_parts.py --device cpu --scale 0.03         # the same, tried on a CPU

Each figure stands beside the same on the CPU of the machine, from one process. `a copy` and `a product` are the two
rates that bound an epoch: bytes moved over bandwidth, operations over arithmetic.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from benchmarks.measure import console, machine, restart_as_trainer, show
from flykd_console.graph.knowledge_graph import KnowledgeGraph
from flykd_console.graph.load import load_graph
from flykd_console.profile.models import models_of
from flykd_console.profile.schema import Profile
from flykd_console.tasks.link_prediction.task import LinkPrediction

SAMPLERS = (("pairs", 100_000), ("pairs", 10_000_000), ("blocks", 100_000), ("blocks", 100_000_000), ("exact", 1))


def seconds(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Median of calls that the device has finished."""
    times = []
    for _ in range(repeats + 2):
        _wait(device)
        begun = time.perf_counter()
        work()
        _wait(device)
        times.append(time.perf_counter() - begun)
    return sorted(times[2:])[repeats // 2]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def rates(device: torch.device) -> dict[str, float]:
    """GB/s of a copy, and TFLOP/s of a product by precision."""
    big = torch.empty(64 * 2**20, device=device)
    other = torch.empty_like(big)
    found = {"a copy, GB/s": 2 * big.numel() * 4 / seconds(lambda: other.copy_(big), device, 5) / 1e9}
    side = 4096 if device.type == "cuda" else 1024
    left, right = (torch.randn(side, side, device=device) for _ in range(2))
    for name, word in (("float32", "highest"), ("tf32", "high"), ("bf16", "medium")):
        torch.set_float32_matmul_precision(word)
        found[f"a product in {name}, TFLOP/s"] = 2 * side**3 / seconds(lambda: left @ right, device, 5) / 1e12
    torch.set_float32_matmul_precision("highest")
    return found


def parts(profile: Profile, graph: KnowledgeGraph, device: torch.device, repeats: int) -> dict[str, float]:
    """Milliseconds of the parts, and GiB."""
    found: dict[str, float] = {}
    for sampler, labels in SAMPLERS:
        if device.type == "cpu" and labels > 10**6:
            continue
        random_graph = {"sampler": sampler, "labels_per_relation": labels}
        data = profile.model_dump(mode="json", exclude_unset=True) | {"distill": {"random_graph": random_graph}}
        changed = Profile.model_validate(data)
        task = LinkPrediction(changed, graph, graph.targets(changed.graph.targets), 45, device)
        teacher, _, student = models_of(changed)
        model = task.new_model(student)
        objective = task.distilled(student, model, [task.new_model(teacher)], lambda *_: None)

        def epoch(objective: Any = objective) -> None:
            objective(0, {"pseudo_random": 1.0})["total"].backward()

        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        name = f"{sampler}, {labels:,}" if sampler != "exact" else sampler
        found[f"{name}: labels alone, ms"] = 1e3 * seconds(epoch, device, repeats)
        if device.type == "cuda":
            found[f"{name}: peak GiB"] = torch.cuda.max_memory_allocated(device) / 2**30
        if sampler == "exact":
            evaluate = task.evaluator(model)
            found["validation with ranking, ms"] = 1e3 * seconds(evaluate, device, 1)
            found["encoding all nodes, ms"] = 1e3 * seconds(partial(task.data.encode_all, model), device, 1)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--graph", default="synthetic")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the synthetic graph; 1.0 is full PrimeKG")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", type=Path, help="write what was found there, too")
    options = parser.parse_args()
    restart_as_trainer()
    profile = Profile.model_validate({"graph": {"source": options.graph, "scale": options.scale}})
    graph = load_graph(profile.graph)
    places = dict.fromkeys([options.device, "cpu"])
    found = {
        place: rates(torch.device(place)) | parts(profile, graph, torch.device(place), options.repeats)
        for place in places
    }
    console.print(f"{machine()}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    if torch.device(options.device).type == "cuda":
        console.print(torch.cuda.get_device_name(options.device))
    first = found[options.device]
    rows = [
        [name, *(f"{found[place][name]:.3g}" if name in found[place] else "" for place in places)] for name in first
    ]
    show("Parts", ["what", *places], rows)
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
