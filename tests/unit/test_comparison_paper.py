"""The paper's rows are told by what a run is made of, not by its name."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from flykd_console.compare.paper import CurriculumOf, method_row, model_row, paper, weights
from flykd_console.profile.schema import Profile
from flykd_console.runs.results import spread

FLYKD = """
[distill]
sources = ["pseudo_random", "original", "pseudo_train"]
"""
BASIC = '[distill]\nsources = ["original", "pseudo_train"]\n'
LSP = '[distill]\nsources = ["original"]\n[distill.lsp]\nweight = 500\n'


@pytest.mark.parametrize(
    ("profile", "row"),
    [
        ("", "FlyKD"),
        (FLYKD, "FlyKD"),
        ('[distill]\nmethod = "anything"\n', "FlyKD"),
        ("[distill]\nepochs = 40\n[distill.random_graph]\nlabels_per_relation = 500", "FlyKD"),
        ("[distill.random_graph]\nrefresh_every = 0", "FlyKD, fixed random graph"),
        ("[distill.random_graph]\nrefresh_every = 5", "FlyKD, occasional random graph (5)"),
        ("[distill.random_graph]\nmin_logit = 2.0", "FlyKD, strong scores (2)"),
        ("[distill.random_graph]\ndegree_power = 1.5", "FlyKD, mod probability"),
        ('[distill.curriculum]\nshape = "stepwise"', "FlyKD, stepwise"),
        ('[distill.curriculum]\nshape = "none"', "FlyKD, no curriculum"),
        # The same weights written as a constant.
        (
            "[distill.curriculum]\noriginal = [[0.0, 0.1]]\npseudo_train = [[0.0, 2.0]]\npseudo_random = [[0.0, 2]]",
            "FlyKD, no curriculum",
        ),
        (BASIC + '[distill.curriculum]\nshape = "none"', "Basic KD"),
        (
            BASIC + "[distill.curriculum]\noriginal = [[0.3, 1.0], [0.6, 0.05]]\npseudo_train = [[0.3, 0], [0.6, 1]]",
            "Basic KD + curriculum",
        ),
        (LSP, "LSP, 1 layer (RBF)"),
        (LSP + "layers = [1, 2]\nsigma = [0.2, 3.0]", "LSP, 2 layers (RBF)"),
        # None of the paper's.
        ("[distill.random_graph]\nrefresh_every = 7", None),
        ('[distill.random_graph]\nsampler = "exact"', None),
        ("[distill.curriculum]\noriginal = [[0.1, 1.0], [0.4, 0.05]]", None),
        ("[distill.hidden]\nweight = 1.0", None),
        ("[distill.anchor]\nrank_weight = 1.0", None),
        ("[distill.lsp]\nweight = 500", None),
        (LSP + 'kernel = "cosine"', None),
        ("[distill]\nteachers = 3", None),
        ("[distill]\ntemperature = 4.0", None),
        ("[student]\ndim = 64", None),
        ("[teacher]\nlayers = 3", None),
        ('[student]\nkind = "rgat"', None),
    ],
)
def test_a_row_is_known_by_its_composition(profile: str, row: str | None) -> None:
    found = method_row(tomllib.loads(profile))
    assert (found.name if found else None) == row


def test_a_resolved_profile_matches_as_its_short_form() -> None:
    found = method_row(Profile().model_dump(mode="json", exclude_none=True))
    assert found is not None
    assert found.name == "FlyKD"


@pytest.mark.parametrize("shape", ["linear", "stepwise", "none"])
def test_weights_are_those_that_training_uses(shape: str) -> None:
    profile = Profile.model_validate({"distill": {"curriculum": {"shape": shape}}})
    curriculum, sources = profile.distill.curriculum, profile.distill.sources
    ours = weights(CurriculumOf(shape=shape), sources)
    for i in range(101):
        total = sum(curriculum.weight(source, i / 100) for source in sources)
        for source in sources:
            assert ours[source][i] == pytest.approx(curriculum.weight(source, i / 100) / total)


def test_every_row_of_the_paper_matches_itself_alone() -> None:
    for row in paper().method:
        distill: dict[str, Any] = {"sources": list(row.sources), "curriculum": struct(row.curriculum)}
        distill |= {"random_graph": struct(row.random_graph), "lsp": struct(row.lsp)}
        assert method_row({"distill": distill}) == row


def test_the_table_of_baselines_agrees_with_its_own_seeds() -> None:
    for row in paper().model:
        found = spread(row.auprc)
        assert found is not None
        assert (found.mean, found.std) == pytest.approx((row.mean, row.std), abs=0.011)
    assert model_row("baseline", 80) is not None
    assert model_row("baseline", 81) is None


def struct(value: Any) -> dict[str, Any]:
    import msgspec

    found: dict[str, Any] = msgspec.to_builtins(value)
    return found
