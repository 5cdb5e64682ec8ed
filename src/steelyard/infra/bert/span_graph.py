"""A span reader as a fused ONNX graph: question and passage in, two logits a token out.

Inputs are those of the scorer's graph (`score_graph.py`); the output `logits` is float32,
(B, S, 2): for each token, how much speaks for it as the first and as the last of the answer. The
first token stands for "no answer". The head, two rows, stays float32.
"""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from steelyard.infra.bert.config import Architecture
from steelyard.infra.bert.graph import GraphWriter
from steelyard.infra.bert.head import SPAN_BIAS, SPAN_WEIGHT
from steelyard.infra.bert.session import GRAPH_FILE, TENSORS_FILE
from steelyard.infra.bert.weights import TYPES, Weights


def write_span_graph(
    folder: Path, *, weights: Weights, architecture: Architecture, precision: str
) -> None:
    """Write `model.onnx` and `weights.bin` into `folder`."""
    with (folder / TENSORS_FILE).open("wb") as tensors:
        writer = GraphWriter(tensors, weights, architecture, int8=precision == "int8")
        segments = TYPES in weights and len(weights[TYPES]) > 1
        hidden = writer.embeddings(segments=segments)
        for n in range(architecture.layers):
            hidden = writer.layer(n, hidden)
        matrix_H2 = np.ascontiguousarray(weights[SPAN_WEIGHT].T)
        product = writer.node("MatMul", [hidden, writer.tensor(SPAN_WEIGHT, matrix_H2)])
        writer.node("Add", [product, writer.weight(SPAN_BIAS)], output="logits")
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", "S", 2])]
    (folder / GRAPH_FILE).write_bytes(writer.model(outputs).SerializeToString())
