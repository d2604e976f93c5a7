"""Providers that fail, budgets that are spent, a models file that is edited: a real server bears it all.

And it shows nobody's key.
"""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from typing import Any

import pytest

from tests.engines.providers.fake_provider import FakeProvider, Step, hold, says, stream
from tests.engines.providers.speeches import Said, Speech, error, event
from tests.integration.routing_providers import (
    ANTHROPIC_KEY,
    BEGUN,
    GEMINI_KEY,
    OPENAI_KEY,
    broken_off,
    saying,
)
from tests.integration.routing_stack import (
    AUTO,
    BAD,
    CHOSEN,
    CLAUDE,
    CUT,
    DEAR,
    FAILING,
    GEMINI,
    GOOD,
    KEY_FILE,
    LOCAL,
    NARROW,
    OPENAI,
    PATIENCE_S,
    PLANTED,
    SLOW,
    Routed,
    arm,
    bearer,
    holders,
    new_question,
    soon,
)
from tests.integration.stack import title_of

pytestmark = pytest.mark.integration

FAILS = says(Said(error("The server had an error.", "server_error"), 500))
NEW = "acme/new"


@pytest.fixture
def shaky(routed: Routed) -> Iterator[FakeProvider]:
    """The provider that a test makes fail."""
    yield routed.providers.shaky
    routed.providers.shaky.will()


# -- failing ---------------------------------------------------------------------------------------


def test_a_failing_provider(routed: Routed, shaky: FakeProvider) -> None:
    """Its fallback answers; then nobody asks it for a while; then one request does, and it is back."""
    shaky.will(*[FAILS] * 40)
    first = routed.ask(FAILING, "Hello")
    assert int(first.headers["x-zoran-attempts"]) > 1
    assert first.headers["x-zoran-model"] == GOOD
    assert first.json()["choices"][0]["message"]["content"] == saying("good")
    soon("it is taken out of the choice", lambda: not asked_and_usable(routed))
    asked = len(shaky.requests)
    row = routed.provider_row(FAILING)
    assert (row["usable"], row["breaker"]) == (False, "open")
    assert "500" in row["why_not"]
    assert "500" in routed.rows()[FAILING]["why"]
    assert "500" in routed.estimates("Hello")[FAILING]["excluded"]
    assert routed.ask(FAILING, "Hello").headers["x-zoran-attempts"] == "1"
    refused = routed.ask(AUTO, "Hello", zoran={"arms": [FAILING]})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "service_unavailable")
    assert int(refused.headers["retry-after"]) > 0
    assert len(shaky.requests) == asked, "it was left alone"
    shaky.will()
    soon("it may be asked", lambda: bool(routed.provider_row(FAILING)["usable"]))
    assert routed.ask(FAILING, "Hello").headers["x-zoran-model"] == FAILING
    assert routed.provider_row(FAILING)["breaker"] == "closed"


def asked_and_usable(routed: Routed) -> bool:
    """Ask the failing one again; whether it may be asked after that."""
    assert routed.ask(FAILING, "Hello").headers["x-zoran-model"] == GOOD
    return bool(routed.provider_row(FAILING)["usable"])


def test_who_was_chosen_fails(routed: Routed, shaky: FakeProvider) -> None:
    """The next best answers, and the router hears of both."""
    for _ in range(10):
        routed.lesson(BAD)
    before, believed = routed.settled(), routed.state()["arms"][CHOSEN]["quality"]
    shaky.will(*[FAILS] * 3)
    answers = []
    for _ in range(20):
        answers.append(routed.ask(AUTO, new_question(), zoran={"arms": [CHOSEN, BAD]}))
        if answers[-1].headers["x-zoran-attempts"] != "1":
            break  # now it was
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["x-zoran-model"] for answer in answers} == {BAD}
    assert answers[-1].headers["x-zoran-attempts"] == "4"
    assert routed.settled() == before + len(answers) + 3, "three failures besides the answers"
    assert routed.state()["arms"][CHOSEN]["quality"] < believed


def test_a_provider_that_hangs(routed: Routed, shaky: FakeProvider) -> None:
    shaky.will(hold)
    answer = routed.ask(SLOW, "Hello")
    assert answer.headers["x-zoran-model"] == GOOD
    assert answer.headers["x-zoran-attempts"] == "2"
    assert routed.provider_row(SLOW)["failures"] == 1


def test_a_stream_that_breaks_off(routed: Routed, shaky: FakeProvider) -> None:
    shaky.will(broken_off)
    answer = routed.ask(CUT, "Hello", stream=True)
    assert answer.status_code == 200
    *told, done, rest = answer.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    piece, last = (json.loads(each.removeprefix("data: ")) for each in told)
    assert piece["choices"][0]["delta"]["content"] == BEGUN
    assert last["error"]["code"] == "upstream_error"
    assert last["usage"]["prompt_tokens"] > 0 < last["usage"]["completion_tokens"]
    assert routed.provider_row(CUT)["failures"] == 1


def test_an_arm_that_is_full(routed: Routed, shaky: FakeProvider) -> None:
    with held(routed, shaky, NARROW):
        refused = routed.ask(NARROW, "Hello")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
        assert int(refused.headers["retry-after"]) > 0
    soon("its place is free", lambda: routed.provider_row(NARROW)["held"] == 0)
    assert routed.ask(NARROW, "Hello").status_code == 200


@contextmanager
def held(routed: Routed, provider: FakeProvider, name: str) -> Iterator[None]:
    """A request at an arm that is not answered before its client leaves."""
    provider.will(hold)
    body = json.dumps({"model": name, "messages": [{"role": "user", "content": "Wait"}]})
    connection = HTTPConnection("127.0.0.1", routed.stack.port, timeout=PATIENCE_S)
    with closing(connection):
        # It goes out, and nobody waits for the answer.
        connection.request("POST", "/v1/chat/completions", body, bearer(routed.key))
        soon("its place is taken", lambda: routed.provider_row(name)["held"] == 1)
        yield


# -- spending --------------------------------------------------------------------------------------


def test_a_budget_for_one_request(routed: Routed) -> None:
    key = routed.new_key("careful", "--usd-per-request=0.001")
    refused = routed.ask(DEAR, "Hello", key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (402, "budget_exceeded")
    assert "x-zoran-cost-usd" not in refused.headers
    assert routed.ask(GOOD, "Hello", key).status_code == 200
    assert routed.ask(DEAR, "Hello").status_code == 200, "of another key"


def test_a_budget_for_a_day(routed: Routed) -> None:
    """Requests are paid to the last cent, streams too; then nothing that costs is answered."""
    key = routed.new_key("poor", "--usd-per-day=0.021")
    paid = 0.0
    for streamed in (False, True):
        answer = routed.ask(DEAR, "Hello", key, stream=streamed)
        assert answer.status_code == 200, answer.text
        paid += routed.usd(DEAR, 24)
        soon("it is settled", lambda: spent(routed, "poor")["usd_reserved"] == 0)
    assert spent(routed, "poor")["usd_spent_today"] == pytest.approx(paid)
    for more in ({}, {"stream": True}):
        refused = routed.ask(DEAR, "Hello", key, **more)
        assert (refused.status_code, refused.json()["error"]["code"]) == (402, "budget_exceeded")
    assert spent(routed, "poor")["usd_spent_today"] == pytest.approx(paid)
    assert routed.ask(LOCAL, "Hello", key).status_code == 200, "what is free still answers"
    assert routed.ask(DEAR, "Hello").status_code == 200, "of another key"


def spent(routed: Routed, name: str) -> dict[str, Any]:
    (row,) = (row for row in routed.zoran("keys", "list")["keys"] if row["name"] == name)
    return dict(row)


# -- edited ----------------------------------------------------------------------------------------


def test_prices_and_arms_change_while_it_runs(routed: Routed) -> None:
    routed.lesson(GOOD)
    before = routed.settled()
    file = routed.edited()
    first = file["arms"][0]
    assert first["name"] == OPENAI
    first["usd_per_million_input"] = first["usd_per_million_output"] = 7.0
    file["arms"].append(arm(NEW, routed.providers.openai, 4.0))
    routed.save(file)
    soon("the new arm is offered", lambda: NEW in routed.rows())
    routed.file = file
    for name, usd in ((OPENAI, 24 * 7e-6), (NEW, 24 * 4e-6)):
        answer = routed.ask(name, "Hello")
        assert float(answer.headers["x-zoran-cost-usd"]) == pytest.approx(usd)
        assert answer.headers["x-zoran-model"] == name
    soon("the router knows it", lambda: NEW in routed.state()["arms"])
    assert routed.ask(AUTO, new_question(), zoran={"arms": [NEW]}).headers["x-zoran-model"] == NEW
    assert routed.settled() == before + 1, "what was learned of the others is kept"


def test_a_bad_edit_is_refused_whole(routed: Routed) -> None:
    before, file = routed.rows(), routed.edited()
    file["arms"][0]["usd_per_million_input"] = -1
    file["arms"][1]["usd_per_million_input"] = 50.0
    file["arms"].append(arm("acme/never", routed.providers.openai))
    routed.save(file)
    soon("it is refused", lambda: bool(routed.told_of_file()["error"]))
    said = "arms[0].usd_per_million_input: found -1"
    assert said in routed.told_of_file()["error"]
    assert f"models.yaml:{line_of(-1, file)}: {said}" in routed.stack.zoran("models").stderr
    assert "models file refused" in routed.stack.log()
    assert routed.rows() == before
    assert routed.ask("acme/never", "Hello").status_code == 404
    file["arms"][0]["usd_per_million_input"] = 7.0
    routed.save(file)
    soon("it is mended", lambda: "acme/never" in routed.rows())
    assert routed.told_of_file()["error"] is None
    routed.file = file


def line_of(value: int, file: dict[str, Any]) -> int:
    """Where a value stands in the file as it is saved."""
    lines = json.dumps(file, indent=1).splitlines()
    (number,) = (n for n, line in enumerate(lines, 1) if line.endswith(f": {value},"))
    return number


# -- secrets ---------------------------------------------------------------------------------------


def bad_key(provider: FakeProvider, key: str) -> Step:
    """A provider that quotes the key it got."""
    return says(provider.speech.bad_key(key))


def test_no_key_is_seen_anywhere(routed: Routed) -> None:
    """Whatever providers say of it; each gets its own alone."""
    them, said = routed.providers, []
    quoted = event(error(f"Wrong key {OPENAI_KEY}.", "server_error"))
    piece = event(Speech().piece("/v1/chat/completions", BEGUN))
    for name, provider, key, status in (
        (OPENAI, them.openai, OPENAI_KEY, 502),
        (CLAUDE, them.anthropic, ANTHROPIC_KEY, 502),
        (GEMINI, them.gemini, GEMINI_KEY, 502),
    ):
        provider.will(bad_key(provider, key))
        said.append(routed.ask(name, "Hello"))
        assert said[-1].status_code == status, said[-1].text
        provider.will(says(Said(error(f"No {key} here.", "invalid_request_error"), 400, {"x-echo": key})))
        said.append(routed.ask(name, "Hello"))
        assert 400 <= said[-1].status_code < 600
    them.openai.will(stream(piece, quoted))
    said.append(routed.ask(OPENAI, "Hello", stream=True))
    assert '"error"' in said[-1].text
    for path in ("/metrics", "/v1/models", "/v1/routing/state", "/health"):
        said.append(routed.http.get(path))
    texts = [f"{answer.headers} {answer.text}" for answer in said]
    texts += [json.dumps(routed.explained("Hello")), routed.stack.log()]
    for command in (("models",), ("models", "--direct"), ("status",), ("config", "show", "--origin")):
        done = routed.stack.zoran(*command)
        texts += [done.stdout, done.stderr]
    texts += map(title_of, routed.stack.processes())
    assert not [text for text in texts if any(key in text for key in PLANTED)]
    routed.stack.note_shared_memory()
    found, looked_at = holders(routed.stack.folders())
    assert found == [KEY_FILE], "and it is found where it is"
    assert looked_at > 20, "Ray's logs are among them"


def test_each_provider_gets_its_own_key_alone(routed: Routed) -> None:
    them = routed.providers
    for name in (LOCAL, OPENAI, CLAUDE, GEMINI):
        assert routed.ask(name, "Hello").status_code == 200
    ours = {OPENAI_KEY, ANTHROPIC_KEY, GEMINI_KEY, routed.key}
    for provider, own in (
        (them.local, set()),
        (them.openai, {OPENAI_KEY}),
        (them.anthropic, {ANTHROPIC_KEY}),
        (them.gemini, {GEMINI_KEY}),
    ):
        assert provider.requests
        for seen in provider.requests:
            text = f"{seen.path} {dict(seen.headers)} {seen.body!r}"
            assert {key for key in ours if key in text} == own
