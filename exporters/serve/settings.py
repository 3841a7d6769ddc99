"""What the service is started with: bundles, address, token and limits, checked before anything is opened."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from flykd_console.errors import CHECK_PATH, UserError

TOKEN_VARIABLE = "FLYKD_TOKEN"
_SHORTEST_TOKEN = 16
_LARGEST_TOKEN_FILE = 4096
# Options of the command line that are not called as their limit.
_OPTIONS = {"body": "max-body", "batch": "max-batch", "in_loop": "in-loop"}


@dataclass(frozen=True)
class Limits:
    """How much is taken on.

    Attributes:
        body: Bytes of a request's body.
        batch: Pairs of one request, and rows of one list.
        concurrency: Requests in work at a time; more are refused with 503.
        connections: Open connections; more are refused with 503.
        rate: Requests a second and client address, on average over a few seconds; more are refused with 429. 0: any.
        threads: Worker threads for what takes long: lists of pairs, the frequent-flyer correction, misspelt names.
        in_loop: Rows of an answer up to which it is made where requests are read, and not in a thread. 0: never.
        timeout: Seconds that a request's headers, its body and its answer may take, each.

    Raises:
        UserError: One of them is no number above 0 (`rate` and `in_loop`: or 0).
    """

    body: int = 1 << 20
    batch: int = 10_000
    concurrency: int = 256
    connections: int = 1024
    rate: float = 0.0
    threads: int = 2
    in_loop: int = 500
    timeout: float = 30.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            least = 0.0 if name in ("rate", "in_loop") else sys.float_info.min
            if not least <= value < float("inf"):
                raise UserError(f"{value} is no limit", f"--{_OPTIONS.get(name, name)}", "Give a number above 0.")


_PORTS = 1 << 16


@dataclass(frozen=True)
class Settings:
    """How the service is started.

    Attributes:
        bundles: Folders by the names that requests call them; the first is meant where none is named.
        host: Address that is listened on.
        token: What requests must bring; None: nothing, which is allowed on this machine alone.
        names: Host names beside localhost and plain addresses that requests may call this service by.
        poll: Seconds between looks at the bundles' files; 0: they are opened anew on SIGHUP alone.
        log: Whether each request is a line on standard error.

    Raises:
        UserError: The service would be open to other machines without a token.
    """

    bundles: Mapping[str, Path]
    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    names: Sequence[str] = ()
    poll: float = 2.0
    log: bool = False
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not self.bundles:
            raise UserError("no bundle is named", "serve", "Give a bundle's folder; flykd-console export writes one.")
        if not 0 <= self.port < _PORTS:
            raise UserError(f"{self.port} is no port", "--port", f"Give 0 (a free one) to {_PORTS - 1}.")
        if self.token is None and not is_loopback(self.host):
            raise UserError(
                f"{self.host} can be reached from other machines, and no token is set",
                "--host",
                f"Give --token-file FILE or {TOKEN_VARIABLE}, or listen on 127.0.0.1.",
            )


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    if host.lower() == "localhost":
        return True
    address = as_address(host)
    return address is not None and address.is_loopback


def as_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The plain address that a host is; None where it is a name."""
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def read_token(file: Path | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """The token of a file, else of the environment, blanks around it apart; None where neither is given.

    Raises:
        UserError: It is short, or is no line of printable ASCII, or the file cannot be read.
    """
    where = str(file) if file is not None else TOKEN_VARIABLE
    if file is None:
        text = environment.get(TOKEN_VARIABLE, "")
        if not text:
            return None
    else:
        try:
            if file.stat().st_size > _LARGEST_TOKEN_FILE:
                raise UserError("the file is larger than any token", where, "Give a file that holds the token alone.")
            text = file.read_text(encoding="ascii")
        except OSError as error:
            raise UserError(f"the token cannot be read ({error.strerror})", where, CHECK_PATH) from None
        except UnicodeDecodeError:
            raise UserError("the token is no plain ASCII", where, "Make one: openssl rand -hex 32") from None
    token = text.strip()
    if len(token) < _SHORTEST_TOKEN:
        raise UserError(
            f"the token has {len(token)} characters, and {_SHORTEST_TOKEN} is the least",
            where,
            "Make one: openssl rand -hex 32",
        )
    if not token.isascii() or not token.isprintable() or " " in token:
        raise UserError("the token is more than one word of ASCII", where, "Make one: openssl rand -hex 32")
    return token


def name_bundles(texts: Sequence[str]) -> dict[str, Path]:
    """Bundles by name, from `FOLDER` or `NAME=FOLDER` each.

    A folder's own name is taken; that of its run where it is a run's `export`.

    Raises:
        UserError: Two have one name.
    """
    found: dict[str, Path] = {}
    for text in texts:
        name, equals, rest = text.partition("=")
        # A folder whose name has an equals sign is there as it is written.
        given = bool(equals) and not Path(text).exists()
        path = Path(rest if given else text)
        if not given:
            whole = path.absolute()
            name = whole.parent.name if whole.name == "export" else whole.name
        if not name.strip() or (given and not rest.strip()):
            raise UserError(f"{text!r} names no bundle", "serve", "Give FOLDER or NAME=FOLDER.")
        if name in found:
            raise UserError(f"two bundles are called {name!r}", "serve", f"Name one: NAME={path}")
        found[name] = path
    return found
