"""Secrets are found, never shown, and the worst text does not take long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.policy import Policy, PolicyEngine, read_policy, shipped_policy_file

ENGINE = PolicyEngine(read_policy(shipped_policy_file()))

# Put together here, so that no scanner takes this file for a leak.
SECRETS = {
    "aws": "AKIA" + "QX7RT2LMNB4VZ9KD",
    "github": "ghp" + "_" + "a8Kd02mZq7Lw5Xc9Rt3Vb6Ny1Hj4Gf0PsUe2",
    "openai": "sk-" + "proj-a8Kd02mZq7Lw5Xc9Rt3Vb6Ny1Hj4",
    "pem": "-----BEGIN RSA PRIVATE KEY-----\n"
    + "MIIEpAIBAAKCAQEA7x9v\n" * 6
    + "-----END RSA PRIVATE KEY-----",
    "url": "postgres://admin:" + "s3cr3tPa55@db.internal/x",
    "assigned": 'API_TOKEN = "' + "q8Zt2Lw9Xk4Vb7Nc1Rm5" + '"',
    "slack": "https://hooks.slack.com/services/T0A1B2C3D/B0A1B2C3D/" + "a8Kd02mZq7Lw5Xc9Rt3Vb6Ny",
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_found_and_not_shown(name: str) -> None:
    text = f"first line\nconfig: {SECRETS[name]}\n"
    decision = ENGINE.decide_text(text, "the message")
    assert decision.verdict == "deny"
    assert decision.rule.startswith("secrets.")
    assert "the message, line 2" in decision.reason
    assert SECRETS[name][-12:] not in repr(decision)
    redacted = ENGINE.redact(text)
    assert SECRETS[name] not in redacted
    assert redacted.startswith("first line\nconfig: ")
    assert ENGINE.decide_text(redacted).allowed


@pytest.mark.parametrize(
    "text",
    ["", "x=1", "def key(token): return token", "sk-xxxxxxxxxxxxxxxxxxxxxxxx", 'password = "changeme"'],
)
def test_ordinary_text_is_none(text: str) -> None:
    assert ENGINE.decide_text(text).allowed
    assert ENGINE.redact(text) == text


_PIECES = st.sampled_from([*SECRETS.values(), "a", "\n", "=", '"', "key", "é", "+"])


@given(st.lists(_PIECES, max_size=12).map(" ".join))
def test_what_was_redacted_holds_no_secret_any_more(text: str) -> None:
    redacted = ENGINE.redact(text)
    assert not any(SECRETS[name] in redacted for name in ("aws", "github", "openai", "pem", "slack"))
    assert redacted.count("\n") <= text.count("\n")


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "piece",
    [
        "hooks.slack.com/services/AAAAAAAA/",
        "AccountKey=" + "A" * 90,
        "123456789:AA",
        "/proc/",
        "os._exit   ",
        "key=",
        "\n",
    ],
)
def test_the_worst_text_is_read_in_time(piece: str) -> None:
    # No time is asserted: what backtracks would never return.
    text = (piece * (200_000 // len(piece) + 1))[:200_000]
    assert ENGINE.decide_text(text).steps
    assert ENGINE.decide_text(text + "!").steps


def test_detectors_can_be_chosen() -> None:
    policy = Policy.model_validate({"secrets": {"detectors": ["private_key"]}})
    assert PolicyEngine(policy).decide_text(SECRETS["aws"]).allowed
    assert not PolicyEngine(policy).decide_text(SECRETS["pem"]).allowed
