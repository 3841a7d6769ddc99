"""What scoring a list of pairs costs, forward and backward: as a sampled product, from the whole matrix, pair by pair.

    python benchmarks/scoring.py                         # a relation of PrimeKG's size: 1,700 heads, 1,100 tails
    python benchmarks/scoring.py --heads 200 --tails 150

The baseline is the whole score matrix, of which the listed pairs are read. `distill.pairs.pair_space` samples
where the list is shorter than the matrix by the factor at which the first two meet, the last line.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from torch import Tensor

from benchmarks.measure import console, median_seconds, restart_as_trainer, show
from benchmarks.training import machine_with_torch
from flykd_console.distill.pairs.sampled_scores import PAIR_COST, SampledPairs
from flykd_console.model.distmult import all_logits, pair_logits

Way = Callable[[Tensor, Tensor, Tensor], Tensor]

DIMS = (80, 130)
SHARES = (0.01, 0.03, 0.1, 0.2, 0.4)


def ways(flat: Tensor, tails: int) -> dict[str, Way]:
    """Per way a function of heads [m, d], relation [d] and tails [n, d] to the pairs' logits; sorting is part of it."""

    def sampled(head: Tensor, relation: Tensor, tail: Tensor) -> Tensor:
        return SampledPairs.of(flat, len(head), len(tail)).logits(head * relation, tail)

    def matrix(head: Tensor, relation: Tensor, tail: Tensor) -> Tensor:
        return all_logits(head, relation, tail).view(-1).index_select(0, flat)

    def gathered(head: Tensor, relation: Tensor, tail: Tensor) -> Tensor:
        return pair_logits(head.index_select(0, flat // tails), relation, tail.index_select(0, flat % tails))

    return {"matrix": matrix, "sampled": sampled, "pair by pair": gathered}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--heads", type=int, default=1700)
    parser.add_argument("--tails", type=int, default=1100)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    restart_as_trainer()
    area = options.heads * options.tails
    console.print(machine_with_torch())
    rng = torch.Generator().manual_seed(0)
    meeting = {}
    for dim in DIMS:
        shapes = ((options.heads, dim), (dim,), (options.tails, dim))
        tables = [torch.randn(shape, generator=rng, requires_grad=True) for shape in shapes]
        rows = []
        for share in SHARES:
            flat = torch.randint(area, (int(share * area),), generator=rng)
            weights = torch.randn(len(flat), generator=rng)
            times = {}
            for name, way in ways(flat, options.tails).items():
                times[name] = median_seconds(partial(_step, way, tables, weights), options.repeats)
            meeting[dim] = times["sampled"] / times["matrix"] / share
            cells = (f"{1e3 * times[name]:.2f} ms" for name in times)
            rows.append([f"{len(flat):,} ({100 * share:.0f} %)", *cells, f"{times['matrix'] / times['sampled']:.1f}x"])
        show(
            f"Scoring and its gradient, {options.heads:,} x {options.tails:,} pairs, d = {dim}",
            ["listed pairs", "whole matrix", "sampled", "pair by pair", "sampled is faster"],
            rows,
        )
    told = ", ".join(f"{factor:.1f} at d = {dim}" for dim, factor in meeting.items())
    console.print(f"A sampled pair costs as many of the matrix: {told}; the program reckons with {PAIR_COST:g}.")


def _step(way: Way, tables: list[Tensor], weights: Tensor) -> None:
    torch.autograd.grad(way(*tables), tables, weights)


if __name__ == "__main__":
    main()
