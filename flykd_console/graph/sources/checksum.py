"""A file's checksum: read from what a server says, and computed from what is on disk."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

_HEX_DIGITS = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}


@dataclass(frozen=True)
class Checksum:
    """A file's digest in hexadecimal, and who gave it."""

    algorithm: str
    value: str
    given_by: str = ""

    @classmethod
    def parse(cls, algorithm: str, value: str, given_by: str) -> Checksum | None:
        """None where the algorithm is unknown or the value has not its form."""
        name, value = algorithm.strip().lower().replace("-", ""), value.strip().lower()
        well_formed = re.fullmatch("[0-9a-f]+", value) and len(value) == _HEX_DIGITS.get(name)
        return cls(name, value, given_by) if well_formed else None

    @classmethod
    def of(cls, path: Path, algorithm: str) -> Checksum:
        """Of a file on disk."""
        with path.open("rb") as file:
            return cls(algorithm, hashlib.file_digest(file, algorithm).hexdigest())

    @classmethod
    def told_by(cls, answer: httpx.Response) -> Checksum | None:
        """Content-MD5 (of a whole body), or the ETag where the store is S3 and the object was uploaded in one piece."""
        if answer.status_code == 200 and (given := answer.headers.get("Content-MD5")):
            try:
                return cls.parse("md5", base64.b64decode(given, validate=True).hex(), "Content-MD5")
            except ValueError:
                return None
        if "x-amz-request-id" in answer.headers and "x-amz-server-side-encryption-aws-kms-key-id" not in answer.headers:
            return cls.parse("md5", answer.headers.get("ETag", "").strip('"'), "the ETag")
        return None
