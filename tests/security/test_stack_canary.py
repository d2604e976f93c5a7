"""Secrets are planted in a whole server and used, rightly and wrongly; then all it wrote is searched."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engines.providers.fake_provider import says
from tests.engines.providers.speeches import Said, error
from tests.integration.routing_providers import ANTHROPIC_KEY, OPENAI_KEY
from tests.integration.routing_stack import CLAUDE, KEY_FILE, OPENAI
from tests.integration.stack import title_of, until
from tests.security.locked import STRANGERS_KEY, Locked

pytestmark = pytest.mark.integration

PROMPT = "a prompt with the words c4narY-prompt-9d1"
HELLO = {"model": OPENAI, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 16}


@dataclass
class Told:
    """What the server let out while secrets were used.

    Attributes:
        secrets: What must not be seen, by name.
        texts: What it answered, printed and sent, by where.
        folders: Where it writes.
    """

    secrets: dict[str, bytes]
    texts: dict[str, bytes]
    folders: list[Path]


def planted(locked: Locked) -> dict[str, bytes]:
    """Every secret of this server, by name."""
    gcs = locked.stack.process("gcs_server")
    return {
        "provider key": OPENAI_KEY.encode(),
        "provider key in a file": ANTHROPIC_KEY.encode(),
        "API key": locked.key.encode(),
        "a stranger's key": STRANGERS_KEY.encode(),
        "cluster token": gcs.environ()["RAY_AUTH_TOKEN"].encode(),
        "TLS key": locked.pair.key.read_bytes().splitlines()[1],
        "journal key": (locked.stack.state_dir / "journal.key").read_bytes(),
        "prompt": b"c4narY-prompt-9d1",
    }


@pytest.fixture(scope="module")
def told(locked: Locked) -> Told:
    """Use them all, then gather what came out."""
    texts: dict[str, bytes] = {}
    with locked.client() as asking, locked.client(STRANGERS_KEY) as stranger:
        chat = "/v1/chat/completions"
        texts["refusal"] = shown(stranger.post(chat, json=HELLO))
        texts["answer"] = shown(asking.post(chat, json=HELLO))
        texts["stream"] = shown(asking.post(chat, json=HELLO | {"stream": True}))
        texts["memory"] = shown(asking.post("/v1/memory", json=RECORD))
        texts["no such model"] = shown(asking.post(chat, json=HELLO | {"model": "no/such"}))
        for name, provider, key in (
            (OPENAI, locked.providers.openai, OPENAI_KEY),
            (CLAUDE, locked.providers.anthropic, ANTHROPIC_KEY),
        ):
            provider.will(says(provider.speech.bad_key(key)))
            texts[f"{name}: bad key"] = shown(asking.post(chat, json=HELLO | {"model": name}))
            provider.will(
                says(Said(error(f"No {key} here.", "invalid_request_error"), 400, {"x-echo": key}))
            )
            texts[f"{name}: quoted"] = shown(asking.post(chat, json=HELLO | {"model": name}))
        for path in ("/metrics", "/v1/models", "/v1/journal/entries", "/health", "/ready", "/nothing"):
            texts[path] = shown(asking.get(path))
    until("spans have left", lambda: len(locked.traces.heard) > 0, 60)
    time.sleep(3)
    texts["traces"] = b"".join(locked.traces.heard)
    for command in (("status", "--json"), ("models",), ("config", "show", "--origin"), ("keys", "list")):
        done = locked.stack.zoran(*command)
        texts[" ".join(command)] = f"{done.stdout}{done.stderr}".encode()
    for process in locked.stack.processes():
        texts[f"title of {process.pid}"] = title_of(process).encode()
    texts["log"] = (locked.stack.folder / "log").read_bytes()
    locked.stack.note_shared_memory()
    return Told(planted(locked), texts, locked.stack.folders())


RECORD = {"text": "the sky is blue", "source": "user:me", "subject": "me", "purpose": "tests"}


def shown(answer: object) -> bytes:
    """Head and body of an answer."""
    return f"{getattr(answer, 'headers', '')} {getattr(answer, 'text', '')}".encode()


def files(folders: list[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def test_they_were_used(told: Told) -> None:
    """Otherwise there would be nothing to see."""
    assert b"invalid_api_key" in told.texts["refusal"]
    assert b"total_tokens" in told.texts["answer"]
    assert b"zoran_" in told.texts["/metrics"]
    assert told.texts["traces"]
    assert all(told.secrets.values())
    assert len(told.secrets) == len(set(told.secrets.values()))


def test_no_answer_log_metric_span_or_command_line_has_one(told: Told) -> None:
    seen = [
        (where, name)
        for where, text in told.texts.items()
        for name, secret in told.secrets.items()
        if secret in text
    ]
    assert not seen


OWN = {
    "provider key in a file": {KEY_FILE},
    "TLS key": {"public.key", "tls.pem"},
    "journal key": {"journal.key"},
}


def test_no_file_has_one_but_its_own(told: Told) -> None:
    """State directory, Ray's session with its logs, HAProxy's folder."""
    found: dict[str, set[str]] = {name: set() for name in told.secrets}
    looked_at = 0
    for path in files(told.folders):
        try:
            content = path.read_bytes()
        except OSError:
            continue
        looked_at += 1
        for name, secret in told.secrets.items():
            if secret in content:
                found[name].add(path.name)
    assert looked_at > 50, "Ray's logs are among them"
    assert found == {name: OWN.get(name, set()) for name in told.secrets}


def test_files_with_secrets_are_their_owners_alone(told: Told) -> None:
    names = {"public.key", "tls.pem", "journal.key", "keys.sqlite", "journal-salts.sqlite", "server.json"}
    modes = {path.name: path.stat().st_mode & 0o077 for path in files(told.folders) if path.name in names}
    assert names - {"journal-salts.sqlite"} <= set(modes)
    assert not any(modes.values()), modes


def test_the_record_of_the_server_names_files_and_no_content(locked: Locked) -> None:
    record = json.loads((locked.stack.state_dir / "server.json").read_text())
    assert record["certificate"] == str(locked.pair.certificate)
    assert "PRIVATE" not in json.dumps(record)
