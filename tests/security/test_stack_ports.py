"""Every socket of a whole server: known to the table, where the table says, and closed to strangers."""

import pytest

from tests.security.locked import Locked
from tests.security.ports import ONE_MACHINE, check

pytestmark = pytest.mark.integration


def test_every_port_is_known_and_refuses_strangers(locked: Locked) -> None:
    seen = check(locked.stack)
    assert seen["haproxy"] == 1, "the endpoint, and nothing else of HAProxy's"
    assert seen["gcs_server"] >= 1
    engine = {"VLLM::", "ray::ServeReplica:model"}
    # Ray gives these the same ports in each cluster: beside another one on the machine they do without.
    first_come = {"ray::DashboardAgent", "dashboard.py", "monitor.py"}
    assert {port.process for port in ONE_MACHINE} - set(seen) <= engine | first_come
