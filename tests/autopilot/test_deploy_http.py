"""Render, Vercel and Fly.io as deployers, against servers that speak as theirs do."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from tests.autopilot.deploy_places import (
    NEW,
    OLD,
    TOKEN,
    UNKNOWN,
    Answer,
    Fault,
    Fly,
    Place,
    Render,
    Served,
    Vercel,
)
from zoran_ray.autopilot.deploy import Deployer, Health, Release, deployers_of
from zoran_ray.autopilot.deploy import api as bounded
from zoran_ray.deploy_targets import FlyTarget, RenderTarget, TargetSettings, VercelTarget
from zoran_ray.errors import (
    ConfigError,
    DeadlineExceeded,
    DeployRefused,
    InvalidRequest,
    ProviderBusy,
    Unreachable,
    UpstreamError,
    ZoranError,
)


def target(place: Place, url: str, token_file: Path, deadline_s: float) -> TargetSettings:
    common: dict[str, Any] = {"token_file": token_file, "deadline_s": deadline_s}
    match place:
        case Render():
            return RenderTarget(kind="render", service="srv-1", api_url=f"{url}/v1", **common)
        case Vercel():
            return VercelTarget(
                kind="vercel",
                project="prj_1",
                name="shop",
                team="team_1",
                repository="42",
                api_url=url,
                **common,
            )
        case Fly():
            return FlyTarget(
                kind="fly", app="shop", image="registry.fly.io/shop:{commit}", api_url=url, **common
            )


@pytest.fixture(params=[Render, Vercel, Fly], ids=["render", "vercel", "fly"])
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    with Served(request.param()) as found:
        yield found


def deployer(served: Served, tmp_path: Path, *, token: str = TOKEN, deadline_s: float = 10.0) -> Deployer:
    (tmp_path / "token").write_text(f"{token}\n")
    return deployers_of({"x": target(served.place, served.url, tmp_path / "token", deadline_s)})["x"]


def settle(place: Place, well: bool) -> None:
    good, bad = {
        Render: ("live", "update_failed"),
        Vercel: ("READY", "ERROR"),
        Fly: ("passing", "critical"),
    }[type(place)]
    place.settle(good if well else bad)


def test_a_commit_is_deployed_and_found_again(served: Served, tmp_path: Path) -> None:
    place = deployer(served, tmp_path)
    assert place.reversible
    before = place.current()
    assert before is not None
    assert place.find(NEW, "task_1/deploy") is None
    made = place.deploy(NEW, "task_1/deploy")
    assert made.commit == NEW
    assert place.find(NEW, "task_1/deploy") == made
    assert place.health(made) is Health.PENDING
    settle(served.place, well=True)
    assert place.health(made) is Health.HEALTHY
    now = place.current()
    assert now is not None
    assert now.commit == NEW
    assert now != before


def test_what_ran_before_comes_back(served: Served, tmp_path: Path) -> None:
    place = deployer(served, tmp_path)
    before = place.current()
    made = place.deploy(NEW, "task_1/deploy")
    settle(served.place, well=False)
    if isinstance(served.place, Fly):  # its checks fail until they pass: it is time that tells
        assert place.health(made) is Health.PENDING
    else:
        assert place.health(made) is Health.UNHEALTHY
    assert before is not None
    assert place.find(OLD, "task_1/back") is None  # so is looked before it is done
    back = place.roll_back(before, "task_1/back")
    assert place.health(back) is Health.PENDING
    acts = acts_of(served)
    if isinstance(served.place, Vercel):  # a rollback makes no deployment that could be found
        assert place.roll_back(before, "task_1/back") == back
    else:
        assert place.find(OLD, "task_1/back") == Release(back.id, OLD)
    assert acts_of(served) == acts
    if isinstance(served.place, Vercel):
        assert served.place.request is not None
        served.place.request["jobStatus"] = "succeeded"
    else:
        settle(served.place, well=True)
    assert place.health(back) is Health.HEALTHY
    now = place.current()
    assert now is not None
    if isinstance(served.place, Fly):
        assert {each["config"]["image"] for each in served.place.machines.values()} >= {before.id}
    else:
        assert now.commit in (OLD, "")


def acts_of(served: Served) -> list[str]:
    """Requests that changed something."""
    return [line for line in served.asked if line.startswith("POST")]


def test_nobody_can_tell_what_ran_before(served: Served, tmp_path: Path) -> None:
    with pytest.raises(DeployRefused, match="a person"):
        deployer(served, tmp_path).roll_back(None, "m")
    assert acts_of(served) == []


def test_a_commit_that_is_not_there(served: Served, tmp_path: Path) -> None:
    with pytest.raises(DeployRefused) as caught:
        deployer(served, tmp_path).deploy(UNKNOWN, "m")
    assert TOKEN not in str(caught.value)


def test_a_token_that_is_refused(served: Served, tmp_path: Path) -> None:
    place = deployer(served, tmp_path, token="another-token")
    with pytest.raises(DeployRefused, match="token") as caught:
        place.current()
    assert "another-token" not in str(caught.value)
    (tmp_path / "token").write_text(TOKEN)  # a new one is used at once
    assert place.current() is not None


@pytest.mark.parametrize("text", ["main", "a" * 39, "A" * 40, "a" * 40 + "\n", "../" + "a" * 37])
def test_only_whole_hashes_go_out(served: Served, tmp_path: Path, text: str) -> None:
    place = deployer(served, tmp_path)
    with pytest.raises(InvalidRequest, match="hash"):
        place.deploy(text, "m")
    with pytest.raises(InvalidRequest, match="marker"):
        place.find(NEW, "a b")
    assert served.asked == []


@pytest.mark.parametrize("name", ["../../v1/apps", "a/b", "a?b=c", "-x", ""])
def test_an_id_stays_one_part_of_an_address(served: Served, tmp_path: Path, name: str) -> None:
    with pytest.raises((UpstreamError, DeployRefused)):
        deployer(served, tmp_path).health(Release(name, NEW))
    assert not any(".." in line or "a?b" in line for line in served.asked)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry-after": "7"}, 7),
        ({"ratelimit-reset": "30"}, 30),
        ({"x-ratelimit-reset": "99999999999"}, 3600),
        ({"retry-after": "nan"}, 60),
        ({"retry-after": "-5"}, 1),
        ({}, 60),
    ],
)
def test_patience(served: Served, tmp_path: Path, headers: dict[str, str], wait_s: float) -> None:
    served.fault = (429, {"message": TOKEN}, headers)
    with pytest.raises(ProviderBusy) as caught:
        deployer(served, tmp_path).deploy(NEW, "m")
    assert caught.value.retry_after_s == wait_s


def hangs(peer: BaseHTTPRequestHandler, ended: threading.Event) -> None:
    ended.wait()


def never_stops(peer: BaseHTTPRequestHandler, ended: threading.Event) -> None:
    peer.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    try:
        while not ended.is_set():
            peer.wfile.write(b" " * 65536)
    except OSError:
        return


def drips(peer: BaseHTTPRequestHandler, ended: threading.Event) -> None:
    peer.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    try:
        while not ended.wait(0.02):
            peer.wfile.write(b" ")
            peer.wfile.flush()
    except OSError:
        return


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(hangs), DeadlineExceeded),
        (Fault(drips), DeadlineExceeded),
        (Fault(never_stops), UpstreamError),
        (Fault(lambda peer, ended: None), UpstreamError),
        ((503, {"message": TOKEN}, {}), UpstreamError),
        ((302, None, {"location": "http://127.0.0.1:1/"}), UpstreamError),
        ((200, {"unexpected": [1]}, {}), ZoranError),
        ((200, None, {}), ZoranError),
        ((403, {"message": TOKEN}, {}), DeployRefused),
        ((404, {"message": TOKEN}, {}), DeployRefused),
        ((409, {"message": TOKEN}, {}), ProviderBusy),
    ],
)
def test_a_place_at_its_worst(
    served: Served,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: Answer | Fault,
    kind: type[ZoranError],
) -> None:
    monkeypatch.setattr(bounded, "MOST_ANSWER_BYTES", 1024 * 1024)
    place = deployer(served, tmp_path, deadline_s=0.3 if kind is DeadlineExceeded else 10.0)
    served.fault = fault
    with pytest.raises(kind) as caught:
        place.deploy(NEW, "task_1/deploy")
    assert TOKEN not in str(caught.value)


def test_nobody_there(tmp_path: Path) -> None:
    with Served(Render()) as served:
        place = deployer(served, tmp_path)
    with pytest.raises(Unreachable):
        place.current()


def test_a_token_that_cannot_be_read_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        deployers_of({"x": target(Render(), "http://127.0.0.1:1", tmp_path / "none", 1.0)})


def test_render_queues_and_lists_later(tmp_path: Path) -> None:
    with Served(Render(queues=True)) as served:
        place = deployer(served, tmp_path)
        assert place.deploy(NEW, "m") == Release("dep-2", NEW)


def test_another_deployment_is_not_rolled_back(served: Served, tmp_path: Path) -> None:
    place = deployer(served, tmp_path)
    made = place.deploy(NEW, "m1")
    settle(served.place, well=True)
    place.deploy("c" * 40, "m2")
    settle(served.place, well=True)
    with pytest.raises(DeployRefused, match="taken the place"):
        place.health(made)


def test_vercel_waits_for_a_person_where_it_stages(tmp_path: Path) -> None:
    with Served(Vercel()) as served:
        assert isinstance(served.place, Vercel)
        place = deployer(served, tmp_path)
        served.place.staged = True
        made = place.deploy(NEW, "m")
        served.place.settle("READY")
        with pytest.raises(DeployRefused, match="promote"):
            place.health(made)


def test_fly_takes_up_a_deployment_that_was_cut_short(tmp_path: Path) -> None:
    with Served(Fly(stop_after=1)) as served:
        assert isinstance(served.place, Fly)
        place = deployer(served, tmp_path)
        with pytest.raises(UpstreamError):
            place.deploy(NEW, "m")
        assert served.place.updates == ["1"]
        assert place.find(NEW, "m") is None
        assert place.current() is None  # two images: nobody can tell
        served.place.stop_after = None
        made = place.deploy(NEW, "m")
        assert served.place.updates == ["1", "2"]  # each once, and none of another group
        assert place.find(NEW, "m") == made
        assert served.place.machines["1"]["config"]["env"] == {"A": "1"}


def test_a_machine_that_crashed_is_not_well(tmp_path: Path) -> None:
    with Served(Fly()) as served:
        assert isinstance(served.place, Fly)
        place = deployer(served, tmp_path)
        made = place.deploy(NEW, "m")
        served.place.settle("passing")
        machine = served.place.machines["2"]
        machine["state"] = "stopped"
        assert place.health(made) is Health.HEALTHY  # as the app wishes
        machine["events"] = [{"type": "exit", "request": {"exit_event": {"exit_code": 1}}}]
        assert place.health(made) is Health.UNHEALTHY
