from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zoran_ray.config import Loaded, config_files, load
from zoran_ray.errors import ConfigError
from zoran_ray.settings import BudgetSettings, PrivacyProfile, Settings

Load = Callable[..., Loaded]


@pytest.fixture
def load_here(tmp_path: Path) -> Load:
    """Loads with a home and a working directory of its own."""
    (tmp_path / "here").mkdir()

    def run(flags: dict[str, Any] | None = None, **env: str) -> Loaded:
        return load(flags or {}, {"HOME": str(tmp_path / "home"), **env}, tmp_path / "here")

    return run


def test_nothing_said_means_the_defaults(load_here: Load, tmp_path: Path) -> None:
    loaded = load_here()
    assert loaded.settings == Settings(state_dir=tmp_path / "home/.local/state/zoran")
    assert [(m.name, m.source) for m in loaded.models] == [("pocket", "embedded")]
    assert set(loaded.origins.values()) == {"default"}


def test_the_stronger_source_wins(load_here: Load, tmp_path: Path) -> None:
    user = tmp_path / "home/.config/zoran/config.yaml"
    user.parent.mkdir(parents=True)
    ports = []
    user.write_text("server:\n  port: 1001\n  gateways: 2\n")
    ports.append(load_here().settings.server.port)
    (tmp_path / "here/zoran.yaml").write_text("server: {port: 1002}\n")
    ports.append(load_here().settings.server.port)
    ports.append(load_here(ZORAN_SERVER__PORT="1003").settings.server.port)
    loaded = load_here({"server.port": 1004, "server.host": None}, ZORAN_SERVER__PORT="1003")
    assert [*ports, loaded.settings.server.port] == [1001, 1002, 1003, 1004]
    assert loaded.settings.server.gateways == 2
    assert loaded.origins["server.port"] == "flag --port"
    assert loaded.origins["server.gateways"] == f"{user}:3"
    assert loaded.origins["server.host"] == "default"


def test_a_named_file_is_read_alone(load_here: Load, tmp_path: Path) -> None:
    (tmp_path / "here/zoran.yaml").write_text("log: {level: debug}\n")
    (tmp_path / "here/other.yaml").write_text("server: {port: 7}\n")
    settings = load_here({"config": Path("other.yaml")}).settings
    assert (settings.server.port, settings.log.level) == (7, "info")
    with pytest.raises(ConfigError, match=r"missing\.yaml: cannot be read"):
        load_here({"config": Path("missing.yaml")})


def test_base_directories(load_here: Load, tmp_path: Path) -> None:
    env = {"XDG_STATE_HOME": str(tmp_path / "s"), "XDG_CONFIG_HOME": str(tmp_path / "c"), "HOME": "/h"}
    loaded = load_here(**env)
    assert loaded.settings.state_dir == tmp_path / "s/zoran"
    assert loaded.origins["state_dir"] == "variable XDG_STATE_HOME"
    assert config_files(None, env, Path("/w")) == (Path("/w/zoran.yaml"), tmp_path / "c/zoran/config.yaml")
    assert load_here(XDG_STATE_HOME="relative", HOME="/h").settings.state_dir == Path(
        "/h/.local/state/zoran"
    )


def test_paths_start_where_they_were_written(load_here: Load, tmp_path: Path) -> None:
    user = tmp_path / "home/.config/zoran/config.yaml"
    user.parent.mkdir(parents=True)
    user.write_text("state_dir: state\n")
    assert load_here().settings.state_dir == user.parent / "state"
    assert load_here(ZORAN_STATE_DIR="state").settings.state_dir == tmp_path / "here/state"
    assert load_here(ZORAN_STATE_DIR="~/state").settings.state_dir == tmp_path / "home/state"
    assert load_here({"state_dir": Path("/abs")}).settings.state_dir == Path("/abs")


def test_variables_keep_text_and_read_numbers(load_here: Load) -> None:
    settings = load_here(
        ZORAN_STATE_DIR="/123", ZORAN_CLUSTER__NUM_CPUS="8", ZORAN_SERVER__HOST="", ZORAN_LOG__LEVEL="debug"
    ).settings
    assert (settings.state_dir, settings.cluster.num_cpus, settings.server.host) == (
        Path("/123"),
        8,
        "127.0.0.1",
    )
    assert settings.log.level == "debug"
    with pytest.raises(ConfigError, match="not an http or https address"):
        load_here(ZORAN_MEMORY__QDRANT_URL="123")


def test_the_standard_variable_of_opentelemetry(load_here: Load) -> None:
    loaded = load_here(OTEL_EXPORTER_OTLP_ENDPOINT="http://o")
    assert loaded.settings.otlp_endpoint == "http://o"
    assert loaded.origins["otlp_endpoint"] == "variable OTEL_EXPORTER_OTLP_ENDPOINT"
    both = load_here(OTEL_EXPORTER_OTLP_ENDPOINT="http://o", ZORAN_OTLP_ENDPOINT="http://z")
    assert both.settings.otlp_endpoint == "http://z"


def test_variables_that_are_not_settings_are_let_be(load_here: Load) -> None:
    load_here(
        ZORAN_API_KEY="k", ZORAN_BASE_URL="u", ZORAN_HAPROXY_RUN_DIR="x",
        ZORAN_PORT="tcp://10.0.0.1:8080", ZORAN_SERVICE_HOST="10.0.0.1", ZORAN_SERVICE_PORT_HTTP="8080",
        ZORAN_GATEWAY_PORT_8080_TCP_ADDR="10.0.0.1",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("server:\n  prot: 1\n", "zoran.yaml:2: server.prot: no such field; did you mean 'port'?"),
        ("servers: {}\n", "zoran.yaml:1: servers: no such field; did you mean 'server'?"),
        ("\nserver:\n  port: x\n", 'zoran.yaml:3: server.port: found "x", expected a valid integer'),
        ("server: {port: true}", "zoran.yaml:1: server.port: found true, expected a valid integer"),
        ('server: {port: "80"}', 'server.port: found "80", expected a valid integer'),
        (
            "server:\n  port: 70000\n",
            "zoran.yaml:2: server.port: found 70000, expected less than or equal to 65535",
        ),
        ("log: {level: loud}", "log.level: found \"loud\", expected 'debug', 'info', 'warning' or 'error'"),
        ("server: 3", "zoran.yaml:1: server: found 3, expected an object"),
        ("server:", "zoran.yaml:1: server: found null, expected an object"),
        ("- 1", "zoran.yaml:1: found a list, expected a mapping"),
        ("state_dir: 3", "state_dir: found 3, expected a valid string"),
    ],
)
def test_mistakes_in_files(load_here: Load, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "here/zoran.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_here()
    assert message in caught.value.message


def test_a_mistake_is_told_even_where_a_flag_hides_it(load_here: Load, tmp_path: Path) -> None:
    (tmp_path / "here/zoran.yaml").write_text("server: {port: x}")
    with pytest.raises(ConfigError, match="found"):
        load_here({"server.port": 8080})


def test_all_mistakes_of_a_source_are_told_at_once(load_here: Load, tmp_path: Path) -> None:
    (tmp_path / "here/zoran.yaml").write_text("server:\n  port: x\n  host: 3\n")
    with pytest.raises(ConfigError) as caught:
        load_here()
    assert len(caught.value.message.splitlines()) == 2


def test_budgets(load_here: Load, tmp_path: Path) -> None:
    assert load_here().settings.budget == BudgetSettings()
    loaded = load_here(ZORAN_BUDGET__USD_PER_DAY="5", ZORAN_BUDGET__USD_PER_REQUEST="0.1")
    assert loaded.settings.budget == BudgetSettings(usd_per_day=5.0, usd_per_request=0.1)
    for wrong in ("-1", ".nan", ".inf", "1e9", "five", "true"):
        (tmp_path / "here/zoran.yaml").write_text(f"budget:\n  usd_per_day: {wrong}\n")
        with pytest.raises(ConfigError, match=r"zoran\.yaml:2: budget\.usd_per_day"):
            load_here()


def test_mistakes_in_variables_and_flags(load_here: Load) -> None:
    with pytest.raises(ConfigError, match=r'variable ZORAN_SERVER__PORT: server\.port: found "x"'):
        load_here(ZORAN_SERVER__PORT="x")
    with pytest.raises(
        ConfigError, match="ZORAN_SERVER_PORT: no such setting; did you mean 'ZORAN_SERVER__PORT'"
    ):
        load_here(ZORAN_SERVER_PORT="1")
    with pytest.raises(ConfigError, match=r"flag --log-format: log\.format: found \"x\", expected 'auto'"):
        load_here({"log.format": "x"})


def test_a_long_value_is_cut(load_here: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load_here({"log.format": "x" * 5000})
    assert len(caught.value.message) < 300


def test_privacy_profiles_are_named(load_here: Load, tmp_path: Path) -> None:
    (tmp_path / "here/zoran.yaml").write_text(
        "privacy:\n  profiles: {strict: {mode: reject, kinds: [EMAIL]}}\n  tenants: {acme: strict}\n"
    )
    privacy = load_here().settings.privacy
    assert (privacy.profile_of("acme"), privacy.profile_of("")) == ("strict", "default")
    assert privacy.profiles["default"] == PrivacyProfile()
    assert privacy.profiles["strict"].kinds == ("EMAIL",)
    # What a variable names may be defined in a file.
    assert load_here(ZORAN_PRIVACY__PROFILE="strict").settings.privacy.profile_of("") == "strict"
    settings = load_here(
        ZORAN_PRIVACY__PROFILES="{x: {mode: off}}",
        ZORAN_PRIVACY__TENANTS="{acme: x}",
        ZORAN_PRIVACY__PLUGINS="[a:B]",
        ZORAN_PRIVACY__VAULT_TTL_S="60",
    ).settings.privacy
    assert (settings.tenants, settings.plugins, settings.vault_ttl_s) == ({"acme": "x"}, ("a:B",), 60.0)
    assert settings.profiles["x"].mode == "off"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("profile: nix", r"zoran.yaml:2: privacy.profile: there is no profile 'nix'; there are default"),
        ("tenants: {a: nix}", r"zoran.yaml:2: privacy.tenants.a: there is no profile 'nix'"),
        ("profiles: {x: {mode: mask}}", r"privacy.profiles.x.mode: found \"mask\", expected 'off'"),
        ("profiles: {x: {kinds: [FACE]}}", r"privacy.profiles.x.kinds\[0\]: found \"FACE\""),
        ("profiles: {x: {mod: off}}", r"privacy.profiles.x.mod: no such field; did you mean 'mode'"),
        ("plugins: a:B", r"privacy.plugins: found \"a:B\", expected a valid array"),
    ],
)
def test_mistakes_in_privacy(load_here: Load, tmp_path: Path, said: str, told: str) -> None:
    (tmp_path / "here/zoran.yaml").write_text(f"privacy:\n  {said}\n")
    with pytest.raises(ConfigError, match=told):
        load_here()


def test_a_variable_that_should_be_a_list(load_here: Load) -> None:
    with pytest.raises(ConfigError, match="variable ZORAN_PRIVACY__PLUGINS"):
        load_here(ZORAN_PRIVACY__PLUGINS="a:B")
    with pytest.raises(ConfigError, match="variable ZORAN_PRIVACY__TENANTS:1: not valid YAML"):
        load_here(ZORAN_PRIVACY__TENANTS="{a: b")
