"""Networks over nodes with features as ONNX: features and edges in, logits, probabilities and rows out.

    x float32 [N, F]        features as a file has them; the graph divides each row by its sum where training did
    edges int64 [E, 2]      undirected, each once, u and v different; not there for a network that looks at none
    graph_of int64 [N]      of graphs: which each node belongs to; graphs int64 [1]: how many there are
    logits, probability [M, C]; embedding [M, d]     M: nodes or graphs; probability: softmax(logits / temperature)

The equations are those of `flykd_console/model/encoders/layers.py`. Sums over neighbours are ScatterElements with a
reduction, which operator set 16 brought (and 18 a maximum, for attention's softmax); without edges 13 suffices. They
are read by every onnxruntime since 1.14 (2023).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from exporters.onnx_head import Signature

# By kind of layer the operator set that it needs: ScatterElements with add, LayerNormalization, ScatterElements max.
OPSETS = {"mlp": 13, "gcn": 16, "sage": 16, "gin": 17, "gat": 18}
# Below it a GAT's scores keep this share, as `model/neighbourhoods.py` has it.
LEAK = 0.2
_NORM_EPSILON = 1e-5  # torch's of LayerNorm
_LOWEST = float(np.finfo(np.float32).min)


@dataclass(frozen=True)
class Network:
    """A trained network, as its run left it.

    Attributes:
        kind: gcn, sage, gat, gin or mlp.
        heads: Of hidden gat layers.
        residual: Whether a hidden layer of the same width adds what it heard.
        of_graphs: Whether graphs are classified.
        normalised: Whether a node's features are divided by their sum.
        weights: Parameters by torch's names, float32.
    """

    kind: str
    layers: int
    heads: int
    residual: bool
    of_graphs: bool
    normalised: bool
    features: int
    classes: int
    weights: Mapping[str, NDArray[np.float32]]

    @property
    def needs_graph(self) -> bool:
        """Whether it looks at edges."""
        return self.kind != "mlp"


def signature(network: Network, width: int) -> tuple[Signature, Signature]:
    """Inputs and outputs of its graph, for embeddings of `width` columns."""
    inputs: dict[str, tuple[str, tuple[int | str, ...]]] = {"x": ("tensor(float)", ("N", network.features))}
    if network.needs_graph:
        inputs["edges"] = ("tensor(int64)", ("E", 2))
    if network.of_graphs:
        inputs |= {"graph_of": ("tensor(int64)", ("N",)), "graphs": ("tensor(int64)", (1,))}
    many = "G" if network.of_graphs else "N"
    outputs: Signature = {
        "logits": ("tensor(float)", (many, network.classes)),
        "probability": ("tensor(float)", (many, network.classes)),
        "embedding": ("tensor(float)", (many, width)),
    }
    return inputs, outputs


def write_encoder(path: Path, network: Network, width: int, temperature: float, properties: Mapping[str, str]) -> int:
    """Write a network as an ONNX graph that the full checker passes.

    Args:
        width: Of its embeddings.
        temperature: What probabilities divide logits by.
        properties: `metadata_props` of the model.

    Returns:
        Its operator set.
    """
    drawn = _Drawing(network)
    drawn.whole(temperature)
    opset = OPSETS[network.kind]
    if network.of_graphs:
        opset = max(opset, OPSETS["gcn"])  # nodes are summed by graph
    inputs, outputs = ([_value(key, *what) for key, what in side.items()] for side in signature(network, width))
    weights = [numpy_helper.from_array(np.array(array, order="C"), key) for key, array in drawn.constants.items()]
    graph = helper.make_graph(drawn.nodes, f"{network.kind}_encoder", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="flykd-console")
    model.ir_version = 7 if opset == 13 else 8
    helper.set_model_props(model, dict(properties))
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return opset


class _Drawing:
    """The nodes of a graph as they are drawn, one after another."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self._count = 0
        self._known: dict[str, str] = {}

    def whole(self, temperature: float) -> None:
        """The whole network, from `x` to its outputs."""
        network = self.network
        rows = self._normalised("x") if network.normalised else "x"
        if network.needs_graph:
            self._neighbours()
        before, sums, logits = "", [], ""
        for number in range(network.layers):
            heard = self._layer(number, rows)
            if number == network.layers - 1 and not network.of_graphs:
                logits = heard
                break
            now = self._do("Elu" if network.kind == "gat" else "Relu", heard)
            if network.residual and before and self._width(number - 1) == self._width(number):
                now = self._do("Add", now, before)
            if network.of_graphs:
                sums.append(self._summed_by_graph(now, self._width(number)))
            rows = before = now
        if network.of_graphs:
            logits = self._constant("readout_bias", network.weights["readout_bias"])
            for number, summed in enumerate(sums):
                weight = self._constant(f"readout.{number}", network.weights[f"readout.{number}"])
                logits = self._do("Add", logits, self._do("MatMul", summed, weight))
        embedding = self._do("Concat", *sums, axis=1) if sums else (before or logits)
        self.nodes.append(helper.make_node("Identity", [logits], ["logits"]))
        self.nodes.append(helper.make_node("Identity", [embedding], ["embedding"]))
        scaled = self._do("Div", "logits", self._constant("temperature", np.array(temperature, dtype=np.float32)))
        self.nodes.append(helper.make_node("Softmax", [scaled], ["probability"], axis=1))

    # Layers.

    def _layer(self, number: int, rows: str) -> str:
        of_kind = {
            "gcn": self._convolution,
            "sage": self._sampled,
            "gin": self._isomorphism,
            "gat": self._attention,
            "mlp": self._plain,
        }
        heard = of_kind[self.network.kind](number, rows)
        return self._do("Add", heard, self._weight(number, "bias"))

    def _plain(self, number: int, rows: str) -> str:
        return self._do("MatMul", rows, self._weight(number, "weight"))

    def _convolution(self, number: int, rows: str) -> str:
        """D^-1/2 (A + I) D^-1/2 H W, the loop added by itself."""
        turned = self._do("MatMul", rows, self._weight(number, "weight"))
        scaled = self._do("Mul", turned, self._once("root", self._root))
        both = self._do("Add", self._heard(scaled, self._width(number)), scaled)
        return self._do("Mul", both, self._once("root", self._root))

    def _root(self) -> str:
        one = self._constant("one", np.array(1.0, dtype=np.float32))
        return self._do("Reciprocal", self._do("Sqrt", self._do("Add", self._once("degree", self._degree), one)))

    def _sampled(self, number: int, rows: str) -> str:
        own = self._do("MatMul", rows, self._weight(number, "own"))
        around = self._do("MatMul", rows, self._weight(number, "around"))
        one = self._constant("one", np.array(1.0, dtype=np.float32))
        many = self._do("Max", self._once("degree", self._degree), one)
        return self._do("Add", own, self._do("Div", self._heard(around, self._width(number)), many))

    def _isomorphism(self, number: int, rows: str) -> str:
        turned = self._do("MatMul", rows, self._weight(number, "first"))
        one = self._constant("one", np.array(1.0, dtype=np.float32))
        own = self._do("Mul", turned, self._do("Add", self._weight(number, "epsilon"), one))
        summed = self._do("Add", own, self._heard(turned, self._width(number)))
        inner = self._do("Add", summed, self._weight(number, "inner_bias"))
        scale, shift = self._weight(number, "norm.weight"), self._weight(number, "norm.bias")
        norm = self._do("LayerNormalization", inner, scale, shift, axis=-1, epsilon=_NORM_EPSILON)
        return self._do("MatMul", self._do("Relu", norm), self._weight(number, "second"))

    def _attention(self, number: int, rows: str) -> str:
        """The softmax over a node's neighbours and itself by heads: [k, heads] scores, [k, heads, d] messages."""
        source = self.network.weights[f"stack.{number}.source"]
        heads, width = source.shape
        turned = self._do("MatMul", rows, self._weight(number, "weight"))
        by_head = self._do("Reshape", turned, self._whole("by_head", [0, heads, width]))
        to, of = self._once("loop_targets", self._loop_targets), self._once("loop_sources", self._loop_sources)
        parts = []
        for name, ends in (("source", of), ("target", to)):
            said = self._summed(self._do("Mul", by_head, self._weight(number, name)), 2)
            parts.append(self._do("Gather", said, ends, axis=0))
        scores = self._do("LeakyRelu", self._do("Add", *parts), alpha=LEAK)
        lowest = self._constant("lowest", np.array(_LOWEST, dtype=np.float32))
        shape = self._do("Concat", self._once("many", self._many), self._whole("heads", [heads]), axis=0)
        index = self._do("Expand", self._do("Unsqueeze", to, self._whole("second", [1])), self._do("Shape", scores))
        highest = self._scattered(self._do("Expand", lowest, shape), index, scores, "max")
        raised = self._do("Exp", self._do("Sub", scores, self._do("Gather", highest, to, axis=0)))
        nothing = self._constant("nothing", np.array(0.0, dtype=np.float32))
        total = self._scattered(self._do("Expand", nothing, shape), index, raised, "add")
        weights = self._do("Div", raised, self._do("Gather", total, to, axis=0))
        messages = self._do("Gather", by_head, of, axis=0)
        weighed = self._do("Mul", messages, self._do("Unsqueeze", weights, self._whole("third", [2])))
        flat = self._do("Reshape", weighed, self._whole("flat", [-1, heads * width]))
        return self._sum_by(flat, to, self._once("many", self._many), heads * width)

    # Neighbours.

    def _neighbours(self) -> None:
        """`sources` and `targets`: every edge in both directions, [2E]."""
        first = self._do("Gather", "edges", self._constant("left", np.array(0, dtype=np.int64)), axis=1)
        second = self._do("Gather", "edges", self._constant("right", np.array(1, dtype=np.int64)), axis=1)
        self.nodes.append(helper.make_node("Concat", [first, second], ["sources"], axis=0))
        self.nodes.append(helper.make_node("Concat", [second, first], ["targets"], axis=0))

    def _heard(self, rows: str, width: int) -> str:
        """Of each node the sum of its neighbours' rows."""
        messages = self._do("Gather", rows, "sources", axis=0)
        return self._sum_by(messages, "targets", self._once("many", self._many), width)

    def _degree(self) -> str:
        """How many neighbours each node has, float32 [N, 1]."""
        shape = self._do("Concat", self._do("Shape", "targets"), self._whole("first", [1]), axis=0)
        ones = self._do("Expand", self._constant("one", np.array(1.0, dtype=np.float32)), shape)
        return self._sum_by(ones, "targets", self._once("many", self._many), 1)

    def _many(self) -> str:
        """How many nodes there are, int64 [1]."""
        return self._do("Slice", self._do("Shape", "x"), self._whole("zero", [0]), self._whole("first", [1]))

    def _loops(self) -> str:
        zero, one = (self._constant(f"number{n}", np.array(n, dtype=np.int64)) for n in (0, 1))
        return self._do("Range", zero, self._do("Squeeze", self._once("many", self._many)), one)

    def _loop_targets(self) -> str:
        return self._do("Concat", "targets", self._once("loops", self._loops), axis=0)

    def _loop_sources(self) -> str:
        return self._do("Concat", "sources", self._once("loops", self._loops), axis=0)

    def _summed_by_graph(self, rows: str, width: int) -> str:
        return self._sum_by(rows, "graph_of", "graphs", width)

    def _sum_by(self, rows: str, groups: str, many: str, width: int) -> str:
        """Rows [k, width] summed by their group [k] of `many`: [many, width]."""
        nothing = self._constant("nothing", np.array(0.0, dtype=np.float32))
        shape = self._do("Concat", many, self._whole("width", [width]), axis=0)
        index = self._do("Expand", self._do("Unsqueeze", groups, self._whole("second", [1])), self._do("Shape", rows))
        return self._scattered(self._do("Expand", nothing, shape), index, rows, "add")

    def _scattered(self, onto: str, index: str, rows: str, reduction: str) -> str:
        return self._do("ScatterElements", onto, index, rows, axis=0, reduction=reduction)

    def _normalised(self, rows: str) -> str:
        """Each row divided by the sum of its sizes, where that is not 0."""
        total = self._summed(self._do("Abs", rows), 1, keep=True)
        zero = self._constant("nothing", np.array(0.0, dtype=np.float32))
        one = self._constant("one", np.array(1.0, dtype=np.float32))
        return self._do("Div", rows, self._do("Where", self._do("Equal", total, zero), one, total))

    # How it is written.

    def _width(self, number: int) -> int:
        return int(self.network.weights[f"stack.{number}.bias"].shape[0])

    def _summed(self, rows: str, axis: int, keep: bool = False) -> str:
        return self._do("ReduceSum", rows, self._whole(f"axis{axis}", [axis]), keepdims=int(keep))

    def _do(self, operator: str, *inputs: str, **attributes: Any) -> str:
        self._count += 1
        name = f"{operator.lower()}_{self._count}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def _once(self, name: str, make: Callable[[], str]) -> str:
        """What several layers need is computed once."""
        if name not in self._known:
            self._known[name] = make()
        return self._known[name]

    def _weight(self, number: int, name: str) -> str:
        full = f"stack.{number}.{name}"
        return self._constant(full, self.network.weights[full])

    def _whole(self, name: str, values: list[int]) -> str:
        """A constant of whole numbers, int64."""
        return self._constant(f"{name}_{'_'.join(map(str, values))}", np.array(values, dtype=np.int64))

    def _constant(self, name: str, values: NDArray[Any]) -> str:
        self.constants[name] = values
        return name


def _value(name: str, element: str, shape: tuple[int | str, ...]) -> Any:
    kinds = {"tensor(float)": TensorProto.FLOAT, "tensor(int64)": TensorProto.INT64}
    return helper.make_tensor_value_info(name, kinds[element], list(shape))
