"""Memory, journal and privacy on a running server, as the README shows them."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration.stack import Stack, until

pytestmark = [pytest.mark.integration, pytest.mark.engine]


@pytest.fixture(scope="module")
def http(base_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=base_url, timeout=90) as made:
        yield made


def asked(http: httpx.Client, path: str, **body: Any) -> Any:
    answer = http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def found(http: httpx.Client, text: str) -> list[str]:
    return [hit["text"] for hit in asked(http, "memory/search", text=text)["data"]]


def test_what_was_remembered_is_found_told_to_a_model_and_forgotten(
    http: httpx.Client, stack: Stack
) -> None:
    secret = "The heron's code is 7731."
    asked(http, "memory", subject="heron", text=secret, purpose="knowledge", layer="long")
    assert secret in found(http, "heron code")
    wish = {"subject": "heron", "read": True, "write": True}
    answer = http.post(
        "chat/completions",
        json={
            "model": "local/pocket",
            "messages": [{"role": "user", "content": "What is 17+25?"}],
            "zoran": {"memory": wish},
        },
    )
    assert answer.json()["choices"][0]["message"]["content"] == "42"
    assert answer.headers["x-zoran-memory"]
    until("the conversation is remembered", lambda: "What is 17+25?" in found(http, "What is 17+25?"))
    assert asked(http, "memory/forget", subject="heron")["forgotten"] >= 3
    assert secret not in found(http, "heron code")
    asked(http, "memory/compact")
    folders = [folder / "memory" for folder in stack.folders()]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert not any(b"heron" in path.read_bytes() for path in files)


def test_the_journal_of_a_running_server_can_be_verified_beside_it(
    http: httpx.Client, stack: Stack
) -> None:
    asked(http, "memory", subject="swan", text="A swan.", purpose="knowledge", layer="long")
    head = http.get("journal/head").json()
    assert head["size"] > 0
    tail = stack.zoran("journal", "tail", "--json").stdout
    assert "swan" not in tail.lower()
    assert json.loads(tail)["entries"][-1]["kind"] == "memory.write"
    verdict = json.loads(stack.zoran("journal", "verify", "--json").stdout)
    assert verdict["integrity"] == "intact"
    asked(http, "memory/forget", subject="swan")


def test_masking_by_hand(http: httpx.Client) -> None:
    masked = asked(http, "privacy/mask", text="Write to anna@example.org")
    assert "anna" not in masked["text"]
    assert [finding["kind"] for finding in masked["findings"]] == ["EMAIL"]
    back = asked(http, "privacy/unmask", text=masked["text"])
    assert back["text"] == "Write to anna@example.org"
