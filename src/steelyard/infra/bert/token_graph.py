"""An encoder with a head on every token as a fused ONNX graph: what late interaction compares.

The input is that of the embedder's graph (`graph.py`); the output `tokens` is float32,
(B, S, 1 + D): of each token how much it counts in a question (a logit), then its vector. The head
stays float32.
"""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from steelyard.infra.bert.config import Architecture
from steelyard.infra.bert.graph import GraphWriter
from steelyard.infra.bert.head import TOKEN_BIAS, TOKEN_WEIGHT
from steelyard.infra.bert.session import GRAPH_FILE, TENSORS_FILE
from steelyard.infra.bert.weights import Weights


def write_token_graph(
    folder: Path, *, weights: Weights, architecture: Architecture, precision: str
) -> None:
    """Write `model.onnx` and `weights.bin` into `folder`."""
    with (folder / TENSORS_FILE).open("wb") as tensors:
        writer = GraphWriter(tensors, weights, architecture, int8=precision == "int8")
        hidden = writer.embeddings(segments=False)
        for n in range(architecture.layers):
            hidden = writer.layer(n, hidden)
        matrix_HD = np.ascontiguousarray(weights[TOKEN_WEIGHT].T)
        product = writer.node("MatMul", [hidden, writer.tensor(TOKEN_WEIGHT, matrix_HD)])
        writer.node("Add", [product, writer.weight(TOKEN_BIAS)], output="tokens")
        width = matrix_HD.shape[1]
    outputs = [helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["B", "S", width])]
    (folder / GRAPH_FILE).write_bytes(writer.model(outputs).SerializeToString())
