"""Answers from a language model in this process, by transformers: where nothing else serves one."""

import asyncio
import contextlib
import importlib.util
import logging
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.core.chat import Finish, Message, Passage, Piece, Token
from steelyard.core.errors import SetupError, UpstreamError
from steelyard.core.protocols import Tokenizer
from steelyard.generate.conversation import build_conversation
from steelyard.generate.options import LlmOptions

if TYPE_CHECKING:
    from steelyard.infra.causal import CausalModel

_LOG = logging.getLogger(__name__)
_LIBRARIES = ("torch", "transformers", "peft")


class LocalGenerator:
    """A `Generator` and `Completer` over `options.local`, with `options.adapter` put on it.

    The model is loaded by `warm_up`, else at the first question, and writes one answer at a time,
    in a thread of its own. An asker who leaves stops it at the next token.
    """

    def __init__(
        self,
        options: LlmOptions,
        *,
        tokenizer: Tokenizer | None = None,
        closed_book: bool = False,
    ) -> None:
        """Check what can be checked without loading the model.

        Raises:
            SetupError: the extra is not installed, or a folder is no model or no adapter.
        """
        self._path = _checked(options.local, "config.json", "llm.local", "a model")
        self._adapter: Path | None = None
        if options.adapter:
            name = "adapter_config.json"
            self._adapter = _checked(options.adapter, name, "llm.adapter", "an adapter")
        missing = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
        if missing:
            raise SetupError(
                f"running {self._path.name!r} in this process needs {', '.join(missing)}; run: "
                "pip install 'steelyard[tune]'"
            )
        self._options = options
        self._tokenizer = tokenizer
        self._closed_book = closed_book
        self._pool = ThreadPoolExecutor(1, "steelyard-llm")
        self._loaded: CausalModel | None = None

    @property
    def model(self) -> str:
        """Return the folder's name, and the adapter's."""
        return self._path.name + (f"+{_adapter_name(self._adapter)}" if self._adapter else "")

    def warm_up(self) -> None:
        """Load the model; blocking.

        Raises:
            SetupError: it cannot be loaded, or its adapter does not fit it.
        """
        self._pool.submit(self._model).result()

    async def generate(
        self, question: str, passages: Sequence[Passage], *, history: Sequence[Message] = ()
    ) -> AsyncGenerator[Piece, None]:
        """Stream `Token`s, then one `Finish`; leaving early stops the model.

        Raises:
            SetupError: the model cannot be loaded, or its adapter does not fit it.
            UpstreamError: the conversation does not fit its window, or it wrote nothing, or it
                took too long.
        """
        messages = build_conversation(
            question,
            passages,
            history=history,
            options=self._options,
            tokenizer=self._tokenizer,
            closed_book=self._closed_book,
        )
        async with contextlib.aclosing(self._stream(messages)) as pieces:
            async for piece in pieces:
                yield piece

    async def complete(self, messages: Sequence[Message]) -> str:
        """Return the whole reply to a conversation of the caller's own; raises as `generate`."""
        async with contextlib.aclosing(self._stream(list(messages))) as pieces:
            return "".join([piece.text async for piece in pieces if isinstance(piece, Token)])

    async def aclose(self) -> None:
        """Let go of the model; an answer that is being written is stopped."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._loaded = None

    async def _stream(self, messages: list[Message]) -> AsyncGenerator[Piece, None]:
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        stopped = False

        def on_text(text: str) -> bool:
            """Pass on what was written; tell whether to go on."""
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens
                loop.call_soon_threadsafe(pieces.put_nowait, text)
            return not stopped

        def write() -> Finish:
            try:
                return self._write(messages, on_text)
            finally:
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(pieces.put_nowait, None)

        writing = loop.run_in_executor(self._pool, write)
        try:
            wrote = False
            async with asyncio.timeout(self._options.total_timeout_s):
                while (text := await pieces.get()) is not None:
                    wrote = wrote or bool(text.strip())
                    yield Token(text)
                finish = await writing
            if not wrote:
                raise UpstreamError(f"{self.model!r} finished with an empty answer")
            yield finish
        except TimeoutError as error:
            raise UpstreamError(
                f"{self.model!r} took longer than {self._options.total_timeout_s:g} s for one "
                "answer; lower llm.max_tokens, or serve it elsewhere"
            ) from error
        finally:
            stopped = True
            if not writing.done():
                writing.add_done_callback(_told)

    def _model(self) -> "CausalModel":
        """Return the model, loaded once; in its own thread."""
        if self._loaded is None:
            from steelyard.infra.causal import load_causal

            self._loaded = load_causal(self._path, adapter=self._adapter)
        return self._loaded

    def _write(self, messages: Sequence[Message], on_text: Any) -> Finish:
        """Write one answer; blocking, in the model's own thread."""
        written = self._model().write(
            messages,
            max_tokens=self._options.max_tokens,
            temperature=self._options.temperature,
            on_text=on_text,
        )
        return Finish(
            prompt_tokens=written.prompt_tokens, completion_tokens=written.completion_tokens
        )


def _checked(given: str, file: str, option: str, what: str) -> Path:
    path = Path(given).expanduser()
    if not (path / file).is_file():
        raise SetupError(
            f"{option} {given!r} is no folder of {what} ({file} is missing); give the folder that "
            f"holds it: --set {option}=DIR"
        )
    return path.resolve()


def _adapter_name(path: Path) -> str:
    """Return a name that tells runs apart: most artefacts lie in a folder `artefact`."""
    return path.parent.name if path.name == "artefact" else path.name


def _told(writing: "asyncio.Future[Finish]") -> None:
    """Look at the failure of an answer that nobody waits for any more."""
    if not writing.cancelled() and (error := writing.exception()) is not None:
        _LOG.info("abandoned_answer_failed", extra={"reason": str(error)})
