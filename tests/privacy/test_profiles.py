from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from zoran_ray.errors import ConfigError
from zoran_ray.privacy import KEY_FILE, Finding, Profiles, prepare_privacy, vault_folder
from zoran_ray.settings import PrivacyProfile, PrivacySettings

TEXT = "Jean, jean@example.fr, 06 12 34 56 78"
HERE = "tests.privacy.test_profiles"


class Names:
    kinds = ("NAME", "STREET")

    def find(self, text: str) -> Iterable[Finding]:
        return [Finding("NAME", 0, 4), Finding("STREET", 4, 5)]


class NoKinds:
    def find(self, text: str) -> Iterable[Finding]:
        return ()


class Lower(Names):
    kinds = ("name",)  # type: ignore[assignment]


class Broken:
    def __init__(self) -> None:
        raise OSError("no model")


def profiles(**fields: Any) -> Profiles:
    return Profiles(PrivacySettings(plugins=(f"{HERE}:Names",), **fields))


def found(profiles: Profiles, tenant: str = "", **chosen: Any) -> list[str]:
    return [each.kind for each in profiles.of(tenant).scanner_for(**chosen).scan(TEXT)]


def test_each_tenant_has_its_profile() -> None:
    mail = PrivacyProfile(kinds=("EMAIL",), mode="always")
    own = profiles(profiles={"mail": mail}, tenants={"acme": "mail"})
    assert found(own) == ["NAME", "STREET", "EMAIL", "PHONE"]
    assert found(own, "acme") == ["NAME", "STREET", "EMAIL"]
    assert (own.of("").mode, own.of("acme").mode, own.of("", "mail").mode) == ("remote", "always", "always")
    assert {"NAME", "EMAIL"} <= own.kinds
    with pytest.raises(ConfigError, match="there are default, mail"):
        own.of("", "nix")


def test_kinds_and_regions_can_be_chosen() -> None:
    own = profiles()
    assert found(own, kinds=["STREET", "PHONE"]) == ["STREET", "PHONE"]
    assert found(own, kinds=["PHONE"], regions=["US"]) == []
    assert found(own, regions=["US"]) == ["NAME", "STREET", "EMAIL"]
    with pytest.raises(ConfigError, match="FACE"):
        found(own, kinds=["FACE"])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("no.such.module:X", "ModuleNotFoundError"),
        (f"{HERE}:Nobody", "AttributeError"),
        ("nonsense", "ModuleNotFoundError"),
        ("", "ValueError"),
        (f"{HERE}:Broken", "OSError: no model"),
        (f"{HERE}:NoKinds", "is no privacy plug-in"),
        (f"{HERE}:Lower", "use 2 to 24 capitals"),
    ],
)
def test_a_plugin_that_is_none(name: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Profiles(PrivacySettings(plugins=(name,)))


def test_a_server_makes_its_key_before_it_starts(tmp_path: Path) -> None:
    off = PrivacySettings(profiles={"default": PrivacyProfile(mode="off")})
    prepare_privacy(off, tmp_path)
    assert not vault_folder(tmp_path).exists()
    prepare_privacy(PrivacySettings(), tmp_path)
    key = (vault_folder(tmp_path) / KEY_FILE).read_bytes()
    prepare_privacy(PrivacySettings(), tmp_path)
    assert (vault_folder(tmp_path) / KEY_FILE).read_bytes() == key
    with pytest.raises(ConfigError, match="region"):
        prepare_privacy(PrivacySettings(profiles={"x": PrivacyProfile(phone_regions=("XX",))}), tmp_path)
