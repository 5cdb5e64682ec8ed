"""What the encoder adds to the embedders' contract."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from steelyard.core.errors import SetupError
from steelyard.embed import EmbedOptions
from steelyard.embed.bert import BertEmbedder
from steelyard.infra.bert import BertTokenizer, open_tokenizer
from steelyard.infra.bert.tokenizer import TextTokens


def open_embedder(model: Path, **options: object) -> BertEmbedder:
    return BertEmbedder(EmbedOptions(model=str(model), **options))  # type: ignore[arg-type]


def test_text_is_cut_at_the_models_limit(tiny: BertEmbedder) -> None:
    assert tiny.max_tokens == 46  # 48 positions, two of them for [CLS] and [SEP]
    within = "a " * 46
    np.testing.assert_array_equal(tiny.embed_query(within), tiny.embed_query(within + "b c d"))
    assert not np.array_equal(tiny.embed_query(within), tiny.embed_query("a " * 45 + "b"))


def test_limit_can_be_lowered_but_not_raised_over_the_table(tiny_model: Path) -> None:
    assert open_embedder(tiny_model, max_tokens=10).max_tokens == 8
    for wrong in (49, 2, 0, -1):
        with pytest.raises(SetupError, match=f"max_tokens {wrong} .* set 3 to 48"):
            open_embedder(tiny_model, max_tokens=wrong)


def test_threads_below_one_are_refused(tiny_model: Path) -> None:
    with pytest.raises(SetupError, match="passage_threads 0"):
        open_embedder(tiny_model, passage_threads=0)


@pytest.mark.parametrize(
    "text", ["ab cd. " * 400, " " * 9_000 + "late words", "x" * 90 + " y" * 60]
)
def test_cutting_characters_first_gives_the_same_ids(tiny_model: Path, text: str) -> None:
    whole = open_tokenizer(tiny_model)
    expected = whole.encode(text).ids
    if len(expected) > 48:
        expected = [*expected[:47], 3]
    assert BertTokenizer(whole).ids(text, limit=48) == expected


def test_prefixes_go_in_front_of_what_they_name(tiny_model: Path, tiny: BertEmbedder) -> None:
    prefixed = open_embedder(tiny_model, query_prefix="q: ", passage_prefix="p: ")
    assert prefixed.max_tokens == 44
    np.testing.assert_array_equal(prefixed.embed_query("abc"), tiny.embed_query("q: abc"))
    np.testing.assert_array_equal(prefixed.embed_passages(["abc"]), tiny.embed_passages(["p: abc"]))


def test_prompts_of_the_model_hold_unless_told_otherwise(make_model, tiny: BertEmbedder) -> None:
    model = make_model(prompts={"query": "q: ", "document": "d: "})
    own, told = open_embedder(model), open_embedder(model, query_prefix="", passage_prefix="")
    np.testing.assert_array_equal(own.embed_query("abc"), tiny.embed_query("q: abc"))
    np.testing.assert_array_equal(own.embed_passages(["abc"]), tiny.embed_passages(["d: abc"]))
    np.testing.assert_array_equal(told.embed_query("abc"), tiny.embed_query("abc"))


def test_fingerprint_follows_what_decides_a_passages_vector(make_model, tiny_model: Path) -> None:
    base = open_embedder(tiny_model).fingerprint
    assert open_embedder(make_model(seed=1)).fingerprint == base  # the same bytes elsewhere
    assert open_embedder(tiny_model, query_prefix="q: ").fingerprint == base
    others = [
        open_embedder(make_model(seed=2)),
        open_embedder(tiny_model, precision="fp32"),
        open_embedder(tiny_model, max_tokens=20),
        open_embedder(tiny_model, passage_prefix="p: "),
    ]
    assert len({base, *(other.fingerprint for other in others)}) == 5


def test_failure_in_one_text_reaches_the_caller_and_the_next_call_works(
    tiny: BertEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tiny.tokenizer.tokens

    def failing(text: str, **options: int) -> TextTokens:
        if text == "boom":
            raise RuntimeError("boom")
        return real(text, **options)

    monkeypatch.setattr(tiny.tokenizer, "tokens", failing)
    with pytest.raises(RuntimeError, match="boom"):
        tiny.embed_passages(["a", "boom", *("b" * 20)])
    assert tiny.embed_passages(["a", "b"]).shape == (2, 32)


def test_importing_the_options_loads_no_runtime() -> None:
    script = (
        "import sys; from steelyard.embed import EmbedOptions, HashingEmbedder;"
        "assert not {'onnxruntime', 'onnx', 'tokenizers', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_embedding_loads_neither_onnx_nor_torch_once_built(tiny_model: Path) -> None:
    script = (
        "import sys; from steelyard.embed import EmbedOptions\n"
        "from steelyard.embed.bert import BertEmbedder\n"
        "BertEmbedder(EmbedOptions(model=sys.argv[1])).embed_passages(['a'])\n"
        "assert not {'onnx', 'torch', 'huggingface_hub'} & set(sys.modules)"
    )
    open_embedder(tiny_model)
    subprocess.run([sys.executable, "-c", script, str(tiny_model)], check=True)


def test_token_ids_are_the_texts_own_without_prefix(make_model) -> None:
    plain = open_embedder(make_model())
    prefixed = open_embedder(make_model(prompts={"passage": "p: "}))
    texts = ["a b c", "", "d " * 60]
    try:
        made, other = plain.embed_tokenized(texts), prefixed.embed_tokenized(texts)
        np.testing.assert_array_equal(made.vectors, plain.embed_passages(texts))
        own = [plain.tokenizer.own_ids(text, limit=100) for text in texts]
        assert [ids.tolist() for ids in made.token_ids] == [ids[:46].tolist() for ids in own]
        assert [ids.tolist() for ids in other.token_ids] == [ids[:44].tolist() for ids in own]
    finally:
        plain.close()
        prefixed.close()
