"""The hosts themselves, without a cluster: they are apart, can be cut off, and leave nothing."""

import os

import pytest

from tests.cluster_hosts.network import WAIT_S, Host, Switch, ask_to_end, why_not
from tests.waiting import until

ENV = {"PATH": os.environ["PATH"]}


@pytest.fixture
def one(switch: Switch) -> Host:
    return switch.host(f"t{len(list(switch.folder.iterdir()))}")


def reaches(host: Host, address: str) -> bool:
    probe = f"import socket; socket.create_connection(('{address}', 9), 1)"
    error = host.run(["python3", "-c", probe], ENV).stderr
    return "refused" in error  # by a host that is there


def test_hosts_reach_one_another_unless_a_cable_is_out(switch: Switch, one: Host) -> None:
    other = switch.host(f"u{one.name}")
    assert reaches(one, other.address)
    assert reaches(one, switch.outside)
    other.unplug()
    assert not reaches(one, other.address)
    other.plug()
    until("the link is back", lambda: reaches(one, other.address), 10)


def test_a_host_has_its_own_name_processes_and_files(one: Host) -> None:
    seen = one.run(["sh", "-c", "hostname; ls /tmp /dev/shm; echo $$; touch /tmp/x"], ENV).stdout.split()
    assert seen[0] == one.name
    assert int(seen[-1]) < 100, "its processes are counted from one"
    assert (one.disk / "tmp" / "x").exists()


def test_what_runs_there_can_be_asked_to_end_and_dies_with_the_host(one: Host) -> None:
    log = one.disk / "log"
    polite = one.start(["sleep", "60"], ENV, log)
    until("it runs", lambda: bool(one.named("sleep 60")), WAIT_S)
    ask_to_end(polite)
    assert polite.wait(10) != 0
    stubborn = one.start(["sh", "-c", "trap '' TERM; sleep 61; sleep 61"], ENV, log)
    until("it runs", lambda: bool(one.named("sleep 61")), WAIT_S)
    one.power_off()
    assert stubborn.wait(10) != 0
    one.power_on()
    assert one.named("sleep 61") == []


def test_who_is_not_root_is_told_why_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "root" in why_not()
