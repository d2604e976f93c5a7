from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engines.providers.fake_gemini import MODEL, answer, blocked, call, candidate, text, thought
from tests.engines.providers.openai_shapes import agrees_with_openai, from_completion
from zoran_ray.engines.providers.gemini_answer import gemini_completion, new_call_id, tokens
from zoran_ray.engines.providers.gemini_request import gemini_body
from zoran_ray.errors import UpstreamError

LOGPROBS = {
    "chosenCandidates": [{"token": "Sun", "tokenId": 1, "logProbability": -0.1}, {"token": "ny"}],
    "topCandidates": [
        {"candidates": [{"token": "Sun", "logProbability": -0.1}, {"token": "Ça", "logProbability": -2}]}
    ],
}
ANSWERS = {
    "plain": answer(candidate(text("It is "), text("sunny."))),
    "empty": answer(candidate(finish="MAX_TOKENS")),
    "several": answer(candidate(text("Sunny.")), candidate(text("Rainy."), finish="MAX_TOKENS", index=1)),
    "thinking": answer(candidate(thought("Let me see."), text("Sunny.", "c2ln"))),
    "calls": answer(
        candidate(
            text("I look."),
            call("weather", {"city": "Paris", "days": [1, 2]}, "g1", "c2ln"),
            call("now", {}),
        )
    ),
    "logprobs": answer(candidate(text("Sunny"), logprobsResult=LOGPROBS)),
    "filtered": answer(candidate(finish="SAFETY")),
    "blocked": blocked(),
}


def completion(given_answer: Any) -> dict[str, Any]:
    numbers = count()
    return gemini_completion(given_answer, "asked-for", 5, lambda: f"call_{next(numbers)}")


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_are_what_openai_describes(name: str) -> None:
    told = completion(ANSWERS[name])
    from_completion(told)
    agrees_with_openai(told, "CreateChatCompletionResponse")


def test_a_plain_answer() -> None:
    assert completion(ANSWERS["plain"]) == {
        "id": "resp-1",
        "object": "chat.completion",
        "created": 5,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "It is sunny.", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 20,
            "completion_tokens": 12,
            "total_tokens": 32,
            "prompt_tokens_details": {"cached_tokens": 6},
            "completion_tokens_details": {"reasoning_tokens": 5},
        },
    }


def test_an_answer_that_says_less() -> None:
    told = completion(
        {"candidates": [{"content": {"parts": [{"text": "Sunny."}]}, "finishReason": "STOP"}]}
    )
    assert told["model"] == "asked-for"
    assert told["id"].startswith("chatcmpl-")
    assert told["usage"]["total_tokens"] == 0
    assert told["choices"][0]["message"]["content"] == "Sunny."


def test_calls_and_their_signature() -> None:
    told = completion(ANSWERS["calls"])["choices"][0]
    assert told["finish_reason"] == "tool_calls"
    assert told["message"]["content"] == "I look."
    assert told["message"]["tool_calls"] == [
        {
            "id": "g1",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city":"Paris","days":[1,2]}'},
            "extra_content": {"google": {"thought_signature": "c2ln"}},
        },
        {"id": "call_0", "type": "function", "function": {"name": "now", "arguments": "{}"}},
    ]


def test_thoughts_and_the_signature_of_a_text() -> None:
    said = completion(ANSWERS["thinking"])["choices"][0]["message"]
    assert (said["content"], said["reasoning"]) == ("Sunny.", "Let me see.")
    assert said["extra_content"] == {"google": {"thought_signature": "c2ln"}}


def test_an_answer_sent_back_is_the_answer() -> None:
    said = completion(ANSWERS["calls"])["choices"][0]["message"]
    results = [{"role": "tool", "tool_call_id": each["id"], "content": "x"} for each in said["tool_calls"]]
    sent = gemini_body({"messages": [{"role": "user", "content": "Hi"}, said, *results]}, MODEL)
    parts = ANSWERS["calls"]["candidates"][0]["content"]["parts"]
    parts[2]["functionCall"]["id"] = "call_0"
    assert sent["contents"][1] == {"role": "model", "parts": parts}


def test_logprobs() -> None:
    assert completion(ANSWERS["logprobs"])["choices"][0]["logprobs"] == {
        "content": [
            {
                "token": "Sun",
                "logprob": -0.1,
                "bytes": [83, 117, 110],
                "top_logprobs": [
                    {"token": "Sun", "logprob": -0.1, "bytes": [83, 117, 110]},
                    {"token": "Ça", "logprob": -2, "bytes": [195, 135, 97]},
                ],
            },
            {"token": "ny", "logprob": 0.0, "bytes": [110, 121], "top_logprobs": []},
        ],
        "refusal": None,
    }


def test_a_blocked_prompt() -> None:
    told = completion(blocked())
    assert told["choices"][0]["finish_reason"] == "content_filter"
    assert told["choices"][0]["message"]["content"] == ""
    assert told["usage"]["prompt_tokens"] == 20


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        *((reason, "content_filter") for reason in ("SAFETY", "RECITATION", "BLOCKLIST", "SPII", "OTHER")),
        *((reason, "content_filter") for reason in ("PROHIBITED_CONTENT", "LANGUAGE", "IMAGE_SAFETY")),
        ("SOMETHING_NEW", "stop"),
        (None, "stop"),
    ],
)
def test_finish_reasons(reason: str | None, finish: str) -> None:
    told = completion(answer(candidate(text("x"), finish=reason)))
    assert told["choices"][0]["finish_reason"] == finish


def test_a_cut_answer_with_calls_is_cut() -> None:
    told = completion(answer(candidate(call("now", {}), finish="MAX_TOKENS")))
    assert told["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    "reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"]
)
def test_a_model_that_failed_is_an_upstream_error(reason: str) -> None:
    with pytest.raises(UpstreamError, match="valid answer"):
        completion(answer(candidate(finish=reason)))


def test_parts_of_other_kinds_are_left_out() -> None:
    told = completion(answer(candidate({"executableCode": {"code": "1"}}, text("Sunny."))))
    assert told["choices"][0]["message"]["content"] == "Sunny."


counts = st.integers(0, 10**9)
names = ("promptTokenCount", "cachedContentTokenCount", "candidatesTokenCount", "thoughtsTokenCount")


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(names, counts)))
def test_tokens_add_up(usage: dict[str, int]) -> None:
    told = tokens(usage).told()
    assert told["prompt_tokens"] == usage.get("promptTokenCount", 0)
    assert told["completion_tokens"] == sum(usage.get(name, 0) for name in names[2:])
    assert told["total_tokens"] == told["prompt_tokens"] + told["completion_tokens"]
    assert told["prompt_tokens_details"] == {"cached_tokens": usage.get("cachedContentTokenCount", 0)}
    assert told["completion_tokens_details"]["reasoning_tokens"] == usage.get("thoughtsTokenCount", 0)


@pytest.mark.parametrize(
    "given_answer",
    [
        None,
        [],
        {},
        {"candidates": []},
        {"candidates": {}},
        {"candidates": [5]},
        {"candidates": [], "promptFeedback": {}},
        answer({"content": 5, "finishReason": "STOP"}),
        answer({"content": {"parts": {"a": 1}}, "finishReason": "STOP"}),
        answer(candidate(text("x"), index=-1)),
        answer({**candidate(text("x")), "index": "0"}),
        answer(candidate({"functionCall": {"args": {}}})),
        answer(candidate({"functionCall": {"name": "f", "args": [1]}})),
        answer(candidate(text("x"), logprobsResult={"chosenCandidates": [{"logProbability": -1}]})),
        answer(candidate(text("x"), logprobsResult={"chosenCandidates": [5]})),
    ],
)
def test_what_is_no_answer_is_an_upstream_error(given_answer: Any) -> None:
    with pytest.raises(UpstreamError):
        completion(given_answer)


@pytest.mark.parametrize("tops", [None, [], 5, [5], [{"candidates": 5}]])
def test_missing_alternatives_are_none(tops: Any) -> None:
    found = {"chosenCandidates": [{"token": "x", "logProbability": -1}], "topCandidates": tops}
    told = completion(answer(candidate(text("x"), logprobsResult=found)))
    assert told["choices"][0]["logprobs"]["content"][0]["top_logprobs"] == []


def test_made_ids_differ() -> None:
    assert new_call_id() != new_call_id()
