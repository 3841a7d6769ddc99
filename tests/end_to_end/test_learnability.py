"""On the embedded graph message passing beats a ranking by degree on diseases that training never saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from flykd_console.graph.load import load_graph
from flykd_console.profile.schema import Profile
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.log import EventWriter
from flykd_console.tasks.link_prediction.metrics import score
from flykd_console.tasks.link_prediction.task import Evaluator, Task
from flykd_console.training.loops.finetune import finetune
from flykd_console.training.orders import ControlDesk
from flykd_console.training.session import StageSession


def _degree_ranking(task: Task) -> float:
    """Macro AUPRC of head degree times tail degree over the whole training graph: what popularity tells."""
    degree = {node_type: np.ones(count) for node_type, count in task.node_counts.items()}
    for edge_type, (_, tails) in task.messages.edges.items():
        degree[edge_type.tail] += np.bincount(tails, minlength=task.node_counts[edge_type.tail])
    head_type, tail_type = task.targets[0].head, task.targets[0].tail
    scores = [
        average_precision_score(pairs.labels, degree[head_type][pairs.heads] * degree[tail_type][pairs.tails])
        for pairs in task.evaluation("test")
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
        task = Task(profile, graph, graph.targets(profile.graph.targets), seed, torch.device("cpu"))
        directory = RunDirectory(tmp_path)
        events = EventWriter(directory.events)
        session = StageSession(
            directory=directory,
            events=events,
            control=ControlDesk(directory, events),
            seed=seed,
            stage="baseline",
            epochs_total=profile.finetune.epochs,
            model=task.new_model("student"),
            key="",
            checkpoint_every=10_000,
        )
        finetune(task, session.model, profile.finetune, session)
        events.close()
        learnt.append(score(Evaluator(task, session.model, "test").logits(session.model)).macro_auprc or 0.0)
        by_degree.append(_degree_ranking(task))
    assert np.mean(learnt) > np.mean(by_degree) + 0.1
