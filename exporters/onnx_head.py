"""The decoder as two ONNX graphs, built node by node: DistMult's logit, `Σ_i head_i · relation_i · tail_i`.

The probability is `sigmoid(slope logit + intercept)` with the relation's calibration, 1 and 0 where there is none.

`scoring_head.onnx` scores N pairs; `ranking_head.onnx` scores one node against M others and keeps the best k of those
that a mask does not exclude. DistMult is symmetric in head and tail, so one ranking graph serves both directions.
Operator set 13 and IR version 7 are read by every onnxruntime since 1.7 (2021).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from exporters.manifest import SCHEMA
from flykd_console.runs.files import replace_file

OPSET = 13
IR_VERSION = 7

# Names, element types and shapes; a string is a dimension that is free.
Signature = Mapping[str, tuple[str, tuple[int | str, ...]]]


def scoring_signature(dim: int) -> tuple[Signature, Signature]:
    """Inputs and outputs of the scoring head for embeddings of width `dim`."""
    inputs: Signature = {
        "head": ("tensor(float)", ("N", dim)),
        "relation": ("tensor(int64)", ("N",)),
        "tail": ("tensor(float)", ("N", dim)),
    }
    return inputs, {"logit": ("tensor(float)", ("N",)), "probability": ("tensor(float)", ("N",))}


def ranking_signature(dim: int) -> tuple[Signature, Signature]:
    """Inputs and outputs of the ranking head.

    `excluded` are the candidates that are not ranked; `k` beyond the others means all of them.
    """
    inputs: Signature = {
        "query": ("tensor(float)", (dim,)),
        "relation": ("tensor(int64)", ()),
        "candidates": ("tensor(float)", ("M", dim)),
        "excluded": ("tensor(bool)", ("M",)),
        "k": ("tensor(int64)", (1,)),
    }
    outputs: Signature = {
        "index": ("tensor(int64)", ("K",)),
        "logit": ("tensor(float)", ("K",)),
        "probability": ("tensor(float)", ("K",)),
    }
    return inputs, outputs


def metadata(relations: Sequence[str], head_type: str, tail_type: str, embeddings_sha256: str) -> dict[str, str]:
    """What each graph says of itself: schema, relations in the order of their indices, and the tables it belongs to."""
    return {
        "schema": str(SCHEMA),
        "relations": json.dumps(list(relations), ensure_ascii=False),
        "head_type": head_type,
        "tail_type": tail_type,
        "embeddings_sha256": embeddings_sha256,
    }


def write_scoring_head(
    path: Path, vectors: NDArray[np.float32], calibration: NDArray[np.float32], properties: Mapping[str, str]
) -> None:
    """Write the graph that scores pairs.

    Args:
        path: Where to write.
        vectors: Relation vectors, float32 [R, d].
        calibration: Slope and intercept of each relation's probability, float32 [R, 2].
        properties: `metadata_props` of the model.
    """
    nodes = [
        helper.make_node("Gather", ["vectors", "relation"], ["vector"], axis=0),
        helper.make_node("Mul", ["head", "vector"], ["weighted"]),
        helper.make_node("Mul", ["weighted", "tail"], ["terms"]),
        helper.make_node("ReduceSum", ["terms", "last"], ["logit"], keepdims=0),
        *_probability(),
    ]
    last = np.array([1], dtype=np.int64)
    constants: dict[str, NDArray[Any]] = {"vectors": vectors, "last": last, **_numbers(calibration)}
    _write(path, "distmult_score", nodes, scoring_signature(vectors.shape[1]), constants, properties)


def write_ranking_head(
    path: Path, vectors: NDArray[np.float32], calibration: NDArray[np.float32], properties: Mapping[str, str]
) -> None:
    """Write the graph that ranks candidates for one node, best first; arguments as in `write_scoring_head`."""
    nodes = [
        helper.make_node("Gather", ["vectors", "relation"], ["vector"], axis=0),
        helper.make_node("Mul", ["query", "vector"], ["weighted"]),
        # One row times the candidates' rows: as a product with a vector it takes onnxruntime fifty times as long, and
        # fails where there is no candidate.
        helper.make_node("Unsqueeze", ["weighted", "first"], ["row"]),
        helper.make_node("Gemm", ["row", "candidates"], ["products"], transB=1),
        helper.make_node("Squeeze", ["products", "first"], ["logits"]),
        # Those that are left out go below all others, and as many are asked for as are not.
        helper.make_node("Where", ["excluded", "lowest", "logits"], ["masked"]),
        helper.make_node("Where", ["excluded", "zero", "one"], ["ranked"]),
        helper.make_node("ReduceSum", ["ranked"], ["count"], keepdims=1),
        helper.make_node("Min", ["k", "count"], ["kept"]),
        helper.make_node("TopK", ["masked", "kept"], ["logit", "index"], axis=0, largest=1, sorted=1),
        *_probability(),
    ]
    constants: dict[str, NDArray[Any]] = {
        "vectors": vectors,
        "lowest": np.array(-np.inf, dtype=np.float32),
        "first": np.array([0], dtype=np.int64),
        "zero": np.array(0, dtype=np.int64),
        "one": np.array(1, dtype=np.int64),
        **_numbers(calibration),
    }
    _write(path, "distmult_rank", nodes, ranking_signature(vectors.shape[1]), constants, properties)


def _probability() -> list[Any]:
    """From `logit` and `relation` to `probability`."""
    return [
        helper.make_node("Gather", ["slopes", "relation"], ["slope"], axis=0),
        helper.make_node("Gather", ["intercepts", "relation"], ["intercept"], axis=0),
        helper.make_node("Mul", ["logit", "slope"], ["scaled"]),
        helper.make_node("Add", ["scaled", "intercept"], ["log_odds"]),
        helper.make_node("Sigmoid", ["log_odds"], ["probability"]),
    ]


def _numbers(calibration: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    return {"slopes": calibration[:, 0], "intercepts": calibration[:, 1]}


def _write(
    path: Path,
    name: str,
    nodes: list[Any],
    signature: tuple[Signature, Signature],
    constants: Mapping[str, NDArray[Any]],
    properties: Mapping[str, str],
) -> None:
    inputs, outputs = ([_value(key, *what) for key, what in side.items()] for side in signature)
    weights = [numpy_helper.from_array(np.ascontiguousarray(array), key) for key, array in constants.items()]
    graph = helper.make_graph(nodes, name, inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="flykd-console")
    model.ir_version = IR_VERSION
    helper.set_model_props(model, dict(properties))
    onnx.checker.check_model(model, full_check=True)
    replace_file(path, model.SerializeToString(deterministic=True))


def _value(name: str, element: str, shape: tuple[int | str, ...]) -> Any:
    kinds = {"tensor(float)": TensorProto.FLOAT, "tensor(int64)": TensorProto.INT64, "tensor(bool)": TensorProto.BOOL}
    return helper.make_tensor_value_info(name, kinds[element], list(shape))
