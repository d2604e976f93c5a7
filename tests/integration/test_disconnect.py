"""A client that goes away stops the engine, through HAProxy and gateway alike."""

import json
import socket
import time

import httpx
import pytest

from tests.integration.stack import Stack, until

pytestmark = [pytest.mark.integration, pytest.mark.engine, pytest.mark.faults]

TOKENS = 1900
BRANCHES = 8
STOP_S = 10.0
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


def test_leaving_stops_every_branch_of_a_strategy(stack: Stack) -> None:
    replica = stack.replicas()[0]
    before = stack.engine_metric(replica, GENERATED)
    with socket.create_connection(("127.0.0.1", stack.port), timeout=STOP_S) as client:
        client.sendall(strategy_request())
        until("branches run", lambda: stack.engine_metric(replica, RUNNING) >= BRANCHES // 2, every_s=0.005)
    began = time.monotonic()
    until("nothing runs", lambda: stack.engine_metric(replica, RUNNING) == 0, STOP_S, every_s=0.005)
    print(f"\nstrategy: engine idle {1000 * (time.monotonic() - began):.0f} ms after the client left")
    idle = stack.engine_metric(replica, GENERATED)
    assert idle - before < BRANCHES * TOKENS, "the branches ran to their natural end"
    one = body("/v1/completions", False) | {"max_tokens": 1}
    assert httpx.post(f"{stack.base_url}/v1/completions", json=one, timeout=STOP_S).status_code == 200
    until("it is counted", lambda: stack.engine_metric(replica, GENERATED) > idle, STOP_S, every_s=0.005)
    # Nothing was made but the token of this request: the strategy has asked nothing more.
    assert stack.engine_metric(replica, GENERATED) == idle + 1


def strategy_request() -> bytes:
    """Branches that talk at random, for long, and never give what the verifier wants."""
    strategy = {"samples": 8 * BRANCHES, "at_once": BRANCHES, "temperature": 2.0, "max_tokens": TOKENS}
    verifier = {"kind": "exact", "expected": "nothing that a pocket model says"}
    data = json.dumps(
        {
            "model": "zoran/best-of-n:local/pocket",
            "messages": [{"role": "user", "content": "1+1"}],
            "zoran": {"strategy": strategy, "verifier": verifier},
        }
    ).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: zoran\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(data)}\r\n\r\n".encode() + data


def body(path: str, stream: bool) -> dict[str, object]:
    extra: dict[str, object] = {"model": "local/pocket", "stream": stream, "ignore_eos": True}
    if path == "/v1/completions":
        return extra | {"prompt": "1+1", "max_tokens": TOKENS}
    if path == "/v1/responses":
        return extra | {"input": "1+1", "max_output_tokens": TOKENS}
    return extra | {"messages": [{"role": "user", "content": "1+1"}], "max_tokens": TOKENS}
