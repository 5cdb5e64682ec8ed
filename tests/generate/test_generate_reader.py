"""A span reader reads the promising windows, within its budget, and says what it cannot be."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from steelyard.core.chat import Finish, Passage
from steelyard.core.errors import SetupError, UpstreamError
from steelyard.core.tuning import Binding, TuneKind
from steelyard.generate import ExtractiveGenerator
from steelyard.generate.candidates import Candidate, candidates
from steelyard.generate.choose import (
    READ_BIAS,
    READ_GAIN,
    READ_WEIGHTS,
    ChooseOptions,
    Weighed,
    decide,
)
from steelyard.generate.options import ReaderOptions
from steelyard.generate.reader import SpanReader
from steelyard.generate.spans import ReadSpan
from steelyard.infra.bert.config import read_card
from steelyard.infra.bert.weights import expected_shapes
from steelyard.infra.binding import base_model, write_binding

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS, *".,:!?", *(f"##{c}" for c in LETTERS)]
CONFIG = {
    "model_type": "bert",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": len(WORDS),
    "max_position_embeddings": 64,
}
TEXT = "The port is 8080. The host is local. Logs are kept 30 days. Nobody has read them."


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny random question-answering model."""
    path = tmp_path_factory.mktemp("models") / "reader"
    path.mkdir()
    (path / "config.json").write_text(json.dumps(CONFIG))
    vocab = {word: n for n, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(path / "tokenizer.json"))
    rng = np.random.default_rng(1)
    shapes = expected_shapes(read_card(path).architecture) | {
        "embeddings.token_type_embeddings.weight": (2, 32),
        "qa_outputs.weight": (2, 32),
        "qa_outputs.bias": (2,),
    }
    tensors = {
        name: rng.normal("LayerNorm.weight" in name, 0.3, shape).astype(np.float32)
        for name, shape in shapes.items()
    }
    save_file(tensors, path / "model.safetensors")
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path_factory.getbasetemp() / "reader-cache"
    monkeypatch.setenv("STEELYARD_CACHE", str(kept))


def options(model: Path, **changed: object) -> ReaderOptions:
    made = ReaderOptions(model=str(model), max_tokens=48, budget_ms=60_000, precision="fp32")
    return replace(made, **changed)  # type: ignore[arg-type]


def passage(text: str = TEXT, n: int = 1) -> Passage:
    return Passage(n, n, f"d{n}", "u", "Server", text, 0, len(text), 1.0 / n)


def read(run, reader: SpanReader, *passages: Passage) -> dict[int, ReadSpan]:
    async def scenario() -> dict[int, ReadSpan]:
        return await reader.read("what port?", passages, candidates(passages))

    return run(scenario())


def test_every_piece_of_the_windows_read_gets_a_span_inside_it(run, model: Path) -> None:
    reader = SpanReader(options(model, windows=9))
    found = candidates([passage()])
    spans = read(run, reader, passage())
    assert set(spans) == set(range(len(found)))
    for number, span in spans.items():
        assert found[number].start <= span.start < span.end <= found[number].end
    run(reader.aclose())


def test_two_lanes_read_what_one_thread_reads(run, model: Path) -> None:
    reader = SpanReader(options(model, windows=9))
    passages = [passage(), passage("Port 17 is closed. Ask the host.", 2)]
    alone = reader.read_now("what port?", passages, candidates(passages))
    assert read(run, reader, *passages) == alone
    run(reader.aclose())


def test_without_time_only_the_most_promising_window_is_read(run, model: Path) -> None:
    reader = SpanReader(options(model, windows=9, budget_ms=0))
    passages = [passage("Nothing is here.", 1), passage("The port is 8080. What a port.", 2)]
    found = candidates(passages)
    spans = read(run, reader, *passages)
    assert spans
    assert {found[number].place for number in spans} == {1}
    run(reader.aclose())


def test_no_passage_gives_no_span(run, model: Path) -> None:
    reader = SpanReader(options(model))
    assert read(run, reader) == {}
    assert read(run, reader, passage(" ")) == {}
    run(reader.aclose())


def test_name_changes_with_what_is_read(model: Path) -> None:
    names = {
        SpanReader(options(model, **changed)).model
        for changed in ({}, {"windows": 3}, {"max_tokens": 32})
    }
    assert len(names) == 3


def test_logits_that_are_no_numbers_are_the_models_failure(
    run, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = SpanReader(options(model))
    broken = np.full((99, 2), np.nan, np.float32)
    monkeypatch.setattr(type(reader._session), "logits", lambda self, pair: broken)
    with pytest.raises(UpstreamError, match="not finite"):
        read(run, reader, passage())
    run(reader.aclose())


def test_length_that_the_model_cannot_have_is_refused(model: Path) -> None:
    with pytest.raises(SetupError, match=r"reader\.max_tokens 99 .* set 5 to 64"):
        SpanReader(options(model, max_tokens=99))


@pytest.mark.parametrize("wrong", [{"windows": 0}, {"max_tokens": -1}, {"budget_ms": -1}])
def test_numbers_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(SetupError, match=rf"reader\.{name} (is )?{value}"):
        ReaderOptions(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "weights", "words"),
    [
        (TuneKind.RERANKER, "", "is a trained reranker, not a reader"),
        (TuneKind.READER, "0" * 64, "does not fit .* other weights"),
    ],
)
def test_adapter_of_another_kind_or_base_is_refused(
    model: Path, tmp_path: Path, kind: TuneKind, weights: str, words: str
) -> None:  # FIELD 17
    base = base_model(model, name="tiny")
    base = replace(base, weights_sha256=weights or base.weights_sha256)
    write_binding(tmp_path, Binding(kind, base, "lora", 48))
    with pytest.raises(SetupError, match=words):
        SpanReader(options(model, adapter=str(tmp_path)))


class SureOf:
    """A reader that is sure of one word, wherever it stands."""

    model = "sure"

    def __init__(self, word: str, margin: float) -> None:
        self.word, self.margin = word, margin

    async def read(self, question, passages, found: list[Candidate]) -> dict[int, ReadSpan]:
        spans = {}
        for number, piece in enumerate(found):
            at = piece.text.find(self.word)
            start = piece.start + max(at, 0)
            margin = self.margin if at >= 0 else -9.0
            spans[number] = ReadSpan(piece.place, start, start + len(self.word), margin)
        return spans


def answered(run, embedder, reader: SureOf, question: str) -> tuple[str, Finish]:
    async def scenario() -> tuple[str, Finish]:
        generator = ExtractiveGenerator(embedder, reader=reader)
        pieces = [piece async for piece in generator.generate(question, [passage()])]
        return "".join(piece.text for piece in pieces[:-1]), pieces[-1]

    return run(scenario())


def test_reader_moves_the_choice_by_its_gain_and_points_out_the_words() -> None:
    found = tuple(candidates([passage()]))
    port, host = found[0], found[1]
    weighed = Weighed((port, host), (1.0, 0.0), answer=2.0)
    margin = 1.5 / READ_GAIN  # worth 1.5 logits more than none
    sure = ReadSpan(0, host.start, host.end, margin)
    unsure = ReadSpan(0, port.start, port.end, 0.0)
    choice = decide(weighed, spans={0: unsure, 1: sure}, options=ChooseOptions(max_sentences=1))
    assert choice.picks == (host,)
    assert choice.span == sure
    logit = READ_BIAS + READ_WEIGHTS["answer"] * 2.0 + READ_WEIGHTS["margin"] * margin
    assert choice.confidence == pytest.approx(1 / (1 + math.exp(-logit)))
    without = decide(weighed, spans={}, options=ChooseOptions(max_sentences=1))
    assert without.picks == (port,)
    assert without.span is None
    assert without.confidence == pytest.approx(1 / (1 + math.exp(-2.0)))


def test_words_that_the_reader_points_out_come_with_the_quotation(run, embedder) -> None:
    text, finish = answered(run, embedder, SureOf("8080", 12.0), "What is the port?")
    assert text.startswith("The port is 8080. [1]")
    assert finish.short == "8080"


def test_reader_that_finds_nothing_lowers_the_confidence(run, embedder) -> None:
    question = "What is the port?"
    _, sure = answered(run, embedder, SureOf("8080", 12.0), question)
    _, unsure = answered(run, embedder, SureOf("8080", -9.0), question)
    assert sure.confidence > unsure.confidence
