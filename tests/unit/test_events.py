"""The event log: records, torn lines, garbage, newer schemas."""

from __future__ import annotations

import json
import math
import os
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flykd_console.errors import UserError
from flykd_console.plain_text import plain
from flykd_console.runs.events import (
    SCHEMA,
    AnyEvent,
    Checkpoint,
    Control,
    Epoch,
    Evaluation,
    ExportFinished,
    GraphFacts,
    Log,
    NewerSchemaError,
    PlannedStage,
    RelationScore,
    Resources,
    RunFailed,
    RunFinished,
    RunStarted,
    StageFinished,
    StageStarted,
    decode,
    encode,
    finite,
)
from flykd_console.runs.files import open_own
from flykd_console.runs.log import EventFollower, EventWriter, cut_torn_line

# Names of whoever; their control characters do not come back.
_NAMES = st.text().map(plain)

EVERY_KIND: list[AnyEvent] = [
    RunStarted(
        run="flykd-1",
        name="flykd",
        method="flykd",
        seeds=[45],
        stages=[PlannedStage(seed=45, stage="teacher", epochs=9)],
        device="cpu",
        graph=GraphFacts(source="embedded", nodes=4, targets=["indication"]),
        teacher_dim=130,
        student_dim=80,
        pid=1,
    ),
    StageStarted(seed=45, stage="student", epochs=9, dim=80, parameters=7, schedule={"original": [(0.0, 1.0)]}),
    Epoch(
        seed=45,
        stage="student",
        epoch=1,
        epochs=9,
        losses={"total": 0.5},
        weights={"original": 1.0},
        lr=5e-4,
        seconds=0.1,
    ),
    Evaluation(
        seed=45,
        stage="student",
        epoch=1,
        split="test",
        macro_auprc=0.8,
        macro_auroc=0.7,
        relations={"indication": RelationScore(auprc=0.8, auroc=0.7, positives=3, negatives=3)},
    ),
    Resources(cpu=180.0, rss=1 << 30),
    Checkpoint(seed=45, stage="student", epoch=5, file="seed-45/student.state"),
    Control(action="pause", state="paused"),
    Log(level="info", message="zwei\nZeilen, ünïcödé \x09"),
    StageFinished(seed=45, stage="student", epochs=9, seconds=1.0, reused_from="flykd-0"),
    ExportFinished(seeds=[45], bundle="export"),
    RunFinished(outcome="stopped", seconds=3.0),
    RunFailed(error="RuntimeError: no", traceback="Traceback ..."),
]


@pytest.mark.parametrize("event", EVERY_KIND, ids=lambda event: type(event).__name__)
def test_every_kind_survives_one_line_of_json(event: AnyEvent) -> None:
    line = encode(event)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decode(line) == event
    record = json.loads(line)
    assert record["v"] == SCHEMA
    assert record["t"] > 0
    assert record["kind"]


def test_losses_that_are_not_finite_are_null_in_the_file_and_nan_to_the_reader() -> None:
    line = encode(
        Epoch(
            seed=1,
            stage="student",
            epoch=1,
            epochs=2,
            losses={"a": math.nan, "b": math.inf, "c": 0.5},
            lr=1.0,
            seconds=0.0,
        )
    )
    assert json.loads(line)["losses"] == {"a": None, "b": None, "c": 0.5}
    event = decode(line)
    assert isinstance(event, Epoch)
    values = {name: finite(value) for name, value in event.losses.items()}
    assert math.isnan(values["a"])
    assert math.isnan(values["b"])
    assert values["c"] == 0.5


@given(
    st.builds(
        Epoch,
        seed=st.integers(0, 2**31),
        stage=_NAMES,
        epoch=st.integers(0, 10**6),
        epochs=st.integers(1, 10**6),
        losses=st.dictionaries(_NAMES, st.none() | st.floats(allow_nan=False, allow_infinity=False)),
        weights=st.none() | st.dictionaries(_NAMES, st.floats(0, 1)),
        lr=st.floats(0, 1),
        seconds=st.floats(0, 1e6),
        t=st.floats(0, 2e9),
    )
)
def test_any_epoch_reads_back_as_it_was_written(event: Epoch) -> None:
    assert decode(encode(event)) == event


@given(st.binary(max_size=200))
def test_garbage_is_no_record_and_no_error(line: bytes) -> None:
    assert decode(line) is None


@given(st.integers(0, len(encode(EVERY_KIND[2])) - 2))
def test_a_torn_record_is_no_record(length: int) -> None:
    assert decode(encode(EVERY_KIND[2])[:length]) is None


@pytest.mark.parametrize(
    "line", [b'{"kind":"unheard.of","v":1,"t":1}', b'{"kind":"log","v":1,"t":1}', b"[]", b"3", b'{"v":"x"}', b"\xff"]
)
def test_unknown_kinds_and_missing_fields_are_skipped(line: bytes) -> None:
    assert decode(line) is None


@pytest.mark.parametrize("line", [b'{"kind":"log","v":2,"t":1,"level":"info","message":"x"}', b'{"kind":"new","v":7}'])
def test_a_newer_schema_is_said_not_guessed_at(line: bytes) -> None:
    with pytest.raises(NewerSchemaError, match="this program reads up to 1"):
        decode(line)


def test_fields_that_a_later_program_added_are_ignored() -> None:
    record = msgspec.json.decode(encode(Log(level="info", message="x")))
    assert decode(msgspec.json.encode({**record, "colour": "green"})) is not None


def test_a_follower_reads_what_is_there_and_later_what_came(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path / "events.jsonl")
    follower = EventFollower(tmp_path / "events.jsonl")
    writer.write(*EVERY_KIND[:5])
    assert follower.read() == EVERY_KIND[:5]
    assert follower.read() == []
    writer.write(*EVERY_KIND[5:])
    assert follower.behind > 0
    assert follower.read() == EVERY_KIND[5:]
    assert follower.behind == 0
    writer.close()


def test_a_line_that_is_still_being_written_is_read_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    line = encode(EVERY_KIND[2])
    path.write_bytes(line + line[:20])
    follower = EventFollower(path)
    assert follower.read() == [EVERY_KIND[2]]
    with open(path, "ab") as file:
        file.write(line[20:])
    assert follower.read() == [EVERY_KIND[2]]
    assert follower.skipped == 0


def test_garbage_lines_are_counted_and_stepped_over(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\x00\xffgarbage\n" + encode(EVERY_KIND[4]) + b"{}\n")
    follower = EventFollower(path)
    assert follower.read() == [EVERY_KIND[4]]
    assert follower.skipped == 2


def test_lines_longer_than_a_block_are_read(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    long = RunFailed(error="x", traceback="y" * 700_000)
    path.write_bytes(encode(long) + encode(EVERY_KIND[4]))
    assert EventFollower(path).read(seconds=5) == [long, EVERY_KIND[4]]


def test_following_a_log_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        EventFollower(tmp_path / "events.jsonl").read()


@pytest.mark.parametrize("torn", [b"", b"{", b'{"kind":"epoch"', b"x" * 600_000])
def test_a_torn_last_line_is_cut_off_before_appending(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "events.jsonl"
    whole = encode(EVERY_KIND[4])
    path.write_bytes(whole + torn)
    writer = EventWriter(path)
    writer.write(EVERY_KIND[5])
    writer.close()
    assert path.read_bytes() == whole + encode(EVERY_KIND[5])


def test_a_log_that_is_one_torn_line_becomes_empty(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"kind":')
    cut_torn_line(path)
    assert path.read_bytes() == b""


def test_cutting_a_log_that_is_not_there_makes_none(tmp_path: Path) -> None:
    cut_torn_line(tmp_path / "events.jsonl")
    assert not (tmp_path / "events.jsonl").exists()


def test_threads_never_tear_each_others_lines(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path / "events.jsonl")
    message = "x" * 5000

    def work(number: int) -> None:
        for _ in range(50):
            writer.write(Log(level="info", message=f"{number}{message}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    follower = EventFollower(tmp_path / "events.jsonl")
    count = 0
    while events := follower.read(seconds=5):
        count += len(events)
    assert count == 400
    assert follower.skipped == 0


def test_json_of_any_depth_or_length_is_a_line_that_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flykd_console.runs.log._LONGEST_LINE", 1 << 19)
    path = tmp_path / "events.jsonl"
    deep = b"[" * 100_000 + b"\n" + b'{"kind":' * 100_000 + b"\n"
    path.write_bytes(encode(EVERY_KIND[4]) + deep + b"x" * (1 << 20) + b"\n" + encode(EVERY_KIND[5]))
    follower = EventFollower(path)
    found = []
    while events := follower.read(seconds=5):
        found += events
    assert found == [EVERY_KIND[4], EVERY_KIND[5]]
    assert follower.behind == 0


def test_a_record_after_a_full_disk_begins_on_a_line_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = EventWriter(tmp_path / "events.jsonl")
    real = os.write
    taken = iter([3])

    def full(handle: int, data: bytes) -> int:
        for count in taken:
            return real(handle, data[:count])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.write", full)
        with pytest.raises(OSError, match="No space"):
            writer.write(EVERY_KIND[4])
    writer.write(EVERY_KIND[5])
    writer.close()
    assert EventFollower(tmp_path / "events.jsonl").read(1.0) == [EVERY_KIND[5]]


@pytest.mark.parametrize("flags", [os.O_WRONLY | os.O_APPEND, os.O_RDWR])
def test_a_file_of_a_run_is_never_opened_through_a_link_or_as_a_pipe(flags: int, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(UserError, match="not written through"):
            open_own(tmp_path / name, flags)
