"""Files that are not what was left there: nothing is taken over without a check, and what is not taken over is said."""

from __future__ import annotations

import filecmp
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from flykd_console.errors import UserError
from flykd_console.model.take_over import take_over
from flykd_console.model.tensor_files import load_metadata, load_tensors, save_tensors
from flykd_console.runs import events as ev
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.results import read_results
from flykd_console.training import worker
from flykd_console.training.checkpoint import Checkpointer, ModelState
from tests.support.loops import at, stop
from tests.support.tiny_run import STAGES, events_of, make_run, small_kg, tiny_profile


def _new(root: Path) -> RunDirectory:
    return make_run(root / "runs", tiny_profile(small_kg(root)))


@pytest.fixture(scope="module")
def lender(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A finished run, from which every test copies."""
    directory = _new(tmp_path_factory.mktemp("damage"))
    assert worker.main([str(directory.path)]) == 0
    return directory


def _beside(lender: RunDirectory, tmp_path: Path) -> tuple[RunDirectory, RunDirectory]:
    """A copy of the lender, and a new run beside it that would take its stages over."""
    copy = RunDirectory(tmp_path / "runs" / lender.name)
    shutil.copytree(lender.path, copy.path)
    borrower = RunDirectory(tmp_path / "runs" / "borrower")
    (borrower.path / "control").mkdir(parents=True)
    shutil.copy(lender.profile, borrower.profile)
    return copy, borrower


def _reused(directory: RunDirectory, stage: str) -> str | None:
    return {e.stage: e.reused_from for e in events_of(directory) if isinstance(e, ev.StageFinished)}[stage]


def _warnings(directory: RunDirectory) -> list[str]:
    return [e.message for e in events_of(directory) if isinstance(e, ev.Log) and e.level == "warning"]


def _flip_in_a_name(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b'"relation"') + 1] ^= 1
    path.write_bytes(data)


def _flip_in_the_numbers(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-100] ^= 0x10
    path.write_bytes(data)


def _fill(value: float) -> Callable[[Path], None]:
    def forge(path: Path) -> None:
        tensors, metadata = load_tensors(path)
        save_tensors(path, {name: torch.full_like(x, value) for name, x in tensors.items()}, metadata)

    return forge


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _everybody(path: Path) -> None:
    path.chmod(0o666)


def _linked(path: Path) -> None:
    moved = path.with_suffix(".moved")
    path.rename(moved)
    path.symlink_to(moved)


@pytest.mark.parametrize(
    "damage", [_flip_in_a_name, _flip_in_the_numbers, _fill(7.0), _fill(float("nan")), _cut, _everybody, _linked]
)
def test_a_stage_of_another_run_that_is_not_what_was_left_is_trained_and_the_log_says_why(
    damage: Callable[[Path], None], lender: RunDirectory, tmp_path: Path
) -> None:
    copy, borrower = _beside(lender, tmp_path)
    damage(copy.weights(45, "teacher"))
    assert worker.main([str(borrower.path)]) == 0
    assert _reused(borrower, "teacher") is None
    assert _reused(borrower, "baseline") == lender.name
    (warning,) = [message for message in _warnings(borrower) if "not taken over" in message]
    assert f"teacher: not taken over from {copy.name}, and trained" in warning
    a, b = (read_results(run.results).seeds["45"]["teacher"] for run in (lender, borrower))
    assert a.test == b.test


@pytest.mark.parametrize("text", [None, "{}", "[" * 100_000, '{"schema": 9, "sha256": "", "seconds": 1.0, "run": "x"}'])
def test_weights_without_a_usable_record_are_not_taken_over(
    text: str | None, lender: RunDirectory, tmp_path: Path
) -> None:
    copy, borrower = _beside(lender, tmp_path)
    record = copy.record(45, "pretrain-teacher")
    record.unlink()
    copy.weights(45, "teacher").unlink()
    if text is not None:
        record.write_text(text)
    assert worker.main([str(borrower.path)]) == 0
    assert _reused(borrower, "pretrain-teacher") is None
    assert any("pretrain-teacher" in message for message in _warnings(borrower))


def test_ones_own_damaged_weights_are_trained_again_to_the_same_bytes(lender: RunDirectory, tmp_path: Path) -> None:
    copy, _ = _beside(lender, tmp_path)
    shutil.rmtree(tmp_path / "runs" / "borrower")
    _flip_in_the_numbers(copy.weights(45, "student"))
    assert worker.main([str(copy.path)]) == 0
    assert any("student: not taken over" in message for message in _warnings(copy))
    assert filecmp.cmp(copy.weights(45, "student"), lender.weights(45, "student"), shallow=False)


def test_equal_runs_leave_equal_files_byte_for_byte(lender: RunDirectory, tmp_path: Path) -> None:
    again = make_run(tmp_path / "runs", tiny_profile(small_kg(lender.path.parent.parent)))
    assert worker.main([str(again.path)]) == 0
    names = sorted(path.name for path in lender.seed(45).iterdir() if path.suffix != ".json")
    assert [f"{stage}.safetensors" for stage in STAGES if f"{stage}.safetensors" not in names] == []
    assert filecmp.cmpfiles(lender.seed(45), again.seed(45), names, shallow=False) == (names, [], [])


def test_a_half_fitting_model_stays_as_it_was() -> None:
    mine = {"a": torch.zeros(2), "b": torch.zeros(3)}
    fitting = {"a": torch.ones(2), "b": torch.ones(3)}
    with pytest.raises(ValueError, match="b: expected shape"):
        take_over(mine, fitting | {"b": torch.ones(4)})
    with pytest.raises(ValueError, match="c: no tensor of this model"):
        take_over(mine, fitting | {"c": torch.ones(1)})
    assert not mine["a"].any()


# Checkpoints.


class _Part:
    """A part of a state: one number."""

    def __init__(self) -> None:
        self.value = torch.zeros(1)

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {"value": self.value.clone()}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        self.value.copy_(state["value"])


def _checkpointer(folder: Path, part: _Part) -> Checkpointer:
    found = Checkpointer(folder / "teacher.state", folder / "teacher.older.state", "key", "cpu")
    found.keep({"part": part})
    return found


def _two_states(folder: Path) -> None:
    part = _Part()
    writer = _checkpointer(folder, part)
    for epoch in (1, 2, 3):
        part.value.fill_(epoch)
        writer.save(epoch, 10, 1.0)


def _resumed(folder: Path) -> tuple[int, float, list[str]]:
    part, said = _Part(), list[str]()
    reader = _checkpointer(folder, part)
    reader.resume(lambda message, level: said.append(message))
    return reader.epoch, float(part.value), said


def test_the_last_two_checkpoints_are_kept_and_the_newer_is_resumed(tmp_path: Path) -> None:
    _two_states(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["teacher.older.state", "teacher.state"]
    assert _resumed(tmp_path) == (3, 3.0, [])


@pytest.mark.parametrize("damage", [_flip_in_the_numbers, _cut, Path.unlink])
def test_where_the_newer_checkpoint_is_damaged_the_older_is_resumed(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    _two_states(tmp_path)
    damage(tmp_path / "teacher.state")
    epoch, value, said = _resumed(tmp_path)
    assert (epoch, value) == (2, 2.0)
    # A missing one is what a kill between two renames leaves: nothing is wrong then.
    assert len(said) == (tmp_path / "teacher.state").exists()
    assert all("the one of epoch 2 before it is used" in line for line in said)


def test_a_damaged_checkpoint_never_takes_the_place_of_a_sound_one(tmp_path: Path) -> None:
    _two_states(tmp_path)
    _cut(tmp_path / "teacher.state")
    part = _Part()
    writer = _checkpointer(tmp_path, part)
    writer.resume(lambda message, level: None)
    writer.save(3, 10, 1.0)
    older = load_metadata(tmp_path / "teacher.older.state")
    assert older is not None
    assert older["epoch"] == 2


def test_where_both_checkpoints_are_damaged_the_stage_begins_anew_and_says_so(tmp_path: Path) -> None:
    _two_states(tmp_path)
    _cut(tmp_path / "teacher.state")
    _flip_in_the_numbers(tmp_path / "teacher.older.state")
    epoch, value, said = _resumed(tmp_path)
    assert (epoch, value) == (0, 0.0)
    assert len(said) == 2
    assert all("the stage begins anew" in line for line in said)


def test_a_sound_checkpoint_of_other_parts_is_refused(tmp_path: Path) -> None:
    _two_states(tmp_path)
    reader = Checkpointer(tmp_path / "teacher.state", tmp_path / "teacher.older.state", "key", "cpu")

    class Model:
        def tensors(self) -> dict[str, torch.Tensor]:
            return {"value": torch.zeros(2)}

        def load_tensors(self, tensors: dict[str, torch.Tensor]) -> None:
            raise ValueError("value: expected shape (2,), found (1,)")

    reader.keep({"part": ModelState(Model())})  # type: ignore[arg-type]
    with pytest.raises(UserError, match="does not fit this stage"):
        reader.resume(lambda message, level: None)


def test_a_run_whose_newest_checkpoint_is_damaged_ends_like_the_undisturbed_one(
    lender: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = make_run(tmp_path / "runs", tiny_profile(small_kg(lender.path.parent.parent)))
    with monkeypatch.context() as patched:
        at(patched, "student", 9, stop)
        worker.main([str(directory.path)])
    assert directory.older_state(45, "student").is_file()
    _flip_in_the_numbers(directory.state(45, "student"))
    assert worker.main([str(directory.path)]) == 0
    assert any("the one of epoch 8 before it is used" in message for message in _warnings(directory))
    assert not directory.state(45, "student").exists()
    assert not directory.older_state(45, "student").exists()
    assert filecmp.cmp(directory.weights(45, "student"), lender.weights(45, "student"), shallow=False)


def test_leftovers_of_killed_writers_and_stale_states_go_when_the_run_is_taken_up(
    lender: RunDirectory, tmp_path: Path
) -> None:
    copy, _ = _beside(lender, tmp_path)
    left = copy.seed(45) / ".teacher.state.999999999.abc_1.tmp"
    left.write_bytes(b"half")
    stale = copy.state(45, "teacher")
    stale.write_bytes(b"state")
    assert worker.main([str(copy.path)]) == 0
    assert not left.exists()
    assert not stale.exists()


# Links.


@pytest.mark.parametrize("name", ["events.jsonl", "worker.lock", "worker.log", "results.json", "seed-45", "control"])
def test_nothing_of_a_run_is_written_through_a_symbolic_link(name: str, tmp_path: Path) -> None:
    directory = _new(tmp_path)
    letter = tmp_path / "letter"
    letter.write_text("Dear all, no newline at the end")
    shutil.rmtree(directory.path / name, ignore_errors=True)
    (directory.path / name).symlink_to(letter)
    assert worker.main([str(directory.path)]) == 2
    assert letter.read_text() == "Dear all, no newline at the end"


def test_an_export_into_a_run_whose_log_is_a_link_changes_nothing_behind_it(
    lender: RunDirectory, tmp_path: Path
) -> None:
    from exporters.bundle import export_run

    copy, _ = _beside(lender, tmp_path)
    letter = tmp_path / "letter"
    letter.write_text("Dear all")
    copy.events.rename(tmp_path / "events.jsonl")
    copy.events.symlink_to(letter)
    with pytest.raises(UserError, match="symbolic link"):
        export_run(copy, seed=45)
    assert letter.read_text() == "Dear all"
    assert not copy.export.exists()


def test_the_record_names_who_trained_and_the_weights_do_not(lender: RunDirectory) -> None:
    record = json.loads(lender.record(45, "teacher").read_bytes())
    assert record["run"] == lender.name
    assert record["seconds"] > 0
    metadata = load_metadata(lender.weights(45, "teacher"))
    assert metadata is not None
    assert not {"run", "seconds"} & metadata.keys()
