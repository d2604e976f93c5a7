import subprocess
import sys
from typing import Any

import pytest

from zoran_ray.wire import Endpoint
from zoran_ray.wire.affinity import affinity_of

CHAT, RESPONSES, MESSAGES = Endpoint.CHAT_COMPLETIONS, Endpoint.RESPONSES, Endpoint.MESSAGES


def turns(*texts: str, **more: Any) -> dict[str, Any]:
    roles = ("user", "assistant")
    messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]
    return {"messages": [{"role": "system", "content": "Be brief."}, *messages], **more}


def test_every_turn_of_a_conversation_is_equal_and_another_conversation_differs() -> None:
    first = affinity_of(CHAT, turns("hello"))
    assert first is not None
    assert 0 <= first < 2**64
    assert affinity_of(CHAT, turns("hello", "hi", "and now?")) == first
    assert affinity_of(CHAT, turns("good day")) != first


def test_parts_count_like_text() -> None:
    parts = [{"type": "image_url", "image_url": {"url": "data:,"}}, {"type": "text", "text": "hello"}]
    document = turns("")
    document["messages"][1]["content"] = parts
    assert affinity_of(CHAT, document) == affinity_of(CHAT, turns("hello"))


@pytest.mark.parametrize("key", ["prompt_cache_key", "session_id", "user"])
def test_a_name_given_by_the_caller_goes_first(key: str) -> None:
    named = affinity_of(CHAT, turns("hello", **{key: "a"}))
    assert named == affinity_of(CHAT, turns("something else", **{key: "a"}))
    assert named != affinity_of(CHAT, turns("hello", **{key: "b"}))
    assert affinity_of(CHAT, turns("hello", **{key: ""})) == affinity_of(CHAT, turns("hello"))


def test_anthropic_clients_name_the_session_in_metadata() -> None:
    a, b = ({"metadata": {"user_id": "u"}, "messages": [{"role": "user", "content": t}]} for t in "ab")
    assert affinity_of(MESSAGES, a) == affinity_of(MESSAGES, b)


def test_a_text_that_changes_with_every_request_is_passed_over() -> None:
    def asked(header: str) -> dict[str, Any]:
        system = [{"type": "text", "text": header}, {"type": "text", "text": "Be brief."}]
        return {"system": system, "messages": [{"role": "user", "content": "hello"}]}

    one, two = (affinity_of(MESSAGES, asked(f"x-anthropic-billing-header: cch={i}")) for i in range(2))
    assert one == two is not None


def test_responses_and_completions() -> None:
    as_items = {"instructions": "Be brief.", "input": [{"role": "user", "content": "hello"}]}
    assert affinity_of(RESPONSES, {"instructions": "Be brief.", "input": "hello"}) == affinity_of(
        RESPONSES, as_items
    )
    prompts = ("hello", ["hello", "x"], [1, 2], [[1, 2], [3]])
    found = [affinity_of(Endpoint.COMPLETIONS, {"prompt": prompt}) for prompt in prompts]
    assert found[0] == found[1]
    assert found[2] == found[3]
    assert None not in found


def test_nothing_to_go_by() -> None:
    for document in ({}, {"messages": 7}, {"messages": [None, {"role": "user"}]}, {"messages": []}):
        assert affinity_of(CHAT, document) is None
    assert affinity_of(Endpoint.EMBEDDINGS, {"input": "x", "user": "u"}) is None
    assert affinity_of(Endpoint.COMPLETIONS, {"prompt": None}) is None
    assert affinity_of(Endpoint.COMPLETIONS, {"prompt": []}) is not None


def test_another_process_finds_the_same_number() -> None:
    code = (
        "from zoran_ray.wire import Endpoint; from zoran_ray.wire.affinity import affinity_of;"
        "print(affinity_of(Endpoint.COMPLETIONS, {'prompt': 'hello'}))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    ).stdout
    assert int(printed) == affinity_of(Endpoint.COMPLETIONS, {"prompt": "hello"})
