"""Places to deploy to in the settings: a mistake is told at its own place, by what it is."""

from typing import Any

import pytest
import yaml

from zoran_ray.config.validation import validated
from zoran_ray.errors import ConfigError
from zoran_ray.settings import Settings


def read(text: str) -> Settings:
    data: dict[str, Any] = {"autopilot": {"targets": {"web": yaml.safe_load(text)}}}
    return validated(Settings, data, lambda path: "f.yaml")


def test_a_target_is_read() -> None:
    found = read("{kind: render, service: srv-1, token_file: /run/secrets/render}").autopilot.targets["web"]
    assert found.kind == "render"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "{kind: render, servic: s, token_file: /a}",
            "targets.web.servic: no such field; did you mean 'service'?",
        ),
        ("{kind: render, service: s}", "targets.web.token_file: this field is required"),
        ("{kind: rendr}", "targets.web: kind is 'rendr', expected 'command', 'compose'"),
        ("{service: s}", "targets.web: kind is missing"),
        (
            "{kind: render, service: s, token_file: the-token}",
            "targets.web.token_file: this is not a whole path",
        ),
        (
            "{kind: render, service: s, token_file: /a, api_url: 'http://a.b'}",
            "targets.web.api_url: a token needs",
        ),
        (
            "{kind: command, folder: /x, deploy: [a]}",
            "targets.web: deploy: the placeholder {commit} is missing",
        ),
        ("{kind: command, folder: /x, deploy: 'a {commit}'}", "targets.web.deploy: "),
    ],
)
def test_a_mistake_is_told_where_it_is(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert told in str(caught.value)
    assert "the-token" not in str(caught.value)
