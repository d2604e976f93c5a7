"""The door of a replica, driven as the ASGI application it is."""

import asyncio

import pytest

from zoran_ray.engines.vllm.guard import ALLOWED, DRAINING_HEADER, SECRET_HEADER, Guard

SECRET = "s3cret"


class Engine:
    """Stands for vLLM's application: answers 200 once it may."""

    def __init__(self):
        self.seen = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, scope, receive, send):
        self.seen.append(scope.get("path", scope["type"]))
        await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def engine():
    return Engine()


@pytest.fixture
def guard(engine):
    return Guard(engine, SECRET)


async def ask(guard, method="POST", path="/v1/chat/completions", secret=SECRET, kind="http"):
    headers = [] if secret is None else [(SECRET_HEADER, secret.encode())]
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.disconnect"}

    await guard({"type": kind, "method": method, "path": path, "headers": headers}, receive, send)
    return sent


@pytest.mark.parametrize(("status", "told"), [(500, 503), (400, 400), (200, 200)])
async def test_failure_of_a_dead_engine_sends_elsewhere(status, told):
    dead = False

    async def dying(scope, receive, send):
        nonlocal dead
        dead = True
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"a traceback"})

    guard = Guard(dying, SECRET, lambda: dead)
    sent = await ask(guard)
    assert sent[0]["status"] == told
    assert ((DRAINING_HEADER, b"1") in sent[0]["headers"]) == (told == 503)
    assert len(sent) == 2
    assert (await ask(guard))[0]["status"] == 503, "nothing more is asked of it"
    assert (await ask(guard, "GET", "/health"))[0]["status"] == told


@pytest.mark.parametrize("route", sorted(ALLOWED))
async def test_allowed_routes_pass_with_the_secret(guard, engine, route):
    assert (await ask(guard, *route))[0]["status"] == 200
    assert engine.seen == [route[1]]


@pytest.mark.parametrize("secret", [None, "", "wrong", SECRET + "x", "ß"])
@pytest.mark.parametrize("route", [("POST", "/v1/chat/completions"), ("GET", "/health"), ("GET", "/x")])
async def test_nothing_passes_without_it(guard, engine, secret, route):
    sent = await ask(guard, *route, secret=secret)
    assert sent[0]["status"] == 401
    assert sent[1]["body"] == b""
    assert not engine.seen


@pytest.mark.parametrize(
    "route",
    [
        ("GET", "/v1/models"),
        ("POST", "/v1/load_lora_adapter"),
        ("POST", "/collective_rpc"),
        ("GET", "/v1/chat/completions"),
        ("POST", "/v1/chat/completions/"),
        ("POST", "//v1/chat/completions"),
        ("POST", "/metrics"),
    ],
)
async def test_other_routes_do_not_exist(guard, engine, route):
    assert (await ask(guard, *route))[0]["status"] == 404
    assert not engine.seen


async def test_websockets_are_closed(guard, engine):
    assert await ask(guard, kind="websocket") == [{"type": "websocket.close", "code": 1008}]
    assert not engine.seen


async def test_the_lifespan_passes(guard, engine):
    await ask(guard, kind="lifespan", secret=None)
    assert engine.seen


async def test_a_draining_guard_finishes_what_it_has_and_sends_the_rest_elsewhere(guard, engine):
    engine.may_answer.clear()
    running = asyncio.create_task(ask(guard))
    await asyncio.sleep(0)
    assert guard.inflight == 1
    guard.draining = True
    late = await ask(guard)
    assert late[0]["status"] == 503
    assert (DRAINING_HEADER, b"1") in late[0]["headers"]
    engine.may_answer.set()
    assert (await running)[0]["status"] == 200
    assert guard.inflight == 0
    # Whoever scrapes it still can, and a stranger learns nothing.
    assert (await ask(guard, "GET", "/metrics"))[0]["status"] == 200
    assert (await ask(guard, secret=None))[0]["status"] == 401


async def test_inflight_falls_when_a_request_is_cancelled(guard, engine):
    engine.may_answer.clear()
    running = asyncio.create_task(ask(guard))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert guard.inflight == 0
