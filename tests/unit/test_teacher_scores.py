"""Another program's scores as a teacher: what its logits are, what a run makes of them, and every fault of the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from flykd_console.distill.fixed_scores import FixedScores
from flykd_console.distill.pairs.pair_space import PairSpace
from flykd_console.distill.teachers.scores import read_scores
from flykd_console.errors import UserError
from flykd_console.graph.knowledge_graph import Targets
from flykd_console.graph.split.make import split_graph
from flykd_console.profile import sections
from flykd_console.profile.load import load_profile
from flykd_console.runs import events as ev
from flykd_console.runs.results import read_results
from flykd_console.training import worker
from tests.support.small_graph import CONTRAINDICATION, INDICATION, small_graph
from tests.support.tiny_run import MODELS, events_of, make_run, small_kg, tiny_profile

TARGETS = Targets([CONTRAINDICATION, INDICATION])
HEADER = "relation,x_id,y_id,score"
GOOD = ["indication,DR0001,DI0002,1.5", "contraindication,DR0003,DI0004,-2.25"]
DEFAULT = -3.0


def _table(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "scores.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def _ids(node_type: str) -> Sequence[str]:
    ids: list[str] = small_graph().nodes[node_type]["id"].to_list()
    return ids


def _space(dense_limit: int, **more: Any) -> PairSpace:
    train = split_graph(small_graph(), TARGETS, sections.Split(), 45).train
    return PairSpace(TARGETS, train, torch.device("cpu"), dense_limit, **more)


def _many(folder: Path) -> tuple[Path, dict[tuple[str, int, int], float]]:
    """A table of many pairs in no order, and what it says by relation, head and tail."""
    rng = torch.Generator().manual_seed(0)
    said: dict[tuple[str, int, int], float] = {}
    for target in TARGETS:
        for flat in torch.randperm(40 * 60, generator=rng)[:500].tolist():
            said[target.relation, flat // 60, flat % 60] = round(float(torch.randn((), generator=rng)), 4)
    return _table(folder, *(f"{r},DR{h:04d},DI{t:04d},{score}" for (r, h, t), score in said.items())), said


# Logits


@pytest.mark.parametrize("dense_limit", [10_000, 0], ids=["table", "search"])
@pytest.mark.parametrize("unseen", [False, True])
def test_a_named_pair_has_its_score_and_any_other_the_default(tmp_path: Path, dense_limit: int, unseen: bool) -> None:
    path, said = _many(tmp_path)
    space = _space(dense_limit, also=torch.arange(60).numpy() if unseen else None)
    teacher = FixedScores(space, read_scores(path, TARGETS, _ids), DEFAULT)
    every = teacher.logits([torch.arange(pairs.area) for pairs in space.relations])
    for number, pairs in enumerate(space.relations):
        heads = space.heads[pairs.heads.numpy()]
        expected = [
            [said.get((pairs.relation, int(head), int(tail)), DEFAULT) for tail in space.tails[pairs.relation]]
            for head in heads
        ]
        assert every[number].dtype == torch.float32
        assert torch.equal(every[number].view(len(heads), -1), torch.tensor(expected))
        assert torch.equal(teacher.block(number)(slice(0, len(heads))), torch.tensor(expected))
        rows, columns = torch.tensor([3, 1, 2]), torch.tensor([4, 0])
        some = torch.tensor(expected)[rows][:, columns]
        assert torch.equal(teacher.block(number, rows, columns)(slice(1, 3)), some[1:3])


def test_lists_are_over_every_head_of_the_space_and_the_default_where_nothing_is_named(tmp_path: Path) -> None:
    path, said = _many(tmp_path)
    # Tails that no relation trains on, and heads without an edge.
    space = _space(10_000, also=torch.arange(60).numpy(), also_heads=torch.arange(40).numpy())
    teacher = FixedScores(space, read_scores(path, TARGETS, _ids), DEFAULT)
    for number, pairs in enumerate(space.relations):
        columns = torch.tensor([pairs.tail_count - 1, 0, 7, 0])
        expected = [
            [
                said.get((pairs.relation, int(head), int(space.tails[pairs.relation][column])), DEFAULT)
                for head in range(40)
            ]
            for column in columns
        ]
        lists = teacher.lists(number, columns)
        assert lists.dtype == torch.float32
        assert torch.equal(lists, torch.tensor(expected))
        lists.zero_()
        assert torch.equal(teacher.lists(number, columns), torch.tensor(expected))


@pytest.mark.parametrize("dense_limit", [10_000, 0], ids=["table", "search"])
def test_what_is_given_out_may_be_overwritten(tmp_path: Path, dense_limit: int) -> None:
    space = _space(dense_limit)
    teacher = FixedScores(space, read_scores(_many(tmp_path)[0], TARGETS, _ids), DEFAULT)
    indices = [torch.arange(5) for _ in space.relations]
    before = [logits.clone() for logits in teacher.logits(indices)]
    for logits in teacher.logits(indices):
        logits.zero_()
    assert all(torch.equal(a, b) for a, b in zip(before, teacher.logits(indices), strict=True))


@pytest.mark.parametrize("dense_limit", [10_000, 0], ids=["table", "search"])
def test_pairs_outside_of_the_space_are_left_aside(tmp_path: Path, dense_limit: int) -> None:
    space = _space(dense_limit)
    rows = []
    for target in TARGETS:
        strange = next(tail for tail in range(60) if tail not in space.tails[target.relation])
        rows.append(f"{target.relation},DR0000,DI{strange:04d},9.0")
    teacher = FixedScores(space, read_scores(_table(tmp_path, *rows), TARGETS, _ids), DEFAULT)
    for logits in teacher.logits([torch.arange(pairs.area) for pairs in space.relations]):
        assert torch.equal(logits, torch.full_like(logits, DEFAULT))


def test_further_columns_their_order_and_blank_lines_do_not_matter(tmp_path: Path) -> None:
    rows = ["m,1.5,DI0002,DR0001,indication", "", "m,-2.25,DI0004,DR0003,contraindication", ""]
    found = read_scores(_table(tmp_path, *rows, header="by,score,y_id,x_id,relation"), TARGETS, _ids)
    assert found.rows() == [("indication", 1, 2, 1.5), ("contraindication", 3, 4, -2.25)]
    assert read_scores(_table(tmp_path, *GOOD), TARGETS, _ids).equals(found)


# Faults

FAULTS = {
    "column": ("relation,x_id,y_id,logit", [], "header: lacks the column score. It needs relation, x_id, y_id, score"),
    "word": (HEADER, ["indication,DR0005,DI0005,high"], "row 3: the score 'high' is not a finite number. Give a logit"),
    "no score": (HEADER, ["indication,DR0005,DI0005,"], "row 3: the score '' is not a finite number"),
    "nan": (HEADER, ["indication,DR0005,DI0005,nan"], "row 3: the score 'nan' is not a finite number"),
    "infinite": (HEADER, ["indication,DR0005,DI0005,-inf"], "row 3: the score '-inf' is not a finite number"),
    "too large": (HEADER, ["indication,DR0005,DI0005,1e300"], "row 3: the score '1e300' is not a finite number"),
    "after a blank line": (HEADER, ["", "indication,DR0005,DI0005,nan"], "row 4: the score 'nan' is not"),
    "head": (HEADER, ["indication,XX,DI0005,1"], "row 3: x_id 'XX' is no drug of the graph. x_id is the id of a drug"),
    "tail": (HEADER, ["indication,DR0005,DI9999,1"], "row 3: y_id 'DI9999' is no disease of the graph"),
    "no id": (HEADER, ["indication,,DI0005,1"], "row 3: x_id '' is no drug of the graph"),
    "turned": (HEADER, ["indication,DI0005,DR0005,1"], "row 3: x_id 'DI0005' is no drug of the graph"),
    "relation": (HEADER, ["cures,DR0005,DI0005,1"], "row 3: the relation 'cures' is not among graph.targets. Name one"),
    "no relation": (HEADER, [",DR0005,DI0005,1"], "row 3: the relation '' is not among graph.targets"),
    "no target": (HEADER, ["drug_protein,DR0005,DI0005,1"], "row 3: the relation 'drug_protein' is not among"),
    "twice": (
        HEADER,
        ["indication,DR0005,DI0005,1", GOOD[0]],
        "row 4: the indication pair DR0001, DI0002 was scored before in row 1. Keep one of the two rows",
    ),
    "too many fields": (HEADER, ["indication,DR0005,DI0005,1,2"], "line 4 has 5 fields where the header has 4"),
}


@pytest.mark.parametrize(("header", "rows", "told"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_told_in_a_line_with_file_and_row(tmp_path: Path, header: str, rows: list[str], told: str) -> None:
    path = _table(tmp_path, *GOOD, *rows, header=header)
    with pytest.raises(UserError) as refused:
        read_scores(path, TARGETS, _ids)
    assert str(refused.value).startswith(str(path))
    assert told in str(refused.value)
    assert refused.value.hint
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("rows", "missing"), [(GOOD[:1], "contraindication"), (GOOD[1:], "indication")])
def test_a_target_without_a_row_is_refused(tmp_path: Path, rows: list[str], missing: str) -> None:
    with pytest.raises(UserError, match=f"1 row: no row is of the relation '{missing}'. Add scores"):
        read_scores(_table(tmp_path, *rows), TARGETS, _ids)


def test_no_file_a_directory_an_empty_file_and_a_lone_header_are_refused(tmp_path: Path) -> None:
    empty, lone = tmp_path / "empty.csv", _table(tmp_path)
    empty.touch()
    for path, told in (
        (tmp_path / "absent.csv", "there is no such file of scores. Check `file` in distill.teachers"),
        (tmp_path, "is a directory, not a file of scores"),
        (empty, "is empty"),
        (lone, "0 rows: no row is of the relation 'contraindication'"),
    ):
        with pytest.raises(UserError) as refused:
            read_scores(path, TARGETS, _ids)
        assert str(refused.value).startswith(str(path))
        assert told in str(refused.value)


# Profiles


def _profile(folder: Path, entry: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(f'extends = "scores"\n[distill]\nteachers = [{entry}]\n')
    return path


def test_the_file_is_found_beside_the_profile_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (entry,) = load_profile(_profile(tmp_path, '{ kind = "scores", file = "my.csv" }')).distill.teacher_entries
    assert entry.model_dump() == {
        "kind": "scores",
        "weight": 1.0,
        "file": str(tmp_path / "my.csv"),
        "default": -4.0,
    }
    assert entry.networks == 0


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ('{ kind = "scores" }', "distill.teachers[0]: file is needed. file: table with the columns relation, x_id"),
        ('{ kind = "scores", file = "" }', "distill.teachers[0].file: must not be empty"),
        ('{ kind = "scores", file = "a.csv", default = inf }', "must be a finite number"),
        (
            '{ kind = "scores", file = "a.csv", count = 2 }',
            "distill.teachers[0].count: unknown key. Known here: weight, file, default.",
        ),
        (
            '{ kind = "network" }, { kind = "scores", file = "a.csv", wieght = 2.0 }',
            "distill.teachers[1].wieght: unknown key. Did you mean distill.teachers[1].weight?",
        ),
        ('{ kind = "popularity", epochs = 2 }', "distill.teachers[0].epochs: unknown key. Known here: weight."),
    ],
)
def test_a_wrong_entry_is_refused_when_the_profile_is_read(tmp_path: Path, entry: str, told: str) -> None:
    with pytest.raises(UserError) as refused:
        load_profile(_profile(tmp_path, entry))
    assert told in str(refused.value)


# Runs


def _teachers(path: Path, *others: dict[str, Any]) -> dict[str, Any]:
    return {"epochs": 10, "method": "scores", "teachers": [*others, {"kind": "scores", "file": str(path)}]}


def test_a_student_is_trained_without_a_network_to_teach_it(tmp_path: Path) -> None:
    profile = tiny_profile(small_kg(tmp_path), distill=_teachers(_many(tmp_path)[0]))
    directory = make_run(tmp_path / "runs", profile)
    assert worker.main([str(directory.path)]) == 0
    assert set(read_results(directory.results).seeds["45"]) == {"baseline", "student"}
    told = [event for event in events_of(directory) if isinstance(event, ev.Epoch) and event.stage == "student"]
    assert {"pseudo_train", "pseudo_random"} <= set(told[-1].losses)


@pytest.mark.parametrize("others", [(), ({"kind": "network"},)], ids=["alone", "beside a network"])
def test_a_fault_ends_a_run_before_anything_is_trained(
    tmp_path: Path, others: tuple[dict[str, Any], ...], capfd: pytest.CaptureFixture[str]
) -> None:
    path = _table(tmp_path, *GOOD, "indication,DR0005,DI0005,nan")
    directory = make_run(tmp_path / "runs", tiny_profile(small_kg(tmp_path), distill=_teachers(path, *others)))
    assert worker.main([str(directory.path)]) == 2
    assert capfd.readouterr().err.startswith(f"{path}, row 3: the score 'nan' is not a finite number. Give a logit")
    events = events_of(directory)
    assert not [event for event in events if isinstance(event, ev.StageStarted)]
    assert isinstance(events[-1], ev.RunFailed)
    assert events[-1].traceback == ""


def test_a_changed_file_trains_the_student_anew_and_an_unchanged_one_does_not(tmp_path: Path) -> None:
    path = _many(tmp_path)[0]
    profile = tiny_profile(small_kg(tmp_path), distill=_teachers(path, {"kind": "network"}))
    directory = make_run(tmp_path / "runs", profile)

    def trained() -> set[str]:
        before = len(events_of(directory)) if directory.events.exists() else 0
        assert worker.main([str(directory.path)]) == 0
        told = [event for event in events_of(directory)[before:] if isinstance(event, ev.Epoch)]
        return {event.stage for event in told if event.stage in MODELS}

    assert trained() == set(MODELS)
    assert trained() == set()
    path.write_text(path.read_text() + "\n")
    assert trained() == {"student"}
