"""A cross-encoder as a fused ONNX graph: question and passage in, one score out.

Inputs are `input_ids` and, where the model tells segments apart, `token_type_ids` (int32, B x S,
pairs of equal length, hence no mask); the output `score` is float32, (B,).

Only the first token's row reaches the head, so the last layer computes that row alone: its keys
and values for all tokens, all else for one. The result is the same, and of 2, 3 and 6 layers 1.2,
2.2 and 5.2 are paid for. The head, one row, stays float32.
"""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from steelyard.infra.bert.config import Architecture
from steelyard.infra.bert.graph import GraphWriter
from steelyard.infra.bert.head import Head
from steelyard.infra.bert.session import GRAPH_FILE, TENSORS_FILE
from steelyard.infra.bert.weights import TYPES, Weights


def write_score_graph(
    folder: Path, *, weights: Weights, architecture: Architecture, head: Head, precision: str
) -> None:
    """Write `model.onnx` and `weights.bin` into `folder`."""
    with (folder / TENSORS_FILE).open("wb") as tensors:
        writer = GraphWriter(tensors, weights, architecture, int8=precision == "int8")
        segments = TYPES in weights and len(weights[TYPES]) > 1
        hidden = writer.embeddings(segments=segments)
        for n in range(architecture.layers):
            hidden = writer.layer(n, hidden, first_only=n == architecture.layers - 1)
        _add_head(writer, weights, head, hidden)
    outputs = [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["B"])]
    (folder / GRAPH_FILE).write_bytes(writer.model(outputs).SerializeToString())


def _add_head(writer: GraphWriter, weights: Weights, head: Head, hidden_B1H: str) -> None:
    axis = writer.tensor("head.axis", np.ones(1, np.int64))
    row_BH = writer.node("Squeeze", [hidden_B1H, axis])
    if head.dense:
        matrix = np.ascontiguousarray(weights[f"{head.dense}.weight"].T)
        product = writer.node("MatMul", [row_BH, writer.tensor(f"{head.dense}.weight", matrix)])
        summed = writer.node("Add", [product, writer.weight(f"{head.dense}.bias")])
        row_BH = writer.node(head.activation, [summed])
    rows_LH, bias_L = weights[f"{head.output}.weight"], weights[f"{head.output}.bias"]
    two = len(rows_LH) == 2
    direction_H = rows_LH[1] - rows_LH[0] if two else rows_LH[0]
    offset = bias_L[1] - bias_L[0] if two else bias_L[0]
    product = writer.node("MatMul", [row_BH, writer.tensor("head.direction", direction_H)])
    writer.node("Add", [product, writer.tensor("head.offset", np.asarray(offset))], output="score")
