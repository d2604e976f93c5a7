import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.errors import NoArmFits
from zoran_ray.offers import Offer
from zoran_ray.routing import Features, prompt_of, task_of
from zoran_ray.routing.features import TASKS
from zoran_ray.routing.needs import Needs, excluded, is_embedder, nothing_fits

CHAT, COMPLETIONS, RESPONSES, MESSAGES = (
    "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages",
)  # fmt: skip
PATHS = (CHAT, COMPLETIONS, RESPONSES, MESSAGES, "/v1/embeddings")
ABLE = Offer(
    context_tokens=1000,
    max_output_tokens=200,
    modalities=("text", "image"),
    capabilities=("tools", "json_schema", "logprobs"),
)
TOOL = {"type": "function", "function": {"name": "f"}}


def why(document: dict, offer: Offer = ABLE, path: str = CHAT, residency: str | None = None, **tokens: int):
    needs = Needs.of(document, path, tokens.get("prompt", 10), tokens.get("most"))
    return excluded(needs, "arm", offer, endpoints=PATHS[:4], residency=residency)


def user(*parts: dict) -> dict:
    return {"messages": [{"role": "user", "content": list(parts)}]}


PLAIN = Offer()
ASKED = {"role": "user", "content": "ask"}


@pytest.mark.parametrize(
    ("document", "path", "word"),
    [
        ({"tools": [TOOL]}, CHAT, "tools"),
        ({"functions": [{"name": "f"}]}, CHAT, "tools"),
        ({"messages": [{"role": "tool", "content": "4"}]}, CHAT, "tools"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, CHAT, "tools"),
        (user({"type": "tool_result", "content": "4"}), MESSAGES, "tools"),
        ({"input": [{"type": "function_call_output", "output": "4"}]}, RESPONSES, "tools"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, CHAT, "json_schema"),
        ({"response_format": {"type": "json_object"}}, CHAT, "json_schema"),
        ({"text": {"format": {"type": "json_schema"}}}, RESPONSES, "json_schema"),
        ({"output_config": {"format": {"type": "json_schema"}}}, MESSAGES, "json_schema"),
        ({"logprobs": True}, CHAT, "logprobs"),
        ({"logprobs": 0}, COMPLETIONS, "logprobs"),
        ({"top_logprobs": 3}, CHAT, "logprobs"),
        (user({"type": "image_url", "image_url": {"url": "…"}}), CHAT, "image"),
        (user({"type": "image", "source": {}}), MESSAGES, "image"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, RESPONSES, "image"),
    ],
)
def test_needs_that_only_an_able_arm_meets(document: dict, path: str, word: str) -> None:
    assert word in (why(document, PLAIN, path) or "")
    assert why(document, ABLE, path) is None


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"tools": [], "tool_choice": "auto"},
        {"tools": [TOOL], "tool_choice": "none"},
        {"logprobs": False},
        {"response_format": {"type": "text"}},
        user({"type": "text", "text": "image_url"}),
    ],
)
def test_plain_requests_need_nothing(document: dict) -> None:
    assert why(document, PLAIN) is None


def test_no_arm_takes_what_none_may_declare() -> None:
    assert why(user({"type": "input_audio"}), ABLE) == "it does not take audios in a prompt"


@pytest.mark.parametrize(
    ("tokens", "word"),
    [
        ({"prompt": 1000}, "context"),
        ({"prompt": 900, "most": 150}, "context"),
        ({"prompt": 1, "most": 201}, "longest answer"),
    ],
)
def test_lengths(tokens: dict[str, int], word: str) -> None:
    assert word in (why({}, ABLE, **tokens) or "")
    assert why({}, PLAIN, **tokens) is None, "an unknown length excludes nothing"
    assert why({}, ABLE, prompt=800, most=200) is None


def test_where_prompts_may_go_and_who_answers_there() -> None:
    away = Offer(data_goes="us")
    assert "us" in (why({}, away, residency="local") or "")
    assert why({}, PLAIN, residency="local") is None
    assert "/v1/embeddings" in (why({}, ABLE, "/v1/embeddings") or "")
    embedder = Offer(capabilities=("embeddings",))
    assert is_embedder(embedder)
    assert "does not answer" in (why({}, embedder) or "")
    needs = Needs.of({}, "/v1/embeddings", 1)
    assert excluded(needs, "e", embedder, endpoints=PATHS) is None
    assert excluded(needs, "e", ABLE, endpoints=PATHS) == "it has no embeddings"


def test_the_refusal_names_every_arm_and_stays_short() -> None:
    assert "local/a: it has no tools" in nothing_fits({"local/a": "it has no tools"}).message
    many = nothing_fits({f"arm-{n}" * 100: "because " * 100 for n in range(500)})
    assert isinstance(many, NoArmFits)
    assert len(many.message) < 4000
    assert "492 more" in many.message
    assert "no model" in nothing_fits({}).message


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "role",
                    "content",
                    "type",
                    "text",
                    "tool_calls",
                    "messages",
                    "input",
                    "prompt",
                    "format",
                    "tools",
                ]
            )
            | st.text(max_size=4),
            inner | st.sampled_from(["user", "tool", "image_url", "json_schema", "input_text"]),
            max_size=4,
        )
    ),
    max_leaves=20,
)
bodies = st.dictionaries(
    st.sampled_from(
        ["messages", "input", "prompt", "tools", "response_format", "text", "logprobs", "functions"]
    ),
    json,
)


@given(bodies, st.sampled_from(PATHS))
def test_any_body_has_a_prompt_a_task_and_needs(document: dict, path: str) -> None:
    prompt = prompt_of(document, path)
    assert prompt.turns >= 1
    x = Features(32)(prompt)
    assert task_of(x) in TASKS
    needs = Needs.of(document, path, 10)
    reason = excluded(needs, "arm", PLAIN, endpoints=PATHS)
    assert reason is None or len(reason) < 200


@pytest.mark.parametrize(
    ("document", "path", "text", "turns"),
    [
        ({"messages": [ASKED, {"role": "assistant", "content": "b"}]}, CHAT, "ask", 2),
        (user({"type": "text", "text": "a"}, {"type": "image_url"}, {"text": "b"}), CHAT, "a\nb", 1),
        ({"messages": [ASKED, *user({"type": "tool_result"})["messages"]]}, MESSAGES, "ask", 2),
        ({"prompt": "once"}, COMPLETIONS, "once", 1),
        ({"prompt": ["one", "two"]}, COMPLETIONS, "one\ntwo", 1),
        ({"prompt": [1, 2, 3]}, COMPLETIONS, "", 1),
        ({"input": "hello"}, RESPONSES, "hello", 1),
        ({"input": [{"role": "user", "content": [{"text": "hi"}]}]}, RESPONSES, "hi", 1),
        ({"input": ["a", "b"]}, "/v1/embeddings", "a\nb", 2),
        ({"messages": "nonsense"}, CHAT, "nonsense", 1),
        ({}, CHAT, "", 1),
    ],
)
def test_the_prompt_is_what_the_user_said_last(document: dict, path: str, text: str, turns: int) -> None:
    prompt = prompt_of(document, path)
    assert (prompt.text, prompt.turns) == (text, turns)


def test_a_huge_prompt_is_cut() -> None:
    prompt = prompt_of({"messages": [{"role": "user", "content": "a" * 5_000_000 + "z"}]}, CHAT)
    assert len(prompt.text) == 32_768
    assert prompt.text.endswith("az")


@pytest.mark.parametrize(
    ("text", "turns", "task"),
    [
        ("Write a python function", 1, "code"),
        ("Solve the equation x + 2 = 5", 1, "maths"),
        ("Which is right?\n(A) one\n(B) two", 1, "choice"),
        ("Draft a letter", 1, "writing"),
        ("Explain heaps", 1, "talk"),
        ("and then", 5, "talk"),
        ("hello", 1, "other"),
    ],
)
def test_the_task_is_told_by_its_cues(text: str, turns: int, task: str) -> None:
    messages = [{"role": "assistant", "content": "…"}] * (turns - 1) + [{"role": "user", "content": text}]
    assert task_of(Features(32)(prompt_of({"messages": messages}, CHAT))) == task
