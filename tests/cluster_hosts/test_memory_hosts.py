"""The memory on several hosts: two copies on different ones, and nothing lost with a host."""

from pathlib import Path

from tests.cluster_hosts.ledger import Ledger
from tests.cluster_hosts.network import WAIT_S
from tests.cluster_hosts.records import publish_beside
from tests.cluster_hosts.town import Town
from tests.waiting import until


def copies(town: Town, text: str) -> list[str]:
    """Hosts on whose disks the memory's log has this text."""
    return [
        name for name, host in town.hosts.items() if _has(host.disk / "state" / "memory", text.encode())
    ]


def _has(folder: Path, text: bytes) -> bool:
    return any(text in path.read_bytes() for path in folder.glob("*/*") if path.is_file())


def test_every_record_is_on_two_hosts_and_outlives_one(town: Town) -> None:
    ledger = Ledger(town, "head", "calm")
    ledger.open()
    until("there are records", lambda: len(ledger.texts) >= 40, WAIT_S)
    ledger.close()
    for text in ledger.texts.values():
        assert len(copies(town, text)) == 2, text
    town.power_off("beta")
    with town.client("head") as client:
        for record, text in ledger.texts.items():
            answer = client.get(f"/v1/memory/{record}")
            assert answer.status_code == 200, answer.text
            assert answer.json()["text"] == text
    town.power_on("beta")
    whole = town.until_whole()
    lost, doubled = ledger.faults("head")
    assert not any((*lost.values(), *doubled.values())), (lost, doubled)
    publish_beside("a host without current, while nothing asks", {"whole_again_s": whole})
