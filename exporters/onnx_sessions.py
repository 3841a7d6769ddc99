"""Opening a bundle's ONNX heads: one thread that sleeps between requests, and only beside the tables they belong to.

Threads that spin while they wait take a core from whoever else is there, and make the slowest answers slower.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime

from exporters.manifest import Manifest, damaged
from exporters.onnx_files import head_bytes


def open_head(path: Path, manifest: Manifest, threads: int, verify: bool = True) -> Any:
    """The session of one head of a bundle, on the CPU.

    Raises:
        UserError: The file is no graph, or belongs to other tables or relations than the manifest's.
        ValueError: `threads` is below 1.
    """
    if threads < 1:
        raise ValueError(f"{threads} threads")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # What is run are the bytes that were checked, and a stranger's graph is told of by its error alone.
    data = head_bytes(path, manifest, verify)
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base class of its own
        raise damaged(f"cannot be loaded ({str(error).splitlines()[0]})", path) from None
    return session


def run_head(session: Any, outputs: list[str], feed: Mapping[str, Any], path: Path) -> Any:
    """What a head makes of its inputs.

    Raises:
        UserError: It does not take them.
    """
    try:
        return session.run(outputs, feed)
    except Exception as error:  # onnxruntime's errors share no base class of its own
        raise damaged(f"cannot be run ({str(error).splitlines()[0][:200]})", path) from None
