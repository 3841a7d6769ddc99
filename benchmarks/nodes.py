"""Training to tell classes of nodes: this package against PyTorch Geometric and DGL, as their own examples do it.

    pip install '.[rivals]'                                  # PyTorch Geometric; without it, DGL alone is the rival
    python benchmarks/nodes.py --data cora.npz
    python benchmarks/nodes.py --data cora.npz --models gat --epochs 50

GCN of 64, GAT of 8 heads of 8, GraphSAGE of 64 (mean), two layers each, dropout before both (GAT: 0.6, of its attention
as well), Adam with an L2 penalty of 5e-4; an epoch is a step and a look at all nodes without dropout, as in the rivals'
examples (pyg examples/gcn.py, gat.py; dgl examples/pytorch/gcn/train.py, gat/train.py). Epochs are timed in turn, one
of each package after the other, so that what else the machine does falls on all. The test accuracy is that of the epoch
that validation puts first. Each begins from weights of its own, so that accuracies agree within noise alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, dropout, elu

from benchmarks.measure import console, restart_as_trainer, show
from benchmarks.training import machine_with_torch
from flykd_console.data.attributed import AttributedGraph
from flykd_console.data.citations import citations
from flykd_console.data.npz import read_attributed
from flykd_console.graph.dgl_graph import import_dgl
from flykd_console.profile.cohort_models import ALONE, cohort_specs
from flykd_console.profile.schema import Profile
from flykd_console.tasks.classification.task import Classification
from flykd_console.tasks.node_classification.samples import NodeSamples

RATES = {"gcn": (0.01, 0.5), "gat": (0.005, 0.6), "sage": (0.01, 0.5)}
SETTINGS: dict[str, dict[str, Any]] = {
    "gcn": {"kind": "gcn", "dim": 64},
    "gat": {"kind": "gat", "dim": 8, "heads": 8},
    "sage": {"kind": "sage", "dim": 64},
}
DECAY = 5e-4
# Of all nodes their logits, [n, C].
Look = Callable[[], Tensor]


@dataclass
class Rival:
    """One package's model in training.

    Attributes:
        step: One step of the optimiser.
        look: All nodes without dropout.
        seconds: Of each epoch so far.
        best: Validation accuracy and the test's at the epoch that validation puts first.
    """

    step: Callable[[], None]
    look: Look
    seconds: list[float] = field(default_factory=list)
    best: tuple[float, float] = (0.0, 0.0)


def ours(kind: str, graph: AttributedGraph, seed: int) -> Rival:
    """This package: the objective of a model alone, as a run has it."""
    rate, dropped = RATES[kind]
    member = SETTINGS[kind] | {"lr": rate, "dropout": dropped, "weight_decay": DECAY}
    profile = Profile.model_validate(
        {"task": {"kind": "node_classification"}, "cohort": {"members": {kind: member}}, "run": {"seeds": [seed]}}
    )
    device = torch.device("cpu")
    samples = NodeSamples(graph, profile.data, profile.engine, seed, device)
    task = Classification(profile, samples, seed, device)
    spec = next(spec for spec in cohort_specs(profile.cohort) if spec.name == f"{ALONE}{kind}")
    model = task.new_model(spec)
    objective = task.supervised(model, spec.name)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, weight_decay=DECAY, fused=True)

    def step() -> None:
        for losses in objective.steps(0, {"labels": 1.0}):
            optimizer.zero_grad(set_to_none=True)
            losses["total"].backward()
            optimizer.step()

    @torch.no_grad()
    def look() -> Tensor:
        return model.see(samples.whole).logits

    return Rival(step, look)


class Stack(nn.Module):
    """Two layers of another package, with dropout before each."""

    def __init__(self, first: nn.Module, second: nn.Module, rate: float, attends: bool) -> None:
        super().__init__()
        self.first, self.second, self.rate, self.attends = first, second, rate, attends

    def forward(self, x: Tensor, call: Callable[[nn.Module, Tensor], Tensor]) -> Tensor:
        """Logits [n, C]; `call` gives a layer its graph."""
        rows = call(self.first, dropout(x, self.rate, self.training))
        now = elu(rows) if self.attends else rows.relu()
        return call(self.second, dropout(now, self.rate, self.training))


def geometric(kind: str, graph: AttributedGraph, seed: int) -> Rival:
    """PyTorch Geometric's layers, as in its examples."""
    from torch_geometric.nn import GATConv, GCNConv, SAGEConv

    torch.manual_seed(seed)
    inputs, classes, rate = graph.features.shape[1], graph.classes, RATES[kind][1]
    both = torch.from_numpy(graph.edges.T.copy())
    edges = torch.cat([both, both.flip(0)], dim=1)
    layers: dict[str, Callable[[], tuple[nn.Module, nn.Module]]] = {
        "gcn": lambda: (GCNConv(inputs, 64, cached=True), GCNConv(64, classes, cached=True)),
        "gat": lambda: (
            GATConv(inputs, 8, heads=8, dropout=rate),
            GATConv(64, classes, heads=1, concat=False, dropout=rate),
        ),
        "sage": lambda: (SAGEConv(inputs, 64), SAGEConv(64, classes)),
    }
    model = Stack(*layers[kind](), rate, kind == "gat")
    return _rival(model, kind, graph, lambda layer, x: layer(x, edges))


def dgl_layers(kind: str, graph: AttributedGraph, seed: int) -> Rival:
    """DGL's layers, as in its examples."""
    dgl = import_dgl()
    from dgl.nn import GATConv, GraphConv, SAGEConv  # type: ignore[import-untyped,unused-ignore]

    torch.manual_seed(seed)
    inputs, classes, rate = graph.features.shape[1], graph.classes, RATES[kind][1]
    both = torch.from_numpy(graph.edges.T.copy())
    plain = dgl.graph((torch.cat([both[0], both[1]]), torch.cat([both[1], both[0]])), num_nodes=graph.nodes)
    known = plain if kind == "sage" else dgl.add_self_loop(plain)
    layers: dict[str, Callable[[], tuple[nn.Module, nn.Module]]] = {
        "gcn": lambda: (GraphConv(inputs, 64), GraphConv(64, classes)),
        "gat": lambda: (GATConv(inputs, 8, 8, attn_drop=rate), GATConv(64, classes, 1, attn_drop=rate)),
        "sage": lambda: (SAGEConv(inputs, 64, "mean"), SAGEConv(64, classes, "mean")),
    }
    model = Stack(*layers[kind](), rate, kind == "gat")

    def call(layer: nn.Module, x: Tensor) -> Tensor:
        rows: Tensor = layer(known, x)
        return rows.flatten(1)

    return _rival(model, kind, graph, call)


def _rival(model: Stack, kind: str, graph: AttributedGraph, call: Callable[[nn.Module, Tensor], Tensor]) -> Rival:
    x = torch.from_numpy(graph.normalised().features.toarray())
    labels = torch.from_numpy(graph.labels)
    train = torch.from_numpy(graph.parts["train"])
    optimizer = torch.optim.Adam(model.parameters(), lr=RATES[kind][0], weight_decay=DECAY)

    def step() -> None:
        model.train()
        optimizer.zero_grad()
        cross_entropy(model(x, call)[train], labels[train]).backward()
        optimizer.step()

    @torch.no_grad()
    def look() -> Tensor:
        model.eval()
        logits: Tensor = model(x, call)
        return logits

    return Rival(step, look)


def train_in_turn(rivals: dict[str, Rival], graph: AttributedGraph, epochs: int) -> None:
    """So many epochs of each, one of each package after the other."""
    labels = torch.from_numpy(graph.labels)
    parts = {part: torch.from_numpy(graph.parts[part]) for part in ("validation", "test")}
    for _ in range(epochs):
        for rival in rivals.values():
            begun = time.perf_counter()
            rival.step()
            told = rival.look().argmax(dim=1)
            rival.seconds.append(time.perf_counter() - begun)
            right = {part: float((told[nodes] == labels[nodes]).float().mean()) for part, nodes in parts.items()}
            if right["validation"] > rival.best[0]:
                rival.best = (right["validation"], right["test"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="embedded", help="an .npz with a split of its own")
    parser.add_argument("--models", nargs="+", choices=list(RATES), default=list(RATES))
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    restart_as_trainer()
    graph = citations() if options.data == "embedded" else read_attributed(Path(options.data))
    packages: dict[str, Callable[[str, AttributedGraph, int], Rival]] = {"this package": ours, "DGL": dgl_layers}
    if importlib.util.find_spec("torch_geometric") is not None:
        packages["PyTorch Geometric"] = geometric
    else:
        console.print("PyTorch Geometric is not installed: pip install '.[rivals]'")
    console.print(machine_with_torch())
    console.print(f"{graph.source}: {graph.nodes:,} nodes, {len(graph.edges):,} edges; {options.epochs} epochs each")
    rows, total = [], dict.fromkeys(packages, 0.0)
    for kind in options.models:
        rivals = {name: make(kind, graph, options.seed) for name, make in packages.items()}
        train_in_turn(rivals, graph, options.epochs)
        mine = rivals["this package"].seconds
        for name, rival in rivals.items():
            times = statistics.median(theirs / own for theirs, own in zip(rival.seconds, mine, strict=True))
            total[name] += sum(rival.seconds)
            figures = [f"{1e3 * statistics.median(rival.seconds):.1f} ms", f"{times:.2f}x"]
            rows.append([f"{kind}, {name}", *figures, f"{100 * rival.best[1]:.1f} %"])
    show("A step and a look, medians", ["model", "an epoch", "of ours", "test accuracy"], rows)
    show("All of it", ["package", "seconds"], [[name, f"{seconds:.1f} s"] for name, seconds in total.items()])


if __name__ == "__main__":
    main()
