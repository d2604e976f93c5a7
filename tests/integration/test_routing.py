"""Providers and `zoran/auto` on a real server: asked, taught, explained, killed and started again."""

import json
from typing import Any

import pytest

from tests.integration.routing_providers import ARGUMENTS, saying
from tests.integration.routing_stack import (
    AUTO,
    BAD,
    CLAUDE,
    GEMINI,
    GOOD,
    KEYLESS,
    LOCAL,
    OPENAI,
    Routed,
    new_question,
    soon,
)

pytestmark = pytest.mark.integration

NAMED = (LOCAL, OPENAI, CLAUDE, GEMINI, GOOD)
HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}
WHY = {"best-value", "explore", "stays"}
UNSEEN = "What is 3+4?"
TOLD, LESSONS = 10, 30


@pytest.fixture(scope="module")
def taught(routed: Routed) -> list[str]:
    """A server that was told that one arm is good and another is bad; whom it has asked then."""
    for name in (GOOD, BAD) * TOLD:
        assert routed.lesson(name) == name
    return [routed.lesson(GOOD, BAD) for _ in range(LESSONS)]


def said_by(name: str) -> str:
    """What the model behind an arm answers; a local one is asked for by its public name."""
    return saying(name if name == LOCAL else name.rpartition("/")[2])


# -- named, through OpenAI's SDK -------------------------------------------------------------------


@pytest.mark.parametrize("name", [*NAMED, AUTO])
def test_an_answer(routed: Routed, name: str) -> None:
    raw = routed.client.chat.completions.with_raw_response.create(model=name, messages=HELLO)
    answer, told = raw.parse(), raw.headers
    who = told["x-zoran-model"]
    assert answer.choices[0].message.content == said_by(who)
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert float(told["x-zoran-cost-usd"]) == pytest.approx(routed.usd(who, answer.usage.total_tokens))
    assert_told(routed, name, told)


@pytest.mark.parametrize("name", [*NAMED, AUTO])
def test_a_stream(routed: Routed, name: str) -> None:
    raw = routed.client.chat.completions.with_raw_response.create(
        model=name, messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(raw.parse())
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == said_by(raw.headers["x-zoran-model"])
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens > 20
    assert "x-zoran-cost-usd" not in raw.headers, "nobody knows it yet"
    assert_told(routed, name, raw.headers)


def assert_told(routed: Routed, name: str, told: Any) -> None:
    """The headers say who answered, why, at which try and after how much work of ours."""
    if name == AUTO:
        assert told["x-zoran-model"] in {each["name"] for each in routed.file["arms"]} | {LOCAL}
        assert told["x-zoran-route-reason"] in WHY
    else:
        assert (told["x-zoran-model"], told["x-zoran-route-reason"]) == (name, "named")
    assert told["x-zoran-attempts"] == "1"
    assert float(told["x-zoran-overhead-ms"]) > 0
    assert told["x-request-id"]


@pytest.mark.parametrize("name", [*NAMED, AUTO])
def test_a_tool(routed: Routed, name: str) -> None:
    answer = routed.client.chat.completions.create(model=name, messages=HELLO, tools=[TOOL])
    assert answer.choices[0].finish_reason == "tool_calls"
    (call,) = answer.choices[0].message.tool_calls or ()
    assert call.type == "function"
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments) == json.loads(ARGUMENTS)


@pytest.mark.parametrize("name", [*NAMED, AUTO])
def test_a_tool_streamed(routed: Routed, name: str) -> None:
    stream = routed.client.chat.completions.create(model=name, messages=HELLO, tools=[TOOL], stream=True)
    choices = [choice for chunk in stream for choice in chunk.choices]
    functions = [call.function for each in choices for call in each.delta.tool_calls or () if call.function]
    assert [each.name for each in functions if each.name] == ["weather"]
    arguments = "".join(each.arguments or "" for each in functions)
    assert json.loads(arguments) == json.loads(ARGUMENTS)
    assert choices[-1].finish_reason == "tool_calls"


# -- on the command line ---------------------------------------------------------------------------


def test_models_on_the_command_line(routed: Routed) -> None:
    """The same list from the server and without one."""
    told = {row["name"]: row for row in routed.zoran("models")["models"]}
    assert set(told) == {LOCAL} | {each["name"] for each in routed.file["arms"]}
    assert told[LOCAL]["state"] == "ready"
    arms = {name: row for name, row in told.items() if name != LOCAL}
    assert {name for name, row in arms.items() if row["state"] != "reachable"} == {KEYLESS}
    assert "MISTRAL_API_KEY" in arms[KEYLESS]["why"]
    assert arms[OPENAI]["usd_per_million_output"] == 2.0
    direct = {row["name"]: row for row in routed.zoran("models", "--direct")["models"]}
    assert {name: row for name, row in direct.items() if name != LOCAL} == arms
    assert direct[LOCAL]["state"] == "needs `zoran serve`"


@pytest.mark.parametrize("name", [LOCAL, CLAUDE, GEMINI])
def test_chat_on_the_command_line(routed: Routed, name: str) -> None:
    done = routed.stack.zoran("chat", "-m", name, "-q", "Hello")
    assert (done.returncode, done.stdout) == (0, f"{said_by(name)}\n"), done.stderr


def test_chat_with_whoever_is_best(routed: Routed, taught: list[str]) -> None:
    before = routed.settled()
    done = routed.stack.zoran("chat", "-m", AUTO, "-q", new_question())
    assert done.stdout in {f"{said_by(name)}\n" for name in routed.rows()}, done.stderr
    soon("it is learned from", lambda: routed.outcomes() == before + 1)


@pytest.mark.parametrize("name", [OPENAI, CLAUDE, GEMINI])
def test_chat_without_a_server(routed: Routed, name: str) -> None:
    """Where there is no server: in another state directory."""
    counted = routed.provider_row(name)["results"]
    nowhere = f"--state-dir={routed.stack.folder / 'nobody'}"
    done = routed.stack.zoran("chat", "-m", name, "-q", "Hello", "--direct", nowhere)
    assert (done.returncode, done.stdout) == (0, f"{said_by(name)}\n"), done.stderr
    assert routed.provider_row(name)["results"] == counted, "the server was not asked"
    status = routed.stack.zoran("status", nowhere)
    assert status.returncode == 4, "there is one after all"


# -- taught ----------------------------------------------------------------------------------------


def test_the_better_one_is_asked(routed: Routed, taught: list[str]) -> None:
    assert taught.count(GOOD) >= 0.8 * LESSONS
    state = routed.state()
    good, bad = state["arms"][GOOD], state["arms"][BAD]
    assert good["quality"] > 0.8 > 0.5 > bad["quality"]
    assert good["outcomes"] >= 2 * (TOLD + taught.count(GOOD)), "an answer and its score"
    assert bad["outcomes"] >= 2 * (TOLD + taught.count(BAD))
    assert state["counts"]["scored"] >= 2 * TOLD + LESSONS
    assert max(state["mixes"]["maths"].values()) == state["mixes"]["maths"][GOOD] > 0.5


def test_why(routed: Routed, taught: list[str]) -> None:
    told = routed.explained(UNSEEN, arms=[GOOD, BAD])
    assert told["choice"]["arm"] == GOOD
    assert told["choice"]["propensity"] > 0.8
    rows = {row["name"]: row for row in told["arms"]}
    assert set(rows) == {LOCAL} | {each["name"] for each in routed.file["arms"]}
    for row in rows.values():
        assert row["quality"]["low"] <= row["quality"]["mean"] <= row["quality"]["high"]
        assert min(row["output_tokens"], row["latency_ms"]) > 0
        assert row["usd"] == 0 if row["name"] == LOCAL else row["usd"] > 0
    assert rows[GOOD]["quality"]["low"] > rows[BAD]["quality"]["high"]
    assert rows[GOOD]["excluded"] is rows[BAD]["excluded"] is None
    assert "zoran.arms" in rows[OPENAI]["excluded"]
    assert "API key" in routed.estimates(UNSEEN)[KEYLESS]["excluded"]
    on_the_command_line = routed.zoran("route", "explain", UNSEEN, "--arms", f"{GOOD},{BAD}")
    assert on_the_command_line["choice"]["arm"] == GOOD
    assert [row["name"] for row in on_the_command_line["arms"]] == list(rows)
    shown = routed.stack.zoran("route", "explain", UNSEEN, "--arms", f"{GOOD},{BAD}").stdout
    assert f"Choice: {GOOD}" in shown
    assert all(name in shown for name in rows)


@pytest.mark.parametrize(
    ("zoran", "told"),
    [
        ({"max_usd": 0, "arms": [GOOD]}, f"{GOOD}: it is expected to cost "),
        ({"residency": "local", "arms": [GOOD]}, f"{GOOD}: prompts to it go to 'us'"),
        ({"arms": [KEYLESS]}, KEYLESS),
    ],
)
def test_nobody_can(routed: Routed, taught: list[str], zoran: dict[str, Any], told: str) -> None:
    answer = routed.ask(AUTO, "Hello", zoran=zoran)
    assert told in answer.json()["error"]["message"]
    refused = 502, "provider_refused"
    expected = refused if zoran["arms"] == [KEYLESS] else (400, "no_arm_fits")
    assert (answer.status_code, answer.json()["error"]["code"]) == expected


def test_scores_that_make_no_sense_teach_nothing(routed: Routed, taught: list[str]) -> None:
    answer = routed.ask(AUTO, UNSEEN, zoran={"arms": [GOOD, BAD]})
    request_id = answer.headers["x-request-id"]
    assert routed.score(request_id, 1.0).json()["status"] == "counted"
    before, counts = routed.settled(), routed.state()["counts"]
    assert routed.score(request_id, 0.0).json()["status"] == "duplicate"
    for score in ("1.5", "-0.1", "NaN", "Infinity", "1e999", '"1"', "true", "null"):
        body = f'{{"request_id": "{request_id}", "score": {score}}}'
        refused = routed.http.post("/v1/feedback", content=body.encode())
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_value"), score
    somebody = routed.new_key("somebody")
    for refused in (routed.score("req-of-nobody", 1.0), routed.score(request_id, 0.0, somebody)):
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "unknown_request")
    assert routed.settled() == before
    assert routed.state()["counts"] == counts


# -- conversations ---------------------------------------------------------------------------------


def test_a_tool_loop_stays_with_its_model(routed: Routed, taught: list[str]) -> None:
    """Even with one that is known to be bad, until the tool's results are in."""
    both = {"arms": [GOOD, BAD]}
    talk: list[dict[str, Any]] = [{"role": "user", "content": "What is the weather in Orléans?"}]
    answer = routed.ask(AUTO, talk, tools=[TOOL], zoran={"arms": [BAD]})
    assert answer.headers["x-zoran-route-reason"] == "only-arm"
    for _ in range(5):
        called = answer.json()["choices"][0]["message"]
        result = {"role": "tool", "tool_call_id": called["tool_calls"][0]["id"], "content": "Sunny"}
        talk += [called, result]
        answer = routed.ask(AUTO, talk, tools=[TOOL], zoran=both)
        assert answer.headers["x-zoran-model"] == BAD
        assert answer.headers["x-zoran-route-reason"] == "stays"
    talk += [{"role": "assistant", "content": "It is sunny."}, {"role": "user", "content": "And here?"}]
    answer = routed.ask(AUTO, talk, tools=[TOOL], zoran=both)
    assert answer.headers["x-zoran-model"] == GOOD


# -- killed ----------------------------------------------------------------------------------------


def test_kill_9_of_the_resonator(routed: Routed, taught: list[str]) -> None:
    """Requests go on, by what was known; what became of them is learned by the next life, once."""
    outcomes, epoch = routed.settled(), routed.state()["epoch"]
    before = routed.estimates(UNSEEN)
    with routed.asking() as answers:
        routed.stack.process("ray::ResonatorActor").kill()
        soon("it is back", lambda: routed.outcomes() >= 0 and routed.state()["epoch"] != epoch)
        meanwhile = len(answers)
    assert meanwhile >= 5
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["x-zoran-route-reason"] for answer in answers} <= WHY
    assert routed.settled() == outcomes + len(answers)
    after = routed.estimates(UNSEEN)
    for name in (GOOD, BAD):
        assert after[name]["quality"]["mean"] == pytest.approx(before[name]["quality"]["mean"], abs=0.1)
    assert routed.explained(UNSEEN, arms=[GOOD, BAD])["choice"]["arm"] == GOOD
    assert [routed.lesson(GOOD, BAD) for _ in range(5)].count(GOOD) >= 3
