"""The official client against the real server on a loopback port."""

import threading

import openai
import pytest
import uvicorn

TEXT = "# Leave\n\nStaff get 31 days of paid leave a year. Leave is booked in Rostra."


@pytest.fixture
def api(open_client):
    """Serve the test client's app over HTTP, and give the official client for it."""
    client = open_client()
    client.put("/v1/documents/leave?wait=true", json={"text": TEXT, "title": "Leave"})
    config = uvicorn.Config(
        client.app, host="127.0.0.1", port=0, lifespan="off", log_config=None, ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        threading.Event().wait(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with openai.OpenAI(
        base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0
    ) as official:
        yield official
    server.should_exit = True
    thread.join()


def ask(content):
    return [{"role": "user", "content": content}]


def test_a_chat_completion_has_annotations(api):
    completion = api.chat.completions.create(
        model="steelyard", messages=ask("How many days of paid leave do staff get a year?")
    )
    message = completion.choices[0].message
    assert "31" in message.content
    assert completion.choices[0].finish_reason == "stop"
    annotation = message.annotations[0]
    assert annotation.type == "url_citation"
    assert annotation.url_citation.url == "steelyard:leave"
    marker = slice(annotation.url_citation.start_index, annotation.url_citation.end_index)
    assert message.content[marker] == "[1]"


def test_a_streamed_chat_completion_gives_the_same_text(api):
    messages = ask("How many days of paid leave do staff get a year?")
    whole = api.chat.completions.create(model="steelyard", messages=messages)
    parts, usage = [], None
    stream = api.chat.completions.create(
        model="steelyard",
        messages=messages,
        stream=True,
        stream_options={"include_usage": True},
        extra_headers={"Cache-Control": "no-cache"},
    )
    for chunk in stream:
        usage = chunk.usage or usage
        if chunk.choices and chunk.choices[0].delta.content:
            parts.append(chunk.choices[0].delta.content)
    assert "".join(parts) == whole.choices[0].message.content
    assert len(parts) > 1
    assert usage is not None


def test_embeddings_come_as_floats_and_as_base64(api):
    given = api.embeddings.create(
        model="all", input=["one text", "another"], encoding_format="float"
    )
    packed = api.embeddings.create(model="all", input=["one text", "another"])
    assert len(given.data) == 2
    assert given.usage.prompt_tokens > 0
    for left, right in zip(given.data, packed.data, strict=True):
        assert left.embedding == pytest.approx(right.embedding, abs=1e-6)


def test_models_are_listed(api):
    assert "steelyard" in [model.id for model in api.models.list()]


def test_a_wrong_request_is_the_clients_bad_request(api):
    with pytest.raises(openai.BadRequestError) as raised:
        api.chat.completions.create(model="steelyard", messages=ask(" "))
    assert raised.value.code == "empty_query"


def test_a_conversation_needs_a_user_message(api):
    with pytest.raises(openai.BadRequestError, match="no user message"):
        api.chat.completions.create(
            model="steelyard", messages=[{"role": "system", "content": "be brief"}]
        )
