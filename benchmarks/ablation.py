"""What each key of negatives, losses and capacity does to a network's lists: a run for each, on one graph and split.

    python benchmarks/ablation.py --graph kg.csv.gz                      # every row, seed 45, validation pairs
    python benchmarks/ablation.py --graph kg.csv.gz --seeds 45-47 --rows paper both both-biases
    python benchmarks/ablation.py --graph kg.csv.gz --commands           # print the commands, carry out none
    python benchmarks/ablation.py --graph kg.csv.gz --test               # what the test says: once, at the end

Every row trains the baseline of `primekg/flykd`, labels alone, with the overrides of its row and no other change; what
is compared is told on the validation pairs, since a row that is chosen must not be chosen by the test. Runs stay in
`--runs`, and a row that has finished is not trained again, so a stopped ablation goes on where it was. The heuristics
stand below: counting is the rival.
"""

from __future__ import annotations

import argparse
import os
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import console, machine, show
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.results import Results, read_results

BOTH = ["negatives.replace=both"]
LINKED = [*BOTH, "negatives.candidates=linked"]
SIXTEEN = [*LINKED, "negatives.ratio=16"]
SOFTMAX = ["negatives.loss=softmax"]
LEARNT = ["student.inputs=learnt"]
BIASES = ["student.biases=both"]
POPULAR = [*BIASES, "student.popularity=0.5"]
POOLING = ["graph.pooling.all_relations=true", "graph.pooling.weights=rarity", "graph.pooling.neighbours=20"]
COUNTS = ["student.degrees=true", "student.self_loop=true", "student.aggregation=log"]

# Name of each row, and what it overrides.
ROWS: dict[str, list[str]] = {
    "paper": [],
    # Negatives.
    "head": ["negatives.replace=head"],
    "both": BOTH,
    "both-linked": LINKED,
    "both-degree": [*BOTH, "negatives.distribution=degree"],
    "both-ratio-4": [*BOTH, "negatives.ratio=4"],
    "both-linked-16": SIXTEEN,
    # Losses, on the same sixteen negatives an end.
    "softmax": [*SIXTEEN, *SOFTMAX],
    "self-adversarial": [*SIXTEEN, "negatives.loss=self_adversarial"],
    "margin": [*SIXTEEN, "negatives.loss=margin"],
    # Capacity for counts, with negatives that ask which drug.
    "both-head-bias": [*LINKED, "student.biases=head"],
    "both-tail-bias": [*LINKED, "student.biases=tail"],
    "both-biases": [*LINKED, *BIASES],
    "both-popular": [*LINKED, *POPULAR],
    "both-degrees": [*LINKED, "student.degrees=true"],
    "both-self-loop": [*LINKED, "student.self_loop=true"],
    "both-degrees-self-loop": [*LINKED, "student.degrees=true", "student.self_loop=true"],
    "both-sum": [*LINKED, "student.aggregation=sum"],
    "both-log": [*LINKED, "student.aggregation=log"],
    "both-learnt-inputs": [*LINKED, *LEARNT],
    # Pooling, a key more in each.
    "pooling-20": ["graph.pooling.neighbours=20"],
    "pooling-rarity": ["graph.pooling.weights=rarity"],
    "pooling-all": ["graph.pooling.all_relations=true"],
    "pooling-20-rarity-all": POOLING,
    # Together, and all but one.
    "everything": [*SIXTEEN, *SOFTMAX, *POPULAR, *COUNTS, *LEARNT, *POOLING],
    "no-pooling": [*SIXTEEN, *SOFTMAX, *POPULAR, *COUNTS, *LEARNT],
    "no-learnt-inputs": [*SIXTEEN, *SOFTMAX, *POPULAR, *COUNTS, *POOLING],
    "no-counts": [*SIXTEEN, *SOFTMAX, *POPULAR, *LEARNT, *POOLING],
    "no-biases": [*SIXTEEN, *SOFTMAX, *COUNTS, *LEARNT, *POOLING],
    "no-softmax": [*SIXTEEN, *POPULAR, *COUNTS, *LEARNT, *POOLING],
    "no-head-negatives": [*POPULAR, *COUNTS, *LEARNT, *POOLING],
}
METRICS = {
    "AP": "macro_ap",
    "MRR": "macro_mrr",
    "recall@100": "macro_recall_at_100",
    "AP, diseases": "macro_tail_ap",
    "AUPRC, tail": "macro_auprc",
    "AUPRC, head": "macro_auprc_head",
}
BASELINE = "baseline"


def command_of(name: str, options: argparse.Namespace) -> list[str]:
    """The command line of a row's run."""
    words = ["run", "primekg/flykd", "--headless", "--graph", options.graph, "--seeds", options.seeds]
    settings = [f"run.name=ablation-{name}", f'run.models=["{BASELINE}"]', "evaluation.headline=macro_ap"]
    if options.epochs:
        settings += [f"finetune.epochs={options.epochs}", f"finetune.plateau.last_epochs={options.epochs // 5}"]
    for setting in [*settings, *ROWS[name], *options.set]:
        words += ["--set", setting]
    return words


def finished(name: str, runs: Path) -> Results | None:
    """What a row's run measured; None where none has finished."""
    for path in sorted(runs.glob(f"ablation-{name}-2*"), reverse=True):
        if RunDirectory(path).results.is_file():
            return read_results(RunDirectory(path).results)
    return None


def figures(results: Results, model: str, test: bool) -> list[str]:
    """A model's metrics in per cent, means over the seeds."""
    cells = []
    for metric in METRICS.values():
        parts = [of_seed[model].test if test else of_seed[model].validation for of_seed in results.seeds.values()]
        values = [value for part in parts if (value := part.value(metric)) is not None]
        cells.append(f"{100 * statistics.mean(values):.2f}" if values else "–")
    return cells


def main() -> None:
    """Train what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graph", required=True)
    parser.add_argument("--seeds", default="45")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="ROW")
    parser.add_argument("--epochs", type=int, default=0, help="of finetuning; 0: the profile's 2000")
    parser.add_argument("--set", action="append", default=[], help="an override for every row")
    parser.add_argument("--runs", type=Path, default=Path("runs-ablation"), help="where the runs stay")
    parser.add_argument("--commands", action="store_true", help="print the commands and carry out none")
    parser.add_argument("--test", action="store_true", help="the test's figures instead of the validation's")
    options = parser.parse_args()
    environment = os.environ | {"FLYKD_RUNS": str(options.runs.absolute())}
    if options.commands:
        for name in options.rows:
            print(f"FLYKD_RUNS={options.runs} flykd-console {shlex.join(command_of(name, options))}")
        return
    found: dict[str, Results] = {}
    for name in options.rows:
        results = finished(name, options.runs)
        if results is None:
            command = [sys.executable, "-m", "flykd_console", *command_of(name, options)]
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
            results = finished(name, options.runs)
        assert results is not None
        found[name] = results
    rows = [[name, *figures(results, BASELINE, options.test)] for name, results in found.items()]
    last = list(found.values())[-1]
    heuristics = [name for name in next(iter(last.seeds.values())) if name != BASELINE]
    rows += [[f"({name})", *figures(last, name, options.test)] for name in heuristics]
    console.print(f"{machine()}; {options.graph}, seeds {options.seeds}")
    show("Test" if options.test else "Validation", ["row", *METRICS], rows)


if __name__ == "__main__":
    main()
