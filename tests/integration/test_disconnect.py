"""A client that goes away stops the engine, through HAProxy and gateway alike."""

import time

import httpx
import pytest

from tests.integration.stack import Stack, until

pytestmark = [pytest.mark.integration, pytest.mark.engine, pytest.mark.faults]

TOKENS = 1900
GENERATED = "vllm:generation_tokens_total"
RUNNING = "vllm:num_requests_running"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/responses"])
def test_leaving_stops_generation(stack: Stack, path: str, stream: bool) -> None:
    replica = stack.replicas()[0]
    before = stack.engine_metric(replica, GENERATED)
    with httpx.Client(base_url=stack.base_url, timeout=1.0) as client:
        request = client.build_request("POST", path, json=body(path, stream))
        try:
            # Without a stream nothing is answered before the end: the client loses patience instead.
            answer = client.send(request, stream=True)
            next(answer.iter_bytes())
        except httpx.ReadTimeout:
            assert not stream
        else:
            assert stream, "answered before the client went away; the model is too quick for this test"
            answer.close()
        began = time.monotonic()
    until("nothing runs", lambda: stack.engine_metric(replica, RUNNING) == 0, every_s=0.005)
    print(f"\n{path}: engine idle {1000 * (time.monotonic() - began):.0f} ms after the client left")
    assert stack.engine_metric(replica, GENERATED) - before < TOKENS, "it ran to its natural end"


def body(path: str, stream: bool) -> dict[str, object]:
    extra: dict[str, object] = {"model": "local/pocket", "stream": stream, "ignore_eos": True}
    if path == "/v1/completions":
        return extra | {"prompt": "1+1", "max_tokens": TOKENS}
    if path == "/v1/responses":
        return extra | {"input": "1+1", "max_output_tokens": TOKENS}
    return extra | {"messages": [{"role": "user", "content": "1+1"}], "max_tokens": TOKENS}
