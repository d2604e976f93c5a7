"""Roles in processes of their own: killed, crowded, deserted; and `zoran/agents` on a running server."""

import json
import time
from typing import Any

import httpx
import pytest

from tests.integration.drive import driven
from tests.integration.stack import Stack

SUM: list[Any] = [{"role": "user", "content": "What is 17+25?"}]
ROLES = {"reasoner", "coder"}
ROUNDS = 60


@pytest.mark.integration
def test_a_role_survives_its_process_its_crowd_and_its_clients() -> None:
    told = driven("agents_drive.py")
    assert told["before"] == [], "nothing runs before somebody asks"
    assert told["first"] == told["after"] == told["after_restart"] == "4"
    assert told["strategy"]
    assert told["tool"] == ["42", True, [["calculator", True]]], "used and told where the request came in"
    assert told["refused"] == "Overloaded True"
    assert told["asked_after"] == 0
    assert told["left_open"] == 0
    assert told["in_flight"] == "Unavailable True"
    assert told["cut"] == 1
    assert told["another"]
    assert told["given_up"] == "AgentGivenUp True"
    assert told["unwanted"] == [0, 0, 0, 0]
    assert (told["deaths"], told["stays_given_up"], told["pardoned"]) == (3, True, True)


@pytest.mark.integration
@pytest.mark.engine
def test_agents_answer_on_a_server_and_feedback_moves_the_choice(base_url: str) -> None:
    with httpx.Client(base_url=base_url, timeout=120) as client:
        for _ in range(ROUNDS):
            got = client.post("/chat/completions", json={"model": "zoran/agents", "messages": SUM})
            assert got.status_code == 200, got.text
            role = got.headers["x-zoran-agent"]
            assert role in ROLES
            assert got.json()["zoran"]["strategy"] == role
            score = {"request_id": got.headers["x-request-id"], "score": float(role == "coder")}
            assert client.post("/feedback", json=score).status_code == 200
        assert favourite(client) == "zoran/agents:coder"
        latest = client.post(
            "/responses", json={"model": "zoran/agents:reasoner", "input": "What is 17+25?"}
        )
        assert latest.headers["x-zoran-agent"] == "reasoner"


@pytest.mark.integration
@pytest.mark.engine
def test_an_operator_sees_roles_and_restarts_one(stack: Stack, base_url: str) -> None:
    def roles(*arguments: str) -> Any:
        done = stack.zoran("agents", *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["agents"]

    asked = {"model": "zoran/agents:reasoner", "messages": SUM}
    assert httpx.post(f"{base_url}/chat/completions", json=asked, timeout=120).status_code == 200
    before = roles("list")["reasoner"]
    assert before["alive"]
    roles("restart", "reasoner")
    assert httpx.post(f"{base_url}/chat/completions", json=asked, timeout=120).status_code == 200
    after = roles("list")["reasoner"]
    assert (after["alive"], after["started"]) == (True, before["started"] + 1)
    assert stack.zoran("agents", "restart", "nobody").returncode != 0


def favourite(client: httpx.Client) -> str:
    """Who is likeliest to be chosen, once what was said is known to the gateway."""
    ends = time.monotonic() + 30
    arm = ""
    while arm != "zoran/agents:coder" and time.monotonic() < ends:
        time.sleep(0.2)
        told = client.post("/route/explain", json={"model": "zoran/agents", "messages": SUM}).json()
        arm = told["choice"]["arm"]
    return arm
