"""Published holes of what this stands on, or of others like it, asked of our own code by their names.

Those that need a running server are in `test_stack_cves.py` and `ports.py`.
"""

import hashlib
import inspect
import json
import pickle
import time
from pathlib import Path
from typing import Any

import pytest

from actors.environment import ray_environment
from serve_apps.gateway.local_relay import payload
from zoran_ray.access import KeyRing, KeyStore
from zoran_ray.engines.vllm.guard import ALLOWED, Guard
from zoran_ray.errors import InvalidRequest, Unauthenticated
from zoran_ray.messages import KeyInfo
from zoran_ray.ray_start import NodeSize, head_argv
from zoran_ray.settings import Settings
from zoran_ray.wire import Endpoint, Limits, parse

CHAT = Endpoint.CHAT_COMPLETIONS


def asked(**members: Any) -> Any:
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]} | members
    return parse(json.dumps(body).encode(), CHAT, Limits())


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    store = KeyStore(tmp_path / "state" / "keys.sqlite", time.time)
    store.create("first")
    return KeyRing(store.snapshot(), time.time)


RAY = ["CVE-2023-48022", "CVE-2023-48023", "CVE-2025-62593", "CVE-2026-27482"]


@pytest.mark.parametrize("cve", RAY)
def test_ray_has_no_dashboard_and_wants_a_token(cve: str, tmp_path: Path) -> None:
    """All four are the dashboard's; what is left of it, a token guards (`ports.refuses_http_token`)."""
    assert ray_environment(Settings(), tmp_path)["RAY_AUTH_MODE"] == "token"
    assert "--include-dashboard=false" in head_argv("python", 6379, NodeSize(1, 0, 1 << 30), None)


ADDRESSES = (
    "http://169.254.169.254/latest/meta-data/",
    "https://allowed.example/redirect?to=http://10.0.0.1/",
    "http://allowed.example@127.0.0.1/",
    "http://allowed.example\\@127.0.0.1/",
    "HTTP://[::ffff:127.0.0.1]/",
    "file:///etc/passwd",
    "ftp://127.0.0.1/",
    "//127.0.0.1/x",
)


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("kind", ["image_url", "video_url", "audio_url"])
@pytest.mark.parametrize("cve", ["CVE-2025-6242", "CVE-2026-24779"])
def test_an_engine_fetches_nothing(cve: str, kind: str, address: str) -> None:
    content = [{"type": kind, kind: {"url": address}}]
    with pytest.raises(InvalidRequest):
        asked(messages=[{"role": "user", "content": content}])


@pytest.mark.parametrize("members", [{"n": 16_384}, {"n": 17}, {"best_of": 10**30}, {"n": -1}, {"n": 1.5}])
@pytest.mark.parametrize("cve", ["CVE-2026-34756"])
def test_nobody_asks_for_thousands_of_choices(cve: str, members: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        asked(**members)


@pytest.mark.parametrize("compares", [KeyRing.authenticate, Guard._refusal])
@pytest.mark.parametrize("cve", ["CVE-2025-59425"])
def test_secrets_are_compared_in_constant_time(cve: str, compares: Any, ring: KeyRing) -> None:
    assert "hmac.compare_digest(" in inspect.getsource(compares)
    assert b"zk-" not in pickle.dumps(vars(ring)["_by_digest"]), "no key to compare with, digests alone"


def sent(tenant: str, **members: Any) -> dict[str, Any]:
    key = KeyInfo(key_id="k", name="k", digest="", tenant=tenant)
    return dict(json.loads(payload(asked(**members), key)))


@pytest.mark.parametrize("cve", ["CVE-2025-46570"])
def test_time_to_the_first_token_tells_no_tenant_of_another(cve: str) -> None:
    """Whatever a caller says, its salt is never the one of another tenant."""
    acme, other = sent("acme")["cache_salt"], sent("other")["cache_salt"]
    assert acme != other
    for guess in ("acme", acme, hashlib.sha256(b"acme").hexdigest()):
        assert sent("other", cache_salt=guess)["cache_salt"] == other
        assert sent("", cache_salt=guess)["cache_salt"] != acme
    assert sent("", cache_salt="mine") == sent("", cache_salt="mine")
    assert "cache_salt" not in sent("")


@pytest.mark.parametrize(
    "members", [{"chat_template": "{{ 1 }}"}, {"chat_template_kwargs": {"chat_template": "{% for %}"}}]
)
@pytest.mark.parametrize("cve", ["CVE-2025-61620"])
def test_nobody_brings_a_template(cve: str, members: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="not accepted"):
        asked(**members)


@pytest.mark.parametrize(
    "sent", ["' OR '1'='1", "x'; DROP TABLE keys; --", "zk-%", "\x00", "zk-' UNION SELECT 1"]
)
@pytest.mark.parametrize("cve", ["CVE-2026-42208"])
def test_a_key_is_no_query(cve: str, sent: str, ring: KeyRing, tmp_path: Path) -> None:
    for header in (f"Bearer {sent}", sent):
        with pytest.raises(Unauthenticated):
            ring.authenticate(header)
        with pytest.raises(Unauthenticated):
            ring.authenticate(None, header)
    store = KeyStore(tmp_path / "state" / "keys.sqlite", time.time)
    assert len(store.snapshot().keys) == 1


FABRICATED = (
    *(b"", b"Bearer", b"Bearer ", b"Bearer null", b"Bearer  undefined", b"Bearer a b", b"Bearer zk-"),
    *(b"Basic Og==", b"bearer\tzk-x", b"Bearer \xff\xfe", b"Negotiate x"),
)


@pytest.mark.parametrize("header", FABRICATED)
@pytest.mark.parametrize("cve", ["CVE-2026-59822"])
def test_a_fabricated_header_is_nobody(cve: str, header: bytes, ring: KeyRing) -> None:
    with pytest.raises(Unauthenticated):
        ring.authenticate(header)
    with pytest.raises(Unauthenticated):
        ring.authenticate(header, None)


@pytest.mark.parametrize("cve", ["CVE-2026-42271", "CVE-2026-40217"])
def test_who_may_ask_may_run_no_command(cve: str) -> None:
    """Programs of MCP servers and code that runs are the operator's settings, and off."""
    tools = Settings().tools
    assert not tools.mcp
    assert tools.permissions == ("local",)
    assert not any(word in path for _, path in ALLOWED for word in ("mcp", "lora", "invocations", "run"))
