"""`extends`: how files are put on top of each other, what their paths mean, and what every mistake says."""

from __future__ import annotations

from pathlib import Path

import pytest

from flykd_console.errors import UserError
from flykd_console.profile.load import dump_profile, load_profile
from flykd_console.profile.schema import Profile


def write(folder: Path, **files: str) -> None:
    """Files by name without ending."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text)


def refused(path: Path | str, *settings: str) -> str:
    with pytest.raises(UserError) as error:
        load_profile(path, settings)
    line = str(error.value)
    assert "\n" not in line
    return line


def test_tables_merge_key_by_key_and_arrays_replace(tmp_path: Path) -> None:
    write(
        tmp_path,
        base="[run]\nseeds = [1, 2, 3]\n[finetune]\nlr = 0.1\nplateau = { factor = 0.5, patience = 3 }\n",
        mine='extends = "base.toml"\n[run]\nseeds = [4]\n[finetune.plateau]\npatience = 7\n',
    )
    profile = load_profile(tmp_path / "mine.toml")
    assert profile.run.seeds == [4]
    assert profile.finetune.lr == 0.1
    assert (profile.finetune.plateau.factor, profile.finetune.plateau.patience) == (0.5, 7)


def test_a_list_is_applied_in_order_and_chains_are_followed(tmp_path: Path) -> None:
    write(
        tmp_path,
        deep="[teacher]\ndim = 10\n[student]\ndim = 10\n[finetune]\nepochs = 10\n",
        left='extends = "deep.toml"\n[student]\ndim = 20\n[finetune]\nepochs = 20\n',
        right="[finetune]\nepochs = 30\n",
        mine='extends = ["left.toml", "right.toml"]\n',
    )
    profile = load_profile(tmp_path / "mine.toml")
    assert (profile.teacher.dim, profile.student.dim, profile.finetune.epochs) == (10, 20, 30)


def test_a_file_that_several_extend_counts_once_where_it_comes_first(tmp_path: Path) -> None:
    write(
        tmp_path,
        base="[teacher]\ndim = 10\n[student]\ndim = 10\n",
        row='extends = "base.toml"\n[teacher]\ndim = 20\n',
        quirks='extends = "base.toml"\n[student]\ndim = 30\n',
        both='extends = ["row.toml", "quirks.toml"]\n',
    )
    profile = load_profile(tmp_path / "both.toml")
    assert (profile.teacher.dim, profile.student.dim) == (20, 30)


def test_shipped_profiles_are_extended_by_name(tmp_path: Path) -> None:
    write(tmp_path, mine='extends = "primekg/basic-kd"\n[run]\nname = "mine"\n')
    profile = load_profile(tmp_path / "mine.toml")
    assert profile.distill == load_profile("primekg/basic-kd").distill
    assert profile.run.name == "mine"


def test_a_profile_that_extends_another_is_named_after_its_file_unless_it_says_a_name(tmp_path: Path) -> None:
    write(
        tmp_path,
        base='[run]\nname = "base-of-all"\n',
        mine='extends = "base.toml"\n[run]\nseeds = [4]\n',
        says='extends = "mine.toml"\n[run]\nname = "said"\n',
        further='extends = "says.toml"\n',
    )
    write(
        tmp_path, **{"my own (2)": 'extends = "flykd"\n', "…": 'extends = "flykd"\n', "plain": "[teacher]\ndim = 4\n"}
    )
    named = {path.stem: load_profile(path).run.name for path in tmp_path.glob("*.toml")}
    assert named == {
        "base": "base-of-all", "mine": "mine", "says": "said", "further": "further", "my own (2)": "my-own-2",
        "…": "flykd", "plain": "flykd",
    }  # fmt: skip
    assert load_profile(tmp_path / "mine.toml", ["run.name=other"]).run.name == "other"
    write(tmp_path, odd='run = 3\nextends = "base.toml"\n')
    assert "odd.toml" in refused(tmp_path / "odd.toml")


def test_a_file_beside_comes_before_a_shipped_profile_of_that_name(tmp_path: Path) -> None:
    write(tmp_path, mine='extends = "flykd"\n')
    (tmp_path / "flykd").write_text("[teacher]\ndim = 17\n")
    assert load_profile(tmp_path / "mine.toml").teacher.dim == 17


def test_a_circle_is_refused_with_the_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(
        tmp_path, a='extends = "sub/../b.toml"\n', b='extends = ["c.toml"]\n', c='extends = "a.toml"\n', sub="",
        self='extends = "self.toml"\n',
    )  # fmt: skip
    assert refused("a.toml") == (
        "a.toml → b.toml → c.toml → a.toml: 3 profiles extend each other in a circle. Take one of the `extends` out."
    )
    assert refused("self.toml").startswith("self.toml → self.toml: extends itself")


def test_a_missing_file_is_refused_with_the_chain_and_what_is_near(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, a='extends = "b.toml"\n', b='extends = "basis.toml"\n', base="", shipped='extends = "primekg/flyk"')
    line = "a.toml → b.toml, extends = 'basis.toml': there is no such profile. Did you mean base.toml?"
    assert refused("a.toml") == line
    assert "Did you mean primekg/flykd?" in refused("shipped.toml")


@pytest.mark.parametrize("value", ["3", "[3]", '""', '[""]', "{ a = 1 }", "true"])
def test_extends_that_is_no_name_is_refused(tmp_path: Path, value: str) -> None:
    write(tmp_path, mine=f"extends = {value}\n")
    assert "mine.toml, extends: must be a profile or a list of profiles" in refused(tmp_path / "mine.toml")


def test_a_broken_file_further_up_is_named(tmp_path: Path) -> None:
    write(tmp_path, base="[run\n", mine='extends = "base.toml"\n')
    assert refused(tmp_path / "mine.toml").startswith(f"{tmp_path / 'base.toml'}: not valid TOML")


@pytest.mark.parametrize(
    ("base", "mine", "file", "line"),
    [
        ("[finetune]\nlr = -1\n", "", "base", "finetune.lr: must be above 0"),
        ("[finetune]\nlr = 1\n", "[finetune]\nlr = -1\n", "mine", "finetune.lr: must be above 0"),
        ("[finetune]\nepohcs = 1\n", "[finetune]\nlr = 1\n", "base", "finetune.epohcs: unknown key"),
        ("finetune = { plateau = { factor = 7 } }\n", "[finetune]\nlr = 1\n", "base", "finetune.plateau.factor"),
        ("[run]\nseeds = [45, -1]\n", "", "base", "run.seeds[1]: must be at least 0"),
        (
            "[split]\nkind = 'disease'\ndiseases = ['x']\n",
            "[split]\nkind = 'random'\n",
            "mine",
            "split.diseases belong",
        ),
    ],
)
def test_a_bad_key_is_told_with_the_file_that_says_it(
    tmp_path: Path, base: str, mine: str, file: str, line: str
) -> None:
    write(tmp_path, base=base, mine=f'extends = "base.toml"\n{mine}')
    said = refused(tmp_path / "mine.toml")
    assert str(tmp_path / f"{file}.toml") in said
    assert line in said


def test_set_comes_last_and_is_named(tmp_path: Path) -> None:
    write(tmp_path, base="[teacher]\ndim = 10\n", mine='extends = "base.toml"\n')
    assert load_profile(tmp_path / "mine.toml", ["teacher.dim=12"]).teacher.dim == 12
    assert refused(tmp_path / "mine.toml", "teacher.dim=1").startswith("--set teacher.dim=1: must be at least 2")


def test_paths_are_relative_to_the_file_that_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = "kind = 'files'\ntrain = 'train.csv'\nvalidation = '../v.csv'\ntest = '/data/test.csv'\n"
    write(tmp_path / "up", base=f"[graph]\nsource = 'kg.csv'\n[split]\n{files}")
    write(tmp_path / "down", mine='extends = "../up/base.toml"\n[split]\ntest = "mine.csv"\n')
    profile = load_profile("down/mine.toml", ["split.train=typed.csv"])
    assert profile.graph.source == str(tmp_path / "up" / "kg.csv")
    assert profile.split.train == str(tmp_path / "typed.csv")
    assert profile.split.validation == str(tmp_path / "v.csv")
    assert profile.split.test == str(tmp_path / "down" / "mine.csv")


@pytest.mark.parametrize(("area", "absolute"), [("anemia", False), ("anemia.csv", True), ("./areas/anemia", True)])
def test_an_area_is_a_path_where_it_looks_like_one(tmp_path: Path, area: str, absolute: bool) -> None:
    write(tmp_path, mine=f"[split]\nkind = 'disease_area'\narea = '{area}'\n")
    found = load_profile(tmp_path / "mine.toml").split.area
    assert found == (str(tmp_path / area.removeprefix("./")) if absolute else area)


@pytest.mark.parametrize("source", ["embedded", "synthetic", "primekg"])
def test_graphs_by_name_are_no_paths(tmp_path: Path, source: str) -> None:
    write(tmp_path, mine=f"[graph]\nsource = '{source}'\n")
    assert load_profile(tmp_path / "mine.toml").graph.source == source


def test_what_a_parent_says_of_a_source_that_a_child_leaves_out_is_forgotten(tmp_path: Path) -> None:
    write(
        tmp_path,
        base="[distill.curriculum]\npseudo_train = [[0.1, 1.0]]\npseudo_random = [[0.1, 1.0]]\n"
        "[distill.random_graph]\nmin_logit = 2.0\nunseen = 0.5\n",
        mine='extends = "base.toml"\n[distill]\nsources = ["original", "pseudo_train"]\n',
    )
    for profile in (
        load_profile(tmp_path / "mine.toml"),
        load_profile(tmp_path / "base.toml", ['distill.sources=["original", "pseudo_train"]']),
    ):
        assert profile.distill.curriculum.pseudo_train == [(0.1, 1.0)]
        assert profile.distill.random_graph.min_logit is None
        assert profile.distill.random_graph.unseen == 0.0


def test_what_a_file_says_itself_of_a_source_that_it_leaves_out_is_refused(tmp_path: Path) -> None:
    write(tmp_path, mine="[distill]\nsources = ['original']\n[distill.curriculum]\npseudo_train = [[0.1, 1.0]]\n")
    assert "distill.curriculum.pseudo_train is set, but" in refused(tmp_path / "mine.toml")


def test_a_resolved_profile_stands_alone(tmp_path: Path) -> None:
    profile = load_profile("primekg/reference/basic-kd")
    text = dump_profile(profile)
    assert "extends" not in text
    assert "pseudo_random =" not in text
    (tmp_path / "resolved.toml").write_text(text)
    assert load_profile(tmp_path / "resolved.toml") == profile


_HIDDEN = "[distill.hidden]\nweight = 1.0\n"
_LSP = "[distill.lsp]\nweight = 1.0\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[distill]\nsources = ['original']\n[distill.random_graph]\nmin_logit = 2.0\n", "min_logit is set, but"),
        ("[distill]\nsources = ['original']\n[distill.random_graph]\nunseen = 0.5\n", "unseen is set, but"),
        ("[distill]\nteachers = 3\nepochs = 0\n", "averaged for a student, but distill.epochs = 0"),
        (f"[distill]\nepochs = 0\n{_LSP}", "distill.lsp.weight is above 0, but distill.epochs = 0"),
        (f"[distill]\nepochs = 0\n{_HIDDEN}", "distill.hidden.weight is above 0, but distill.epochs = 0"),
        (
            "[distill]\nepochs = 0\n[distill.anchor]\nrank_weight = 1.0\n",
            "distill.anchor.rank_weight is above 0, but distill.epochs = 0",
        ),
        (f"{_LSP}layers = [3]\n", "distill.lsp.layers names layer 3, but the teacher has 2"),
        (f"[student]\nlayers = 1\n{_LSP}", "distill.lsp.layers names layer 2, but the student has 1"),
        (f"{_LSP}layers = [1, 2]\n", "distill.lsp.sigma needs one value for each"),
        (f"{_LSP}layers = [2, 2]\nsigma = [1.0, 1.0]\n", "distill.lsp.layers names a layer twice"),
        (f"[graph.pooling]\nrelations = []\n{_LSP}", "'partial' means graph.pooling.relations, and there are none"),
        (f"[student]\nlayers = 1\n{_HIDDEN}", "distill.hidden.layers names layer 2, but the student has 1"),
        (f"[teacher]\nlayers = 3\n{_HIDDEN}layers = [[4, 1]]\n", "names layer 4, but the teacher has 3"),
        (f"{_HIDDEN}layers = [[1, 1], [1, 1]]\n", "distill.hidden.layers names a pair twice"),
        ("[split]\nkind = 'disease_area'\n", "kind = 'disease_area' needs split.area"),
    ],
)
def test_contradictory_compositions_are_refused_with_the_reason(tmp_path: Path, text: str, line: str) -> None:
    write(tmp_path, mine=text)
    said = refused(tmp_path / "mine.toml")
    assert line in said
    assert str(tmp_path / "mine.toml") in said


def test_one_loss_in_both_forms_is_allowed(tmp_path: Path) -> None:
    write(tmp_path, mine="[distill]\nteachers = 3\n[distill.random_graph]\nmin_logit = 2.0\nsampler = 'exact'\n")
    assert load_profile(tmp_path / "mine.toml").distill.teachers == 3
    assert Profile().distill.teachers == 1
