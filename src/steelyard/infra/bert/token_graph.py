"""An encoder with a head on every token as a fused ONNX graph, of which there are two.

`SPANS`, a span reader: question and passage in, as in the scorer's graph (`score_graph.py`), and
`logits` out, float32 (B, S, 2): for each token, how much speaks for it as the first and as the last
of the answer. The first token stands for "no answer".

`TOKENS`, what late interaction compares: a text in, as in the embedder's graph (`graph.py`), and
`tokens` out, float32 (B, S, 1 + D): of each token how much it counts in a question (a logit), then
its vector.

The head, a few rows, stays float32.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from steelyard.infra.bert.config import Architecture
from steelyard.infra.bert.graph import GraphWriter
from steelyard.infra.bert.head import SPAN_BIAS, SPAN_WEIGHT, TOKEN_BIAS, TOKEN_WEIGHT
from steelyard.infra.bert.session import GRAPH_FILE, TENSORS_FILE
from steelyard.infra.bert.weights import TYPES, Weights


@dataclass(frozen=True, slots=True)
class TokenHead:
    """The names of a head's tensors and of what it gives; `pairs`: of two texts, told apart."""

    weight: str
    bias: str
    output: str
    pairs: bool


SPANS = TokenHead(SPAN_WEIGHT, SPAN_BIAS, "logits", pairs=True)
TOKENS = TokenHead(TOKEN_WEIGHT, TOKEN_BIAS, "tokens", pairs=False)


def write_token_graph(
    folder: Path, *, head: TokenHead, weights: Weights, architecture: Architecture, precision: str
) -> None:
    """Write `model.onnx` and `weights.bin` into `folder`."""
    with (folder / TENSORS_FILE).open("wb") as tensors:
        writer = GraphWriter(tensors, weights, architecture, int8=precision == "int8")
        told_apart = TYPES in weights and len(weights[TYPES]) > 1
        hidden = writer.embeddings(segments=head.pairs and told_apart)
        for n in range(architecture.layers):
            hidden = writer.layer(n, hidden)
        matrix_HD = np.ascontiguousarray(weights[head.weight].T)
        product = writer.node("MatMul", [hidden, writer.tensor(head.weight, matrix_HD)])
        writer.node("Add", [product, writer.weight(head.bias)], output=head.output)
        shape = ["B", "S", matrix_HD.shape[1]]
    outputs = [helper.make_tensor_value_info(head.output, TensorProto.FLOAT, shape)]
    (folder / GRAPH_FILE).write_bytes(writer.model(outputs).SerializeToString())
