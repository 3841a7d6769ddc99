"""A run as plain lines."""

from __future__ import annotations

import io
import math
import re
import threading
import time
from pathlib import Path

import pytest

from flykd_console.cli.plain import follow_plain
from flykd_console.runs import events as ev
from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.lock import held
from flykd_console.runs.log import EventWriter
from tests.support.event_log import LogSpec, write_run


def append(directory: RunDirectory, *events: ev.AnyEvent) -> None:
    writer = EventWriter(directory.events)
    writer.write(*events)
    writer.close()


def told(tmp_path: Path, spec: LogSpec) -> tuple[list[str], str]:
    out = io.StringIO()
    outcome = follow_plain(write_run(tmp_path, spec), out)
    return out.getvalue().splitlines(), outcome


def test_a_run_is_told_from_its_start_to_its_end(tmp_path: Path) -> None:
    lines, outcome = told(tmp_path, LogSpec(state="finished", seeds=(45, 46), epochs=100))
    assert outcome == "finished"
    assert lines[0] == "run flykd-20260921-131320: flykd on embedded"
    assert lines[1] == "seeds 45, 46; device cpu"
    assert any(line.startswith("seed 46 (2/2)  student") and "ETA" in line for line in lines)
    assert any("test AUPRC 80.33 (contraindication 82.13, indication 78.53)" in line for line in lines)
    assert lines[-1].startswith("finished after")


def test_a_stage_is_told_with_its_own_test_score_and_no_other(tmp_path: Path) -> None:
    reuse = ("pretrain-teacher", "pretrain-student")
    spec = LogSpec(state="finished", seeds=(45,), epochs=20, heuristics=("neighbours", "random"), reuse=reuse)
    lines, _ = told(tmp_path, spec)
    reused = [line for line in lines if "reused from" in line]
    assert len(reused) == 2
    assert not any("test" in line for line in reused)
    assert sum("test AUPRC" in line for line in lines) == 3


def test_what_stands_beside_another_headline_is_named(tmp_path: Path) -> None:
    lines, _ = told(tmp_path, LogSpec(state="finished", seeds=(45,), epochs=20, headline="macro_ap"))
    assert any("test AP 32.13 (AUPRC contraindication 82.13, indication 78.53)" in line for line in lines)


def test_every_evaluation_is_told_and_epochs_at_most_once_a_second(tmp_path: Path) -> None:
    spec = LogSpec(state="finished", seeds=(45,), epochs=400, validate_every=40)
    lines, _ = told(tmp_path, spec)
    teacher = [line for line in lines if line.startswith("seed 45 (1/1)  teacher ") and "/400" in line]
    assert sum("validation AUPRC" in line for line in teacher) == 10
    # 400 epochs of the teacher take some 22 seconds
    assert 12 <= sum("validation" not in line for line in teacher) <= 23


def test_columns_stay_in_line(tmp_path: Path) -> None:
    lines, _ = told(tmp_path, LogSpec(state="finished", seeds=(45,), epochs=400))
    scored = [line for line in lines if "validation AUPRC" in line and "it/s" in line]
    assert len({line.index("validation AUPRC") for line in scored}) == 1


def test_no_escape_codes_and_no_control_characters_whatever_the_log_says(tmp_path: Path) -> None:
    spec = LogSpec(state="stopped", epochs=40, extra_log=(("warning", "\x1b[31mred\x1b[0m\r\nsecond\x07"),))
    lines, outcome = told(tmp_path, spec)
    assert outcome == "stopped"
    assert "warning: red second" in lines
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\n".join(lines))


@pytest.mark.parametrize(
    ("state", "outcome", "words"),
    [
        ("failed", "failed", "failed: RuntimeError: CUDA out of memory"),
        ("user-error", "failed", "failed: kg.csv: the column"),
    ],
)
def test_a_failure_is_told(tmp_path: Path, state: str, outcome: str, words: str) -> None:
    lines, found = told(tmp_path, LogSpec(state=state, epochs=40))
    assert found == outcome
    assert lines[-1].startswith(words)
    assert "Traceback" not in "\n".join(lines)


def test_a_run_whose_worker_is_gone_has_died(tmp_path: Path) -> None:
    assert told(tmp_path, LogSpec(state="running", epochs=40))[1] == "died"


def test_what_is_logged_by_now_is_told_without_waiting(tmp_path: Path) -> None:
    directory = write_run(tmp_path, LogSpec(state="running", epochs=40))
    with held(directory):
        assert follow_plain(directory, io.StringIO(), until_done=False) == "going"


def test_losses_that_are_not_finite_are_shown_as_such(tmp_path: Path) -> None:
    lines, _ = told(tmp_path, LogSpec(state="finished", seeds=(45,), epochs=20, not_finite=(20,)))
    assert any("loss nan" in line for line in lines)


def test_reused_stages_name_the_run_they_come_from(tmp_path: Path) -> None:
    lines, _ = told(tmp_path, LogSpec(state="finished", seeds=(45,), epochs=20, reuse=("pretrain-teacher", "teacher")))
    assert any("teacher           reused from flykd-20260919-100000  test AUPRC 80.33" in line for line in lines)


def test_a_reused_stage_has_one_line(tmp_path: Path) -> None:
    directory = write_run(tmp_path, LogSpec(state="starting", seeds=(45,), epochs=20))
    append(
        directory,
        ev.StageStarted(seed=45, stage="teacher", epochs=80, first_epoch=80, dim=130, parameters=1000),
        ev.StageFinished(seed=45, stage="teacher", epochs=80, seconds=0.0, reused_from="earlier"),
        ev.RunFinished(outcome="finished", seconds=1.0),
    )
    out = io.StringIO()
    follow_plain(directory, out)
    teacher = [line for line in out.getvalue().splitlines() if "teacher" in line]
    assert len(teacher) == 1
    assert teacher[0].endswith("reused from earlier")


@pytest.mark.parametrize(
    ("checkpoints", "said"), [([], "without a checkpoint"), ([10], "the checkpoint of epoch 10 is kept")]
)
def test_an_end_at_once_tells_what_is_kept(tmp_path: Path, checkpoints: list[int], said: str) -> None:
    directory = write_run(tmp_path, LogSpec(state="starting", seeds=(45,), epochs=20))
    append(
        directory,
        ev.StageStarted(seed=45, stage="teacher", epochs=80, first_epoch=0, dim=130, parameters=1000),
        *(ev.Checkpoint(seed=45, stage="teacher", epoch=epoch, file="teacher.state") for epoch in checkpoints),
        ev.RunFinished(outcome="stopped", seconds=1.0, saved=False),
    )
    out = io.StringIO()
    assert follow_plain(directory, out) == "stopped"
    assert out.getvalue().splitlines()[-1] == f"stopped after 1 s, {said}"


def test_a_terminal_gets_long_lines_broken_between_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "words " * 30
    directory = write_run(tmp_path, LogSpec(state="stopped", epochs=40, extra_log=(("info", words.strip()),)))
    monkeypatch.setenv("COLUMNS", "50")
    out = io.StringIO()
    monkeypatch.setattr(out, "isatty", lambda: True, raising=False)
    follow_plain(directory, out)
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 50
    assert sum(line.count("words") for line in lines) == 30


def test_json_gives_the_log_line_for_line(tmp_path: Path) -> None:
    directory = write_run(tmp_path, LogSpec(state="finished", seeds=(45,), epochs=20, not_finite=(3,)))
    out = io.StringIO()
    assert follow_plain(directory, out, json=True) == "finished"
    assert out.getvalue() == directory.events.read_text()


def test_a_terminal_that_knows_no_unicode_still_gets_every_line(tmp_path: Path) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    follow_plain(write_run(tmp_path, LogSpec(state="finished", seeds=(45,), epochs=20)), stream)
    stream.flush()
    assert b"1 709 500 parameters" in raw.getvalue()


def test_a_log_is_followed_from_before_its_first_line_to_its_last(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    directory.path.mkdir()
    records = list(ev_log())
    out = io.StringIO()

    holding = threading.Event()

    def write() -> None:
        with held(directory):
            holding.set()
            time.sleep(0.15)
            writer = EventWriter(directory.events)
            for record in records:
                writer.write(record)
                time.sleep(0.005)
            writer.close()

    thread = threading.Thread(target=write)
    thread.start()
    # A run that nobody holds and that has no log yet is told at once to be nobody's.
    assert holding.wait(10)
    assert follow_plain(directory, out) == "finished"
    thread.join()
    assert out.getvalue().splitlines()[-1].startswith("finished")


def test_a_resumed_log_is_told_past_its_first_end(tmp_path: Path) -> None:
    directory = write_run(tmp_path, LogSpec(state="stopped", seeds=(45,), epochs=20))
    with open(directory.events, "ab") as log:
        log.writelines(map(ev.encode, ev_log()))
    out = io.StringIO()
    assert follow_plain(directory, out) == "finished"
    assert "stopped after" in out.getvalue()


def ev_log() -> list[ev.AnyEvent]:
    from tests.support.event_log import events

    return list(events(LogSpec(state="finished", seeds=(45,), epochs=5, pretrain=False)))


def test_an_unmeasured_score_is_a_dash(tmp_path: Path) -> None:
    directory = write_run(tmp_path, LogSpec(state="running", seeds=(45,), epochs=20, stop_at=(0, "teacher", 19)))
    with open(directory.events, "ab") as log:
        log.write(
            ev.encode(
                ev.Evaluation(
                    seed=45,
                    stage="teacher",
                    epoch=19,
                    split="validation",
                    macro_auprc=math.nan,
                    macro_auroc=0.5,
                    relations={},
                )
            )
        )
    assert follow_plain(directory, io.StringIO()) == "died"
