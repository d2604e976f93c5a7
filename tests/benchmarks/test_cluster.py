"""The cluster's benchmark in small: the control plane without Ray, figures, targets and the page."""

import asyncio
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.registry import HEARTBEAT_S, ReplicaRegistry
from benchmarks.cluster import decisions, failover, figures, hosts, learner, mailbox, scaling, snapshots
from benchmarks.cluster.__main__ import PARTS, main
from benchmarks.cluster.made_up import engines, model_infos, models_file, models_of, replica_infos
from benchmarks.cluster.prober import ANSWERED, Asked, probing, told
from benchmarks.cluster.report import markdown
from benchmarks.cluster.targets import COLD, targets
from benchmarks.readme import ROOT
from benchmarks.serving.contender import Endpoint
from benchmarks.serving.noop import serve
from benchmarks.serving.results import machine

# -- the control plane -----------------------------------------------------------------------------


@pytest.mark.parametrize("alone", [True, False])
def test_a_made_up_fleet_is_one_the_program_takes_for_real(alone: bool) -> None:
    models = models_of(40, alone=alone)
    infos, known = replica_infos(40, models), model_infos(models)
    assert len({info.replica_id for info in infos}) == 40
    assert {info.model for info in infos} == set(known)
    assert {model.public_name for model in models_file(models).models} == set(known)
    assert all(info.generation == known[info.model].generation for info in infos)


@pytest.mark.parametrize("alone", [True, False])
async def test_figures_of_a_picture_of_the_fleet(alone: bool) -> None:
    found = await snapshots.measure(20, alone=alone, turns=3, choices=20)
    assert (found["replicas"], found["models"]) == (20, 1 if alone else 2)
    for what in ("heartbeat_us", "build_us", "pickle_us", "unpickle_us", "apply_us"):
        median, low, high = found[what]
        assert 0 < low <= median <= high
    larger = await snapshots.measure(40, alone=alone, turns=3, choices=20)
    for what in ("bytes", "gateway_bytes", "registry_bytes"):
        assert found[what] < larger[what] < 3 * found[what], "it grows as the fleet does"
    assert set(found["choose_us"]) == set(found["home_us"]) == {"p50", "p95", "p99"}


def test_a_gateway_decides_by_its_own_router() -> None:
    found = decisions.measure(20, alone=False, requests=20)
    assert 0 < found["named_us"]["p50"] < found["auto_us"]["p50"]


async def test_all_reports_are_learned() -> None:
    found = await learner.measure(3, gateways=2, batches=1, choices=20)
    assert found["reports"] == 2 * learner.BATCH
    assert 0 < found["learned_per_s"] <= found["recorded_per_s"]
    assert found["bytes"] > 3 * 19 * 64 * 8, "the weights of three arms"


class Handle:
    """A handle of an actor that is not one: calls go to the object itself."""

    def __init__(self, registry: ReplicaRegistry) -> None:
        self._registry = registry

    def __getattr__(self, name: str) -> Any:
        method: Callable[..., Any] = getattr(self._registry, name)
        return type("Method", (), {"remote": staticmethod(method)})


async def test_a_crowd_lives_with_a_registry() -> None:
    registry = ReplicaRegistry()
    async with engines() as port:
        crowd = mailbox.Crowd(Handle(registry), os.getpid(), 12, port)
        await crowd.join()
        assert len(registry.snapshot().replicas) == 12
        found = await crowd.together(2, 0.5, HEARTBEAT_S)
        await asyncio.gather(*(registry.leave(info.replica_id) for info in registry.snapshot().replicas))
    assert found["wanted_per_s"] == 48
    assert found["heartbeats_per_s"] > 0
    assert found["snapshots_per_s"] > 0
    assert found["forgotten"] == 0
    assert crowd.ages_s
    assert min(crowd.ages_s) > 0


# -- gateways ----------------------------------------------------------------------------------------


@given(st.integers(1, 64), st.integers(1, 64))
def test_gateways_have_a_core_each_as_far_as_there_are_and_leave_one(gateways: int, cores: int) -> None:
    found = scaling.gateway_cores(gateways, list(range(cores)))
    assert 1 <= len(found) <= gateways
    assert cores == 1 or cores - 1 not in found
    assert len(found) == gateways or len(found) == max(1, cores - 1)


def sample(round_: int, layout: str, gateways: int, rate: float, **cpu_s: float) -> dict[str, Any]:
    return {
        "round": round_, "layout": layout, "gateways": gateways, "requests_per_s": rate, "seconds": 2.0,
        "errors": 0, "p50_ms": 1.0, "p99_ms": 2.0, "cpu_s": cpu_s, "shares": [1 / gateways] * gateways,
    }  # fmt: skip


SAMPLES = [
    sample(0, "apart", 1, 1000.0, gateway=2.0, generator=0.5),
    sample(0, "apart", 2, 950.0, gateway=2.0, generator=0.5),
    sample(0, "free", 1, 1000.0, gateway=2.0, generator=1.0),
    sample(0, "free", 2, 1200.0, gateway=2.4, generator=1.6),
    sample(1, "free", 2, 9.0, gateway=1.0),
]


def test_ratios_are_taken_within_a_round() -> None:
    kept = figures.kept(SAMPLES, 2)
    assert kept is not None
    assert kept.median == pytest.approx(0.95)
    assert kept.n == 1
    # 1.5 of 2 cores were busy with one gateway: two of them cannot give more than a third on top.
    linear = figures.linear(SAMPLES, 2, cores=2)
    assert linear is not None
    assert linear.median == pytest.approx(1200 / (2 * 1000 / 1.5))
    assert linear.n == 1
    assert figures.kept(SAMPLES, 4) is None
    assert figures.cpu_ms(SAMPLES[0], "gateway", "generator") == pytest.approx(1.25)


def test_where_the_registry_is_full() -> None:
    row = {"replicas": 1000, "gateways": 100, "heartbeat_cpu_us": 200.0, "answer_cpu_us": 1000.0}
    assert figures.full_at(200.0) == pytest.approx(1250)
    assert figures.pictures_per_s(row) == pytest.approx(2.0)
    assert figures.pictures_per_s(row | {"replicas": 2000}) == 0


# -- failures ----------------------------------------------------------------------------------------

asked = st.builds(
    lambda began, took, outcome: Asked(began, began + took, outcome),
    st.floats(0, 100), st.floats(0, 20), st.sampled_from([ANSWERED, "status 503", "ConnectionResetError"]),
)  # fmt: skip


@given(st.lists(asked, max_size=30), st.floats(0, 120))
def test_what_a_fault_did_is_read_off_the_log(log: list[Asked], since: float) -> None:
    found = told(log, since)
    after = [each for each in log if each.ended >= since]
    assert found["answered"] + found["failed"] == len(after)
    assert sum(found["outcomes"].values()) == found["failed"]
    assert all(each.ended - since <= found["recovered_s"] for each in after if each.failed)
    assert (found["recovered_s"] > 0) <= (found["failed"] > 0)
    assert 0 <= found["gap_s"] <= 120


async def test_a_prober_notes_answers_and_a_server_that_is_gone() -> None:
    server = await serve("127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with probing(Endpoint("noop", f"http://127.0.0.1:{port}", "noop")) as prober:
        while prober.answered_since(0.0) < 5:
            await asyncio.sleep(0.01)
        gone = time.monotonic()
        server.close()
        gone_for_good = Endpoint("nobody", f"http://127.0.0.1:{port}", "noop")
        async with probing(gone_for_good) as lonely:
            while not lonely.log:
                await asyncio.sleep(0.01)
    assert not any(each.failed for each in prober.log if each.ended < gone)
    assert {each.outcome for each in lonely.log} == {"ConnectionRefusedError"}


async def test_a_part_is_whole_again_with_a_new_process() -> None:
    seen = iter([{1, 2}, {1}, {1}, {1, 3}])
    part = failover.Part("gateway", lambda: list(next(seen)), 2)
    assert await failover._again(part, {1, 2}, time.monotonic()) is not None
    assert next(seen, None) is None


# -- the page ----------------------------------------------------------------------------------------

KILLED = {
    "part": "engine's replica", "recovered_s": 1.5, "answered": 90, "failed": 2, "gap_s": 0.4,
    "longest_s": 0.9, "whole_s": 41.0, "outcomes": {"status 502": 2},
}  # fmt: skip
GCS = {"seconds": 20.0, **KILLED, "failed": 0, "recovered_s": 0.0, "second_half": {"answered": 40}}
FAULT = {
    "fault": "SIGKILL of a raylet", "requests": 812, "answered": 790, "refused": 20, "cut": 2,
    "unreachable": 0, "hung": 0, "wrong": 0, "errors_gone_s": 1.9, "whole_again_s": 41.2,
    "lost": {"memory": 0}, "doubled": {"memory": 0}, "beside": {},
}  # fmt: skip
QUIET_FAULT = FAULT | {"fault": "a full disk", "whole_again_s": None, "beside": {"full_s": 12.0}}
COLD_START = {"measured": "cold start", COLD: 71.0, "whole_s": 84.5}


def results(**changed: Any) -> dict[str, Any]:
    found = {
        "gateways": {"cores": 2, "connections": 64, "samples": SAMPLES},
        "failover": {"replicas": 2, "gateways": 2, "parts": [KILLED, KILLED], "gcs": GCS},
        "hosts": {"faults": [FAULT, QUIET_FAULT], "measured": [COLD_START], "tests": "2 passed"},
    }
    return {"started": "2026-01-01", "machine": machine(), **found, **changed}


def verdicts(found: dict[str, Any]) -> dict[str, str]:
    return {row[0]: row[1] for row in targets(found)}


def test_targets_say_what_was_missed() -> None:
    assert not [target for target in verdicts(results()).values() if "missed" in target]
    assert "### More gateways" in (text := markdown(results(), "results/x.json"))
    assert "| 4 of 184 |" in text
    assert "SIGKILL of a raylet" in text
    assert "cold start: first token s 71; whole s 84.5." in text
    assert "full s 12" in text


@pytest.mark.parametrize(
    ("changed", "count"),
    [
        ({"gateways": {"cores": 2, "samples": [*SAMPLES[:3], SAMPLES[3] | {"requests_per_s": 900.0}]}}, 1),
        ({"failover": {"parts": [KILLED, KILLED | {"recovered_s": 5.1}], "gcs": GCS}}, 1),
        ({"failover": {"parts": [KILLED], "gcs": GCS | {"failed": 1}}}, 1),
        ({"failover": {"parts": [KILLED], "gcs": GCS | {"second_half": {"answered": 0}}}}, 1),
        ({"hosts": {"faults": [FAULT | {"errors_gone_s": 9.0, "hung": 1, "doubled": {"journal": 1}}]}}, 3),
        ({"hosts": {"faults": [FAULT], "measured": [COLD_START | {COLD: 91.0}]}}, 1),
    ],
)  # fmt: skip
def test_each_miss_is_bold(changed: dict[str, Any], count: int) -> None:
    assert sum("missed" in target for target in verdicts(results(**changed)).values()) == count


def test_what_was_not_measured_says_so() -> None:
    nothing = {"started": "2026-01-01", "machine": machine()}
    assert {row[2] for row in targets(nothing)} == {"not measured"}
    left_out = markdown(nothing | {"hosts": {"left_out": "hosts need root"}})
    assert "Left out: hosts need root" in left_out


def test_hosts_leave_lines(tmp_path: Path) -> None:
    lines = tmp_path / "faults.jsonl"
    assert hosts.read(lines) == {"faults": [], "measured": []}
    lines.write_text(f"{json.dumps(FAULT)}\n{json.dumps(COLD_START)}\n")
    assert hosts.read(lines) == {"faults": [FAULT], "measured": [COLD_START]}


def test_the_names_are_those_that_the_hosts_tests_use() -> None:
    records = (ROOT / hosts.TESTS / "records.py").read_text()
    assert f'"{hosts.LINES}"' in records
    assert all(f"{name}:" in records for name in FAULT)
    assert f'"{COLD}"' in records


def test_some_parts_briefly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run of what needs no Ray, cut and gone on with."""
    (tmp_path / "faults.jsonl").write_text(f"{json.dumps(FAULT)}\n")
    asked = [
        "--quick",
        "--faults",
        str(tmp_path / "faults.jsonl"),
        "--progress",
        str(tmp_path / "progress"),
    ]
    main([*asked, "--only", "fleet"])
    main([*asked, "--only", "fleet", "learner", "hosts", "--json", str(tmp_path / "found.json")])
    said = capsys.readouterr()
    assert said.err.count("fleet …") == 1
    found = json.loads((tmp_path / "found.json").read_text())
    shapes = [(row["replicas"], row["models"]) for row in found["fleet"]["snapshots"]]
    assert shapes == [(10, 1), (100, 1), (100, 10)]
    assert "### The router's memory" in said.out
    assert set(found) & set(PARTS) == {"fleet", "learner", "hosts"}


def test_a_part_that_breaks_off_is_not_published_and_can_be_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any) -> Any:
        raise OSError("no room")

    monkeypatch.setattr(mailbox, "measure", broken)
    asked = ["--only", "registry", "--progress", str(tmp_path / "progress")]
    assert main([*asked, "--write-readme"]) == 1
    said = capsys.readouterr()
    assert "Left out: OSError: no room" in said.out
    assert "Nothing is published" in said.err
    monkeypatch.setattr(mailbox, "measure", lambda *_: [])
    assert main([*asked, "--json", str(tmp_path / "found.json")]) == 0
