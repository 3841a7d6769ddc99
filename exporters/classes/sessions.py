"""Opening a bundle's encoders: what is run are the bytes that were checked, made of operators that encoders need."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.classes.manifest import ANSWERS, ClassManifest
from exporters.manifest import damaged
from exporters.onnx_files import model_bytes
from flykd_console.errors import UserError

# What encoders are made of besides the operators of heads.
OPERATORS = frozenset(("Abs", "Elu", "Equal", "LayerNormalization", "LeakyRelu", "Range", "ScatterElements"))


def open_encoder(path: Path, manifest: ClassManifest, threads: int, verify: bool = True) -> Any:
    """The session of one encoder, on the CPU.

    Raises:
        UserError: The file is no graph, has other operators, or belongs to other answers; or there is no onnxruntime.
    """
    try:
        import onnxruntime
    except ImportError:
        raise UserError(
            "encoders are run by onnxruntime, which is not installed", str(path.parent), "pip install onnxruntime"
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    data = model_bytes(path, manifest.files[path.name] if verify else None, OPERATORS)
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base class of its own
        raise damaged(f"cannot be loaded ({str(error).splitlines()[0]})", path) from None
    if session.get_modelmeta().custom_metadata_map.get("answers_sha256") != manifest.files[ANSWERS].sha256:
        raise damaged(f"belongs to other answers than {ANSWERS}", path)
    return session


def run_encoder(session: Any, feed: Mapping[str, Any], shape: tuple[int, int], path: Path) -> NDArray[np.float32]:
    """The logits that an encoder gives, float32 of a shape.

    Raises:
        UserError: It does not take its inputs, or gives something else.
    """
    try:
        logits = session.run(["logits"], feed)[0]
    except Exception as error:  # onnxruntime's errors share no base class of its own
        raise damaged(f"cannot be run ({str(error).splitlines()[0][:200]})", path) from None
    if logits.shape != shape or logits.dtype != np.float32:
        raise damaged(f"gives no {shape[0]} × {shape[1]} logits", path)
    if not np.isfinite(logits).all():
        raise damaged("gives logits that are not finite", path)
    found: NDArray[np.float32] = logits
    return found
