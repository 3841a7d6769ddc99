"""One large file over HTTP: resumed where it broke off, retried, checked, and in place only when it is whole.

Bytes go to `NAME.part` with `NAME.part.json` beside it, which says what they are part of. A later call goes on from
there with `Range` and `If-Range` (RFC 9110, section 13.1.5), and starts over where the server sends the whole file or
the file has changed. Retries are tenacity's.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path

import httpx
import tenacity

from flykd_console.errors import UserError
from flykd_console.graph.sources.checksum import Checksum
from flykd_console.words import grouped

_PASSING = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Expected:
    """What is known of the file beforehand."""

    size: int | None = None
    checksum: Checksum | None = None


@dataclass(frozen=True)
class Patience:
    """Timeouts in seconds, and how often in a row an attempt may bring nothing."""

    connect: float = 15.0
    stall: float = 30.0
    attempts: int = 6
    longest_wait: float = 30.0
    first_wait: float = 1.0


@dataclass(frozen=True)
class Downloaded:
    """A finished download: `checksum` is the file's own, `verified_by` names who gave the same (empty: nobody)."""

    path: Path
    size: int
    checksum: Checksum
    verified_by: str
    resumed_from: int = 0


def download(
    url: str,
    target: Path,
    *,
    client: httpx.Client,
    expected: Expected,
    patience: Patience,
    report: Callable[[int, int | None], None],
    log: Callable[[str], None],
    check: Callable[[Path], None],
) -> Downloaded:
    """Download `url` to `target`, which is replaced when everything has come and the checksum holds.

    Args:
        url: What to fetch.
        target: Its directory is made.
        client: Follows redirects, and has the timeouts of `patience`.
        expected: Size and checksum where they are known; the server's own headers are used besides.
        patience: How often to try again, and how long to wait before.
        report: Called with the bytes that are there and the size (None where unknown).
        log: Told in one line of each retry.
        check: Looks at the finished file before it is put in place; raises UserError to refuse it.

    Raises:
        UserError: No network, a final answer such as 404, a full disk, a wrong size or checksum. What came so far is
            kept for the next call unless it proved wrong.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not part.exists():
                raise BlockingIOError  # another download put it in place after it was opened here
            transfer = _Transfer(url, part, file, client, expected, patience, report, log, check)
            try:
                checksum = transfer.run()
                os.replace(part, target)
            finally:
                if not part.exists() or not part.stat().st_size:
                    part.unlink(missing_ok=True)
                    transfer.note.unlink(missing_ok=True)
    except BlockingIOError as error:
        raise UserError("another download of this file is running", str(part), "Wait for it, or stop it.") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "Make room and run it again: it goes on where it stopped."
            raise UserError("the disk is full", str(target.parent), hint) from error
        title = f"cannot be written: {error.strerror or error}"
        raise UserError(title, str(target), "Choose another folder with --dir.") from error
    verified_by = transfer.checksum.given_by if transfer.checksum else ""
    return Downloaded(target, target.stat().st_size, checksum, verified_by, transfer.resumed_from)


class _PassingError(Exception):
    """An attempt broke off; another may do better."""


@dataclass
class _Transfer:
    """A download's attempts, and what they share.

    Attributes:
        checksum: The expected one, else what the server told with its last whole answer.
        resumed_from: Where the last attempt began.
        furthest: How much there ever was.
        fruitless: Attempts in a row that came no further.
        mended: Whether parts that did not fit together have been thrown away once.
    """

    url: str
    part: Path
    file: BufferedRandom
    client: httpx.Client
    expected: Expected
    patience: Patience
    report: Callable[[int, int | None], None]
    log: Callable[[str], None]
    check: Callable[[Path], None]
    resumed_from: int = 0
    fruitless: int = 0
    mended: bool = False

    def __post_init__(self) -> None:
        self.checksum, self.furthest = self.expected.checksum, self._there()
        self.note = self.part.with_name(f"{self.part.name}.json")

    def run(self) -> Checksum:
        """Fill the part file until it is whole and checked; its checksum."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_PassingError),
            stop=self._gives_up,
            wait=tenacity.wait_random_exponential(multiplier=self.patience.first_wait, max=self.patience.longest_wait),
            before_sleep=self._tell,
            reraise=True,
        )
        try:
            return retrying(self._attempt)
        except _PassingError as failure:
            hint = "Check the network." if isinstance(failure.__cause__, httpx.RequestError) else "Try again later."
            if there := self._there():
                hint += f" The {grouped(there)} bytes that came are kept: run it again to go on."
            raise UserError(f"the download failed: {failure}", self.url, hint) from failure

    def _gives_up(self, call: tenacity.RetryCallState) -> bool:
        """Only coming further than ever before counts as progress: a server may break off at one place for ever."""
        there = self._there()
        self.fruitless = 0 if there > self.furthest else self.fruitless + 1
        self.furthest = max(self.furthest, there)
        return self.fruitless >= self.patience.attempts

    def _tell(self, call: tenacity.RetryCallState) -> None:
        text = str(call.outcome and call.outcome.exception())
        self.log(f"{text[:1].upper()}{text[1:]}; trying again.")

    def _there(self) -> int:
        """How many bytes have come, all of them written out."""
        return self.file.seek(0, os.SEEK_END)

    def _attempt(self) -> Checksum:
        validator = self._noted_validator()
        if not validator and self.expected.checksum is None:
            self.file.truncate(0)  # nothing would prove that the two halves belong together
        self.resumed_from = self._there()
        if not self.resumed_from or self.resumed_from != self.expected.size:
            self._receive(validator)
        return self._verified()

    def _noted_validator(self) -> str:
        try:
            noted = json.loads(self.note.read_text("utf-8"))
            return str(noted["validator"]) if noted["url"] == self.url else ""
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def _receive(self, validator: str) -> None:
        """One request, from where the file ends; raises `_PassingError` where it brings less than the rest."""
        headers = {"Accept-Encoding": "identity"}
        if self.resumed_from:
            headers["Range"] = f"bytes={self.resumed_from}-"
        if self.resumed_from and validator:
            headers["If-Range"] = validator
        broken: httpx.RequestError | None = None
        try:
            with self.client.stream("GET", self.url, headers=headers) as answer:
                size = self._accept(answer)
                if answer.status_code != 416:
                    self._write(answer, size)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
            raise UserError(f"leads nowhere: {error}", self.url, "Give one that begins with https://") from error
        except httpx.RequestError as error:
            broken = error
        there, wanted = self._there(), self.expected.size
        if there == wanted:
            return  # all of it, whatever length the server had announced
        if broken is not None:
            after = f" after {grouped(there)} bytes" if there else ""
            raise _PassingError(f"{_network(broken)}{after}") from broken
        if wanted is not None:  # a length that the server announces is httpx's to hold it to
            if there > wanted:
                self.file.truncate(0)
            raise _PassingError(f"the server sent {grouped(there)} of {grouped(wanted)} bytes")

    def _accept(self, answer: httpx.Response) -> int | None:
        """Judge an answer's head and note the checksum; the size of the whole file, None where nobody knows.

        An accepted 416 says that nothing is left to come.
        """
        status, reached = answer.status_code, self.resumed_from
        told = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(?:(\d+)|\*)", answer.headers.get("Content-Range", ""))
        first, total = (int(number) if number else None for number in (told.groups() if told else (None, None)))
        if status == 416 and reached and total == reached and self.expected.size is None:
            return total
        if (status == 416 and reached) or (status == 206 and first != reached):
            self.file.truncate(0)
            raise _PassingError("the server does not have the rest of this file")
        if status in _PASSING:
            raise _PassingError(f"the server answered {status} {answer.reason_phrase}")
        if status not in (200, 206):
            hint = "Check the address." if status in (404, 410) else "Try again later, or fetch it with a browser."
            raise UserError(f"the server answered {status} {answer.reason_phrase}", str(answer.url), hint)
        if status == 200:
            self.file.truncate(0)
            self.resumed_from, self.checksum = 0, self.expected.checksum
            length = answer.headers.get("Content-Length", "")
            total = int(length) if length.isdigit() else None
        self.checksum = self.expected.checksum or Checksum.told_by(answer) or self.checksum
        return self.expected.size or total

    def _write(self, answer: httpx.Response, size: int | None) -> None:
        there = self._there()
        needed, free = (size or there) - there, shutil.disk_usage(self.part.parent).free
        if needed > free:
            title = f"the disk has {grouped(free)} bytes free, but {grouped(needed)} are still to come"
            raise UserError(title, str(self.part), "Make room, or take --dir.")
        # What proves to the server that a part is of the same file: a strong ETag, else the date.
        etag = answer.headers.get("ETag", "")
        validator = etag if etag.startswith('"') else answer.headers.get("Last-Modified", "")
        self.note.write_text(json.dumps({"url": self.url, "validator": validator}), "utf-8")
        self.report(there, size)
        for block in answer.iter_bytes():  # as they arrive: a larger unit is lost when it breaks off
            self.file.write(block)
            there += len(block)
            self.report(there, size)

    def _verified(self) -> Checksum:
        """The part's checksum; where another was given, parts are fetched afresh once, then the file is refused."""
        given = self.checksum
        found = Checksum.of(self.part, given.algorithm if given else "sha256")
        if given and found.value != given.value:
            self.file.truncate(0)
            if self.resumed_from and not self.mended:
                self.mended = True
                raise _PassingError("the parts do not make the file whose checksum the server gives")
            title = f"{given.given_by} says {given.algorithm.upper()} {given.value}, but what came has {found.value}"
            raise UserError(title, self.url, "Nothing was kept; try again later.")
        try:
            self.check(self.part)
        except UserError:
            self.file.truncate(0)
            raise
        return found


def _network(error: httpx.RequestError) -> str:
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        return "no connection to the server"
    if isinstance(error, httpx.TimeoutException):
        return "the server went silent"
    return "the connection broke off"
