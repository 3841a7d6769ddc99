"""One large file over HTTP: resumed where it broke off, retried, checked, and in place only when it is whole.

Bytes go to `NAME.part` with `NAME.part.json` beside it, which says what they are part of. A later call goes on from
there with `Range` and `If-Range` (RFC 9110, section 13.1.5), and starts over where the server sends the whole file or
the file has changed. Retries are tenacity's.
"""

from __future__ import annotations

import base64
import binascii
import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path

import httpx
import tenacity

from flykd_console.errors import UserError
from flykd_console.words import grouped

_PASSING = {408, 425, 429, 500, 502, 503, 504}
_ALGORITHMS = {
    "md5": "md5",
    "sha-1": "sha1",
    "sha1": "sha1",
    "sha-256": "sha256",
    "sha256": "sha256",
    "sha-512": "sha512",
    "sha512": "sha512",
}


@dataclass(frozen=True)
class Checksum:
    """A file's digest in hexadecimal, and who gave it."""

    algorithm: str
    value: str
    given_by: str = ""

    @classmethod
    def parse(cls, algorithm: str, value: str, given_by: str) -> Checksum | None:
        """None where the algorithm is unknown or the value has not its form."""
        name = _ALGORITHMS.get(algorithm.strip().lower())
        value = value.strip().lower()
        if (
            name is None
            or len(value) != 2 * hashlib.new(name).digest_size
            or not all(c in "0123456789abcdef" for c in value)
        ):
            return None
        return cls(name, value, given_by)


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


class _PassingError(Exception):
    """An attempt broke off; another may do better."""


class _StartOverError(_PassingError):
    """What is there does not fit what the server has."""


@dataclass
class _State:
    """What the attempts share."""

    total: int | None = None
    checksum: Checksum | None = None
    resumed_from: int = 0
    furthest: int = 0
    fruitless: int = 0
    mended: bool = False


def download(
    url: str,
    target: Path,
    *,
    client: httpx.Client,
    expected: Expected | None = None,
    patience: Patience | None = None,
    report: Callable[[int, int | None], None] = lambda done, total: None,
    log: Callable[[str], None] = lambda line: None,
    check: Callable[[Path], None] = lambda path: None,
) -> Downloaded:
    """Download `url` to `target`, which is replaced when everything has come and the checksum holds.

    Args:
        url: Redirects are followed.
        target: Its directory is made.
        client: Its timeouts are replaced by those of `patience`.
        expected: Size and checksum where they are known; the server's own headers are used besides.
        patience: Timeouts and retries.
        report: Called with the bytes that are there and the size (None where unknown).
        log: Told in one line of each retry.
        check: Looks at the finished file before it is put in place; raises UserError to refuse it.

    Raises:
        UserError: No network, a final answer such as 404, a full disk, a wrong size or checksum. What came so far is
            kept for the next call unless it proved wrong.
    """
    expected, patience = expected or Expected(), patience or Patience()
    part, note = target.with_name(target.name + ".part"), target.with_name(target.name + ".part.json")
    state = _State(total=expected.size, checksum=expected.checksum)
    timeout = httpx.Timeout(patience.stall, connect=patience.connect)
    with _disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(part) as file:
            retries = tenacity.Retrying(
                retry=tenacity.retry_if_exception_type(_PassingError),
                stop=lambda _: state.fruitless >= patience.attempts,
                wait=tenacity.wait_random_exponential(multiplier=patience.first_wait, max=patience.longest_wait),
                before_sleep=lambda call: log(f"{_reason(call)}; trying again."),
                reraise=True,
            )
            try:
                for attempt in retries:
                    with attempt:
                        _attempt(client, url, file, note, expected, state, timeout, report)
                        computed = _verify(url, file, note, state)
            except _PassingError as failure:
                raise UserError(f"the download failed: {failure}", url, _hint(file, failure)) from failure
            try:
                check(part)
            except UserError:
                part.unlink()
                note.unlink(missing_ok=True)
                raise
            os.replace(part, target)
            note.unlink(missing_ok=True)
    return Downloaded(
        target, target.stat().st_size, computed, state.checksum.given_by if state.checksum else "", state.resumed_from
    )


def digest(path: Path, algorithm: str) -> str:
    """A file's digest in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _attempt(
    client: httpx.Client,
    url: str,
    file: BufferedRandom,
    note: Path,
    expected: Expected,
    state: _State,
    timeout: httpx.Timeout,
    report: Callable[[int, int | None], None],
) -> None:
    """One request, from where the file ends; raises `_PassingError` where it brings less than the rest."""
    offset = file.seek(0, os.SEEK_END)
    state.furthest = max(state.furthest, offset)
    validator = _validator(note, url) if offset else ""
    if offset and not validator and expected.checksum is None:
        offset = _restart(file)  # nothing would prove that the two halves belong together
    if offset and state.total == offset:
        return
    headers = {"Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if validator:
            headers["If-Range"] = validator
    try:
        with client.stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True) as answer:
            offset = _begin(answer, file, offset, state, expected)
            if offset == state.total:
                return
            state.resumed_from = max(state.resumed_from, offset)
            _room(file, (state.total or offset) - offset)
            note.write_text(json.dumps({"url": url, "validator": _strong(answer)}), "utf-8")
            report(offset, state.total)
            for block in answer.iter_bytes():  # as they arrive: a larger unit is lost when it breaks off
                file.write(block)
                offset += len(block)
                report(offset, state.total)
            file.flush()
    except httpx.TransportError as error:
        file.flush()
        if offset and offset == expected.size:
            return  # all of it is there, whatever length the server had announced
        raise _count(
            state, offset, f"{_network(error)}{f' after {grouped(offset)} bytes' if offset else ''}"
        ) from error
    except _PassingError:
        state.fruitless += 1
        raise
    except httpx.InvalidURL as error:
        raise UserError(f"is not an address: {error}", url, "Give one that begins with https://") from error
    if state.total is not None and offset != state.total:
        if offset > state.total:
            _restart(file)
        raise _count(
            state, min(offset, state.total - 1), f"the server sent {grouped(offset)} of {grouped(state.total)} bytes"
        )


def _begin(answer: httpx.Response, file: BufferedRandom, offset: int, state: _State, expected: Expected) -> int:
    """Judge the answer's head; the place in the file where its body belongs."""
    if answer.status_code == 416 and offset:
        total = _content_range(answer.headers.get("Content-Range", ""))[1]
        if total == offset and expected.size in (None, offset):
            state.total = offset  # all of it was there already
            return offset
        _restart(file)
        raise _StartOverError("the server does not know the rest of this file")
    if answer.status_code in _PASSING:
        raise _PassingError(f"the server answered {answer.status_code} {answer.reason_phrase}")
    if answer.status_code not in (200, 206):
        hint = (
            "Check the address."
            if answer.status_code in (404, 410)
            else "Try again later, or fetch the file with a browser."
        )
        raise UserError(f"the server answered {answer.status_code} {answer.reason_phrase}", str(answer.url), hint)
    length = answer.headers.get("Content-Length", "")
    encoded = answer.headers.get("Content-Encoding", "identity") != "identity"
    size = int(length) if length.isdigit() and not encoded else None
    if answer.status_code == 206:
        first, total = _content_range(answer.headers.get("Content-Range", ""))
        if first != offset:
            _restart(file)
            raise _StartOverError("the server sent another part than was asked for")
        state.total = expected.size if expected.size is not None else total
    else:
        offset = _restart(file)
        state.total = expected.size if expected.size is not None else size
    if expected.checksum is None:
        state.checksum = _checksum_from(answer) or (state.checksum if answer.status_code == 206 else None)
    return offset


def _verify(url: str, file: BufferedRandom, note: Path, state: _State) -> Checksum:
    """The file's checksum; where the server gave another, one fresh download is tried, then it is refused."""
    algorithm = state.checksum.algorithm if state.checksum else "sha256"
    file.seek(0)
    found = Checksum(algorithm, hashlib.file_digest(file, algorithm).hexdigest())
    if state.checksum is None or found.value == state.checksum.value:
        return found
    _restart(file)
    note.unlink(missing_ok=True)
    if state.resumed_from and not state.mended:
        state.mended, state.resumed_from = True, 0
        raise _StartOverError("the parts do not make the file whose checksum the server gives")
    raise UserError(
        f"{state.checksum.given_by} says {algorithm.upper()} {state.checksum.value}, but what came has {found.value}",
        url,
        "Nothing was kept; try again later.",
    )


def _count(state: _State, offset: int, reason: str) -> _PassingError:
    """Only coming further than ever before counts as progress: a server may break off at one place for ever."""
    state.fruitless = 0 if offset > state.furthest else state.fruitless + 1
    state.furthest = max(state.furthest, offset)
    return _PassingError(reason)


def _restart(file: BufferedRandom) -> int:
    file.seek(0)
    file.truncate()
    return 0


def _validator(note: Path, url: str) -> str:
    try:
        known = json.loads(note.read_text("utf-8"))
        return str(known["validator"]) if known["url"] == url else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _strong(answer: httpx.Response) -> str:
    """What proves to the server that a part is of the same file: a strong ETag, else the date."""
    etag = str(answer.headers.get("ETag", ""))
    return etag if etag.startswith('"') else str(answer.headers.get("Last-Modified", ""))


def _checksum_from(answer: httpx.Response) -> Checksum | None:
    """Content-MD5 (of a whole body), or the ETag where the store is S3 and the object was uploaded in one piece."""
    if answer.status_code == 200 and (given := answer.headers.get("Content-MD5")):
        try:
            return Checksum.parse("md5", base64.b64decode(given, validate=True).hex(), "Content-MD5")
        except (binascii.Error, ValueError):
            return None
    if "x-amz-request-id" in answer.headers and "x-amz-server-side-encryption-aws-kms-key-id" not in answer.headers:
        return Checksum.parse("md5", answer.headers.get("ETag", "").strip('"'), "the ETag")
    return None


def _content_range(value: str) -> tuple[int | None, int | None]:
    """`bytes 100-199/200` → (100, 200); None for what it does not say."""
    unit, _, rest = value.partition(" ")
    span, _, total = rest.partition("/")
    first = span.partition("-")[0]
    if unit != "bytes":
        return None, None
    return (int(first) if first.isdigit() else None), (int(total) if total.isdigit() else None)


def _room(file: BufferedRandom, needed: int) -> None:
    free = shutil.disk_usage(os.path.dirname(file.name)).free
    if needed > free:
        raise UserError(
            f"the disk has {grouped(free)} bytes free, but {grouped(needed)} are still to come",
            str(file.name),
            "Make room, or take --dir.",
        )


@contextmanager
def _locked(part: Path) -> Iterator[BufferedRandom]:
    """The part file, open for reading and writing, ours alone."""
    with open(part, "a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                "another download of this file is running", str(part), "Wait for it, or stop it."
            ) from error
        try:
            yield file
        finally:
            if part.exists() and part.stat().st_size == 0:
                part.unlink()


@contextmanager
def _disk_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                "the disk is full", str(target.parent), "Make room and run it again: it goes on where it stopped."
            ) from error
        raise UserError(
            f"cannot be written: {error.strerror or error}", str(target), "Choose another folder with --dir."
        ) from error


def _network(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        return "no connection to the server"
    if isinstance(error, httpx.TimeoutException):
        return "the server went silent"
    return "the connection broke off"


def _reason(call: tenacity.RetryCallState) -> str:
    failure = call.outcome.exception() if call.outcome else None
    text = str(failure) if failure else "it failed"
    return text[:1].upper() + text[1:]


def _hint(file: BufferedRandom, failure: Exception) -> str:
    there = file.seek(0, os.SEEK_END)
    kept = f" The {grouped(there)} bytes that came are kept: run it again to go on." if there else ""
    return (
        f"Check the network.{kept}"
        if "connection" in str(failure) or "silent" in str(failure)
        else f"Try again later.{kept}"
    )
