"""The exceptions that are told as a sentence: things a user can mend (exit code 2), and training that went astray."""

from __future__ import annotations

from flykd_console.plain_text import plain

# What to do about a file that cannot be opened, and about one of a run's that is not what training left.
CHECK_PATH = "Check the path and who may read it."
CHANGED_AFTER_TRAINING = "The file was changed after training; take the run's own, or train again."


class UserError(Exception):
    """Bad input, told in one line: what is wrong, where, and what to do.

    Attributes:
        title: What is wrong, a sentence without a full stop.
        where: The place: a file, a key, a row; empty where the title names it.
        hint: What to do about it; empty where nothing helps.
    """

    def __init__(self, title: str, where: str = "", hint: str = "") -> None:
        super().__init__(title, where, hint)
        self.title = title
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        line = f"{self.where}: {self.title}" if self.where else self.title
        # A title names what a file holds.
        return plain(f"{line}. {self.hint}" if self.hint else line)


class DivergedError(Exception):
    """Training left the numbers; the message is a whole sentence and needs no name before it."""
