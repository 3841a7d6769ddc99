"""OptimusKG, Hetionet and DRKG where they are published: which files, from where, under which terms, and fetching them.

OptimusKG lies on Harvard Dataverse under a DOI, whose files are asked for by name; Hetionet in its repository at a
fixed commit, the larger file in git's store of large files (whose pointer tells its SHA-256); DRKG in a bucket.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from flykd_console.errors import UserError
from flykd_console.graph.sources.checksum import Checksum
from flykd_console.graph.sources.primekg import BASE_URL as DATAVERSE
from flykd_console.graph.sources.primekg import data_directory

if TYPE_CHECKING:
    import httpx

    from flykd_console.graph.sources.download import Downloaded, Expected, Patience

_HETIONET = "/hetio/hetionet/raw/38873689199f81b0e6e11554d9803b94f0c4a12c/hetnet/tsv"
_PAGE = (b"<", b"{", b"version https://git-lfs")


@dataclass(frozen=True)
class PublishedFile:
    """One file: the name it is kept under, and where it is below the data set's address.

    Attributes:
        path: Below the address; empty on Dataverse, where the name is looked up.
        begins: The first bytes that it must have.
        size: In bytes, where it is known beforehand.
        sha256: Where it is known beforehand.
    """

    name: str
    begins: bytes
    path: str = ""
    size: int | None = None
    sha256: str = ""


@dataclass(frozen=True)
class DataSet:
    """A published graph."""

    name: str
    base_url: str
    page: str
    terms: str
    files: tuple[PublishedFile, ...]
    doi: str = field(default="")


DATA_SETS = {
    "optimuskg": DataSet(
        "optimuskg",
        DATAVERSE,
        "doi:10.7910/DVN/IYNGEV",
        "code MIT; data under the licences of its 65 sources",
        (PublishedFile("nodes.parquet", b"PAR1"), PublishedFile("edges.parquet", b"PAR1")),
        doi="doi:10.7910/DVN/IYNGEV",
    ),
    "hetionet": DataSet(
        "hetionet",
        "https://github.com",
        "github.com/hetio/hetionet",
        "CC0 1.0, and the terms of each of its 29 sources",
        (
            PublishedFile("hetionet-v1.0-nodes.tsv", b"id\tname\tkind", f"{_HETIONET}/hetionet-v1.0-nodes.tsv"),
            PublishedFile(
                "hetionet-v1.0-edges.sif.gz",
                b"\x1f\x8b",
                f"{_HETIONET}/hetionet-v1.0-edges.sif.gz",
                12_401_407,
                "611f0411ac666be4e0270e54bbca67407e14720bfc3099311f0f5eec25c5a947",
            ),
        ),
    ),
    "drkg": DataSet(
        "drkg",
        "https://dgl-data.s3-us-west-2.amazonaws.com",
        "github.com/gnn4dr/DRKG",
        "code Apache-2.0; data under the licences of its sources",
        (PublishedFile("drkg.tar.gz", b"\x1f\x8b", "/dataset/DRKG/drkg.tar.gz"),),
    ),
}


def folder(name: str) -> Path:
    """Where a data set is kept: beside PrimeKG."""
    return data_directory().parent / name


def fetch(
    name: str,
    directory: Path | None = None,
    base_url: str | None = None,
    *,
    force: bool = False,
    begin: Callable[[str], None] = lambda file: None,
    report: Callable[[int, int | None], None] = lambda done, total: None,
    log: Callable[[str], None] = lambda line: None,
    patience: Patience | None = None,
) -> list[Downloaded | Path]:
    """Fetch every file of a data set.

    Args:
        name: One of `DATA_SETS`.
        directory: Where to; None: the per-user data directory.
        base_url: Another server with the same paths.
        force: Fetch what is there already.
        begin: Told each file's name before it is fetched.
        report: Told the bytes that are there and the size (None where unknown).
        log: Told in one line of each retry.
        patience: Timeouts and attempts.

    Returns:
        By file what was downloaded, or the path of one that was there, and has the checksum where one is known.

    Raises:
        UserError: Unknown name, no network, a full disk, a wrong checksum, something else than the file.
    """
    import httpx

    from flykd_console.graph.sources.download import Patience, download

    if name not in DATA_SETS:
        raise UserError(
            f"there is no data set {name!r} to fetch", "graph fetch", f"Choose from {', '.join(DATA_SETS)}."
        )
    base = (base_url or DATA_SETS[name].base_url).rstrip("/")
    if not base.startswith(("http://", "https://")):
        raise UserError(f"{base!r} is not a web address", "--base-url", f"Give one such as {DATA_SETS[name].base_url}.")
    chosen, target = DATA_SETS[name], directory or folder(name)
    patience = patience or Patience()
    timeout = httpx.Timeout(patience.stall, connect=patience.connect)
    found: list[Downloaded | Path] = []
    with httpx.Client(headers={"User-Agent": "flykd-console"}, timeout=timeout, follow_redirects=True) as client:
        places = _places(client, chosen, base)
        for file, (url, expected) in zip(chosen.files, places, strict=True):
            path = target / file.name
            if path.exists() and not force and _is_the_file(path, expected, log):
                found.append(path)
                continue
            begin(file.name)
            found.append(
                download(
                    url,
                    path,
                    client=client,
                    expected=expected,
                    patience=patience,
                    report=report,
                    log=log,
                    check=_check_of(file, url),
                )
            )
    return found


def _is_the_file(path: Path, expected: Expected, log: Callable[[str], None]) -> bool:
    told = expected.checksum
    if told is None or Checksum.of(path, told.algorithm).value == told.value:
        return True
    log(f"{path} is not the file that is published now; fetching it again.")
    return False


def _places(client: httpx.Client, chosen: DataSet, base: str) -> Sequence[tuple[str, Expected]]:
    """Each file's address, and what is known of it."""
    from flykd_console.graph.sources.download import Expected

    if chosen.doi:
        return _on_dataverse(client, chosen, base)
    places = []
    for file in chosen.files:
        checksum = Checksum("sha256", file.sha256, "the repository") if file.sha256 else None
        places.append((f"{base}{file.path}", Expected(file.size, checksum)))
    return places


def _on_dataverse(client: httpx.Client, chosen: DataSet, base: str) -> Sequence[tuple[str, Expected]]:
    """The files of the data set's newest version, by their names in its topmost folder."""
    import httpx

    from flykd_console.graph.sources.download import Expected

    url = f"{base}/api/datasets/:persistentId/versions/:latest-published/files?persistentId={chosen.doi}"
    try:
        answer = client.get(url)
        if answer.status_code != 200:
            title = f"the server answered {answer.status_code} {answer.reason_phrase}"
            raise UserError(title, url, "Try again later, or fetch the files with a browser.")
        listed = [(str(entry.get("directoryLabel") or ""), entry["dataFile"]) for entry in answer.json()["data"]]
        known = {}
        # The files by type lie deeper; of equal names the one nearest to the top is the whole.
        for folder_name, entry in sorted(listed, key=lambda pair: pair[0].count("/"), reverse=True):
            known[str(entry.get("originalFileName") or entry["filename"]), folder_name.rsplit("/", 1)[-1]] = entry
        found = []
        for file in chosen.files:
            entries = [entry for (name, _), entry in known.items() if name == file.name]
            if not entries:
                names = ", ".join(sorted({name for name, _ in known})[:8])
                raise UserError(f"the data set has no file {file.name}", url, f"It has {names}.")
            entry = entries[-1]
            told = entry.get("checksum") or {"type": "MD5", "value": entry.get("md5", "")}
            checksum = Checksum.parse(str(told["type"]), str(told["value"]), "Dataverse")
            size = entry.get("filesize")
            place = f"{base}/api/access/datafile/{int(entry['id'])}"
            found.append((place, Expected(size if isinstance(size, int) and size > 0 else None, checksum)))
    except httpx.HTTPError as error:
        raise UserError("no connection to the server", url, "Check the network.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError("what came is no list of files", url, "Look at the address in a browser.") from error
    return found


def _check_of(file: PublishedFile, url: str) -> Callable[[Path], None]:
    def check(path: Path) -> None:
        with path.open("rb") as opened:
            head = opened.read(64)
        if not head.startswith(file.begins):
            what = "a page or a pointer" if head.lstrip().startswith(_PAGE) else "something else"
            title = f"what came is not {file.name}, but {what}"
            raise UserError(title, url, "Look at the address in a browser; nothing was kept.")

    return check
