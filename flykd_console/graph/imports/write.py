"""An imported graph on disk: its table in kg form, and beside it the report."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import IO, cast

import msgspec

from flykd_console.errors import UserError
from flykd_console.graph.cache import content_hash
from flykd_console.graph.imports.report import Imported, Report, beside
from flykd_console.graph.whole_file import whole_file
from flykd_console.runs.files import replace_file


def write(imported: Imported, path: Path) -> Report:
    """Write the table (Parquet, CSV or gzipped CSV by its name) and its report.

    Args:
        imported: What was read.
        path: Replaced when everything is written.

    Returns:
        The report with the table's checksum, as it stands beside the table.

    Raises:
        UserError: The file cannot be written.
    """
    name = path.name.lower()
    try:
        with whole_file(path) as temporary:
            if name.endswith(".parquet"):
                imported.table.write_parquet(temporary, compression="zstd", statistics=False)
            elif name.endswith(".gz"):
                with temporary.open("wb") as file, gzip.GzipFile("", "wb", 4, file, mtime=0) as packed:
                    imported.table.write_csv(cast("IO[bytes]", packed))
            else:
                imported.table.write_csv(temporary)
        report = msgspec.structs.replace(imported.report, table_sha256=content_hash(path))
        replace_file(beside(path), report.as_json())
    except OSError as error:
        said = error.strerror or error
        raise UserError(f"cannot be written: {said}", str(path), "Make room or choose another folder.") from error
    return report
