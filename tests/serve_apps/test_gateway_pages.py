"""Everything that is not relayed, through the same front door."""

import hashlib

import pytest

from zoran_ray.messages import FleetSnapshot, KeyInfo, KeySnapshot

KEY = {"authorization": "Bearer zk-good"}


@pytest.fixture
def locked(stack):
    """Give the gateway one key."""

    def lock(**fields):
        digest = hashlib.sha256(b"zk-good").hexdigest()
        stack.door.update(KeySnapshot(1, (KeyInfo("k1", "me", digest, **fields),)))

    return lock


async def test_the_model_list(stack):
    await stack.replica()
    model, auto = (await stack.get("/v1/models")).json["data"]
    assert auto["id"] == "zoran/auto"
    assert (model["id"], model["object"], model["owned_by"], model["created"]) == (
        "local/m", "model", "zoran", 5,
    )  # fmt: skip
    assert model["zoran"] == {
        "aliases": ["m"],
        "source": "embedded",
        "description": "A model.",
        "ready_replicas": 1,
        "state": "ready",
        "why": None,
    }
    assert (await stack.get("/v1/models/zoran/auto")).json == auto
    for name in ("local/m", "m"):
        assert (await stack.get(f"/v1/models/{name}")).json == model


async def test_a_model_that_is_not_here(stack):
    answer = await stack.get("/v1/models/gpt-9")
    assert (answer.status, answer.code) == (404, "model_not_found")


async def test_a_key_sees_what_it_may_use(stack, locked):
    locked(models=("local/other",))
    assert (await stack.get("/v1/models")).status == 401
    assert (await stack.get("/v1/models", KEY)).json["data"] == []
    answer = await stack.get("/v1/models/m", KEY)
    assert (answer.status, answer.code) == (403, "permission_denied")


async def test_health_and_readiness_need_no_key(stack, locked):
    locked()
    assert (await stack.get("/health")).json == {"status": "ok"}
    answer = await stack.get("/ready")
    assert (answer.status, answer.code) == (503, "no_replica")
    assert answer.headers["retry-after"] == "2"
    assert "local/m" in answer.json["error"]["message"]
    await stack.replica()
    assert (await stack.get("/ready")).json == {"status": "ready"}


async def test_a_model_that_may_sleep_is_ready(stack):
    stack.publish(min_replicas=0)
    assert (await stack.get("/ready")).status == 200


async def test_without_any_model_nothing_is_ready(stack):
    stack.fleet.update(FleetSnapshot())
    assert "the first model" in (await stack.get("/ready")).json["error"]["message"]


async def test_metrics_are_behind_the_door(stack, locked):
    await stack.chat(n=99)
    answer = await stack.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b'zoran_rejected_total{reason="invalid_value"} 1.0' in answer.body
    locked()
    assert (await stack.get("/metrics")).status == 401
    assert (await stack.get("/metrics", KEY)).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/chat",
        "/v1/chat/completions/",
        "/health/",
        "/metrics/",
        "/docs",
        "/openapi.json",
        "/é",
    ],
)
async def test_routes_there_are_not(stack, path):
    for method in ("GET", "POST"):
        answer = await stack.post(path, None, method=method)
        assert (answer.status, answer.code) == (404, "unknown_url")


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/v1/models", "/v1/models/m"])
async def test_methods_there_are_not(stack, path):
    answer = await stack.post(path, b"{}")
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET"


async def test_a_failure_of_a_page_has_openais_body_and_tells_nothing(stack, monkeypatch):
    monkeypatch.setattr(stack.fleet, "snapshot", None)
    answer = await stack.get("/v1/models")
    assert (answer.status, answer.code) == (500, "internal_error")
    assert b"NoneType" not in answer.body
