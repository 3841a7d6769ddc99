"""`queue.json`: which runs were started together, in which order; every run of a batch holds the whole list.

    {"schema": 1, "runs": ["baseline-20261120-211500", "flykd-20261120-211500"], "position": 1}

One training process takes the runs of a batch one after another. What became of each is in its own event log; the queue
only says who comes after whom.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from flykd_console.runs.directory import RunDirectory
from flykd_console.runs.files import replace_file

SCHEMA = 1


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """`runs`: names of the batch's run directories in order; `position`: where the run that holds the file stands."""

    schema: int = SCHEMA
    runs: list[str]
    position: int


def write_queue(batch: Sequence[RunDirectory]) -> None:
    """Put `queue.json` into every run directory of a batch; they stand beside each other."""
    names = [directory.name for directory in batch]
    for position, directory in enumerate(batch):
        record = msgspec.json.encode(Queue(runs=names, position=position))
        replace_file(directory.queue, msgspec.json.format(record, indent=2) + b"\n")


def read_queue(directory: RunDirectory) -> Queue | None:
    """The batch of a run; None where it was started alone, or the file is damaged or of a newer program."""
    try:
        queue = msgspec.json.decode(directory.queue.read_bytes(), type=Queue)
    except (OSError, ValueError, RecursionError):
        return None
    sound = queue.schema <= SCHEMA and 0 <= queue.position < len(queue.runs)
    return queue if sound else None


def batch_of(directory: RunDirectory) -> list[RunDirectory]:
    """The run directories of a run's batch in order, as far as they are still there; the run alone without a batch."""
    queue = read_queue(directory)
    if queue is None:
        return [directory]
    beside = [RunDirectory(directory.path.parent / name) for name in queue.runs]
    return [run for run in beside if run.path == directory.path or run.profile.is_file()]


def has_begun(directory: RunDirectory) -> bool:
    """Whether a training process ever said a word about the run."""
    try:
        return directory.events.stat().st_size > 0
    except OSError:
        return False


def waiting_after(directory: RunDirectory) -> list[RunDirectory]:
    """The runs of the batch that come after this one and have not begun, in order."""
    queue = read_queue(directory)
    if queue is None:
        return []
    later = set(queue.runs[queue.position + 1 :])
    return [run for run in batch_of(directory) if run.name in later and not has_begun(run)]
