"""The paper's rows are told by what a run is made of, not by its name."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from flykd_console.compare.paper import method_row, model_row, paper
from flykd_console.profile.files import shipped_profiles
from flykd_console.profile.load import dump_profile, load_profile, validate
from flykd_console.profile.schema import Profile
from flykd_console.runs.results import spread

FLYKD = """
[distill]
sources = ["pseudo_random", "original", "pseudo_train"]
"""
BASIC = '[distill]\nsources = ["original", "pseudo_train"]\n'
# Which row each profile of the three folders repeats; those that are not named repeat none.
ROWS = {
    "baseline": "FlyKD",  # it trains no student, and leaves the composition as it is
    "by-time": "FlyKD",  # on another split
    "basic-kd": "Basic KD",
    "basic-kd-curriculum": "Basic KD + curriculum",
    "flykd": "FlyKD",
    "flykd-fixed-graph": "FlyKD, fixed random graph",
    "flykd-mod-probability": "FlyKD, mod probability",
    "flykd-no-curriculum": "FlyKD, no curriculum",
    "flykd-no-pseudo-train": "FlyKD, no pseudo labels on train",
    "flykd-occasional": "FlyKD, occasional random graph (5)",
    "flykd-stepwise": "FlyKD, stepwise",
    "flykd-strong-scores": "FlyKD, strong scores (2)",
    "lsp-1": "LSP, 1 layer (RBF)",
    "lsp-2": "LSP, 2 layers (RBF)",
}
# The published commands set the switch where it had no effect.
OTHERS = {"primekg/reference/flykd-mod-probability": "FlyKD"}

LSP = '[distill]\nsources = ["original"]\n[distill.lsp]\nweight = 500\n'


def row_of(profile: Profile) -> str | None:
    found = method_row(profile)
    return found.name if found else None


@pytest.mark.parametrize(
    ("profile", "row"),
    [
        ("", "FlyKD"),
        (FLYKD, "FlyKD"),
        ('[distill]\nmethod = "anything"\n', "FlyKD"),
        ("[distill]\nepochs = 40\n[distill.random_graph]\nlabels_per_relation = 500", "FlyKD"),
        ('[distill]\npseudo_negatives = "teacher"\nplateau = { last_epochs = 0 }', "FlyKD"),
        # Settings that act on nothing.
        ('[distill.lsp]\nkernel = "cosine"\n[distill.hidden]\nloss = "cosine"\n[distill.anchor]\nanchors = 7', "FlyKD"),
        (LSP + "[distill.random_graph]\nrefresh_every = 7", "LSP, 1 layer (RBF)"),
        ("[distill.random_graph]\nrefresh_every = 0", "FlyKD, fixed random graph"),
        ("[distill.random_graph]\nrefresh_every = 5", "FlyKD, occasional random graph (5)"),
        # The paper's networks do not count, and its negatives never ask which drug.
        ('[negatives]\nreplace = "both"', None),
        ('[student]\nbiases = "head"', None),
        ("[teacher]\nself_loop = true", None),
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
    assert row_of(validate(tomllib.loads(profile), "profile.toml")) == row


def test_a_further_model_has_the_row_of_its_own_method() -> None:
    text = FLYKD + "[models.alike]\n[models.narrow]\ndim = 16\n[models.basic.distill]\n"
    text += 'sources = ["original", "pseudo_train"]\ncurriculum = { shape = "none" }\n'
    profile = validate(tomllib.loads(text), "profile.toml")
    rows = {name: method_row(profile, name) for name in ("student", "alike", "narrow", "basic", "unheard-of")}
    assert {name: row.name for name, row in rows.items() if row is not None} == {
        "student": "FlyKD",
        "alike": "FlyKD",
        "basic": "Basic KD",
    }


@pytest.mark.parametrize("name", shipped_profiles())
def test_every_shipped_profile_repeats_its_row(name: str, tmp_path: Path) -> None:
    row = OTHERS.get(name, ROWS.get(name.rpartition("/")[2]))
    assert row_of(load_profile(name)) == row
    resolved = tmp_path / "profile.toml"
    resolved.write_text(dump_profile(load_profile(name)))
    assert row_of(load_profile(resolved)) == row


def test_every_row_of_the_paper_is_repeated_by_the_profile_that_it_names() -> None:
    assert [row_of(load_profile(row.profile)) for row in paper().method] == [row.name for row in paper().method]


def test_the_table_of_baselines_agrees_with_its_own_seeds() -> None:
    for row in paper().model:
        found = spread(row.auprc)
        assert found is not None
        assert (found.mean, found.std) == pytest.approx((row.mean, row.std), abs=0.011)
    assert model_row("baseline", 80) is not None
    assert model_row("baseline", 81) is None
