"""Reading profiles, `--set`, and what every kind of mistake says."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flykd_console.compare.loading import KEYS
from flykd_console.compare.rankings import RANKING_KEYS
from flykd_console.errors import UserError
from flykd_console.profile.files import find_profile, shipped_profiles
from flykd_console.profile.keys import keys
from flykd_console.profile.load import dump_profile, load_profile, parse_set
from flykd_console.profile.schema import Profile
from flykd_console.runs.directory import KEY_COLUMNS


def write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "my.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(tmp_path: Path, text: str | bytes, *settings: str) -> str:
    with pytest.raises(UserError) as error:
        load_profile(write(tmp_path, text), settings)
    line = str(error.value)
    assert "\n" not in line
    return line


def test_an_empty_profile_is_the_papers() -> None:
    profile = Profile()
    assert profile.finetune.epochs == 2000
    assert profile.distill.random_graph.labels_per_relation == 100_000
    assert (profile.teacher.dim, profile.student.dim) == (130, 80)


def test_the_primekg_profile_is_the_papers_setting() -> None:
    shipped = load_profile("primekg/flykd").model_dump()
    default = Profile().model_dump()
    default["run"]["name"] = "flykd-primekg"
    default["graph"]["source"] = "primekg"
    default["pretrain"] |= {"batch_size": 8192, "lr": 3e-3}  # told in the file
    assert shipped == default


@pytest.mark.parametrize("name", sorted(shipped_profiles()))
def test_every_shipped_profile_is_sound_and_round_trips(name: str, tmp_path: Path) -> None:
    profile = load_profile(name)
    assert load_profile(write(tmp_path, dump_profile(profile))) == profile


def test_a_byte_order_mark_is_no_part_of_a_profile(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('[run]\nname = "mine"\n', "utf-8-sig")
    assert load_profile(tmp_path / "mine.toml").run.name == "mine"


def test_shipped_profiles_are_found_by_name_and_by_file() -> None:
    assert {"flykd", "primekg/flykd"} <= set(shipped_profiles())
    for path in shipped_profiles().values():
        assert find_profile(path) == path


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[finetune]\nepohcs = 3", "finetune.epohcs: unknown key. Did you mean finetune.epochs?"),
        ("[finetun]\nepochs = 3", "finetun: unknown key. Did you mean finetune?"),
        ("dim = 3", "dim: unknown key. Did you mean teacher.dim or student.dim?"),
        ("[teacher]\nbreadth = 3", "teacher.breadth: unknown key. Known here: dim, layers, kind, biases"),
        ("[finetune.plateau]\npatiense = 3", "patiense: unknown key. Did you mean finetune.plateau.patience?"),
        ("[finetune]\nepochs = 3.5", "finetune.epochs: must be a whole number, but is 3.5"),
        ("[finetune]\nepochs = 3.0", "finetune.epochs: must be a whole number, but is 3.0"),
        ("[finetune]\nepochs = true", "finetune.epochs: must be a whole number, but is true"),
        ('[finetune]\nepochs = "3"', 'finetune.epochs: must be a whole number, but is "3"'),
        ("[finetune]\nepochs = 0", "finetune.epochs: must be at least 1, but is 0"),
        ('[finetune]\nlr = "high"', 'finetune.lr: must be a number, but is "high"'),
        ("[finetune]\nlr = 0", "finetune.lr: must be above 0, but is 0"),
        ("[finetune]\nlr = inf", "finetune.lr: must be a finite number, but is inf"),
        ("[finetune]\nlr = nan", "finetune.lr: must be a finite number, but is nan"),
        ("[teacher]\ndim = 5000", "teacher.dim: must be at most 4096, but is 5000"),
        ("[run]\nname = 7", "run.name: must be text in quotes, but is 7"),
        ("[run]\nname = ''", "run.name: must not be empty"),
        ("[run]\nname = '../x'", "run.name: must be letters, digits"),
        ("[run]\nname = 2026-01-01", "run.name: dates and times have no place in a profile: 2026-01-01"),
        ("[run]\ndevice = 'gpu'", "run.device: must be 'auto', 'cpu', 'cuda' or 'cuda:0', but is \"gpu\""),
        ("[run]\nseeds = 45", "run.seeds: must be a list, such as [1, 2], but is 45"),
        ("[run]\nseeds = []", "run.seeds: must not be empty"),
        ("[run]\nseeds = [45, -1]", "run.seeds[1]: must be at least 0, but is -1"),
        ("[run]\nseeds = [45, 45]", "run.seeds: a seed is named twice: [45, 45]"),
        ("[run]\nseeds = [99999999999999999999999]", "run.seeds[0]: must be below 2147483648"),
        ("[graph.pooling]\nenabled = 1", "graph.pooling.enabled: must be true or false, but is 1"),
        ("[split]\nkind = 'zero'", "'files' or 'by_time', but is \"zero\""),
        ("[split]\nfractions = [0.5, 0.5]", "split.fractions: has too few entries"),
        ("[split]\nfractions = [0.5, 0.5, 0.5]", "split.fractions: train, validation and test must each be above 0"),
        ("[distill.curriculum]\noriginal = [[0.2, 1.0, 3.0]]", "original[0]: must have at most 2 entries, but has 3"),
        ("[distill.curriculum]\noriginal = [[0.4, 1.0], [0.2, 1.0]]", "original: break points must ascend"),
        ("[negatives]\nratio = 0", "negatives.ratio: must be at least 1, but is 0"),
        ("[negatives]\npower = 0.5", "power does not act under distribution = 'uniform': it needs 'degree'"),
        ("[negatives]\ncandidates = 'linked'", "does not act under replace = 'tail': it needs 'head' or 'both'"),
        ("[negatives]\nloss = 'softmax'\nmargin = 2.0", "margin does not act under loss = 'softmax'"),
        ("[negatives]\nloss = 'margin'\nmargin = 0.0", "margin = 0 lets all scores be equal"),
        ("finetune = 5", "is a table of settings, but is given as 5. Set the keys inside it, such as finetune.epochs."),
        ("[finetune]\nlr = -1\n[run]\nname = 3\nx = 1", "And 2 more: run.x, finetune.lr."),
    ],
)
def test_mistakes_name_the_file_the_key_the_value_and_what_is_allowed(tmp_path: Path, text: str, line: str) -> None:
    said = refused(tmp_path, text)
    assert line in said
    assert str(tmp_path / "my.toml") in said


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[run\nname = 1", "line 1, column 5"),
        ("a = 1\na = 2", "line 2"),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "not a text file"),
        (b"\x00\x01", "not valid TOML"),
    ],
)
def test_files_that_are_no_toml_are_refused_with_the_place(tmp_path: Path, text: str | bytes, line: str) -> None:
    assert line in refused(tmp_path, text)


@given(st.binary(max_size=60))
def test_no_bytes_whatever_give_more_than_one_clear_line(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(data)
    try:
        said = str(load_profile(path).run.name)
    except UserError as error:
        said = str(error)
    assert "\n" not in said


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("flyk", "Did you mean flykd?"),
        ("profiles/flykd.toml", "Did you mean flykd?"),
        ("nothing-like-it", "flykd-console profiles list"),
        (".", "is a folder"),
        ("/dev/null", "not a regular file"),
        ("mine.tom", "Did you mean mine.toml?"),
    ],
)
def test_a_profile_that_is_not_there_says_which_is_near(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text("")
    with pytest.raises(UserError) as error:
        load_profile(name)
    assert line in str(error.value)


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("distill.epochs=500", "distill.epochs", 500),
        (" finetune.lr = 1e-3 ", "finetune.lr", 1e-3),
        ("run.seeds=[45, 46]", "run.seeds", [45, 46]),
        ("run.device=cuda:1", "run.device", "cuda:1"),
        ("graph.source=../a b/kg.csv.gz", "graph.source", "../a b/kg.csv.gz"),
        ('run.name="7"', "run.name", "7"),
        ("graph.pooling.enabled=false", "graph.pooling.enabled", False),
        ("finetune.plateau={ factor = 0.5 }", "finetune.plateau", {"factor": 0.5}),
    ],
)
def test_set_takes_toml_values_and_bare_words(text: str, key: str, value: object) -> None:
    override = parse_set(text)
    assert (override.key, override.value) == (key, value)


@pytest.mark.parametrize("text", ["", "x", "=3", "a..b=3", "run.seeds=[1,", "run.name='x", "run.name=", "a=1\nb=2"])
def test_set_that_cannot_be_read_is_refused_in_one_line(text: str) -> None:
    if text == "run.name=":
        assert parse_set('run.name=""').value == ""
    with pytest.raises(UserError) as error:
        parse_set(text)
    assert "\n" not in str(error.value)


def test_set_replaces_the_files_values_in_order(tmp_path: Path) -> None:
    path = write(tmp_path, "[finetune]\nepochs = 5\nlr = 0.1\n")
    profile = load_profile(path, ["finetune.epochs=6", "finetune.epochs=7", "distill.random_graph.sampler=pairs"])
    assert (profile.finetune.epochs, profile.finetune.lr) == (7, 0.1)


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("finetune.lr=-1", "--set finetune.lr=-1: must be above 0, but is -1"),
        ("finetune.plateau={ factor = 3 }", "--set finetune.plateau={ factor = 3 }: must be below 1, but is 3"),
        ("finetune.eopchs=3", "--set finetune.eopchs=3: unknown key. Did you mean finetune.epochs?"),
        ("run.seeds=4x", '--set run.seeds=4x: must be a list, such as [1, 2], but is "4x"'),
        ("run.name.first=x", "--set run.name.first=x: must be text"),
    ],
)
def test_a_mistake_in_set_names_the_option_and_not_the_file(tmp_path: Path, setting: str, line: str) -> None:
    said = refused(tmp_path, "", setting)
    assert said.startswith(line)


def test_the_engines_former_name_is_still_read_and_no_longer_written(tmp_path: Path) -> None:
    file = tmp_path / "old.toml"
    file.write_text('[engine]\npropagation = "planned"\n')
    profile = load_profile(file)
    assert profile == Profile()
    assert "planned" not in dump_profile(profile)


def test_set_below_a_value_is_refused(tmp_path: Path) -> None:
    assert "run.name is a value, not a table" in refused(tmp_path, "[run]\nname = 'a'", "run.name.first=x")


def test_every_key_can_be_set(tmp_path: Path) -> None:
    path = write(tmp_path, "")
    default = Profile()
    for key in keys():
        value: object = default
        for part in key.path.split("."):
            value = getattr(value, part, None)
        if value is None:
            continue  # TOML has no word for nothing
        text = dump_value(value)
        assert load_profile(path, [f"{key.path}={text}"]) == default, key.path


def dump_value(value: object) -> str:
    import json

    return json.dumps(value)


points = st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 9)), min_size=1, max_size=5).map(sorted)
names = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,20}\Z")
profiles = st.fixed_dictionaries(
    {
        "run": st.fixed_dictionaries(
            {"name": names, "seeds": st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=9, unique=True)}
        ),
        "graph": st.fixed_dictionaries(
            {
                "source": st.text(min_size=1, max_size=30).map(lambda name: os.path.abspath(f"/data/{name}.csv")),
                "targets": st.lists(st.text(max_size=20), min_size=1, max_size=4, unique=True),
                "scale": st.floats(1e-6, 1e6),
            }
        ),
        "finetune": st.fixed_dictionaries(
            {"lr": st.floats(min_value=1e-300, max_value=1e300), "epochs": st.integers(1, 10**9)}
        ),
        "distill": st.fixed_dictionaries(
            {
                "method": st.text(min_size=1, max_size=20),
                "curriculum": st.fixed_dictionaries(
                    {"original": points, "pseudo_train": points, "pseudo_random": points}
                ),
            }
        ),
    }
)


@given(profiles)
def test_a_dumped_profile_reads_back_equal(tmp_path_factory: pytest.TempPathFactory, data: dict[str, object]) -> None:
    profile = Profile.model_validate(data)
    path = tmp_path_factory.getbasetemp() / "round.toml"
    path.write_text(dump_profile(profile), encoding="utf-8")
    assert load_profile(path) == profile


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[distill.random_graph]\nsampler = 'exact'\nrefresh_every = 5",
            "refresh_every = 5 does not apply: sampler = 'exact' draws no graphs",
        ),
        (
            "[finetune]\nepochs = 100\npatience = 5\n[distill]\nepochs = 80",
            "patience = 5 can never end a stage: with a validation every 20 epochs it waits 100 of 100",
        ),
        (
            "[finetune]\nlr = 1e-3\nplateau = { stop_below = 1e-3 }",
            "finetune.plateau.stop_below = 0.001 ends a stage at once: finetune.lr is 0.001",
        ),
        (
            "[distill]\nplateau = { last_epochs = 0, stop_below = 1e-6 }",
            "distill.plateau.stop_below can never act: distill.plateau.last_epochs = 0 keeps the rate",
        ),
    ],
)
def test_settings_that_can_never_act_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=re.escape(message)):
        load_profile(path)


def test_a_model_of_fewer_sources_than_the_student_reads_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "profile.toml"
    path.write_text('[distill.random_graph]\nmin_logit = 1.5\n[models.few.distill]\nsources = ["original"]\n')
    profile = load_profile(path)
    path.write_text(dump_profile(profile))
    assert load_profile(path) == profile
    assert profile.models["few"].distill.random_graph.min_logit is None


def test_keys_without_a_value_are_named_as_comments_where_asked_for() -> None:
    text = dump_profile(Profile(), unset=True)
    assert "[distill.random_graph]\n# min_logit: not set\n" in text
    assert "[distill]\n# lr: not set\n" in text
    assert "\n# plateau: not set\n" in text
    assert tomllib.loads(text) == tomllib.loads(dump_profile(Profile()))


@pytest.mark.parametrize(
    ("curriculum", "settled"),
    [
        ({}, 0.6),
        ({"shape": "stepwise"}, 0.4),
        ({"shape": "none"}, 0.0),
        ({"original": [(0.0, 1.0)], "pseudo_train": [(0.5, 1.0)], "pseudo_random": [(0.1, 0.0), (1.0, 1.0)]}, 1.0),
    ],
)
def test_a_curriculum_settles_at_its_last_change(curriculum: dict[str, object], settled: float) -> None:
    profile = Profile.model_validate({"distill": {"curriculum": curriculum}})
    assert profile.distill.settled == settled


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("models.small.dimm=4", "--set models.small.dimm=4: unknown key. Did you mean models.small.dim?"),
        ("models.small.distill.epoch=4", "unknown key. Did you mean models.small.distill.epochs?"),
        ("models.small.distil.epochs=4", "unknown key. Did you mean models.small.distill?"),
        ('evaluation.heuristics=["neighbors"]', "there is no heuristic 'neighbors' (did you mean neighbours?)"),
        ('evaluation.heuristics=["xyz"]', "there is no heuristic 'xyz' (there are disease_popularity, neighbours"),
        *((f"models.{name}.dim=4", f"models.{name}: files of scores have a column") for name in KEY_COLUMNS),
        ("models.neighbours.dim=4", "models.neighbours: a heuristic is called so; choose another name"),
    ],
)
def test_names_that_are_not_there_have_a_suggestion_and_taken_ones_a_reason(
    tmp_path: Path, setting: str, line: str
) -> None:
    assert line in refused(tmp_path, "", setting)


def test_every_column_that_files_of_scores_are_read_by_is_taken() -> None:
    assert {*KEYS, *RANKING_KEYS} <= set(KEY_COLUMNS)
