"""PrimeKG on Harvard Dataverse: which files there are, where they are kept, and fetching them.

Dataverse serves a data file under `/api/access/datafile/NUMBER` (with a redirect to its store) and tells its size and
checksum under `/api/files/NUMBER`. A table that Dataverse has taken in is handed out converted unless the original is
asked for; the checksum is the original's.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flykd_console.errors import UserError
from flykd_console.graph.sources.checksum import Checksum

if TYPE_CHECKING:
    import httpx

    from flykd_console.graph.sources.download import Downloaded, Expected, Patience

BASE_URL = "https://dataverse.harvard.edu"
FETCH = "flykd-console graph fetch primekg"


@dataclass(frozen=True)
class DataFile:
    """A file of PrimeKG's: its number on Dataverse, the name it is kept under and columns that its header must have."""

    number: int
    name: str
    columns: tuple[str, ...]


_KG = ("relation", "x_id", "x_type", "x_name", "y_id", "y_type", "y_name")
FILES: dict[str, DataFile] = {
    "kg": DataFile(6180620, "kg.csv", _KG),
    "txgnn-kg": DataFile(6180626, "txgnn-kg.csv", _KG),
    "nodes": DataFile(6180617, "nodes.csv", ("node_id", "node_type")),
    "edges": DataFile(6180616, "edges.csv", ("relation", "x_index", "y_index")),
}


def data_directory() -> Path:
    """Where fetched graphs live: `$FLYKD_DATA`, else the per-user data directory."""
    import platformdirs

    chosen = os.environ.get("FLYKD_DATA")
    return (Path(chosen) if chosen else platformdirs.user_data_path("flykd-console")) / "primekg"


def stored(what: str = "kg") -> Path:
    """The file that a fetch left; for `kg`, TxGNN's copy serves too.

    Raises:
        UserError: It is not there; names the command that fetches it.
    """
    names = [FILES[what].name] + ([FILES["txgnn-kg"].name] if what == "kg" else [])
    for name in names:
        path = data_directory() / name
        if path.exists():
            return path
    option = "" if what == "kg" else f" --what {what}"
    raise UserError("PrimeKG has not been fetched yet", str(data_directory() / names[0]), f"Run: {FETCH}{option}")


def fetch(
    what: str,
    directory: Path | None = None,
    base_url: str = BASE_URL,
    *,
    force: bool = False,
    report: Callable[[int, int | None], None] = lambda done, total: None,
    log: Callable[[str], None] = lambda line: None,
    patience: Patience | None = None,
) -> Downloaded | Path:
    """Fetch one of `FILES` into `directory` (default: the per-user data directory).

    Returns:
        What was downloaded, or the path of a file that was there already and, where Dataverse tells a checksum, has
        it.

    Raises:
        UserError: Unknown name, no network, a full disk, a wrong checksum, something else than the file.
    """
    import httpx

    from flykd_console.graph.sources.download import Patience, download

    if what not in FILES:
        raise UserError(f"PrimeKG has no file {what!r} here", "--what", f"Choose from {', '.join(FILES)}.")
    if not base_url.startswith(("http://", "https://")):
        raise UserError(f"{base_url!r} is not a web address", "--base-url", f"Give one such as {BASE_URL}.")
    chosen = FILES[what]
    target = (directory or data_directory()) / chosen.name
    patience = patience or Patience()
    timeout = httpx.Timeout(patience.stall, connect=patience.connect)
    with httpx.Client(headers={"User-Agent": "flykd-console"}, timeout=timeout, follow_redirects=True) as client:
        expected, original = _ask(client, f"{base_url.rstrip('/')}/api/files/{chosen.number}", patience)
        if target.exists() and not force:
            told = expected.checksum
            if told is None or Checksum.of(target, told.algorithm).value == told.value:
                return target
            log(f"{target} is not the file that the server has now; fetching it again.")
        url = f"{base_url.rstrip('/')}/api/access/datafile/{chosen.number}{'?format=original' if original else ''}"
        return download(
            url,
            target,
            client=client,
            expected=expected,
            patience=patience,
            report=report,
            log=log,
            check=lambda path: _check_header(path, chosen, url),
        )


def _ask(client: httpx.Client, url: str, patience: Patience) -> tuple[Expected, bool]:
    """Size and checksum by Dataverse's metadata if it answers, and whether the original must be asked for."""
    import httpx

    from flykd_console.graph.sources.download import Expected

    try:
        answer = client.get(url, timeout=httpx.Timeout(min(10.0, patience.stall), connect=patience.connect))
        file = answer.json()["data"]["dataFile"] if answer.status_code == 200 else {}
        taken_in = bool(file.get("originalFileFormat"))
        size = file.get("originalFileSize" if taken_in else "filesize")
        told = file.get("checksum") or {"type": "MD5", "value": file.get("md5", "")}
        checksum = Checksum.parse(str(told["type"]), str(told["value"]), "Dataverse")
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError):
        return Expected(), False
    return Expected(size if isinstance(size, int) and size > 0 else None, checksum), taken_in


def _check_header(path: Path, chosen: DataFile, url: str) -> None:
    with path.open("rb") as file:
        header = file.readline(1 << 16).decode("utf-8", "replace")
    fields = {field.strip().strip('"') for field in header.replace("\t", ",").split(",")}
    if missing := [column for column in chosen.columns if column not in fields]:
        raise UserError(
            f"what came is not PrimeKG's {chosen.name}: it has no column {missing[0]}",
            url,
            "Look at the address in a browser; nothing was kept.",
        )
