"""Three hosts from nothing: how long to the first token, who is where, who answers whom."""

import time
from collections import Counter

from tests.cluster_hosts.load import Known, under_load
from tests.cluster_hosts.network import WAIT_S
from tests.cluster_hosts.records import publish_beside
from tests.cluster_hosts.town import WORKERS, Town
from tests.waiting import until

ENTRIES = ("head", *WORKERS)
LONGEST_S = 300.0


def test_a_cold_cluster_answers(begun: Town) -> None:
    until("somebody answers", lambda: any(map(begun.answers, ENTRIES)), LONGEST_S, 0.2)
    first = time.monotonic() - begun.began
    begun.until_whole()
    publish_beside("cold start", {"first_token_s": first, "whole_s": time.monotonic() - begun.began})


def test_each_worker_has_the_replica_that_its_gpu_is_for(town: Town) -> None:
    addresses = sorted(row["base_url"].split("/")[2].split(":")[0] for row in town.serving())
    assert addresses == sorted(town.hosts[name].address for name in WORKERS)
    assert town.hosts["head"].named("VLLM") == [], "the head has no GPU"


def test_requests_at_every_host_reach_every_replica(town: Town, known: Known) -> None:
    pids = {name: _served(town, name) for name in WORKERS}
    with under_load(town, known, ENTRIES) as load:
        until("all have answered", lambda: min(load.answered(name) for name in ENTRIES) >= 25, WAIT_S)
    assert load.count() == Counter(answered=len(load.seen)), load.odd()
    assert all(_served(town, name) > pids[name] for name in WORKERS), "both replicas had work"


def _served(town: Town, name: str) -> float:
    """Tokens the replica of that host has made, by vLLM's own count."""
    return town.engine_count(name, "vllm:generation_tokens_total")
