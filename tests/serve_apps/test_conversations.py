"""What a gateway remembers of conversations."""

import json

import pytest

from serve_apps.gateway.conversations import RETRY_S, Conversations, talk_of
from tests.clock import Clock
from zoran_ray.wire import Endpoint, Limits, parse


def test_who_answered_is_known_to_the_same_key_alone():
    talks = Conversations(Clock())
    talks.answered("a", (7, None), "local/m")
    assert talks.arm("a", (7, None)) == "local/m"
    assert talks.arm("b", (7, None)) is None
    assert talks.arm("a", None) is None


def test_the_same_request_again_names_the_first_for_a_while():
    clock = Clock()
    talks = Conversations(clock)
    assert talks.asked("a", b"body", "one") is None
    assert talks.asked("b", b"body", "two") is None
    assert talks.asked("a", b"other", "three") is None
    clock.now = RETRY_S
    assert talks.asked("a", b"body", "four") == "one"
    clock.now = 2 * RETRY_S + 1
    assert talks.asked("a", b"body", "five") is None


def test_the_oldest_are_forgotten():
    talks = Conversations(Clock(), most=3)
    for n in range(10):
        talks.answered("a", (n, None), f"arm{n}")
        talks.asked("a", str(n).encode(), str(n))
    assert len(talks) == 6
    assert talks.arm("a", (6, None)) is None
    assert talks.arm("a", (7, None)) == "arm7"


def talk(endpoint, **document):
    return talk_of(parse(json.dumps({"model": "m", **document}).encode(), endpoint, Limits()))


@pytest.mark.parametrize(
    ("endpoint", "field"), [(Endpoint.CHAT_COMPLETIONS, "messages"), (Endpoint.RESPONSES, "input")]
)
@pytest.mark.parametrize("named", [{}, {"user": "me"}])
def test_turns_of_a_conversation_and_another_one(endpoint, field, named):
    asked = {"role": "user", "content": "2+2"}
    more = [{"role": "assistant", "content": "4"}, {"role": "user", "content": "And 3+3?"}]
    first = talk(endpoint, **{field: [asked]}, **named)
    assert first is not None
    assert talk(endpoint, **{field: [asked, *more]}, **named) == first
    assert talk(endpoint, **{field: [asked | {"content": "Hello"}, *more]}, **named) != first
    assert talk(endpoint, **{field: [asked]}, user="you") != first
    if endpoint is Endpoint.RESPONSES:
        assert talk(endpoint, input="2+2", **named) == first


def test_what_is_no_conversation():
    assert talk(Endpoint.EMBEDDINGS, input="hello") is None
    assert talk(Endpoint.COMPLETIONS, prompt="hello") != talk(Endpoint.COMPLETIONS, prompt="good day")
