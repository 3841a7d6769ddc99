"""`added-seeds.json`: which seeds a run was given after its first start, and from where on its log knows of them.

    {"schema": 1, "seeds": [50, 51], "log_offset": 123456}

The plan at the beginning of a log is that of the first start. A run that was given seeds is planned anew when it goes
on, behind the bytes that the log held by then.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.files import replace_file

SCHEMA = 1
_BLOCK = 1 << 16


class AddedSeeds(msgspec.Struct, frozen=True, kw_only=True):
    """`seeds`: every seed that was ever added, in order; `log_offset`: bytes of the log before the last of them."""

    schema: int = SCHEMA
    seeds: list[int]
    log_offset: int


def read_added(directory: RunDirectory) -> AddedSeeds | None:
    """What was added to a run; None where nothing was, or the file is damaged or of a newer program."""
    try:
        added = msgspec.json.decode(directory.added_seeds.read_bytes(), type=AddedSeeds)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    sound = added.schema <= SCHEMA and added.log_offset >= 0
    return added if sound else None


def write_added(directory: RunDirectory, seeds: Sequence[int]) -> None:
    """Note that seeds are added to a run that nobody trains."""
    before = read_added(directory)
    every = [*(before.seeds if before else []), *seeds]
    record = msgspec.json.encode(AddedSeeds(seeds=every, log_offset=_end_of_last_line(directory)))
    replace_file(directory.added_seeds, msgspec.json.format(record, indent=2) + b"\n")


def _end_of_last_line(directory: RunDirectory) -> int:
    """Bytes of the log's whole lines: a torn one is cut off when the run goes on."""
    try:
        with open(directory.events, "rb") as file:
            end = file.seek(0, 2)
            while end > 0:
                start = max(0, end - _BLOCK)
                file.seek(start)
                found = file.read(end - start).rfind(b"\n")
                if found >= 0:
                    return start + found + 1
                end = start
    except FileNotFoundError:
        pass
    return 0
