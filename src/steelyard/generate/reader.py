"""A span reader on this machine: it scores what the passages' pieces say to a question."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import numpy as np

from steelyard.core.chat import Passage
from steelyard.core.errors import SetupError, UpstreamError
from steelyard.generate.candidates import Candidate
from steelyard.generate.chosen import choose_reader
from steelyard.generate.options import ReaderOptions
from steelyard.generate.spans import ReadSpan, best_spans, merged
from steelyard.generate.windows import Window, promising, windows
from steelyard.infra.bert import (
    BertTokenizer,
    BuiltEncoder,
    PairTemplate,
    PlacedTokens,
    ReaderSession,
    SessionOptions,
    open_reader,
    open_tokenizer,
    ready_reader,
)
from steelyard.infra.bert.session import GRAPH_FILE
from steelyard.infra.concurrent import compute, together

NUM_LANES = 2  # more runs at once only share the same cores
_KEPT_TEXTS = 512  # of tokenised passages: some 2 MB
_PASSAGE_TOKENS = 1024  # a passage is read so far


class SpanReader:
    """Reads one window a run, one thread a run, two runs at once."""

    def __init__(
        self,
        options: ReaderOptions,
        *,
        allow_download: bool = False,
        pool: ThreadPoolExecutor | None = None,
    ) -> None:
        """Find, build if needed, open and try the model. `pool` has `NUM_LANES` threads or more;
        one is made if none is given.

        Raises:
            SetupError: the model is missing or damaged, or cannot read.
        """
        self.options = options
        chosen = choose_reader(options, allow_download=allow_download)
        self.built: BuiltEncoder = ready_reader(
            chosen.base, precision=options.precision, adapter=chosen.adapter
        )
        self._tokenizer = BertTokenizer(open_tokenizer(chosen.base))
        self._template = PairTemplate.of(self._tokenizer)
        self._max_tokens = chosen.max_tokens
        self._room = chosen.max_tokens - self._template.num_special
        self._check_limits()
        self._session: ReaderSession = open_reader(
            self.built.folder / GRAPH_FILE, SessionOptions(threads=1)
        )
        self._own_pool = pool is None
        self._pool = pool or ThreadPoolExecutor(NUM_LANES, "steelyard-read")
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, PlacedTokens] = OrderedDict()
        self._try()

    @property
    def model(self) -> str:
        """Return a name that changes with weights, adapter, precision and what is read."""
        options = self.options
        return f"{options.model}@{self.built.identity[:12]}-{options.max_tokens}x{options.windows}"

    async def read(
        self, question: str, passages: Sequence[Passage], found: Sequence[Candidate]
    ) -> dict[int, ReadSpan]:
        """Return the best span inside each of `found` that was read, by its number.

        The most promising window is always read, the others as far as the budget goes.

        Raises:
            UpstreamError: the model failed, or gave numbers that are not finite.
        """
        race = await compute(self._pool, self._race, question, passages, found)
        lanes = min(NUM_LANES, len(race.chosen))
        try:
            await together(*(compute(self._pool, race.run) for _ in range(lanes)))
        except ArithmeticError as error:
            raise UpstreamError(f"reader {self.options.model!r} failed: {error}") from error
        finally:
            race.stop()
        return merged(race.read)

    def read_now(
        self, question: str, passages: Sequence[Passage], found: Sequence[Candidate]
    ) -> dict[int, ReadSpan]:
        """Do what `read` does in this thread alone; blocking."""
        race = self._race(question, passages, found)
        race.run()
        return merged(race.read)

    async def aclose(self) -> None:
        """End the threads, if they are our own, without waiting for a run that is under way."""
        if self._own_pool:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _race(
        self, question: str, passages: Sequence[Passage], found: Sequence[Candidate]
    ) -> "_Race":
        deadline = perf_counter() + self.options.budget_ms / 1000
        asked = self._tokenizer.own_ids(question, limit=max(1, self._room // 2))
        cut = windows(passages, tokenise=self._tokens, room=self._room - len(asked))
        best = promising(question, passages, cut, limit=self.options.windows)
        return _Race(self._session, self._template, asked, best, found, deadline=deadline)

    def _tokens(self, text: str) -> PlacedTokens:
        with self._lock:
            if text in self._kept:
                self._kept.move_to_end(text)
                return self._kept[text]
        tokens = self._tokenizer.placed(text, limit=_PASSAGE_TOKENS)
        with self._lock:
            self._kept[text] = tokens
            while len(self._kept) > _KEPT_TEXTS:
                self._kept.popitem(last=False)
        return tokens

    def _check_limits(self) -> None:
        wanted, most = self._max_tokens, self.built.max_tokens_possible
        least = self._template.num_special + 2
        if not least <= wanted <= most:
            raise SetupError(
                f"reader.max_tokens {wanted} does not suit model {self.options.model!r}; set "
                f"{least} to {most}"
            )

    def _try(self) -> None:
        ids = self._tokenizer.own_ids("ready?", limit=self._room // 2)
        if not np.isfinite(self._session.logits(self._template.join(ids, ids))).all():
            raise SetupError(f"model {self.options.model!r} gives no numbers; download it again")


class _Race:
    """One question's runs: lanes take windows in order until all are read or time is up."""

    def __init__(
        self,
        session: ReaderSession,
        template: PairTemplate,
        question: np.ndarray[tuple[int], np.dtype[np.int32]],
        chosen: Sequence[Window],
        found: Sequence[Candidate],
        *,
        deadline: float,
    ) -> None:
        self.chosen = chosen
        self.read: list[dict[int, ReadSpan]] = []
        self._session = session
        self._template = template
        self._asked = question
        self._found = found
        self._deadline = deadline
        self._lock = threading.Lock()
        self._next = 0
        self._stopped = False

    def run(self) -> None:
        """Read windows in this thread; several lanes may run at once."""
        while (window := self._take()) is not None:
            pair = self._template.join(self._asked, window.tokens.ids[window.first : window.last])
            logits_S2 = self._session.logits(pair)
            if not np.isfinite(logits_S2).all():
                raise ArithmeticError("logits are not finite")
            begin = len(self._template.before.ids) + len(self._asked)
            begin += len(self._template.between.ids)
            own_S2 = logits_S2[begin : begin + window.last - window.first]
            nothing = float(logits_S2[0].sum())
            self.read.append(best_spans(window, own_S2, nothing=nothing, found=self._found))

    def stop(self) -> None:
        self._stopped = True

    def _take(self) -> Window | None:
        """Return the next window; None when there is none, or no time, but for the first."""
        with self._lock:
            if self._stopped or self._next == len(self.chosen):
                return None
            if self._next and perf_counter() >= self._deadline:
                return None
            self._next += 1
            return self.chosen[self._next - 1]
