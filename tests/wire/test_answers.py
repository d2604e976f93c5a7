from typing import Any

import orjson

from zoran_ray.wire import Endpoint, normalised


def told(document: Any, endpoint: Endpoint) -> Any:
    return orjson.loads(normalised(orjson.dumps(document), document, endpoint))


def test_members_without_a_value_are_left_out() -> None:
    message = {"role": "assistant", "content": "42", "refusal": None, "audio": None, "tool_calls": []}
    body = {"choices": [{"message": message, "logprobs": None}], "usage": {"details": None}, "kv": None}
    kept = {"role": "assistant", "content": "42", "refusal": None, "tool_calls": []}
    expected = {"choices": [{"message": kept, "logprobs": None}], "usage": {}}
    assert told(body, Endpoint.CHAT_COMPLETIONS) == expected


def test_logprobs_stay_as_they_are() -> None:
    logprobs = {"content": [{"token": "4", "bytes": None, "top_logprobs": [{"x": None}]}]}
    body = {"choices": [{"logprobs": logprobs}]}
    assert told(body, Endpoint.COMPLETIONS) == body


def test_required_members_are_added() -> None:
    answer = told({"choices": [{"logprobs": {"content": []}}]}, Endpoint.CHAT_COMPLETIONS)
    assert answer == {"choices": [{"logprobs": {"content": [], "refusal": None}}]}
    assert told({"id": "r"}, Endpoint.RESPONSES) == {"id": "r", "error": None}


def test_what_needs_no_change_is_not_encoded_anew() -> None:
    for data, endpoint in [
        (b'{"a":  1}', Endpoint.CHAT_COMPLETIONS),
        (b'{"error": null}', Endpoint.RESPONSES),
    ]:
        assert normalised(data, orjson.loads(data), endpoint) is data
