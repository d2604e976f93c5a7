"""From catalogue entries to engines: which adapter, which key, which address, whose connections."""

import time
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.engines.providers.asking import KEY, SPEECHES, asked, heard
from tests.engines.providers.fake_provider import FakeProvider, hold, html, reset_at_once, says
from tests.engines.providers.speeches import Said, Speech, error
from zoran_ray.engines.providers.build import ADAPTERS, Engines, endpoints_of, key_of
from zoran_ray.engines.providers.reach import reach
from zoran_ray.errors import ConfigError
from zoran_ray.offers import ArmSpec, Provider

CHAT, TEXT, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
ENVIRON = {"A_KEY": KEY}
PATIENCE_S = 10.0


def spec(provider: str = "openai", **fields: Any) -> ArmSpec:
    given = {"upstream": "m", "context_tokens": 8192, "data_goes": "us"}
    priced = {"usd_per_million_input": 1, "usd_per_million_output": 2}
    named = {"name": f"{provider.replace('openai_', '')}/m", "provider": provider}
    return ArmSpec.model_validate(named | given | priced | fields)


@pytest.mark.parametrize(
    ("provider", "paths"),
    [
        ("openai", {CHAT, TEXT, EMBEDDINGS}),
        ("mistral", {CHAT, EMBEDDINGS}),
        ("anthropic", {CHAT}),
        ("gemini", {CHAT, EMBEDDINGS}),
        ("ollama", {CHAT, TEXT, EMBEDDINGS}),
        ("vllm", {CHAT, TEXT, EMBEDDINGS}),
        ("openai_compatible", {CHAT, TEXT, EMBEDDINGS}),
    ],
)
def test_which_endpoints_each_has(provider: Provider, paths: set[str]) -> None:
    assert endpoints_of(provider) == paths


def test_every_provider_of_the_catalogue_has_an_adapter() -> None:
    assert set(ADAPTERS) == set(get_args(Provider))


@pytest.mark.parametrize(
    ("provider", "base_url", "address"),
    [
        ("openai", None, "https://api.openai.com/v1"),
        ("anthropic", None, "https://api.anthropic.com/v1"),
        ("anthropic", "http://127.0.0.1:1", "http://127.0.0.1:1/v1"),
        ("anthropic", "http://127.0.0.1:1/proxy/v1", "http://127.0.0.1:1/proxy/v1"),
        ("gemini", None, "https://generativelanguage.googleapis.com/v1beta"),
        ("gemini", "http://127.0.0.1:1", "http://127.0.0.1:1/v1beta"),
        ("mistral", None, "https://api.mistral.ai/v1"),
        ("ollama", None, "http://127.0.0.1:11434/v1"),
        ("ollama", "http://127.0.0.1:1", "http://127.0.0.1:1/v1"),
        ("vllm", "http://127.0.0.1:1/v1", "http://127.0.0.1:1/v1"),
    ],
)
def test_where_each_is(provider: Provider, base_url: str | None, address: str) -> None:
    assert ADAPTERS[provider].connect(None, base_url)._base_url == address


def test_where_a_key_comes_from(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    in_file = spec(api_key_file=str(tmp_path / "key"))
    for arm in (spec(api_key_env="A_KEY"), in_file):
        found = key_of(arm, ENVIRON)
        assert found is not None
        assert found.header() == KEY.encode()
    assert key_of(spec("ollama"), ENVIRON) is None
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        key_of(spec(), ENVIRON)
    assert key_of(spec(base_url="http://127.0.0.1:1"), {"OPENAI_API_KEY": KEY}) is None, "sent elsewhere"


async def test_one_pool_for_each_provider_address_and_key(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    engines = Engines(ENVIRON | {"B_KEY": KEY})
    arms = [
        spec(api_key_env="A_KEY"),
        spec(api_key_env="A_KEY", upstream="other"),
        spec(api_key_env="B_KEY"),
        spec(api_key_file=str(tmp_path / "key")),
        spec(api_key_env="A_KEY", base_url="http://127.0.0.1:1"),
        spec("openai_compatible", api_key_env="A_KEY", base_url="http://127.0.0.1:1"),
    ]
    pools = [engines.build(arm)._connection for arm in arms]  # type: ignore[attr-defined]
    assert pools[0] is pools[1]
    assert len(set(map(id, pools))) == 5
    await engines.close()


async def test_what_has_not_changed_is_given_back(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    engines, arm = Engines(ENVIRON), spec(api_key_file=str(tmp_path / "key"))
    first = engines.build(arm)
    dearer = arm.model_copy(update={"usd_per_million_input": 5.0})
    assert engines.build(dearer, first) is first
    assert engines.build(arm.model_copy(update={"upstream": "n"}), first) is not first
    (tmp_path / "key").write_text("another-key-000")
    renewed = engines.build(arm, first)
    assert renewed is not first
    assert renewed._connection is not first._connection  # type: ignore[attr-defined]
    await engines.close()


async def test_dropping_one_does_not_close_the_other() -> None:
    async with FakeProvider(Speech(), KEY) as provider:
        engines = Engines(ENVIRON)
        arm = spec(base_url=provider.url, api_key_env="A_KEY", upstream=Speech().model)
        one, other = engines.build(arm), engines.build(arm)
        await heard(await one.open(asked()))
        engines.drop(one)
        engines.drop(one)
        await heard(await other.open(asked()))
        assert provider.connections[0] == provider.connections[1]
        pool = other._connection  # type: ignore[attr-defined]
        await engines.close()
        assert pool._pool is None


@pytest.mark.parametrize(
    ("fields", "sent"),
    [({}, 8192), ({"context_tokens": 200_000}, 16_384), ({"max_output_tokens": 32_000}, 32_000)],
)
async def test_anthropics_limit_is_the_catalogues(fields: dict[str, int], sent: int) -> None:
    async with FakeProvider(Speech()) as provider:
        provider.will(reset_at_once)
        engines = Engines(ENVIRON)
        engine = engines.build(spec("anthropic", base_url=provider.url, api_key_env="A_KEY", **fields))
        with pytest.raises(Exception, match="broke off"):
            await engine.open(asked())
        assert provider.sent["max_tokens"] == sent
        await engines.close()


# -- reach ---------------------------------------------------------------------------------------


def of(provider: FakeProvider, name: str = "openai", **fields: Any) -> ArmSpec:
    return spec(name, **{"base_url": provider.url, "api_key_env": "A_KEY", **fields})


@pytest.mark.parametrize("name", SPEECHES)
async def test_a_model_that_is_there(name: str) -> None:
    _, speech = SPEECHES[name]
    async with FakeProvider(speech, KEY) as provider:
        arm = of(provider, name.replace("-", "_"), upstream=speech.model)
        assert await reach(arm, ENVIRON, PATIENCE_S) is None
        assert [seen.method for seen in provider.requests] == ["GET"]


@pytest.mark.parametrize("name", sorted(SPEECHES.keys() - {"openai-compatible"}))
async def test_a_model_that_is_not(name: str) -> None:
    async with FakeProvider(SPEECHES[name][1], KEY) as provider:
        why = await reach(of(provider, name, upstream="none/such"), ENVIRON, PATIENCE_S)
    assert why is not None
    assert "model" in why


@pytest.mark.parametrize(
    ("name", "path", "header"),
    [
        ("anthropic", "/v1/models/claude-x", "x-api-key"),
        ("gemini", "/v1/models/claude-x", "x-goog-api-key"),
    ],
)
async def test_the_native_ones_are_asked_their_way(name: str, path: str, header: str) -> None:
    async with FakeProvider(Speech()) as provider:
        provider.will(says(Said({"id": "claude-x"})))
        assert await reach(of(provider, name, upstream="claude-x"), ENVIRON, PATIENCE_S) is None
        assert provider.requests[0].path == path
        assert provider.requests[0].headers[header] == KEY


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (says(Said(error(f"bad {KEY}", "x", KEY), 401, {"x-echo": KEY})), "401"),
        (says(Said(error(f"bad {KEY}", "x", KEY), 400)), "bad"),
        (says(Said(KEY.encode())), "not JSON"),
        (html(), "other than JSON"),
        (reset_at_once, "broke off"),
        (hold, "did not answer within 0.1 s"),
    ],
)
async def test_why_it_cannot_be_asked(step: Any, told: str) -> None:
    async with FakeProvider(Speech()) as provider:
        provider.will(step)
        why = await reach(of(provider), ENVIRON, 0.1 if step is hold else PATIENCE_S)
    assert why is not None
    assert told in why
    assert KEY[8:] not in why


async def test_nobody_there_and_no_key() -> None:
    assert "cannot be reached" in (await reach(spec("ollama", base_url="http://127.0.0.1:9"), {}, 5) or "")
    began = time.monotonic()
    assert "OPENAI_API_KEY is not set" in (await reach(spec(), {}, 5) or "")
    assert time.monotonic() - began < PATIENCE_S
