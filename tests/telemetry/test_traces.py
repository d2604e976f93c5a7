import asyncio
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from zoran_ray.errors import ConfigError
from zoran_ray.telemetry import names
from zoran_ray.telemetry.metrics import Outcome
from zoran_ray.telemetry.traces import Span, Tracing, outcome_attributes

PARENT = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=1"}
OUTCOME = Outcome(
    "/v1/chat/completions", "local/pocket", 200, 0.4, ttft_s=0.1, input_tokens=9, output_tokens=3
)


class Sink(ThreadingHTTPServer):
    """A collector: takes OTLP/HTTP and keeps it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Collect)
        self.requests: list[ExportTraceServiceRequest] = []
        self.status = 200
        self.endpoint = f"http://127.0.0.1:{self.server_port}"

    @property
    def spans(self) -> list[SpanMessage]:
        scopes = [s for r in self.requests for rs in r.resource_spans for s in rs.scope_spans]
        return [span for scope in scopes for span in scope.spans]


class _Collect(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/v1/traces":
            self.server.requests.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def attributes(span: SpanMessage) -> dict[str, object]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value") or "") for a in span.attributes}


def test_spans_join_the_callers_trace_and_hand_on_their_own(sink: Sink) -> None:
    tracing = Tracing.from_endpoint(sink.endpoint, "gateway")
    with tracing.span("/v1/chat/completions", PARENT) as span:
        span.set(outcome_attributes(OUTCOME))
    tracing.close()
    (sent,) = sink.spans
    assert sent.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert sent.parent_span_id.hex() == "b7ad6b7169203331"
    assert span.headers == {
        "traceparent": f"00-{sent.trace_id.hex()}-{sent.span_id.hex()}-01",
        "tracestate": "a=1",
    }
    assert sent.kind == SpanMessage.SPAN_KIND_SERVER
    assert attributes(sent) == {
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "local/pocket",
        "gen_ai.server.request.duration": 0.4,
        "gen_ai.server.time_to_first_token": 0.1,
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.cache_read.input_tokens": 0,
    }
    resource = sink.requests[0].resource_spans[0].resource
    assert ("service.name", "gateway") in [(a.key, a.value.string_value) for a in resource.attributes]


@pytest.mark.parametrize("headers", [{}, {"traceparent": "nonsense"}, {"traceparent": "00-0-0-00"}])
def test_without_a_caller_a_trace_begins_here(sink: Sink, headers: dict[str, str]) -> None:
    tracing = Tracing.from_endpoint(f"{sink.endpoint}/v1/traces", "gateway")
    with tracing.span("/v1/chat/completions", headers):
        pass
    tracing.close()
    (sent,) = sink.spans
    assert sent.parent_span_id == b""


def test_content_and_exception_messages_stay_out(sink: Sink) -> None:
    tracing = Tracing.from_endpoint(sink.endpoint, "gateway")

    def serve() -> None:
        with tracing.span("/v1/chat/completions", {}) as span:
            span.set({"gen_ai.input.messages": "my secret", names.REQUEST_ID: "r1"})
            raise asyncio.CancelledError("my secret")

    with pytest.raises(asyncio.CancelledError):
        serve()
    tracing.close()
    (sent,) = sink.spans
    assert attributes(sent) == {names.REQUEST_ID: "r1", names.ERROR_TYPE: "CancelledError"}
    assert sent.status.code == Status.STATUS_CODE_ERROR
    assert b"my secret" not in sink.requests[0].SerializeToString()


def test_off_hands_the_callers_context_on_untouched() -> None:
    tracing = Tracing.from_endpoint(None, "gateway")
    with tracing.span("/v1/chat/completions", {**PARENT, "authorization": "Bearer x"}) as span:
        span.set({names.REQUEST_ID: "r1"})
    tracing.close()
    assert type(span) is Span
    assert span.headers == PARENT


@pytest.mark.parametrize("failure", ["refused", "status"])
def test_a_failing_collector_disturbs_nobody(
    sink: Sink, failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    sink.status = 400
    endpoint = sink.endpoint if failure == "status" else "http://127.0.0.1:9"
    tracing = Tracing.from_endpoint(endpoint, "gateway")
    for _ in range(10):
        with tracing.span("/v1/chat/completions", PARENT) as span:
            assert span.headers["traceparent"].startswith("00-0af7651916cd43dd8448eb211c80319c-")
    tracing.close(timeout_s=10)
    with tracing.span("/v1/chat/completions", PARENT):
        pass


@pytest.mark.parametrize("endpoint", ["collector:4318", "ftp://collector", "http://", "http://[", ""])
def test_an_endpoint_that_is_no_url_is_a_config_error(endpoint: str) -> None:
    with pytest.raises(ConfigError, match="must be a URL such as") as caught:
        Tracing.from_endpoint(endpoint, "gateway")
    assert caught.value.param == "otlp_endpoint"


def test_outcomes_become_names_and_numbers() -> None:
    refused = Outcome("/v1/files", "", 429, 0.01, rejected="rate_limit_exceeded")
    assert outcome_attributes(refused)[names.ERROR_TYPE] == "rate_limit_exceeded"
    assert names.REQUEST_MODEL not in outcome_attributes(refused)
    assert set(outcome_attributes(refused)) | set(outcome_attributes(OUTCOME)) <= names.SPAN_ATTRIBUTES
