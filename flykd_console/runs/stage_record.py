"""`seed-N/<stage>.json`: what a finished stage says of its weights from outside them.

    {"schema": 1, "sha256": "...", "seconds": 12.3, "run": "flykd-20260101-120000"}

Weights hold nothing but what equal runs repeat, so that their files are equal byte for byte; who trained them and how
long it took stands here. Weights whose seal is not the one written here are not what the stage left.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from flykd_console.runs.files import replace_file

SCHEMA = 1


class StageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`sha256`: the weights' seal (`runs.sealed`); `run`: who trained them; `seconds` of training."""

    schema: int = SCHEMA
    sha256: str
    seconds: float
    run: str


def write_record(path: Path, record: StageRecord) -> None:
    """Put the record in place."""
    replace_file(path, msgspec.json.encode(record) + b"\n")


def read_record(path: Path) -> StageRecord | None:
    """The record; None where it is missing, damaged or of a newer program."""
    try:
        record = msgspec.json.decode(path.read_bytes(), type=StageRecord)
    except (OSError, ValueError, RecursionError):
        return None
    return record if record.schema <= SCHEMA else None
