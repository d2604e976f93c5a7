"""`zoran route` against a loopback server."""

import json
from typing import Any

import pytest

from tests.client.chat_server import error_reply, json_reply

EXPLAINED = {
    "object": "route.explanation",
    "choice": {"arm": "x/good", "reason": "best value", "propensity": 0.93, "expected_usd": 0.000123},
    "arms": [
        {
            "name": "x/good",
            "quality": {"mean": 0.812, "low": 0.74, "high": 0.88},
            "output_tokens": 120.4,
            "latency_ms": 1234.5,
            "p_late": 0.05,
            "usd": 0.000123,
            "utility": 0.79,
            "share": 0.93,
            "excluded": None,
        },
        {"name": "x/far", "quality": None, "utility": None, "excluded": "residency: prompts go to us"},
    ],
    "features": [{"name": f"f{n}", "weight": n / 100} for n in range(40)]
    + [{"name": "code", "weight": -2.0}],
    "task": "code",
    "snapshot_version": 17,
    "guard": "healthy",
}


def test_an_explanation(zoran: Any, chat_server: Any) -> None:
    chat_server.replies.append(json_reply(EXPLAINED))
    result = zoran("route", "explain", "Sort a list", "--base-url", chat_server.url)
    assert result.exit_code == 0
    _, good, far, *rest = result.stdout.splitlines()
    for piece in ("x/good", "0.81 [0.74, 0.88]", "120", "1,234 ms", "5%", "0.000123", "+0.790", "93%"):
        assert piece in good
    assert far.endswith("residency: prompts go to us")
    assert "Choice: x/good, because: best value" in rest
    assert "expected USD 0.000123, propensity 0.93" in rest
    assert "task code, guard healthy, snapshot 17" in rest
    features = rest[rest.index("What mattered:") + 2 :]
    assert len(features) == 12
    assert features[0].split() == ["code", "-2.0000"]
    assert chat_server.requests[-1][0] == "/v1/route/explain"
    assert chat_server.requests[-1][2] == {
        "model": "zoran/auto",
        "messages": [{"role": "user", "content": "Sort a list"}],
        "zoran": {},
    }


def test_the_objective_goes_along(zoran: Any, chat_server: Any) -> None:
    chat_server.replies.append(json_reply(EXPLAINED))
    result = zoran(
        "route", "explain", "-", "--max-usd", "0.5", "--latency-slo-ms", "800", "--quality-weight", "2",
        "--budget-usd-per-1k", "3", "--arms", "a/b, c/d", "--residency", "local", "--json",
        "--base-url", chat_server.url, "--api-key", "k", input="From a pipe",
    )  # fmt: skip
    assert json.loads(result.stdout) == EXPLAINED
    _, headers, body = chat_server.requests[-1]
    assert headers["authorization"] == "Bearer k"
    assert body["messages"][0]["content"] == "From a pipe"
    assert body["zoran"] == {
        "max_usd": 0.5, "latency_slo_ms": 800, "quality_weight": 2, "budget_usd_per_1k": 3,
        "arms": ["a/b", "c/d"], "residency": "local",
    }  # fmt: skip


@pytest.mark.parametrize("body", [{}, [], 5, {"arms": 3, "choice": 4, "features": {}}, {"choice": None}])
def test_an_answer_of_another_shape_is_shown_as_far_as_it_goes(
    zoran: Any, chat_server: Any, body: Any
) -> None:
    chat_server.replies.append(json_reply(body))
    result = zoran("route", "explain", "x", "--base-url", chat_server.url)
    assert result.exit_code == 0
    assert "No choice" in result.stdout


@pytest.mark.parametrize("value", ["nan", "inf", "-1"])
def test_numbers_that_mean_nothing(zoran: Any, chat_server: Any, value: str) -> None:
    url = ("--base-url", chat_server.url)
    assert zoran("route", "explain", "x", f"--max-usd={value}", *url).exit_code == 2
    assert zoran("route", "feedback", *url, "--", "r", value).exit_code == 2
    assert zoran("route", "feedback", "r", "1.5", *url).exit_code == 2
    assert chat_server.requests == []


def test_the_state(zoran: Any, chat_server: Any) -> None:
    arms = [{"name": "x/y", "weight": 0.25, "open": True, "last": None}, {"name": "x/z\x1b[2J" + 80 * "!"}]
    chat_server.replies.extend([json_reply({"guard": {"stability": 0.987654}, "arms": arms})] * 2)
    result = zoran("route", "state", "--base-url", chat_server.url)
    assert chat_server.requests[-1][0] == "/v1/routing/state"
    assert result.stdout.splitlines() == [
        "guard: stability 0.9877",
        "arms:",
        "  - name x/y, weight 0.25, open yes, last ",
        "  -",
        "    name: x/z[2J" + 80 * "!",
    ]
    assert (
        json.loads(zoran("route", "state", "--json", "--base-url", chat_server.url).stdout)["arms"] == arms
    )


def test_feedback(zoran: Any, chat_server: Any) -> None:
    chat_server.replies.append(json_reply({"object": "feedback", "status": "accepted"}))
    url = ("--base-url", chat_server.url)
    result = zoran("route", "feedback", "req-1", "0.75", "--comment", "Right.", *url)
    assert result.stdout == "Scored req-1 with 0.75 (accepted).\n"
    assert chat_server.requests[-1][2] == {"request_id": "req-1", "score": 0.75, "comment": "Right."}
    chat_server.replies.append(error_reply(404, "unknown_request", "Nobody remembers 'req-2'."))
    unknown = zoran("route", "feedback", "req-2", "1", *url)
    assert (unknown.exit_code, "Nobody remembers" in unknown.stderr) == (1, True)
    assert "comment" not in chat_server.requests[-1][2]


def test_refusals_have_the_usual_statuses(zoran: Any, chat_server: Any) -> None:
    for reply, status in (
        (error_reply(400, "no_arm_fits", "No model fits."), 1),
        (error_reply(403, "permission_denied"), 5),
    ):
        chat_server.replies.append(reply)
        result = zoran("route", "explain", "x", "--base-url", chat_server.url)
        assert result.exit_code == status
        assert result.stderr.startswith("Error: No")
    assert zoran("route", "state", "--base-url", "http://127.0.0.1:9").exit_code == 4
