"""Graphs that were read once, kept in columns in a per-user directory so that the next run has them in a fraction of
a second.

An entry is one uncompressed `.npz` file, named by the content of what it was made from and by the code that made it;
zip's CRC-32 of each member is verified on reading. A file's content hash is remembered with its path, size and times,
so that a large file is not hashed again. Nothing here may break a run: what cannot be read is made anew, what cannot
be written is left out, and one line says so.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from flykd_console.graph.knowledge_graph import EdgeType, KnowledgeGraph
from flykd_console.graph.whole_file import whole_file
from flykd_console.runs.files import replace_file

SCHEMA = 3
KEPT = 8  # entries; the least recently used go first
_SETTLED = 2.0  # seconds after which an unchanged modification time proves an unchanged file

Log = Callable[[str], None]


def cache_directory() -> Path:
    """Where graphs are kept: `$FLYKD_CACHE`, else the per-user cache directory."""
    import platformdirs

    chosen = os.environ.get("FLYKD_CACHE")
    return (Path(chosen) if chosen else platformdirs.user_cache_path("flykd-console")) / "graphs"


def cached(key: str, source: str, make: Callable[[], KnowledgeGraph], log: Log) -> KnowledgeGraph:
    """The graph kept under `key`, or the one that `make` makes, kept for the next time.

    Args:
        key: Names content and maker, as `file_key` and `made_key` do; fit for a file name.
        source: The graph's name for people.
        make: Called where nothing sound is kept.
        log: Told in one line when an entry is damaged or cannot be written.
    """
    entry = cache_directory() / f"{key}.npz"
    try:
        graph = _read(entry, source)
        _touch(entry)
        return graph
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass
    except (
        OSError,
        ValueError,
        KeyError,
        EOFError,
        NotImplementedError,
        zipfile.BadZipFile,
        zlib.error,
        pl.exceptions.PolarsError,
    ) as error:
        log(f"The cached graph is damaged ({_short(error)}); reading the graph again.")
    graph = make()
    try:
        _write(entry, graph)
        _prune(entry.parent)
    except OSError as error:
        log(f"The graph cache cannot be written ({_short(error)}); going on without it.")
    return graph


def file_key(path: Path, *makers: str) -> str:
    """A key for a file's content as the modules `makers` (file names) read it.

    Raises:
        OSError: The file cannot be read.
    """
    return f"{content_hash(path)[:32]}-{_code_hash(*makers)}"


def source_key(path: Path, files: Sequence[Path], settings: Sequence[str], *makers: str) -> str:
    """A key for the files of a graph that lies in `path`, read under `settings`.

    Raises:
        OSError: A file cannot be read.
    """
    if len(files) == 1 and not settings:
        return file_key(files[0], *makers)
    digest = hashlib.sha256("\n".join(settings).encode())
    for file in files:
        # What a file is called may say which others it belongs to.
        name = file.relative_to(path).as_posix() if file != path else ""
        digest.update(f"\0{name}\0{content_hash(file)}".encode())
    return f"{digest.hexdigest()[:32]}-{_code_hash(*makers)}"


def made_key(name: str, *makers: str) -> str:
    """A key for a graph that the modules `makers` (file names) generate from the settings in `name`."""
    return f"{name}-{_code_hash(*makers)}"


def _code_hash(*makers: str) -> str:
    """Changes with the code that makes the graph, so that no release is given a graph that an older one made."""
    digest = hashlib.sha256(str(SCHEMA).encode())
    for maker in sorted(makers):
        digest.update(Path(maker).read_bytes())
    return digest.hexdigest()[:12]


def content_hash(path: Path) -> str:
    """SHA-256 of a file, remembered until its size, time, inode or path change."""
    state = path.stat()
    mark = [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]
    memory = cache_directory() / "known" / f"{hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]}.json"
    try:
        known = json.loads(memory.read_text("utf-8"))
        if known["mark"] == mark and isinstance(known["sha256"], str):
            return str(known["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    # A file changed within the clock's grain of being hashed would look unchanged for ever: do not remember it yet.
    if time.time() - max(state.st_mtime, state.st_ctime) > _SETTLED:
        with suppress(OSError):  # `cached` says that the directory cannot be written
            memory.parent.mkdir(parents=True, exist_ok=True)
            replace_file(memory, json.dumps({"mark": mark, "sha256": digest}).encode())
    return digest


def _write(entry: Path, graph: KnowledgeGraph) -> None:
    nodes = pl.concat([table.select(pl.lit(name).alias("type"), "id", "name") for name, table in graph.nodes.items()])
    packed = io.BytesIO()
    nodes.write_ipc(packed, compat_level=pl.CompatLevel.oldest())
    about = {
        "schema": SCHEMA,
        "fingerprint": graph.fingerprint,
        "nodes": {name: table.height for name, table in graph.nodes.items()},
        "edges": [list(edge_type) for edge_type in graph.edges],
        "imported": graph.imported,
        "dated": graph.dates is not None,
    }
    arrays: dict[str, Any] = {
        "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
        "nodes": np.frombuffer(packed.getvalue(), np.uint8),
    }
    for place, (heads, tails) in enumerate(graph.edges.values()):
        arrays[f"edges.{place}"] = np.stack([heads, tails]).astype(np.int32)
    for place, edge_type in enumerate(graph.edges if graph.dates is not None else ()):
        assert graph.dates is not None
        arrays[f"dates.{place}"] = graph.dates[edge_type]
    entry.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(entry) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def _read(entry: Path, source: str) -> KnowledgeGraph:
    """Raises FileNotFoundError where there is no entry, ValueError, BadZipFile, ... where it is damaged."""
    with np.load(entry, allow_pickle=False) as arrays:
        about = json.loads(arrays["about"].tobytes())
        if about["schema"] != SCHEMA:
            raise ValueError("another version")
        table = pl.read_ipc(io.BytesIO(arrays["nodes"].tobytes()))
        nodes, first = {}, 0
        for name, count in about["nodes"].items():
            nodes[name] = table[first : first + count].select("id", "name")
            first += count
        edges = {}
        for place, names in enumerate(about["edges"]):
            heads, tails = arrays[f"edges.{place}"].astype(np.int64)
            edges[EdgeType(*names)] = (heads, tails)
        dates = {edge_type: arrays[f"dates.{place}"] for place, edge_type in enumerate(edges if about["dated"] else ())}
    graph = KnowledgeGraph(nodes, edges, source, about["imported"], dates if about["dated"] else None)
    graph.__dict__["fingerprint"] = about["fingerprint"]  # where cached_property keeps it
    return graph


def _prune(directory: Path) -> None:
    """Remove all but the `KEPT` entries used last; another process may be doing the same."""
    entries = sorted(directory.glob("*.npz"), key=lambda entry: entry.stat().st_mtime, reverse=True)
    for entry in entries[KEPT:]:
        entry.unlink(missing_ok=True)


def _touch(entry: Path) -> None:
    with suppress(OSError):  # read-only: then nothing is pruned either
        os.utime(entry)


def _short(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error).strip()
    return text.splitlines()[0][:80] if text else type(error).__name__
