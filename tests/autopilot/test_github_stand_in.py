"""The stand-in is held to GitHub's description, and says where it is not as described."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.autopilot.github_stand_in import (
    DESCRIPTION,
    Hosted,
    Moment,
    Reply,
    StandIn,
    described,
)
from benchmarks.autopilot.github_stand_in.contract import contract

NAME = "acme/widgets"
PULLS = f"/repos/{NAME}/pulls"


@pytest.fixture
def github(tmp_path: Path) -> Iterator[StandIn]:
    if not described():
        pytest.skip(f"NOT TESTED: {DESCRIPTION} is missing; ZORAN_SHARED_DATA names the folder that has it")
    with StandIn(tmp_path / "hub") as stand_in:
        stand_in.add_user("someone", token="t")
        yield stand_in


@pytest.fixture
def hosted(github: StandIn) -> Hosted:
    made = github.add_repository(NAME)
    base = made.git.put("main", {"a": b"1\n"}, "first")
    made.git.put("fix", {"a": b"2\n"}, "fix", onto=base)
    return made


@pytest.fixture
def client(github: StandIn) -> Iterator[httpx.Client]:
    url = github.api_urls[github.host]
    with httpx.Client(base_url=url, headers={"authorization": "Bearer t"}, trust_env=False) as made:
        yield made


def opened(client: httpx.Client) -> Any:
    answer = client.post(PULLS, json={"title": "t", "head": "fix", "base": "main"})
    assert answer.status_code == 201
    return answer.json()


def test_every_answer_is_as_github_describes_it(
    client: httpx.Client, github: StandIn, hosted: Hosted
) -> None:
    commit = hosted.git.commit_of("fix")
    assert commit
    pull = opened(client)
    hosted.review(1, github.add_user("ann"))
    hosted.status(commit, "ci", "success")
    hosted.check(commit, "test", "success")
    hosted.check(commit, "slow", None)
    asked = [
        ("GET", "/user", None, 200),
        ("GET", f"/repos/{NAME}", None, 200),
        ("GET", PULLS, None, 200),
        ("GET", f"{PULLS}/1", None, 200),
        ("GET", f"{PULLS}/1/reviews", None, 200),
        ("POST", f"/repos/{NAME}/issues/1/comments", {"body": "c"}, 201),
        ("GET", f"/repos/{NAME}/issues/1/comments", None, 200),
        ("GET", f"/repos/{NAME}/commits/{commit}/status", None, 200),
        ("GET", f"/repos/{NAME}/commits/{commit}/check-runs", None, 200),
        ("GET", f"/repos/{NAME}/git/ref/heads/fix", None, 200),
        ("POST", PULLS, {"title": "t", "head": "fix", "base": "main"}, 422),
        ("POST", PULLS, {"title": "t", "head": "absent", "base": "main"}, 422),
        ("POST", PULLS, {"title": "t", "head": "main", "base": "fix"}, 422),
        ("PUT", f"{PULLS}/1/merge", {"sha": "0" * 40}, 409),
        ("GET", f"{PULLS}/9", None, 404),
        ("GET", "/repos/acme/absent", None, 404),
        ("GET", f"/repos/{NAME}/git/ref/heads/absent", None, 404),
        ("PATCH", f"{PULLS}/1", {"title": "new"}, 200),
        ("PUT", f"{PULLS}/1/merge", {"sha": pull["head"]["sha"]}, 200),
        ("PUT", f"{PULLS}/1/merge", {}, 405),
        ("PATCH", f"{PULLS}/1", {"state": "open"}, 422),
        ("GET", f"{PULLS}/1", None, 200),
    ]
    for method, path, body, status in asked:
        assert client.request(method, path, json=body).status_code == status, (method, path)
    assert github.violations == []


def test_a_wrong_request_is_a_violation(client: httpx.Client, github: StandIn, hosted: Hosted) -> None:
    assert client.post(PULLS, json={"title": "t", "head": "fix"}).status_code == 422
    opened(client)
    assert client.put(f"{PULLS}/1/merge", json={"merge_method": "octopus"}).status_code == 422
    assert client.post(f"{PULLS}/1/unknown", json={}).status_code == 422
    assert len(github.violations) == 3


@pytest.mark.parametrize("field", ["number", "head", "mergeable", "html_url"])
def test_an_answer_that_lacks_something_is_a_violation(
    client: httpx.Client, hosted: Hosted, field: str
) -> None:
    pull = opened(client)
    assert contract().answer_faults("POST", PULLS, 201, pull) == []
    del pull[field]
    assert len(contract().answer_faults("POST", PULLS, 201, pull)) == 1
    assert contract().answer_faults("POST", PULLS, 204, None) != []


def test_tokens_are_asked_for_everywhere(github: StandIn, hosted: Hosted) -> None:
    with httpx.Client(headers={"authorization": "Bearer other"}, trust_env=False) as stranger:
        assert stranger.get(github.api_urls[github.host] + PULLS).status_code == 401
        answer = stranger.get(github.remote(NAME) + "/info/refs?service=git-upload-pack")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic")


def test_faults_happen_once_at_their_moment(client: httpx.Client, github: StandIn, hosted: Hosted) -> None:
    given = {"title": "t", "head": "fix", "base": "main"}
    github.fault("POST", "/pulls$", Moment.BEFORE, lambda: Reply(502))
    assert client.post(PULLS, json=given).status_code == 502
    assert hosted.pulls == {}
    github.fault("POST", "/pulls$", Moment.AFTER, lambda: None)
    with pytest.raises(httpx.RemoteProtocolError):
        client.post(PULLS, json=given)
    assert len(hosted.pulls) == 1
    assert client.post(PULLS, json=given).status_code == 422
    github.fault("GET", "/pulls", Moment.BEFORE, lambda: Reply(503), nth=2)
    assert [client.get(PULLS).status_code for _ in range(3)] == [200, 503, 200]
