"""A BERT-family encoder as a fused ONNX graph, written beside its weights.

Shapes: B texts, S tokens, H hidden, I intermediate, V vocabulary. The graph takes `input_ids`
and `attention_mask` (int32, B x S, padded on the right) and gives `embedding` (float32, B x H,
pooled and of unit length) and `last_hidden_state` (float32, B x S x H).

In int8, matrices are quantised per output column, symmetric, and activations at run time; the
word table is int8 with one scale a row, which spares memory, not time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from steelyard.infra.bert.config import Architecture
from steelyard.infra.bert.session import GRAPH_FILE, TENSORS_FILE
from steelyard.infra.bert.weights import POSITIONS, TYPES, WORDS, Weights

_CONTRIB = "com.microsoft"
_OPSET = 17  # the first with LayerNormalization
_IR_VERSION = 8  # what opset 17 came with
_PAGE_BYTES = 4096  # tensors start on pages, so that the runtime maps the file, not copies it
_INLINE_BYTES = 1024  # the runtime wants small tensors inside the graph
_QUANTISED_MAX = 127.0
_EXTERNAL_TYPES = {
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.int8): TensorProto.INT8,
    np.dtype(np.uint8): TensorProto.UINT8,
    np.dtype(np.int32): TensorProto.INT32,
    np.dtype(np.int64): TensorProto.INT64,
}


@dataclass(frozen=True, slots=True)
class Quantised:
    """int8 values and the float32 scales that give them back: w = values * scales."""

    values: NDArray[np.int8]
    scales: NDArray[np.float32]


def quantise(matrix: NDArray[np.float32], *, axis: int) -> Quantised:
    """Quantise symmetrically with one scale per slice; `axis` is the one that is reduced."""
    peaks = np.abs(matrix).max(axis=axis, keepdims=True)
    scales = np.where(peaks > 0, peaks / _QUANTISED_MAX, 1.0).astype(np.float32)
    values = np.clip(np.rint(matrix / scales), -_QUANTISED_MAX, _QUANTISED_MAX).astype(np.int8)
    return Quantised(values=values, scales=scales.reshape(-1))


def write_graph(
    folder: Path, *, weights: Weights, architecture: Architecture, pooling: str, precision: str
) -> None:
    """Write `model.onnx` and `weights.bin` into `folder`."""
    with (folder / TENSORS_FILE).open("wb") as tensors:
        writer = _Writer(tensors, weights, architecture, int8=precision == "int8")
        hidden = writer.embeddings()
        for n in range(architecture.layers):
            hidden = writer.layer(n, hidden)
        writer.node("Identity", [hidden], output="last_hidden_state")
        writer.pool(hidden, pooling)
    (folder / GRAPH_FILE).write_bytes(writer.model().SerializeToString())


def num_attention_nodes(path: Path) -> int:
    """Count the fused attention nodes of a written graph."""
    graph = onnx.load(path, load_external_data=False).graph
    return sum(node.op_type in ("Attention", "QAttention") for node in graph.node)


class _Writer:
    """Collects nodes; tensors go straight to the file."""

    def __init__(
        self, tensors: BinaryIO, weights: Weights, architecture: Architecture, *, int8: bool
    ) -> None:
        self._tensors = tensors
        self._weights = weights
        self._architecture = architecture
        self._int8 = int8
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []

    def node(
        self,
        op: str,
        inputs: Sequence[str],
        *,
        output: str = "",
        contrib: bool = False,
        **attributes: Any,
    ) -> str:
        output = output or f"{op}_{len(self._nodes)}"
        domain = _CONTRIB if contrib else ""
        self._nodes.append(
            helper.make_node(op, list(inputs), [output], domain=domain, **attributes)
        )
        return output

    def tensor(self, name: str, array: NDArray[np.generic]) -> str:
        """Store an array: small ones in the graph, large ones in the file, page-aligned."""
        array = np.asarray(array, order="C")
        proto = TensorProto(
            name=name, data_type=_EXTERNAL_TYPES[array.dtype], dims=list(array.shape)
        )
        if array.nbytes <= _INLINE_BYTES:
            proto.raw_data = array.tobytes()
        else:
            self._tensors.write(b"\0" * (-self._tensors.tell() % _PAGE_BYTES))
            place = {
                "location": TENSORS_FILE,
                "offset": str(self._tensors.tell()),
                "length": str(array.nbytes),
            }
            self._tensors.write(array.data)
            proto.data_location = TensorProto.EXTERNAL
            proto.external_data.extend(
                onnx.StringStringEntryProto(key=key, value=value) for key, value in place.items()
            )
        self._initializers.append(proto)
        return name

    def weight(self, name: str) -> str:
        return self.tensor(name, self._weights[name])

    def norm(self, name: str) -> list[str]:
        return [self.weight(f"{name}.weight"), self.weight(f"{name}.bias")]

    def embeddings(self) -> str:
        words = self._word_rows()
        offset = self._architecture.position_offset
        # Embedders see one segment: its row is added to every position once, here.
        positions_SH = self._weights[POSITIONS][offset:]
        if TYPES in self._weights:
            positions_SH = positions_SH + self._weights[TYPES][0]
        table = self.tensor(POSITIONS, positions_SH)
        shape = self.node("Shape", ["input_ids"], start=1, end=2)
        start = self.tensor("zero", np.zeros(1, np.int64))
        rows = self.node("Slice", [table, start, shape, start])
        total = self.node("Add", [words, rows])
        return self.node(
            "LayerNormalization",
            [total, *self.norm("embeddings.LayerNorm")],
            axis=-1,
            epsilon=self._architecture.epsilon,
        )

    def _word_rows(self) -> str:
        if not self._int8:
            return self.node("Gather", [self.weight(WORDS), "input_ids"])
        table_VH = quantise(self._weights[WORDS], axis=1)
        values = self.node("Gather", [self.tensor(WORDS, table_VH.values), "input_ids"])
        scales_V1 = self.tensor(f"{WORDS}.scales", table_VH.scales[:, None])
        scales = self.node("Gather", [scales_V1, "input_ids"])
        return self.node("Mul", [self.node("Cast", [values], to=TensorProto.FLOAT), scales])

    def layer(self, n: int, hidden: str) -> str:
        layer = f"encoder.layer.{n}"
        mixed = self._linear(f"{layer}.attention.output.dense", self._attention(layer, hidden))
        hidden = self._add_norm(f"{layer}.attention.output", mixed, hidden)
        inner = self._linear(f"{layer}.intermediate.dense", hidden)
        active = self._activation(inner, self.weight(f"{layer}.intermediate.dense.bias"))
        outer = self._linear(f"{layer}.output.dense", active)
        return self._add_norm(f"{layer}.output", outer, hidden)

    def _attention(self, layer: str, hidden: str) -> str:
        parts = [f"{layer}.attention.self.{part}" for part in ("query", "key", "value")]
        packed_H3H = np.concatenate([self._weights[f"{p}.weight"].T for p in parts], axis=1)
        bias_3H = np.concatenate([self._weights[f"{p}.bias"] for p in parts])
        name = f"{layer}.attention.self.packed"
        bias = self.tensor(f"{name}.bias", bias_3H)
        heads = self._architecture.heads
        if not self._int8:
            inputs = [hidden, self.tensor(name, packed_H3H), bias, "attention_mask"]
            return self.node("Attention", inputs, contrib=True, num_heads=heads)
        packed = quantise(packed_H3H, axis=0)
        quantised = [f"{name}.{part}" for part in ("input", "input_scale", "input_zero")]
        self._nodes.append(helper.make_node("DynamicQuantizeLinear", [hidden], quantised))
        inputs = [
            quantised[0],
            self.tensor(name, packed.values),
            bias,
            quantised[1],
            self.tensor(f"{name}.scales", packed.scales),
            "attention_mask",
            quantised[2],
            self.tensor(f"{name}.zero", np.zeros((), np.int8)),
        ]
        return self.node("QAttention", inputs, contrib=True, num_heads=heads)

    def _linear(self, name: str, hidden: str) -> str:
        """Multiply by a weight; its bias is added by the fused node that follows."""
        matrix = np.ascontiguousarray(self._weights[f"{name}.weight"].T)
        if not self._int8:
            return self.node("MatMul", [hidden, self.tensor(f"{name}.weight", matrix)])
        quantised = quantise(matrix, axis=0)
        inputs = [
            hidden,
            self.tensor(f"{name}.weight", quantised.values),
            self.tensor(f"{name}.scales", quantised.scales),
        ]
        return self.node("DynamicQuantizeMatMul", inputs, contrib=True)

    def _activation(self, inner: str, bias: str) -> str:
        kind = self._architecture.activation
        if kind == "relu":
            return self.node("Relu", [self.node("Add", [inner, bias])])
        return self.node("BiasGelu" if kind == "gelu" else "FastGelu", [inner, bias], contrib=True)

    def _add_norm(self, name: str, update: str, hidden: str) -> str:
        inputs = [update, hidden, *self.norm(f"{name}.LayerNorm")]
        inputs.append(self.weight(f"{name}.dense.bias"))
        epsilon = self._architecture.epsilon
        return self.node("SkipLayerNormalization", inputs, contrib=True, epsilon=epsilon)

    def pool(self, hidden: str, pooling: str) -> None:
        """Add the pooled output: the mean over the mask or the first token, unit length."""
        one = self.tensor("one", np.ones(1, np.int64))
        if pooling == "cls":
            first = self.tensor("first", np.zeros((), np.int64))
            pooled = self.node("Gather", [hidden, first], axis=1)
        else:
            mask = self.node("Cast", ["attention_mask"], to=TensorProto.FLOAT)
            row_B1S = self.node("Unsqueeze", [mask, one])
            total = self.node("Squeeze", [self.node("MatMul", [row_B1S, hidden]), one])
            pooled = total  # the mean's divisor falls away when the length becomes 1
        length = self.node("ReduceL2", [pooled], axes=[-1], keepdims=1)
        least = self.tensor("least", np.array([1e-12], np.float32))  # as torch's normalize
        self.node("Div", [pooled, self.node("Max", [length, least])], output="embedding")

    def model(self) -> onnx.ModelProto:
        value, hidden = helper.make_tensor_value_info, self._architecture.hidden
        graph = helper.make_graph(
            self._nodes,
            "encoder",
            [value(n, TensorProto.INT32, ["B", "S"]) for n in ("input_ids", "attention_mask")],
            [
                value("embedding", TensorProto.FLOAT, ["B", hidden]),
                value("last_hidden_state", TensorProto.FLOAT, ["B", "S", hidden]),
            ],
            self._initializers,
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_CONTRIB, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
