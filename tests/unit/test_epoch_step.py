"""An epoch reads nothing back from the device, and a step leaves what the plain loop would leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from flykd_console.model.link_model import network
from flykd_console.model.rgcn import HeteroRGCN
from flykd_console.profile.distill import Plateau
from flykd_console.profile.models import models_of
from flykd_console.profile.schema import Profile
from flykd_console.tasks.base import Objective, Weights
from flykd_console.tasks.link_prediction.task import LinkPrediction
from flykd_console.training.checkpoint import Checkpointer
from flykd_console.training.loops.replay import Replay, adam
from flykd_console.training.loops.schedule import DevicePlateau
from flykd_console.training.loops.train import train
from tests.support.small_graph import small_graph

# Operations whose result depends on values: on a GPU the host would wait for them.
READS_BACK = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "_unique2", "is_nonzero", "equal")


def small_task(profile: Profile) -> LinkPrediction:
    graph = small_graph()
    return LinkPrediction(profile, graph, graph.targets(profile.graph.targets), 45, torch.device("cpu"))


class Watched(TorchDispatchMode):
    """Notes every operation that would make the host wait for the device."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.met: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        masks = [x for x in args[1] if x is not None and x.dtype == torch.bool] if name == "index" else []
        if name in READS_BACK or masks:
            self.met.append(name)
        return func(*args, **(kwargs or {}))


class Bare:
    """A loop that keeps losses as they are and never looks at them."""

    def __init__(self, epochs: int) -> None:
        self.count = epochs
        self.models: dict[str, Any] = {}
        self.checkpointer = Checkpointer(Path("nowhere"), Path("nowhere either"), "", "cpu")
        self.watched = Watched()
        self.losses: list[dict[str, Tensor]] = []

    def epochs(self) -> Any:
        # The first epoch makes the optimiser's state; the others are what a stage is made of.
        for epoch in range(self.count):
            if epoch == 0:
                yield epoch
            else:
                with self.watched:
                    yield epoch

    def end_epoch(self, epoch: int, losses: dict[str, Tensor], lr: object, weights: object = None) -> None:
        self.losses.append(losses)

    def log(self, message: str, level: str = "info") -> None: ...


def carry_out(task: LinkPrediction, objective: Objective, model: HeteroRGCN, loop: Bare) -> None:
    """Train as a stage does, but for what a loop does between epochs."""
    finetune = task.profile.finetune
    train(objective, {"model": model}, finetune.lr, finetune.plateau, loop.count, False, loop)  # type: ignore[arg-type]


SAMPLERS = ["pairs", "blocks", "exact"]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_distilling_epoch_reads_nothing_back(sampler: str) -> None:
    every = 1 if sampler == "exact" else 2
    profile = Profile.model_validate(
        {
            "teacher": {"dim": 8},
            "student": {"dim": 6},
            "finetune": {"plateau": {"last_epochs": 0}},
            "distill": {
                "epochs": 12,
                "random_graph": {"sampler": sampler, "labels_per_relation": 50, "refresh_every": every},
                "lsp": {"weight": 1.0},
                "hidden": {"weight": 1.0, "attention": "degree"},
                "anchor": {"rank_weight": 1.0, "distribution_weight": 1.0, "anchors": 4, "contexts": 4},
            },
        }
    )
    task, loop = small_task(profile), Bare(12)
    teacher, _, student = models_of(profile)
    model = network(task.new_model(student))
    carry_out(task, task.distilled(student, model, [task.new_model(teacher)], lambda *_: None), model, loop)
    assert loop.watched.met == []
    assert {"lsp", "hidden", "anchor_rank", "pseudo_random"} <= loop.losses[-1].keys()


def test_finetuning_epoch_reads_nothing_back() -> None:
    profile = Profile.model_validate({"student": {"dim": 6}, "finetune": {"epochs": 5, "plateau": {"last_epochs": 0}}})
    task, loop = small_task(profile), Bare(5)
    _, baseline, _ = models_of(profile)
    model = network(task.new_model(baseline))
    carry_out(task, task.supervised(model, "baseline"), model, loop)
    assert loop.watched.met == []
    assert len(loop.losses) == 5


def test_watcher_notices_a_value_that_is_read_back() -> None:
    watched = Watched()
    with watched:
        float(torch.ones(()) + 1)
        x = torch.arange(4)
        x[x > 1]
    assert len(watched.met) >= 2


def test_plateau_on_the_device_reads_nothing_back() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([weight], lr=torch.tensor(0.1))
    plateau = DevicePlateau(optimizer, Plateau(patience=0, last_epochs=20), 20)
    with Watched() as watched:
        for epoch in range(20):
            plateau.step(epoch, torch.ones(()))
    assert watched.met == []
    assert float(optimizer.param_groups[0]["lr"]) < 0.1


def test_step_does_what_the_plain_loop_does() -> None:
    def trained(stepwise: bool) -> Tensor:
        weight = torch.nn.Parameter(torch.tensor([2.0, -3.0]))
        optimizer = adam([weight], 0.05)

        def carry_out(epoch: int, weights: Weights) -> dict[str, Tensor]:
            assert "off" not in weights
            optimizer.zero_grad()
            losses = {"total": weights["on"] * (weight - epoch).square().sum()}
            losses["total"].backward()
            optimizer.step()
            return losses

        step = Replay(carry_out, optimizer)
        for epoch in range(10):
            if stepwise:
                _, lr = step(epoch, {"on": 0.5, "off": 0.0})
                assert lr == 0.05
            else:
                carry_out(epoch, {"on": 0.5})
        return weight.detach()

    assert torch.equal(trained(True), trained(False))
