"""What a models file may say of arms, and the catalogue it makes."""

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.engines.catalogue import Catalogue, Chain, read_catalogue
from zoran_ray.errors import ConfigError, InvalidRequest, ModelNotFound, UpstreamError
from zoran_ray.models_file import ModelsFile, ModelSpec
from zoran_ray.offers import ArmSpec
from zoran_ray.wire import Usage

CONFIGS = Path(__file__).parents[2] / "configs"
CANARY = "sk-proj-c4narY-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"

ARM = {
    "name": "openai/mini",
    "provider": "openai",
    "upstream": "gpt-mini",
    "context_tokens": 1000,
    "usd_per_million_input": 0.15,
    "usd_per_million_output": 0.6,
    "data_goes": "us",
}


def text(arm, **more):
    """One arm as YAML, `None` leaving a field out."""
    fields = {name: value for name, value in (ARM | arm | more).items() if value is not None}
    return "- " + "\n  ".join(f"{name}: {value}" for name, value in fields.items()) + "\n"


def read(tmp_path, content):
    (tmp_path / "m.yaml").write_text(content)
    return read_catalogue(tmp_path / "m.yaml", tmp_path)


def refused(tmp_path, content):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, content)
    return caught.value.message


def arms(*fallbacks, models=("local-one",), **more):
    """A catalogue of arms `x/0`, `x/1`, … with these fallbacks."""
    made = tuple(
        ArmSpec(**(ARM | {"name": f"x/{n}", "fallbacks": f} | more)) for n, f in enumerate(fallbacks)
    )
    return Catalogue(ModelsFile(models=tuple(ModelSpec(name=m) for m in models), arms=made))


def test_arms_alone_models_alone_and_both(tmp_path):
    assert list(read(tmp_path, "arms:\n" + text({}))) == ["openai/mini"]
    assert list(read(tmp_path, "models: [{name: a}]")) == ["local/a"]
    both = read(tmp_path, "models: [{name: a}]\narms:\n" + text({}))
    assert list(both) == ["local/a", "openai/mini"]
    assert (both.models[0].public_name, both.arms[0].provider, both.use) == (
        "local/a",
        "openai",
        "commercial",
    )
    assert "local/a" in both
    assert len(both) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "m.yaml:1: found a mapping, expected at least one item under 'models' or 'arms'"),
        ("use: research\n", "m.yaml:1: found a mapping, expected at least one item"),
        ("models: []\narms: []", "m.yaml:1: models: found a list, expected at least one item"),
    ],
)
def test_nothing_at_all_is_a_mistake(tmp_path, content, message):
    assert message in refused(tmp_path, content)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("usd_per_million_input", -0.1, "found -0.1, expected greater than or equal to 0"),
        ("usd_per_million_output", ".nan", 'found ".nan", expected a valid number'),
        ("usd_per_million_output", ".inf", 'found ".inf", expected a valid number'),
        ("usd_per_million_output", "1e999", "not a value of type float"),
        ("usd_per_million_cached_input", 1e9, "expected less than or equal to 1000000"),
        ("context_tokens", 0, "found 0, expected greater than or equal to 1"),
        ("context_tokens", None, "this field is required"),
        ("max_output_tokens", -5, "expected greater than or equal to 1"),
        ("modalities", "[]", "expected at least one item"),
        ("modalities", "[smell]", "expected 'text' or 'image'"),
        ("capabilities", "[magic]", "expected 'tools', 'json_schema', 'logprobs' or 'embeddings'"),
        ("provider", "hal", "expected 'openai', 'anthropic'"),
        ("name", "mini", "expected text that matches"),
        ("name", "local/mini", "names that begin with 'local/' are taken"),
        ("name", "zoran/auto", "names that begin with 'zoran/' are taken"),
        ("name", "mistral/mini", "'mistral/mini' would be served by openai"),
        ("upstream", "../../x?", "expected text that matches"),
        ("data_goes", None, "this field is required"),
        ("data_goes", "local", "data_goes cannot be local: openai is elsewhere"),
        ("base_url", "ftp://host/v1", "not an http or https address"),
        ("base_url", "host:80/v1", "not an http or https address"),
        ("base_url", "http://host:what/", "not an http or https address"),
        ("base_url", '"http://ho st/"', "not an http or https address"),
        ("base_url", "http://user:hunter2@host/v1", "an address holds no user, password or query"),
        ("base_url", "https://host/v1?key=hunter2", "an address holds no user, password or query"),
        ("max_concurrency", 0, "expected greater than or equal to 1"),
        ("max_queued", -1, "expected greater than or equal to 0"),
        ("timeout_s", 0, "expected greater than 0"),
        ("fallbacks", "sometimes", "expected a valid array or 'auto'"),
        ("fallbacks", "[openai/mini]", "fallbacks run in a circle: openai/mini → openai/mini"),
        ("fallbacks", "[x/y]", "'x/y' is neither an arm nor a model"),
        ("fallbacks", "[local/a, local/a]", "a name is here twice"),
        ("licence", "MIT", "say what the licence 'MIT' allows"),
        ("licence_allows", "[commerce]", "expected 'commercial', 'research' or 'personal'"),
        ("api_key", CANARY, "no such field; did you mean 'api_key_env'?"),
        ("price", 1, "no such field"),
    ],
)
def test_mistakes_are_told_with_line_and_field(tmp_path, field, value, message):
    found = refused(tmp_path, "models: [{name: a}]\narms:\n" + text({field: value}))
    assert message in found
    assert found.startswith(f"{tmp_path}/m.yaml:")
    assert "hunter2" not in found


def test_each_mistake_stands_at_its_line(tmp_path):
    first = text({"name": "x/0"}, fallbacks="[x/1]")
    second = text({"name": "x/1"}, fallbacks="[x/0]")
    found = refused(tmp_path, "arms:\n" + first + second)
    assert "m.yaml:9: arms[0].fallbacks: fallbacks run in a circle: x/0 → x/1 → x/0" in found or (
        "m.yaml:17: arms[1].fallbacks: fallbacks run in a circle: x/1 → x/0 → x/1" in found
    )


@pytest.mark.parametrize(
    "second", [text({}), text({"name": "mistral/m", "provider": "mistral"}, fallbacks="[]")]
)
def test_names_differ_from_one_another_and_from_models(tmp_path, second):
    found = refused(tmp_path, "models: [{name: mistral/m}]\narms:\n" + text({}) + second)
    assert "arms[1].name: '" in found
    assert "is here twice; names must differ" in found


@pytest.mark.parametrize("missing", ["usd_per_million_input", "usd_per_million_output"])
def test_no_paid_provider_is_free_by_mistake(tmp_path, missing):
    assert f"{missing} must be here; write 0" in refused(tmp_path, "arms:\n" + text({missing: None}))
    own = {"name": "ollama/x", "provider": "ollama", "data_goes": "local", missing: None}
    read(tmp_path, "arms:\n" + text(own))


def test_a_price_without_any_bound_on_the_answer(tmp_path):
    found = refused(tmp_path, "models: [{name: a, usd_per_million_output: 1}]")
    assert "m.yaml:1: models[0]: a price for output needs context_tokens or max_output_tokens" in found


@pytest.mark.parametrize("provider", ["vllm", "openai_compatible"])
def test_who_has_no_address_of_its_own_needs_one(tmp_path, provider):
    arm = {"name": "x/y", "provider": provider}
    assert "base_url is required" in refused(tmp_path, "arms:\n" + text(arm))
    found = read(tmp_path, "arms:\n" + text(arm, base_url="http://[::1]:8000/v1/", data_goes="local"))
    assert found.arms[0].base_url == "http://[::1]:8000/v1"
    assert found.arms[0].key_variable is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("api_key_env", CANARY),
        ("api_key_env", "AIzaSyCanary0123456789canary0123456789a"),
        ("api_key_env", "CANARYCANARYCANARYCANARY1234"),
        ("api_key_env", "canary"),
        ("api_key_env", '""'),
        ("api_key_file", CANARY),
        ("api_key_file", "canary.key"),
        ("base_url", f"https://canary:{CANARY}@host/v1"),
        ("base_url", f"https://host:{CANARY}/v1"),
        ("base_url", f"https://host/v1?key={CANARY}"),
        ("api_key", CANARY),
    ],
)
def test_a_key_in_the_file_is_refused_and_not_repeated(tmp_path, field, value):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "arms:\n" + text({field: value}))
    told = f"{caught.value!r} {caught.value.message} {caught.value.param}"
    assert "canary" not in told.lower().replace("'canary'", "")
    assert CANARY[:10] not in told


def test_where_keys_are_looked_for(tmp_path):
    assert read(tmp_path, "arms:\n" + text({})).arms[0].key_variable == "OPENAI_API_KEY"
    named = read(tmp_path, "arms:\n" + text({"api_key_env": "TEAM_KEY"})).arms[0]
    assert named.key_variable == "TEAM_KEY"
    elsewhere = text({"base_url": "https://proxy.example/v1"})
    assert read(tmp_path, "arms:\n" + elsewhere).arms[0].key_variable is None
    for written, path in [
        ("./keys/openai", tmp_path / "keys/openai"),
        ("/run/secrets/k", Path("/run/secrets/k")),
        ("~/k", tmp_path / "k"),
    ]:
        arm = read(tmp_path, "arms:\n" + text({"api_key_file": written})).arms[0]
        assert Path(arm.api_key_file) == path
        assert arm.key_variable is None
    both = text({"api_key_env": "A_KEY", "api_key_file": "/k"})
    assert "keep one" in refused(tmp_path, "arms:\n" + both)


def test_a_folder_of_a_local_model_starts_at_the_file(tmp_path):
    found = read(tmp_path, "models: [{name: a, source: ./weights}]")
    assert found.models[0].source == str(tmp_path / "weights")


OPEN = {"licence": "cc-by-nc-4.0", "licence_allows": "[research, personal]"}


@pytest.mark.parametrize("use", ["research", "personal"])
def test_a_licence_that_allows_the_use(tmp_path, use):
    assert read(tmp_path, f"use: {use}\narms:\n" + text(OPEN)).use == use


@pytest.mark.parametrize("head", ["", "use: commercial\n"])
def test_a_licence_that_forbids_the_use_refuses_to_load(tmp_path, head):
    for content in (
        f"{head}arms:\n" + text(OPEN),
        head + "models: [{name: openai/mini, licence: cc-by-nc-4.0, licence_allows: [research, personal]}]",
    ):
        found = refused(tmp_path, content)
        assert "licence_allows: the licence 'cc-by-nc-4.0' of '" in found
        assert "allows research, personal, but this deployment is declared for commercial use" in found
        assert "Remove it, or set 'use'" in found


def test_a_licence_that_allows_nothing(tmp_path):
    assert "allows nothing" in refused(tmp_path, "use: personal\narms:\n" + text({"licence_allows": "[]"}))


def test_chains_are_followed_in_order_each_name_once():
    catalogue = arms(("x/1", "x/2"), ("x/3", "local/local-one"), ("x/3",), "auto", ())
    assert catalogue.chain("x/0") == Chain(("x/0", "x/1", "x/3", "local/local-one", "x/2"), auto=True)
    assert catalogue.chain("x/2") == Chain(("x/2", "x/3"), auto=True)
    assert catalogue.chain("x/4") == Chain(("x/4",))
    assert catalogue.chain("local/local-one") == Chain(("local/local-one",))


def test_many_ways_to_one_arm_are_followed_once():
    deep = [(f"x/{n + 1}", f"x/{n + 2}") for n in range(60)]
    catalogue = arms(*deep, ("x/61",), ())
    assert catalogue.chain("x/0").names == tuple(f"x/{n}" for n in range(62))


def test_costs_in_both_units():
    catalogue = arms(())
    assert catalogue.cost_nano_usd("x/0", Usage(100, 10)) == 100 * 150 + 10 * 600
    assert catalogue.cost_usd("x/0", Usage(100, 10)) == pytest.approx(21e-6)
    assert catalogue.cost_usd("local/local-one", Usage(10**6, 10**6)) == 0


def test_the_bound_takes_the_shortest_limit():
    assert arms(()).most_nano_usd("x/0", 10, 50) == 10 * 150 + 50 * 600
    assert arms(()).most_nano_usd("x/0", 10, 50, n=3) == 10 * 150 + 150 * 600
    assert arms(()).most_nano_usd("x/0", 10, None) == 10 * 150 + 1000 * 600
    assert arms(()).most_nano_usd("x/0", 10, 10**9) == 10 * 150 + 1000 * 600
    assert arms((), max_output_tokens=20).most_usd("x/0", 10, None) == pytest.approx(13.5e-6)
    assert arms(()).most_usd("local/local-one", 10, None) == 0


@given(st.integers(0, 900), st.integers(0, 100), st.integers(0, 900))
def test_what_was_within_the_request_is_within_the_bound(prompt, completion, cached):
    catalogue = arms((), usd_per_million_cached_input=0.3)
    usage = Usage(prompt, completion, cached)
    assert catalogue.cost_usd("x/0", usage) <= catalogue.most_usd("x/0", prompt, 100)


def test_bad_input_is_told_by_type():
    catalogue = arms(())
    for use in (
        lambda: catalogue["x/9"],
        lambda: catalogue.prices("x/9"),
        lambda: catalogue.chain("x/9"),
        lambda: catalogue.cost_usd("x/9", Usage()),
        lambda: catalogue.most_usd("y" * 9000, 1, 1),
    ):
        with pytest.raises(ModelNotFound, match="Models here: local/local-one, x/0") as caught:
            use()
        assert len(caught.value.message) < 300
    for bad in (-1, float("nan")):
        with pytest.raises(InvalidRequest):
            catalogue.most_usd("x/0", bad, 1)
        with pytest.raises(InvalidRequest):
            catalogue.most_usd("x/0", 1, bad)
        with pytest.raises(InvalidRequest):
            catalogue.most_usd("x/0", 1, 1, n=bad)
        with pytest.raises(UpstreamError):
            catalogue.cost_usd("x/0", Usage(bad))


def test_entries_survive_pickling():
    file = arms("auto", ("x/0",)).file
    assert pickle.loads(pickle.dumps(file)) == file


def test_the_arms_shown_in_the_shipped_file_are_right(tmp_path):
    lines = (CONFIGS / "models.yaml").read_text().splitlines()
    start = lines.index("# arms:")
    shown = [line.removeprefix("# ").removeprefix("#") for line in lines[start:]]
    catalogue = read(tmp_path, "\n".join([*lines[:start], *shown]))
    assert [arm.name for arm in catalogue.arms] == ["openai/gpt-4o-mini", "mistral/small", "ollama/llama3"]
    assert set(ArmSpec.model_fields) - {"api_key_file", "base_url", "licence", "licence_allows"} <= {
        field for arm in catalogue.arms for field in arm.model_fields_set
    }
    assert catalogue.chain("openai/gpt-4o-mini").names == (
        "openai/gpt-4o-mini",
        "mistral/small",
        "local/pocket",
    )
