"""The graph against an independent forward pass in plain numpy."""

import math
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from steelyard.infra.bert import BuiltEncoder, open_session, ready_encoder
from steelyard.infra.bert.graph import quantise
from steelyard.infra.bert.session import GRAPH_FILE

Tensors = dict[str, np.ndarray]
IDS = np.array([2, 30, 11, 52, 7, 64, 3], np.int32)
HEADS = 4


def gelu(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def gelu_tanh(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def relu(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(x, 0)


def forward(
    tensors: Tensors, ids: NDArray[np.int32], *, offset: int = 0, activation=gelu
) -> NDArray[np.float64]:
    """Return the last hidden state (S, H) of one text, in float64."""
    w = {name: array.astype(np.float64) for name, array in tensors.items()}

    def norm(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        centred = x - x.mean(-1, keepdims=True)
        scale = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return centred / scale * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    x = w["embeddings.word_embeddings.weight"][ids]
    x = x + w["embeddings.position_embeddings.weight"][offset : offset + len(ids)]
    if "embeddings.token_type_embeddings.weight" in w:
        x = x + w["embeddings.token_type_embeddings.weight"][0]
    x = norm(x, "embeddings.LayerNorm")
    for n in range(2):
        layer = f"encoder.layer.{n}"
        q, k, v = (linear(x, f"{layer}.attention.self.{p}") for p in ("query", "key", "value"))
        mixed = np.empty_like(x)
        width = x.shape[1] // HEADS
        for head in range(HEADS):
            part = slice(head * width, (head + 1) * width)
            scores = q[:, part] @ k[:, part].T / math.sqrt(width)
            shares = np.exp(scores - scores.max(-1, keepdims=True))
            mixed[:, part] = shares / shares.sum(-1, keepdims=True) @ v[:, part]
        mixed = linear(mixed, f"{layer}.attention.output.dense")
        x = norm(x + mixed, f"{layer}.attention.output.LayerNorm")
        inner = activation(linear(x, f"{layer}.intermediate.dense"))
        x = norm(x + linear(inner, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    return x


def unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector / np.linalg.norm(vector)


def hidden(built: BuiltEncoder) -> NDArray[np.float32]:
    return open_session(built.folder / GRAPH_FILE).hidden(IDS)


def embedding(built: BuiltEncoder) -> NDArray[np.float32]:
    return open_session(built.folder / GRAPH_FILE).embed(IDS)


def test_graph_computes_what_plain_numpy_computes(make_model, tiny_tensors: Tensors) -> None:
    built = ready_encoder(make_model(), precision="fp32")
    expected = forward(tiny_tensors, IDS)
    np.testing.assert_allclose(hidden(built), expected, atol=1e-5)
    np.testing.assert_allclose(embedding(built), unit(expected.mean(0)), atol=1e-5)


def test_texts_of_equal_length_can_share_a_run(make_model, tiny_tensors: Tensors) -> None:
    built = ready_encoder(make_model(), precision="fp32")
    session = onnxruntime.InferenceSession(
        str(built.folder / GRAPH_FILE), providers=["CPUExecutionProvider"]
    )
    ids = np.stack([IDS, IDS[::-1]])
    rows = session.run(["embedding"], {"input_ids": ids})[0]
    for row, text in zip(rows, ids, strict=True):
        np.testing.assert_allclose(row, unit(forward(tiny_tensors, text).mean(0)), atol=1e-5)


def test_cls_pooling_takes_the_first_token(make_model, tiny_tensors: Tensors) -> None:
    path = make_model(
        extra={
            "modules.json": [
                {"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
                {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            ],
            "1_Pooling/config.json": {
                "pooling_mode_cls_token": True,
                "pooling_mode_mean_tokens": False,
            },
        }
    )
    built = ready_encoder(path, precision="fp32")
    assert built.pooling == "cls"
    np.testing.assert_allclose(embedding(built), unit(forward(tiny_tensors, IDS)[0]), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "function"),
    [("gelu_new", gelu_tanh), ("gelu_pytorch_tanh", gelu_tanh), ("relu", relu)],
)
def test_each_activation_is_the_named_one(
    make_model, tiny_tensors: Tensors, name: str, function
) -> None:
    built = ready_encoder(make_model(config={"hidden_act": name}), precision="fp32")
    expected = forward(tiny_tensors, IDS, activation=function)
    np.testing.assert_allclose(hidden(built), expected, atol=1e-5)


@pytest.mark.parametrize("model_type", ["roberta", "xlm-roberta"])
def test_roberta_counts_positions_from_after_the_padding_id(
    make_model, tiny_tensors: Tensors, model_type: str
) -> None:
    tensors = {f"roberta.{name}": array for name, array in tiny_tensors.items()}
    path = make_model(tensors=tensors, config={"model_type": model_type, "pad_token_id": 1})
    built = ready_encoder(path, precision="fp32")
    assert built.max_tokens == 40 - 2
    np.testing.assert_allclose(hidden(built), forward(tiny_tensors, IDS, offset=2), atol=1e-5)


def test_distilbert_is_read_by_its_own_names(make_model, tiny_tensors: Tensors) -> None:
    tiny_tensors.pop("embeddings.token_type_embeddings.weight")
    renames = (
        ("encoder.layer", "transformer.layer"),
        ("attention.self.query", "attention.q_lin"),
        ("attention.self.key", "attention.k_lin"),
        ("attention.self.value", "attention.v_lin"),
        ("attention.output.dense", "attention.out_lin"),
        ("attention.output.LayerNorm", "sa_layer_norm"),
        ("intermediate.dense", "ffn.lin1"),
        ("output.dense", "ffn.lin2"),
        ("output.LayerNorm", "output_layer_norm"),
    )
    renamed = {}
    for name, array in tiny_tensors.items():
        for ours, theirs in renames:
            name = name.replace(ours, theirs)
        renamed[f"distilbert.{name}"] = array
    config = {
        "model_type": "distilbert",
        "dim": 32,
        "n_layers": 2,
        "n_heads": 4,
        "hidden_dim": 64,
        "vocab_size": len(tiny_tensors["embeddings.word_embeddings.weight"]),
        "activation": "gelu",
        "max_position_embeddings": 40,
    }
    built = ready_encoder(make_model(tensors=renamed, whole_config=config), precision="fp32")
    np.testing.assert_allclose(hidden(built), forward(tiny_tensors, IDS), atol=1e-5)


def test_half_precision_weights_are_widened(make_model, tiny_tensors: Tensors) -> None:
    halved = {name: array.astype(np.float16) for name, array in tiny_tensors.items()}
    built = ready_encoder(make_model(tensors=halved), precision="fp32")
    widened = {name: array.astype(np.float32) for name, array in halved.items()}
    np.testing.assert_allclose(hidden(built), forward(widened, IDS), atol=1e-5)


def test_bfloat16_weights_are_widened(make_model, tiny_tensors: Tensors) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="onnx brings ml_dtypes, yet it is absent")
    cut = {name: array.astype(ml_dtypes.bfloat16) for name, array in tiny_tensors.items()}
    built = ready_encoder(make_model(tensors=cut), precision="fp32")
    widened = {name: array.astype(np.float32) for name, array in cut.items()}
    np.testing.assert_allclose(hidden(built), forward(widened, IDS), atol=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_graph_is_fused(make_model, precision: str) -> None:
    built = ready_encoder(make_model(), precision=precision)
    nodes = onnx.load(built.folder / GRAPH_FILE, load_external_data=False).graph.node
    kinds = [node.op_type for node in nodes]
    assert kinds.count("MultiHeadAttention") == 2  # one a layer
    assert kinds.count("Gelu") == 2
    assert kinds.count("LayerNormalization") == 5  # the embeddings' and two a layer
    assert kinds.count("MatMul") == (8 if precision == "fp32" else 0)
    assert kinds.count("DynamicQuantizeMatMul") == (0 if precision == "fp32" else 8)


def test_int8_stays_close_to_fp32(make_model, tiny_tensors: Tensors) -> None:
    built = ready_encoder(make_model(), precision="int8")
    assert built.precision == "int8"
    assert built.fallback == ""
    assert 0.99 <= built.cosine < 1.0
    assert embedding(built) @ unit(forward(tiny_tensors, IDS).mean(0)) >= 0.99


def test_quantise_gives_each_column_its_own_scale() -> None:
    matrix = np.array([[1.0, 100.0, 0.0], [-0.5, 50.0, 0.0]], np.float32)
    made = quantise(matrix, axis=0)
    assert made.values.tolist() == [[127, 127, 0], [-64, 64, 0]]
    np.testing.assert_allclose(made.scales, [1 / 127, 100 / 127, 1.0])


def test_products_leave_room_for_sums_of_two_in_16_bits(make_model) -> None:
    """Without VNNI, uint8 x int8 pairs are added in 16 bits: 127 would overflow in silence."""
    built = ready_encoder(make_model())
    graph = onnx.load(built.folder / GRAPH_FILE).graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    products = [n for n in graph.node if n.op_type == "DynamicQuantizeMatMul"]
    for node in products:
        values = onnx.numpy_helper.to_array(tensors[node.input[1]])
        assert np.abs(values).max() == 63


def test_int8_tensors_lie_on_pages_so_that_they_are_mapped(make_model) -> None:
    built = ready_encoder(make_model())
    graph = onnx.load(Path(built.folder / GRAPH_FILE), load_external_data=False).graph
    offsets = [
        int(entry.value)
        for tensor in graph.initializer
        for entry in tensor.external_data
        if entry.key == "offset"
    ]
    assert offsets
    assert all(offset % 4096 == 0 for offset in offsets)
