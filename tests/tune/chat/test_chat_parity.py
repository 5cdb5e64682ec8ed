"""FIELD 10: a server that reads a conversation otherwise than training did is told."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from steelyard.core.errors import InputError, UpstreamError
from steelyard.core.training import ToolCall, Turn
from steelyard.infra.chat_template import Template
from steelyard.tune.chat.parity import served_parity

TURNS = (Turn("system", "Be brief."), Turn("user", "Which scale?"))
Reply = Callable[[str, dict[str, Any]], dict[str, Any] | None]


@contextmanager
def server(reply: Reply) -> Iterator[str]:
    """Serve `reply`'s JSON on loopback; None of it is a 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told = reply(self.path, body)
            content = json.dumps(told or {"error": "not found"}).encode()
            self.send_response(200 if told is not None else 404)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            return

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}"
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def render(template: Template, messages: list[dict[str, str]]) -> str:
    return template.render([Turn(m["role"], m["content"]) for m in messages], prompt=True)


def ids(template: Template, text: str) -> list[int]:
    found: list[int] = template.tokenizer(text, add_special_tokens=False)["input_ids"]
    return found


def like_vllm(template: Template, *, before: list[int] | None = None) -> Reply:
    def reply(path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        if path != "/tokenize" or "messages" not in body:
            return None
        assert body["add_generation_prompt"] is True
        tokens = (before or []) + ids(template, render(template, body["messages"]))
        return {"count": len(tokens), "max_model_len": 512, "tokens": tokens}

    return reply


def like_llama_cpp(template: Template, *, prompt: Callable[[str], str] = str) -> Reply:
    def reply(path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        if path == "/apply-template":
            return {"prompt": prompt(render(template, body["messages"]))}
        if path == "/tokenize":
            return {"tokens": ids(template, body.get("content", ""))}
        return None

    return reply


def test_a_server_that_reads_the_same_tokens_agrees(template: Template) -> None:
    for reply, way in (
        (like_vllm(template), "/tokenize of messages"),
        (like_llama_cpp(template), "/apply-template, /tokenize"),
    ):
        with server(reply) as url:
            parity = served_parity(template, TURNS, url=f"{url}/v1")
        assert parity.equal
        assert parity.ways == way
        assert list(parity.ours) == ids(template, template.render(TURNS, prompt=True))


def test_a_second_beginning_of_text_is_found_at_its_place(template: Template) -> None:
    with server(like_vllm(template, before=[2])) as url:
        parity = served_parity(template, TURNS, url=url)
    assert not parity.equal
    assert parity.at == 0
    assert "second beginning-of-text" in parity.detail


def test_another_template_is_told_with_both_sides(template: Template) -> None:
    def other(text: str) -> str:
        return text.replace("<|im_start|>assistant\n", "### Answer:\n")

    with server(like_llama_cpp(template, prompt=other)) as url:
        parity = served_parity(template, TURNS, url=url)
    assert not parity.equal
    assert parity.ours[: parity.at] == parity.theirs[: parity.at]
    assert "assistan" in parity.detail
    assert "###" in parity.detail


def test_a_server_that_tells_neither_way_is_named(template: Template) -> None:
    with (
        server(lambda path, body: None) as url,
        pytest.raises(UpstreamError, match="tells neither by /tokenize"),
    ):
        served_parity(template, TURNS, url=url)


def test_a_server_that_is_not_there_is_named(template: Template) -> None:
    with pytest.raises(UpstreamError, match="is it running"):
        served_parity(template, TURNS, url="http://127.0.0.1:9")


def test_turns_that_call_tools_are_not_compared(template: Template) -> None:
    turns = (*TURNS, Turn("assistant", "", tool_calls=(ToolCall("c", "weigh", "{}"),)))
    with pytest.raises(InputError, match="leave out those that call tools"):
        served_parity(template, turns, url="http://127.0.0.1:9")
