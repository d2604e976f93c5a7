"""Every socket of the shared server, its engine's too: known to the table, and closed to strangers."""

import pytest

from tests.integration.stack import Stack, title_of
from tests.security.ports import check, listening

pytestmark = [pytest.mark.integration, pytest.mark.engine]


def test_every_port_is_known_and_refuses_strangers(stack: Stack) -> None:
    seen = check(stack, keys=False)
    assert seen["haproxy"] == 1
    assert seen["ray::ServeReplica:model"] >= 1


def test_the_secret_of_a_replica_is_seen_nowhere(stack: Stack) -> None:
    secrets = [replica["secret"].encode() for replica in stack.replicas()]
    assert secrets
    stack.note_shared_memory()
    files = (path for folder in stack.folders() for path in folder.rglob("*"))
    for path in (path for path in files if path.is_file() and not path.is_symlink()):
        assert not any(secret in path.read_bytes() for secret in secrets), path
    for process in stack.processes():
        assert not any(secret.decode() in title_of(process) for secret in secrets)


def test_engines_listen_on_loopback_alone(stack: Stack) -> None:
    engines = [socket for socket in listening(stack) if socket.title.startswith("VLLM::")]
    assert {socket.binds for socket in engines} <= {"loopback"}
