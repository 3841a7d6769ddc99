"""Graphs changed at random when trained models are tested."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from pydantic import ValidationError

from flykd_console.data.perturb import Perturbation
from flykd_console.profile.cohort import PERTURBATIONS
from flykd_console.runs.robustness import is_robustness, kinds_of, robustness_name
from tests.support.tiny_cohort import cohort_profile, cohort_task, small_citations

GRAPH = small_citations()
ONE = np.zeros(GRAPH.nodes, dtype=np.int64)


def changed(kind: str, strength: float, draw: int = 0, seed: int = 0) -> tuple[np.ndarray, sp.csr_array]:
    return Perturbation(kind, strength, draw).applied(GRAPH.edges, GRAPH.features, ONE, seed)


def test_a_share_of_the_edges_is_left_out() -> None:
    edges, features = changed("edges_removed", 0.25)
    assert len(edges) == len(GRAPH.edges) - round(0.25 * len(GRAPH.edges))
    assert {tuple(edge) for edge in edges} < {tuple(edge) for edge in GRAPH.edges}
    assert features is GRAPH.features
    assert len(changed("edges_removed", 1.0)[0]) == 0


def test_edges_come_between_nodes_of_one_graph() -> None:
    edges, _ = changed("edges_added", 0.5)
    assert {tuple(edge) for edge in edges} > {tuple(edge) for edge in GRAPH.edges}
    assert len(edges) <= round(1.5 * len(GRAPH.edges))
    assert (edges[:, 0] < edges[:, 1]).all()
    graph_of = np.arange(GRAPH.nodes, dtype=np.int64) // 20
    inside = GRAPH.edges[graph_of[GRAPH.edges[:, 0]] == graph_of[GRAPH.edges[:, 1]]]
    more, _ = Perturbation("edges_added", 1.0, 0).applied(inside, GRAPH.features, graph_of, 0)
    assert len(more) > len(inside)
    assert (graph_of[more[:, 0]] == graph_of[more[:, 1]]).all()


def test_values_are_masked_or_made_noisy() -> None:
    _, masked = changed("features_masked", 0.5)
    kept = (masked != 0).sum() / GRAPH.features.nnz
    assert 0.3 < kept < 0.7
    assert changed("features_masked", 1.0)[1].count_nonzero() == 0
    _, weak = changed("feature_noise", 0.1)
    _, strong = changed("feature_noise", 1.0)
    distances = [float(sp.linalg.norm(noisy - GRAPH.features)) for noisy in (weak, strong)]
    assert distances[1] == pytest.approx(10 * distances[0], rel=0.2)
    # Noise falls on zeros, too.
    assert strong.count_nonzero() > GRAPH.features.count_nonzero()


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_a_change_follows_from_seed_kind_strength_and_draw(kind: str) -> None:
    def whole(draw: int, seed: int) -> bytes:
        edges, features = changed(kind, 0.5, draw, seed)
        return bytes(edges.tobytes() + features.toarray().tobytes())

    assert whole(0, 3) == whole(0, 3)
    assert len({whole(0, 3), whole(1, 3), whole(0, 4)}) == 3


def test_accuracies_are_measured_alike_for_members_and_their_mean() -> None:
    robustness = {"edges_removed": [0.5], "features_masked": [1.0], "draws": 2}
    profile = cohort_profile(robustness=robustness)
    from flykd_console.profile.cohort_models import cohort_specs

    task = cohort_task(profile)
    models = {spec.name: task.new_model(spec) for spec in cohort_specs(profile.cohort) if spec.together}
    tests = {name: task.assess(name, [model])[0].metrics for name, model in models.items()}
    again = task.assess("gcn", [models["gcn"]])[0].metrics
    assert again == tests["gcn"]
    together = task.assess("ensemble", list(models.values()))[0].metrics
    for found in (*tests.values(), together):
        assert {"edges_removed@0.5", "features_masked@1"} <= found.keys()
    # Without a feature every node of an edgeless network is told the same.
    from flykd_console.data.perturb import Perturbation as Change

    answers = task.samples.perturbed(Change("features_masked", 1.0, 0))(models["gcn"])
    share = float((answers.argmax(dim=1).numpy() == task.samples.labels[task.samples.parts["test"]]).mean())
    assert tests["gcn"]["features_masked@1"] == pytest.approx(share)
    assert "edges_removed@0.5" not in task.assess("gcn", [models["gcn"]])[1].metrics


def test_no_change_is_no_change() -> None:
    task = cohort_task(cohort_profile())
    from flykd_console.profile.cohort_models import cohort_specs

    model = task.new_model(cohort_specs(task.profile.cohort)[0])
    unchanged = task.samples.perturbed(Perturbation("edges_removed", 0.0, 0))(model)
    np.testing.assert_allclose(unchanged.numpy(), task.samples.answers_of(model)["test"].detach().numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("robustness", "said"),
    [
        ({"edges_removed": [1.5]}, "less than or equal to 1"),
        ({"feature_noise": [0.0]}, "greater than 0"),
        ({"edges_removed": [0.5, 0.5]}, "edges_removed = 0.5 is named twice"),
        ({"draws": 5}, "draws says nothing without strengths"),
    ],
)
def test_strengths_that_cannot_be_are_refused(robustness: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        cohort_profile(robustness=robustness)


def test_names_of_strengths() -> None:
    name = robustness_name("edges_removed", 0.30)
    assert name == "edges_removed@0.3"
    assert is_robustness(name)
    assert not is_robustness("accuracy")
    metrics = [name, robustness_name("feature_noise", 2.0), robustness_name("edges_removed", 1.0)]
    assert kinds_of(metrics) == {
        "edges removed": {"0.3": "edges_removed@0.3", "1": "edges_removed@1"},
        "feature noise": {"2": "feature_noise@2"},
    }
