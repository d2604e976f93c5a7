"""The shipped policy is right and complete, and its schema says what the models say."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import jsonschema
import pytest

from zoran_ray.config.document import read_document
from zoran_ray.errors import ConfigError
from zoran_ray.policy import (
    Policy,
    PolicyEngine,
    load_policy,
    policy_schema,
    read_policy,
    schema_text,
    shipped_policy_file,
)
from zoran_ray.policy.document import Rules
from zoran_ray.policy.strictness import marker_of
from zoran_ray.sandbox.limits import Limits

FILE = shipped_policy_file()
ENGINE = PolicyEngine(read_policy(FILE))


def test_the_schema_is_that_of_the_models() -> None:
    assert FILE.with_name("policy.schema.json").read_text() == schema_text(), (
        "run: zoran policy schema > policy/policy.schema.json"
    )


def test_the_policy_fits_its_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(policy_schema())
    jsonschema.Draft202012Validator.check_schema(policy_schema(override=True))
    jsonschema.validate(read_document(FILE).data, policy_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"mode_maxx": "advisor"}, policy_schema())


def _settings(model: Any, place: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        if marker_of(field):
            yield place + name
        else:
            yield from _settings(field.annotation, f"{place}{name}.")


def test_the_policy_names_every_setting() -> None:
    data = read_document(FILE).data
    unsaid = {"paths.only"}  # for overrides
    for setting in set(_settings(Policy)) - unsaid:
        section, _, name = setting.partition(".")
        assert section in data, setting
        assert not name or name in data[section], setting


def test_the_commented_override_is_right_too() -> None:
    lines = FILE.read_text().splitlines()
    start = lines.index("repositories: {}")
    shown = [line.replace("#", "", 1) for line in lines[start + 1 :] if line.startswith("#  ")]
    text = "\n".join([*lines[:start], "repositories:", *shown])
    policy = load_policy(text.encode(), "shipped")
    assert list(policy.repositories) == ["github.com/acme/payments"]


def test_every_rule_that_forbids_has_an_example() -> None:
    policy = ENGINE.policy
    for rule in (*policy.paths.forbid, *policy.paths.ask, *policy.forbidden, *policy.secrets.patterns):
        assert rule.match, rule.name
    assert all(rule.why for rule in (*policy.paths.forbid, *policy.forbidden))


def test_the_sandbox_takes_the_limits() -> None:
    limits = ENGINE.policy.sandbox.limits()
    assert asdict(Limits(**limits)) == {**limits, "environment": {}}  # type: ignore[arg-type]
    assert limits == Policy().sandbox.limits()


def test_by_default_nothing_is_merged_or_deployed() -> None:
    assert not ENGINE.policy.merge.allowed
    assert not ENGINE.policy.deploy.allowed
    assert ENGINE.policy.sandbox.network == "none"
    assert not ENGINE.decide_mode("sovereign").allowed


@pytest.mark.parametrize(
    ("path", "operation", "verdict"),
    [
        ("src/app.py", "modify", "allow"),
        ("tests/test_app.py", "add", "allow"),
        ("tests/test_app.py", "modify", "deny"),
        ("tests/conftest.py", "add", "deny"),
        ("evil.pth", "add", "deny"),
        (".github/workflows/ci.yml", "add", "deny"),
        ("src/auth/login.py", "modify", "needs_person"),
        ("app/.env", "read", "deny"),
        ("Makefile", "read", "allow"),
        ("Makefile", "modify", "deny"),
    ],
)
def test_what_the_shipped_policy_allows(path: str, operation: Any, verdict: str) -> None:
    assert ENGINE.decide_path(path, operation).verdict == verdict


def test_a_broken_example_is_found() -> None:
    text = FILE.read_text().replace("not_match: [Dockerfile, .env]", "not_match: [main.py]")
    with pytest.raises(ConfigError, match=r"rule 'code' matches 'main\.py'"):
        load_policy(text.encode(), "shipped")


def test_rules_and_policy_share_their_settings() -> None:
    assert set(Policy.model_fields) - set(Rules.model_fields) == {"version", "repositories"}
