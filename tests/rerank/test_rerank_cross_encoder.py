"""The cross-encoder: what it scores, how much of it in time, and how it ends."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from steelyard.core.errors import SetupError, UpstreamError
from steelyard.core.ranking import RerankPassage
from steelyard.infra.bert import BertTokenizer, Pair, PairTemplate, open_tokenizer
from steelyard.rerank import RerankOptions
from steelyard.rerank.cross_encoder import CrossEncoder

QUESTION = "how many days?"
PLENTY_S = 10.0


class SlowSession:
    """Scores a pair by its length; waits for a permit a run, and counts runs and companions."""

    def __init__(self, *, permits: int = 1_000) -> None:
        self.permits = threading.Semaphore(permits)
        self.started: list[Pair] = []
        self.at_once = 0
        self.most_at_once = 0
        self._lock = threading.Lock()

    def score(self, pair: Pair) -> float:
        with self._lock:
            self.started.append(pair)
            self.at_once += 1
            self.most_at_once = max(self.at_once, self.most_at_once)
        self.permits.acquire()
        with self._lock:
            self.at_once -= 1
        return float(len(pair.ids))


@pytest.fixture
def slow(tiny: CrossEncoder) -> Iterator[SlowSession]:
    session = SlowSession(permits=0)
    tiny._session = session  # type: ignore[assignment]
    yield session
    for _ in range(100):
        session.permits.release()


async def until(condition) -> None:
    for _ in range(2_000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came true")


def test_scores_are_those_of_each_pair_alone(tiny: CrossEncoder, passages, run) -> None:
    scores = run(tiny.scores(QUESTION, passages, budget_s=PLENTY_S))
    alone = [run(tiny.scores(QUESTION, [one], budget_s=PLENTY_S))[0] for one in passages]
    assert scores == alone
    assert len(set(scores)) == len(passages)


def test_no_budget_and_no_passages_give_no_scores(tiny: CrossEncoder, passages, run) -> None:
    assert run(tiny.scores(QUESTION, passages, budget_s=0)) == []
    assert run(tiny.scores(QUESTION, passages, budget_s=-1)) == []
    assert run(tiny.scores(QUESTION, [], budget_s=PLENTY_S)) == []


def test_kept_ids_score_as_the_text_does_and_only_the_question_is_tokenised(
    tiny: CrossEncoder, tiny_model: Path, passages, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = run(tiny.scores(QUESTION, passages, budget_s=PLENTY_S))
    other = BertTokenizer(open_tokenizer(tiny_model))
    kept = [RerankPassage(one.chunk_id, "", other.own_ids(one.text, limit=100)) for one in passages]
    tokenised: list[str] = []
    own_ids = BertTokenizer.own_ids

    def counted(self: BertTokenizer, text: str, *, limit: int) -> np.ndarray:
        tokenised.append(text)
        return own_ids(self, text, limit=limit)

    monkeypatch.setattr(BertTokenizer, "own_ids", counted)
    assert run(tiny.scores(QUESTION, kept, budget_s=PLENTY_S)) == expected
    assert tokenised == [QUESTION]


def test_texts_without_ids_are_tokenised_once(
    tiny: CrossEncoder, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenised: list[str] = []
    own_ids = BertTokenizer.own_ids

    def counted(self: BertTokenizer, text: str, *, limit: int) -> np.ndarray:
        tokenised.append(text)
        return own_ids(self, text, limit=limit)

    monkeypatch.setattr(BertTokenizer, "own_ids", counted)
    for _ in range(2):
        run(tiny.scores(QUESTION, [RerankPassage(1, "a passage")], budget_s=PLENTY_S))
    assert tokenised == [QUESTION, "a passage", QUESTION]


def test_what_fits_into_the_budget_is_scored_and_the_rest_left(
    tiny: CrossEncoder, passages, run
) -> None:
    """At 1 s a token only pairs of fewer tokens than seconds may start."""
    tiny._session = SlowSession()  # type: ignore[assignment]
    tiny.pace._ms_per_token = 1_000.0
    assert run(tiny.scores(QUESTION, passages, budget_s=5)) == []
    tiny.pace._ms_per_token = 0.0
    short, long = RerankPassage(1, "a"), RerankPassage(2, "a " * 30)
    tiny.pace.saw = lambda *_: None  # type: ignore[method-assign]
    tiny.pace._ms_per_token = 1_000.0
    scores = run(tiny.scores("b", [short, short, long, short], budget_s=20))
    assert scores == [5.0, 5.0]  # [CLS] b [SEP] a [SEP]; the long one would take 34 s


def test_time_that_runs_out_returns_the_prefix_at_once(
    tiny: CrossEncoder, slow: SlowSession, passages, run
) -> None:
    for _ in range(3):
        slow.permits.release()
    scores = run(tiny.scores(QUESTION, passages, budget_s=0.3))
    assert len(scores) in (2, 3)  # the third permit may have gone to the fourth pair
    assert scores == [float(len(pair.ids)) for pair in slow.started[: len(scores)]]


def test_requests_behind_a_busy_one_return_nothing_at_their_deadline(
    tiny: CrossEncoder, slow: SlowSession, passages, run
) -> None:
    async def two() -> list[float]:
        first = asyncio.ensure_future(tiny.scores(QUESTION, passages, budget_s=PLENTY_S))
        await until(lambda: slow.at_once == 2)
        second = await tiny.scores(QUESTION, passages, budget_s=0.1)
        for _ in range(100):
            slow.permits.release()
        assert len(await first) == len(passages)
        return second

    assert run(two()) == []


def test_at_most_two_runs_at_once(tiny: CrossEncoder, passages, run) -> None:
    session = SlowSession()
    tiny._session = session  # type: ignore[assignment]

    async def many() -> None:
        jobs = [tiny.scores(QUESTION, passages, budget_s=PLENTY_S) for _ in range(8)]
        assert [len(scores) for scores in await asyncio.gather(*jobs)] == [len(passages)] * 8

    run(many())
    assert session.most_at_once <= 2


def test_cancelled_request_stops_between_runs_and_frees_its_threads(
    tiny: CrossEncoder, slow: SlowSession, passages, run
) -> None:
    async def cancel() -> int:
        job = asyncio.ensure_future(tiny.scores(QUESTION, passages, budget_s=PLENTY_S))
        await until(lambda: slow.at_once == 2)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        started = len(slow.started)
        for _ in range(100):
            slow.permits.release()
        await until(lambda: slow.at_once == 0)
        # Both threads are free again: another request finds them.
        assert len(await tiny.scores(QUESTION, passages, budget_s=PLENTY_S)) == len(passages)
        return started

    assert run(cancel()) == 2
    assert len(slow.started) == 2 + len(passages)


def test_failing_model_and_nan_are_upstream_errors(tiny: CrossEncoder, passages, run) -> None:
    class Broken:
        def score(self, pair: Pair) -> float:
            raise RuntimeError("out of memory")

    class NotFinite:
        def score(self, pair: Pair) -> float:
            return float("nan")

    tiny._session = Broken()  # type: ignore[assignment]
    with pytest.raises(UpstreamError, match="failed: out of memory"):
        run(tiny.scores(QUESTION, passages, budget_s=PLENTY_S))
    tiny._session = NotFinite()  # type: ignore[assignment]
    with pytest.raises(UpstreamError, match=r"passage \d scored nan"):
        run(tiny.scores(QUESTION, passages, budget_s=PLENTY_S))


def test_ids_of_another_vocabulary_are_an_upstream_error(tiny: CrossEncoder, run) -> None:
    foreign = RerankPassage(1, "", np.array([999_999], np.int32))
    with pytest.raises(UpstreamError, match="failed"):
        run(tiny.scores(QUESTION, [foreign], budget_s=PLENTY_S))


def test_huge_question_leaves_the_passage_its_half(tiny: CrossEncoder, run) -> None:
    session = SlowSession()
    tiny._session = session  # type: ignore[assignment]
    long = RerankPassage(1, "b " * 5_000)
    assert run(tiny.scores("a " * 50_000, [long], budget_s=PLENTY_S)) == [48.0]
    segments = session.started[0].segments
    assert (segments == 1).sum() == 23 + 1  # of 45 tokens the question has 22; and [SEP]


def test_any_text_is_scored(tiny: CrossEncoder, run) -> None:
    odd = ["", " ", "\x00", "\ud800", "🙂" * 500, "\n\n\n"]
    passages = [RerankPassage(n, text) for n, text in enumerate(odd)]
    for question in odd:
        scores = run(tiny.scores(question, passages, budget_s=PLENTY_S))
        assert len(scores) == len(odd)
        assert np.isfinite(scores).all()


def test_long_passage_shows_its_best_window(tiny: CrossEncoder, tiny_model: Path, run) -> None:
    session = SlowSession()
    tiny._session = session  # type: ignore[assignment]
    text = "x " * 100 + "z y " + "x " * 100
    run(tiny.scores("y z", [RerankPassage(1, text)], budget_s=PLENTY_S))
    shown = session.started[0].ids[4:]
    tokenizer = BertTokenizer(open_tokenizer(tiny_model))
    assert set(tokenizer.own_ids("y z", limit=4).tolist()) <= set(shown.tolist())
    assert len(session.started[0].ids) == 48


@pytest.mark.parametrize("max_tokens", [4, 65, -1])
def test_lengths_that_no_pair_can_have_are_refused(tiny_model: Path, max_tokens: int) -> None:
    with pytest.raises(SetupError, match=rf"max_tokens {max_tokens} does not suit .* set 5 to 64"):
        CrossEncoder(RerankOptions(model=str(tiny_model), max_tokens=max_tokens))


def test_damaged_model_file_is_a_setup_error(tiny_model: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        path = tmp_path / name.replace(".", "-")
        path.mkdir()
        for file in tiny_model.iterdir():
            content = file.read_bytes()
            (path / file.name).write_bytes(
                content[: len(content) // 2] if file.name == name else content
            )
        with pytest.raises(SetupError, match=f"{name}.* download the model again"):
            CrossEncoder(RerankOptions(model=str(path), max_tokens=48))


def test_missing_model_says_what_is_wanted() -> None:
    with pytest.raises(SetupError, match="neither a directory nor a hub name"):
        CrossEncoder(RerankOptions(model="no-such-model"))


def test_model_name_changes_with_what_changes_scores(tiny: CrossEncoder, tiny_model: Path) -> None:
    other = CrossEncoder(RerankOptions(model=str(tiny_model), max_tokens=40, precision="fp32"))
    try:
        assert other.model != tiny.model
        assert other.tokenizer_identity == tiny.tokenizer_identity
    finally:
        other.close()


def test_template_of_a_pair_counts_its_special_tokens(tiny_model: Path) -> None:
    template = PairTemplate.of(BertTokenizer(open_tokenizer(tiny_model)))
    assert template.num_special == 3
