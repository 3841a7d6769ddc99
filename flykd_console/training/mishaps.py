"""What can go wrong around training, as a sentence that says what to do and how to go on."""

from __future__ import annotations

from flykd_console.errors import UserError
from flykd_console.mishaps import disk_words, ran_out
from flykd_console.runs.directory import RunDirectory


def told(error: BaseException, directory: RunDirectory) -> UserError | None:
    """An error as a line for the user; None where it is a fault of the program or of the model."""
    again = f"flykd-console run --resume {directory.name}"
    words = disk_words(error)
    if words is not None and isinstance(error, OSError):
        title, remedy = words
        place = str(error.filename or directory.path)
        return UserError(title, place, f"What was saved is whole. {remedy}, then go on: {again}")
    if ran_out(error):
        smaller = 'distill.random_graph.sampler = "blocks" and a smaller dim need less'
        return UserError("memory ran out", directory.name, f"What was saved is whole: {again} goes on; {smaller}.")
    return None
