"""What breaks in a cluster, broken under load; each ends with every host answering again.

Promised: a request at a host that is not itself broken is answered or refused cleanly within its deadline,
and nothing that was acknowledged is lost or doubled.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from tests.cluster_hosts.ledger import Ledger
from tests.cluster_hosts.load import Known, Load, under_load
from tests.cluster_hosts.network import WAIT_S
from tests.cluster_hosts.records import FaultRecord, publish
from tests.cluster_hosts.town import MODEL, START_S, WORKERS, Town
from tests.waiting import until

ENTRIES = ("head", *WORKERS)
CALM = 15
"""Answers at each host before anything is broken."""
SETTLES_S = 10.0
"""Longest that five answers at each host take where nothing is broken any more."""
AWAY_S = 15.0
Fault = Callable[[Town, Load], object]


@contextmanager
def busy(town: Town, known: Known, ledger: Ledger) -> Iterator[Load]:
    """Requests at every host, writes and a batch."""
    with under_load(town, known, ENTRIES) as load:
        ledger.open()
        try:
            until("all answer", lambda: min(load.answered(name) for name in ENTRIES) >= CALM, WAIT_S)
            until("records are kept", lambda: len(ledger.texts) >= CALM, WAIT_S)
            yield load
        finally:
            ledger.close()


def suffered(
    town: Town,
    known: Known,
    name: str,
    fault: Fault,
    healthy: Sequence[str],
    writes_at: str,
    entries: tuple[str, ...] = ENTRIES,
) -> FaultRecord:
    """Break something under load and say what it cost.

    Args:
        healthy: Hosts whose clients must be answered or refused.
        writes_at: Host that the ledger writes at.
        entries: Hosts that have to answer in the end.
    """
    ledger = Ledger(town, writes_at, f"f{int(time.time())}")
    with busy(town, known, ledger) as load:
        began = time.monotonic()
        fault(town, load)
        whole = _whole_again(town, load, began, entries)
    lost, doubled = ledger.faults(writes_at)
    count = load.count()
    record = FaultRecord(
        name, count.total(), count["answered"], count["refused"], count["cut"], count["unreachable"],
        count["hung"], count["wrong"] + count["broken"], load.errors_gone_s(began, healthy), whole,
        lost, doubled, _beside(ledger) | {"slowest_s": round(load.slowest_s(healthy), 1)},
    )  # fmt: skip
    publish(record)
    check(record, load, healthy)
    return record


def _beside(ledger: Ledger) -> dict[str, float]:
    return {
        "writes": len(ledger.texts),
        "writes_refused": ledger.refused,
        "memory_behind_s": round(ledger.behind_s, 1),
        "tasks": len(ledger.tasks.begun),
        "tasks_refused": ledger.tasks.refused,
        "load_average": round(os.getloadavg()[0], 1),
    }


def _whole_again(town: Town, load: Load, began: float, entries: tuple[str, ...]) -> float | None:
    """Seconds from `began`; None if it took too long: the record says the rest."""
    try:
        while True:
            town.until_whole(entries)
            whole = time.monotonic()
            before = {entry: load.answered(entry) for entry in entries}
            until(
                "all answer again",
                lambda: all(load.answered(e) >= before[e] + 5 for e in entries),  # noqa: B023
                WAIT_S,
            )
            # Else it was whole for a moment only.
            if time.monotonic() - whole < SETTLES_S:
                return whole - began
    except TimeoutError:
        return None


def check(record: FaultRecord, load: Load, healthy: Sequence[str]) -> None:
    """The promise."""
    assert record.whole_again_s is not None, "the cluster did not mend itself"
    assert load.odd() == []
    clean = set(load.count(healthy)) <= {"answered", "refused"}
    assert clean, {entry: load.count([entry]) for entry in ENTRIES}
    assert not any((*record.lost.values(), *record.doubled.values())), record


def test_the_gcs_is_killed_with_redis_behind_it(town: Town, known: Known) -> None:
    """With it goes all of the head, and whoever runs it starts it again; workers serve meanwhile."""
    replicas = {row["replica_id"] for row in town.serving()}

    def fault(town: Town, load: Load) -> None:
        starts = town.starts()
        assert town.hosts["head"].kill("gcs_server")
        until("there is a head again", lambda: town.starts() > starts, START_S, 0.5)

    suffered(town, known, "SIGKILL of the GCS", fault, WORKERS, "alpha")
    assert {row["replica_id"] for row in town.serving()} == replicas, "no engine had to go for it"


def test_a_raylet_is_killed(town: Town, known: Known) -> None:
    def fault(town: Town, load: Load) -> None:
        assert town.hosts["beta"].kill("/raylet ")
        until("its replica is missed", lambda: len(town.serving()) < len(WORKERS), WAIT_S)

    suffered(town, known, "SIGKILL of a worker's raylet", fault, ("head", "alpha"), "alpha")


def test_a_node_is_cut_off_and_comes_back(town: Town, known: Known) -> None:
    def fault(town: Town, load: Load) -> None:
        town.hosts["beta"].unplug()
        time.sleep(AWAY_S)
        town.hosts["beta"].plug()

    suffered(town, known, f"a node cut off for {AWAY_S:g} s", fault, ("head", "alpha"), "alpha")


def test_redis_stops_and_comes_back(town: Town, known: Known) -> None:
    def fault(town: Town, load: Load) -> None:
        assert town.hosts["redis"].kill("redis-server")
        time.sleep(AWAY_S)
        town.start_redis()

    suffered(town, known, f"Redis away for {AWAY_S:g} s", fault, WORKERS, "alpha")


def test_a_node_is_added_and_another_leaves_in_order(town: Town, known: Known) -> None:
    """A third worker takes over what the one that leaves had."""

    def fault(town: Town, load: Load) -> None:
        town.add_worker("gamma")
        town.leave("beta")

    entries = ("head", "alpha")
    suffered(town, known, "a node added, another drained", fault, entries, "alpha", entries)
    homes = {row["base_url"].split("/")[2].split(":")[0] for row in town.serving()}
    assert homes == {town.hosts["alpha"].address, town.hosts["gamma"].address}
    # The tests after this one know two workers.
    town.power_off("gamma")
    town.power_off("beta")
    town.power_on("beta")


def test_the_disk_with_the_journal_is_full(town: Town, known: Known) -> None:
    """What would have to be kept is refused, what was acknowledged is there; with room it goes on."""

    def fault(town: Town, load: Load) -> None:
        with town.hosts["head"].full("state"):
            time.sleep(AWAY_S)
        until("records are kept again", lambda: keeps("alpha"), WAIT_S, 0.5)

    def keeps(entry: str) -> bool:
        draft = {"subject": "room", "text": "there is room", "purpose": "knowledge", "layer": "long"}
        with town.client(entry) as client:
            return client.post("/v1/memory", json=draft).status_code == 200

    record = suffered(town, known, f"disk of the journal full for {AWAY_S:g} s", fault, ENTRIES, "alpha")
    assert record.beside["writes_refused"], "nothing says that it is kept while nothing can be"


def test_a_model_is_replaced_by_one_with_another_setting(town: Town, known: Known) -> None:
    """With room for one more replica: it comes first, and only then one of the old goes."""
    before = {row["generation"] for row in town.serving()}

    def fault(town: Town, load: Load) -> None:
        town.add_worker("gamma")
        read = town.models_read()
        town.configure(MODEL | {"engine_args": {**MODEL["engine_args"], "max_num_seqs": 6}})
        until("the file is read", lambda: town.models_read() > read, WAIT_S, 0.5)
        done = town.zoran("models", "load", "pocket", timeout_s=START_S)
        assert done.returncode == 0, done.stderr

    suffered(town, known, "rolling upgrade with a changed setting", fault, ENTRIES, "alpha")
    after = {row["generation"] for row in town.serving()}
    assert len(after) == 1
    assert not after & before
    assert {row["capacity"] for row in town.serving()} == {6}
    town.power_off("gamma")


@pytest.fixture(autouse=True)
def _restored(town: Town) -> Iterator[None]:
    """The next test must not pay for one that broke off half-way."""
    yield
    town.restore()
