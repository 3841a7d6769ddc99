"""On the embedded graph message passing beats a ranking by degree on diseases that training never saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from flykd_console.graph.load import load_graph
from flykd_console.profile.models import models_of
from flykd_console.profile.schema import Profile
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.log import EventWriter
from flykd_console.tasks.link_prediction.data import LinkData
from flykd_console.tasks.link_prediction.evaluator import Evaluator
from flykd_console.tasks.link_prediction.metrics import score
from flykd_console.tasks.link_prediction.task import LinkPrediction
from flykd_console.training.checkpoint import Checkpointer
from flykd_console.training.loops.train import train
from flykd_console.training.orders import Orders
from flykd_console.training.stage_loop import Cadence, StageLoop, Watched


def _degree_ranking(data: LinkData) -> float:
    """Macro AUPRC of head degree times tail degree over the whole training graph: what popularity tells."""
    degree = {node_type: np.ones(count) for node_type, count in data.node_counts.items()}
    for edge_type, (_, tails) in data.messages.edges.items():
        degree[edge_type.tail] += np.bincount(tails, minlength=data.node_counts[edge_type.tail])
    head_type, tail_type = data.targets.head, data.targets.tail
    scores = [
        average_precision_score(pairs.labels, degree[head_type][pairs.heads] * degree[tail_type][pairs.tails])
        for pairs in data.evaluation("test")
    ]
    return float(np.mean(scores))


@pytest.mark.timeout(120)
def test_the_student_sized_model_beats_degree_ranking_on_unseen_diseases(tmp_path: Path) -> None:
    profile = Profile.model_validate(
        {"student": {"dim": 32}, "finetune": {"epochs": 120, "lr": 5e-3, "plateau": {"last_epochs": 0}}}
    )
    graph = load_graph(profile.graph)
    learnt: list[float] = []
    by_degree: list[float] = []
    for seed in (45, 46):
        task = LinkPrediction(profile, graph, graph.targets(profile.graph.targets), seed, torch.device("cpu"))
        directory = RunDirectory(tmp_path)
        events = EventWriter(directory.events)
        spec = next(spec for spec in models_of(profile) if spec.name == "baseline")
        model, epochs = task.new_model(spec), profile.finetune.epochs
        loop = StageLoop(
            seed,
            spec.training,
            epochs,
            {"baseline": Watched(model)},
            Cadence(validate_every=epochs, log_every=1, checkpoint_every=10_000),
            task.headline,
            events,
            Orders(directory, events),
            Checkpointer(directory.state(seed, "baseline"), directory.older_state(seed, "baseline"), "", "cpu"),
        )
        objective, finetune = task.supervised(model, "baseline"), profile.finetune
        train(objective, {"baseline": model}, finetune.lr, finetune.plateau, epochs, False, loop)
        events.close()
        learnt.append(score(Evaluator(task.data, model, "test").logits(model)).macro_auprc or 0.0)
        by_degree.append(_degree_ranking(task.data))
    assert np.mean(learnt) > np.mean(by_degree) + 0.1
