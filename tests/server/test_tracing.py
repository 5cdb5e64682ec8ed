"""Spans through the SDK's own in-memory exporter, and over the wire to a loopback collector."""

import logging
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from steelyard.server.tracing import Tracing, open_tracing, place_stages

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
QUESTION = "How many days of paid leave?"
SECRET = "Everyone gets 28 days of paid leave a year."


@pytest.fixture
def traced(open_client, monkeypatch):
    """Open a client whose spans are kept: (client, function that returns them)."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("steelyard.server.open_tracing", lambda: Tracing(provider))

    def open_(**options):
        client = open_client(**options)
        client.put("/v1/documents/a?wait=true", json={"text": f"# Leave\n\n{SECRET}"})
        return client, exporter.get_finished_spans

    return open_


def milliseconds(span):
    return (span.end_time - span.start_time) / 1e6


def test_a_question_is_one_tree_with_the_timings_of_its_answer(traced):
    client, spans = traced()
    told = client.post("/v1/query", json={"query": QUESTION}).json()
    timings = told["usage"]["timings_ms"]
    found = {span.name: span for span in spans()}
    root, retrieval = found["answer"], found["retrieval default"]
    assert root.parent is None
    assert root.kind is SpanKind.SERVER
    assert milliseconds(root) == pytest.approx(timings["total"], abs=0.01)
    assert retrieval.parent.span_id == root.context.span_id
    writing = next(span for name, span in found.items() if name.startswith("chat "))
    assert writing.parent.span_id == root.context.span_id
    assert writing.end_time == root.end_time
    stages = {
        s.attributes["steelyard.stage"]: s for s in spans() if "steelyard.stage" in s.attributes
    }
    assert {"embed", "dense", "lexical", "fuse", "fetch", "generate"} <= set(stages)
    for stage, span in stages.items():
        assert milliseconds(span) == pytest.approx(timings[stage], abs=0.01)
        assert root.start_time <= span.start_time <= span.end_time
        if stage not in ("generate", "cache", "context"):
            assert span.parent.span_id == retrieval.context.span_id
            assert span.end_time <= retrieval.end_time
    assert stages["dense"].start_time >= stages["embed"].end_time
    assert stages["cache"].start_time == root.start_time
    assert stages["cache"].parent.span_id == root.context.span_id
    assert stages["cache"].end_time == retrieval.start_time
    assert stages["lexical"].start_time == retrieval.start_time
    assert stages["context"].parent.span_id == root.context.span_id
    assert stages["context"].start_time >= retrieval.end_time
    assert len({span.context.trace_id for span in spans()}) == 1


def test_attributes_are_those_of_the_genai_conventions(traced):
    client, spans = traced()
    told = client.post("/v1/query", json={"query": QUESTION, "k": 3}).json()
    found = {span.name.split()[0]: dict(span.attributes) for span in spans()}
    assert found["answer"]["gen_ai.operation.name"] == "invoke_workflow"
    assert found["answer"]["gen_ai.response.id"] == told["id"]
    assert found["answer"]["http.route"] == "/v1/query"
    assert found["answer"]["steelyard.bundle"] == told["bundle"]
    assert found["retrieval"]["gen_ai.operation.name"] == "retrieval"
    assert found["retrieval"]["gen_ai.data_source.id"] == "default"
    assert found["retrieval"]["gen_ai.request.top_k"] == 3.0
    assert found["embeddings"]["gen_ai.request.model"] == "hashing"
    chat = found["chat"]
    assert chat["gen_ai.operation.name"] == "chat"
    assert chat["gen_ai.response.model"] == told["usage"]["model"]
    assert chat["gen_ai.usage.input_tokens"] == told["usage"]["prompt_tokens"]
    assert chat["gen_ai.usage.output_tokens"] == told["usage"]["completion_tokens"]
    assert chat["gen_ai.response.time_to_first_chunk"] >= 0


def test_no_span_holds_a_question_or_a_documents_text(traced):
    client, spans = traced()
    client.post("/v1/query", json={"query": QUESTION})
    client.post("/v1/search", json={"query": QUESTION})
    for span in spans():
        told = f"{span.name} {dict(span.attributes)} {span.events}"
        assert not [word for word in ("paid", "leave", "Leave", "Everyone", "year") if word in told]


def test_a_trace_goes_on_where_the_caller_began_it(traced):
    client, spans = traced()
    header = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    client.post("/v1/search", json={"query": QUESTION}, headers=header)
    root = next(span for span in spans() if span.name == "search")
    assert f"{root.context.trace_id:032x}" == TRACE
    assert f"{root.parent.span_id:016x}" == PARENT


@pytest.mark.parametrize("header", ["", "rubbish", "00-0-0-0", f"ff-{TRACE}-{PARENT}-01", "é" * 9])
def test_a_broken_trace_context_begins_a_new_trace(traced, header):
    client, spans = traced()
    headers = {"traceparent": header.encode("utf-8")}
    assert client.post("/v1/search", json={"query": "x"}, headers=headers).status_code == 200
    assert next(span for span in spans() if span.name == "search").parent is None


def test_streams_and_openai_clients_are_traced_too(traced):
    client, spans = traced()
    with client.stream("POST", "/v1/query", json={"query": QUESTION, "stream": True}) as got:
        got.read()
    turns = [{"role": "user", "content": QUESTION}]
    anew = {"Cache-Control": "no-cache"}
    client.post("/v1/chat/completions", json={"messages": turns}, headers=anew)
    roots = [dict(span.attributes) for span in spans() if span.name == "answer"]
    assert [root["http.route"] for root in roots] == ["/v1/query", "/v1/chat/completions"]
    chats = [dict(span.attributes) for span in spans() if span.name.startswith("chat ")]
    assert [chat["gen_ai.request.stream"] for chat in chats] == [True, False]


def test_a_failed_answer_is_a_span_with_its_error(traced, monkeypatch):
    from steelyard.core.errors import UpstreamError
    from steelyard.flows.sides import Sides

    async def broken(self, query, wish, *, user):
        raise UpstreamError(f"the model said {SECRET}", code="search_failed")

    client, spans = traced()
    assert client.post("/v1/query", json={"query": ""}).status_code == 400
    monkeypatch.setattr(Sides, "answer", broken)
    assert client.post("/v1/query", json={"query": QUESTION}).status_code == 502
    [root] = [span for span in spans() if span.name == "answer"]
    assert root.status.status_code is StatusCode.ERROR
    assert root.attributes["error.type"] == "search_failed"
    assert SECRET not in f"{dict(root.attributes)} {root.status.description} {root.events}"
    told = client.get("/v1/operations").json()
    assert told["answers"] == {"error": 1}


def test_stages_are_placed_in_the_order_in_which_they_run():
    timings = {"embed": 2.0, "dense": 1.0, "lexical": 5.0, "fuse": 1.0, "fetch": 2.0, "total": 30.0}
    placed = {one.stage: (one.start_ms, one.ms) for one in place_stages(timings)}
    assert placed == {
        "embed": (0.0, 2.0),
        "dense": (2.0, 1.0),
        "lexical": (0.0, 5.0),
        "fuse": (5.0, 1.0),
        "fetch": (6.0, 2.0),
    }
    whole = {"cache": 1.5} | timings | {"search": 12.0, "context": 0.5}
    placed = {one.stage: (one.start_ms, one.ms) for one in place_stages(whole)}
    assert placed["cache"] == (0.0, 1.5)
    assert placed["lexical"] == (1.5, 5.0)
    assert placed["fetch"] == (7.5, 2.0)
    assert placed["context"] == (13.5, 0.5)  # after the search's own measure
    assert place_stages({"total": 3.0, "generate": 1.0}) == []


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
        {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"},
        {"OTEL_SERVICE_NAME": "x"},
    ],
)
def test_tracing_is_off_unless_it_is_asked_for(environment, caplog):
    assert open_tracing(environment) is None
    assert caplog.records == []


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "'zipkin'"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf"),
    ],
)
def test_what_cannot_be_honoured_is_told_and_the_server_starts(environment, said, caplog):
    with caplog.at_level(logging.WARNING):
        assert open_tracing(environment) is None
    assert said in caplog.text


def test_a_missing_package_is_told_with_the_command_that_repairs_it(monkeypatch, caplog):
    monkeypatch.setattr("steelyard.server.tracing.find_spec", lambda name: None)
    with caplog.at_level(logging.WARNING):
        assert open_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}) is None
    assert "pip install 'steelyard[otel]'" in caplog.text


def test_without_tracing_nothing_of_opentelemetry_is_imported():
    code = (
        "import steelyard.server, sys; from steelyard.server.tracing import open_tracing; "
        "assert open_tracing({}) is None; "
        "assert not [m for m in sys.modules if m.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_spans_arrive_at_a_collector_over_otlp(open_client, monkeypatch):
    received = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, self.headers["x-team"], body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    collector = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=collector.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{collector.server_port}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=search")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "handbook")
    try:
        client = open_client()
        client.post("/v1/search", json={"query": "x"})
        client.__exit__(None, None, None)  # the last spans are sent when the server stops
        client.__enter__()
    finally:
        collector.shutdown()
        thread.join()
        collector.server_close()
    path, team, body = received[0]
    assert (path, team) == ("/v1/traces", "search")
    request = ExportTraceServiceRequest.FromString(body)
    resource = request.resource_spans[0].resource.attributes
    assert {one.key: one.value.string_value for one in resource}["service.name"] == "handbook"
    names = [span.name for one in request.resource_spans[0].scope_spans for span in one.spans]
    assert "search" in names
