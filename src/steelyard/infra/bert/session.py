"""An ONNX Runtime session over a built encoder, with every pool and arena set by us."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from steelyard.core.errors import SetupError
from steelyard.infra.bert.pairs import Pair

GRAPH_FILE = "model.onnx"
TENSORS_FILE = "weights.bin"

_SEVERITY_ERROR = 3


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How a session uses the machine.

    A run takes `threads` threads, the caller's included. Without `arena` a run's memory goes
    back when it ends, so that a resting server keeps none of it.
    """

    threads: int = 1
    arena: bool = False


class EncoderSession:
    """Runs one text at a time; safe to call from several threads at once."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session

    def embed(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the pooled embedding (H,) of one text's token ids (S,), S >= 1."""
        return self._run("embedding", ids)

    def hidden(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the last hidden state (S, H) of one text's token ids (S,), S >= 1."""
        return self._run("last_hidden_state", ids)

    def _run(self, output: str, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        rows: NDArray[np.float32] = self._session.run([output], {"input_ids": ids[None, :]})[0]
        first: NDArray[np.float32] = rows[0]
        return first


class TokenSession:
    """Runs one text at a time through an encoder with a head on every token."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session

    def tokens(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return (S, 1 + D) of one text's token ids (S,), S >= 1: each one's logit, and vector."""
        rows: NDArray[np.float32] = self._session.run(["tokens"], {"input_ids": ids[None, :]})[0][0]
        return rows


class PairSession:
    """Runs one pair at a time; safe to call from several threads at once."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._segments = any(one.name == "token_type_ids" for one in session.get_inputs())

    def _run(self, output: str, pair: Pair) -> NDArray[np.float32]:
        inputs = {"input_ids": pair.ids[None, :]}
        if self._segments:
            inputs["token_type_ids"] = pair.segments[None, :]
        first: NDArray[np.float32] = self._session.run([output], inputs)[0][0]
        return first


class ScorerSession(PairSession):
    """A cross-encoder."""

    def score(self, pair: Pair) -> float:
        return float(self._run("score", pair))


class ReaderSession(PairSession):
    """A span reader."""

    def logits(self, pair: Pair) -> NDArray[np.float32]:
        """Return (S, 2): how much speaks for each token as the first and as the last of an answer.

        Row 0 speaks for there being none.
        """
        return self._run("logits", pair)


def open_session(graph: Path, options: SessionOptions | None = None) -> EncoderSession:
    """Open an embedder's graph.

    Raises:
        SetupError: the runtime cannot read the graph.
    """
    return EncoderSession(_open(graph, options))


def open_tokens(graph: Path, options: SessionOptions | None = None) -> TokenSession:
    """Open the graph of late interaction; raises as `open_session` does."""
    return TokenSession(_open(graph, options))


def open_scorer(graph: Path, options: SessionOptions | None = None) -> ScorerSession:
    """Open a reranker's graph; raises as `open_session` does."""
    return ScorerSession(_open(graph, options))


def open_reader(graph: Path, options: SessionOptions | None = None) -> ReaderSession:
    """Open a reader's graph; raises as `open_session` does."""
    return ReaderSession(_open(graph, options))


def _open(graph: Path, options: SessionOptions | None) -> onnxruntime.InferenceSession:
    options = options or SessionOptions()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    settings.enable_cpu_mem_arena = options.arena
    # The graph is fused already; more fusion would bring back kernels that measured slower.
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    settings.enable_mem_pattern = False  # a pattern is kept for every length seen
    settings.log_severity_level = _SEVERITY_ERROR
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(
            str(graph), settings, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # the runtime's errors share no base class
        raise SetupError(
            f"encoder {str(graph)!r} cannot be opened ({error}); remove the folder "
            f"{str(graph.parent)!r} and start again"
        ) from error
