"""`zoran serve --tls-cert --tls-key` on a whole server: who is answered, and what is refused before."""

import ssl

import httpx
import pytest

from tests.integration.routing_stack import OPENAI
from tests.integration.stack import Stack
from tests.security.locked import STRANGERS_KEY, Locked
from tests.security.pairs import Authority

pytestmark = pytest.mark.integration

HELLO = {"model": OPENAI, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 16}
CONFIGURATION = 3


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
def test_an_answer_and_a_stream(locked: Locked, http2: bool) -> None:
    with locked.client(http2=http2) as asking:
        answer = asking.post("/v1/chat/completions", json=HELLO)
        assert answer.status_code == 200, answer.text
        assert answer.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
        with asking.stream("POST", "/v1/chat/completions", json=HELLO | {"stream": True}) as response:
            events = [line for line in response.iter_lines() if line.startswith("data: ")]
    assert len(events) > 2
    assert events[-1] == "data: [DONE]"


@pytest.mark.parametrize("key", ["", STRANGERS_KEY], ids=["none", "wrong"])
def test_tls_opens_no_door(locked: Locked, key: str) -> None:
    with locked.client(key) as asking:
        refused = asking.post("/v1/chat/completions", json=HELLO)
    assert refused.status_code == 401
    assert refused.json()["error"]["code"] == "invalid_api_key"


def test_nothing_is_said_in_the_clear(locked: Locked) -> None:
    with httpx.Client(trust_env=False) as plain, pytest.raises(httpx.TransportError):
        plain.get(locked.stack.base_url.replace("https://", "http://") + "/health")


def test_strangers_do_not_trust_it(locked: Locked) -> None:
    with (
        httpx.Client(verify=ssl.create_default_context(), trust_env=False) as stranger,
        pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        stranger.get(f"{locked.stack.base_url}/health")


def test_the_command_line_knows_its_own_server(locked: Locked) -> None:
    locked.stack.environment["ZORAN_API_KEY"] = locked.key
    try:
        for command in (("chat", "-q", "Hello", "-m", OPENAI), ("models",), ("status",)):
            done = locked.stack.zoran(*command)
            assert done.returncode == 0, done.stderr
    finally:
        del locked.stack.environment["ZORAN_API_KEY"]


@pytest.mark.parametrize("wrong", ["missing", "mismatch", "open", "half"])
def test_refused_before_anything_starts(wrong: str) -> None:
    stack = Stack([{"name": "nobody", "source": "http://127.0.0.1:1"}])
    try:
        authority = Authority(stack.folder)
        own, other = authority.pair("own"), authority.pair("other")
        if wrong == "open":
            own.key.chmod(0o644)
        key = {"missing": stack.folder / "none.key", "mismatch": other.key}.get(wrong, own.key)
        flags = [f"--tls-cert={own.certificate}", *([] if wrong == "half" else [f"--tls-key={key}"])]
        done = stack.zoran("serve", f"--port={stack.port}", *flags)
        assert done.returncode == CONFIGURATION, done.stderr
        words = {
            "missing": "cannot be read",
            "mismatch": "is not the key of",
            "open": "chmod 600",
            "half": "belong together",
        }
        assert words[wrong] in done.stderr
        assert not any(stack.left_behind().values()), stack.left_behind()
    finally:
        stack.kill()
        stack.forget()
