"""What may be asked for, and where repositories may be."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.autopilot.pilots import repository, request_fields
from zoran_ray.autopilot import Mode
from zoran_ray.autopilot.remote import Whereabouts
from zoran_ray.autopilot.request import MOST_MESSAGE_CHARS, read_request
from zoran_ray.errors import InvalidRequest, PermissionDenied, ZoranError
from zoran_ray.policy import Policy

ANYWHERE = Whereabouts(open=True)


@pytest.fixture
def repo(tmp_path: Path) -> str:
    return str(repository(tmp_path / "repo"))


def read(fields: dict[str, Any], policy: Policy | None = None, places: Whereabouts = ANYWHERE) -> Any:
    given = policy or Policy(mode_max="sovereign")
    return read_request(fields, places=places, policy=given, model="local/m", targets=("shop",))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"message": ""}, "message"),
        ({"message": 7}, "message"),
        ({"message": "x" * (MOST_MESSAGE_CHARS + 1)}, "message"),
        ({"message": "\ud800"}, "message"),
        ({"known": ["x"]}, "known"),
        ({"mode": "god"}, "mode"),
        ({"mode": ["operator"]}, "mode"),
        ({"model": "a b"}, "model"),
        ({"thread_id": "../x"}, "thread_id"),
        ({"deploy": "elsewhere"}, "deploy"),
        ({"deploy": {}}, "deploy"),
        ({"branch": "a..b"}, "branch"),
        ({"branch": 1}, "branch"),
        ({"owner": "somebody"}, "owner"),
        ({"repo_url": "https://x/y"}, "repo_url"),
        ({"repo_path": None}, "repo_path"),
        ({"repo_path": None, "repo_url": "ssh://host/x"}, "repo_url"),
        ({"repo_path": None, "repo_url": "https://user:word@host/x"}, "repo_url"),
        ({"repo_path": None, "repo_url": "ext::sh -c id"}, "repo_url"),
        ({"repo_path": "relative"}, "repo_path"),
        ({"repo_path": "/a\0b"}, "repo_path"),
        ({"repo_path": "/nowhere/at/all"}, "repo_path"),
        ({"repo_path": 7}, "repo_path"),
        ({"repo_path": None, "repositories": []}, "repositories"),
        ({"repo_path": None, "repositories": [{"repo_url": "https://h/x"}] * 2}, "repositories"),
        (
            {"repo_path": None, "repositories": [{"repo_url": f"https://h/{n}"} for n in range(9)]},
            "repositories",
        ),
        ({"repo_path": None, "repositories": [{"remote": "https://h/x"}]}, "repositories[0]"),
        (
            {"repo_path": None, "repositories": [{"repo_url": "https://h/x", "branch": "-x"}]},
            "repositories[0].branch",
        ),
        ({"repo_path": None, "repositories": [{"repo_path": "x"}]}, "repositories[0].repo_path"),
    ],
)
def test_a_wrong_field_is_named(repo: str, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(request_fields(repo) | fields)
    assert refused.value.param == param


NAMES = st.text(max_size=8) | st.sampled_from(["message", "mode", "repositories", "branch", "repo_path"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
)


@given(st.dictionaries(NAMES, ANYTHING))
def test_whatever_is_sent_is_read_or_refused(fields: dict[str, Any]) -> None:
    with contextlib.suppress(ZoranError):
        read(fields)


@given(st.sampled_from(Mode), st.sampled_from(Mode), st.sampled_from(Mode))
def test_a_request_can_only_lower_the_mode(asked: Mode, most: Mode, own: Mode) -> None:
    policy = Policy.model_validate(
        {
            "mode_max": most.value,
            "repositories": {"h/x": {"mode_max": min(own, most, key=lambda m: m.rank).value}},
        }
    )
    found = read({"message": "m", "repo_url": "https://h/x", "mode": asked.value}, policy)
    assert found.mode.rank == min(asked.rank, most.rank, own.rank)
    assert found.mode_asked is asked


def test_without_a_mode_a_branch_is_all(repo: str) -> None:
    assert read(request_fields(repo)).mode is Mode.OPERATOR


# -- where repositories may be --------------------------------------------------------------------


def test_with_keys_and_no_paths_no_folder_may_be_named(repo: str) -> None:
    for fields in (request_fields(repo), {"message": "m", "repo_url": f"file://{repo}"}):
        with pytest.raises(PermissionDenied):
            read(fields, places=Whereabouts())


def test_only_what_lies_in_the_paths(tmp_path: Path) -> None:
    inside, outside = repository(tmp_path / "srv" / "shop"), repository(tmp_path / "secret")
    (tmp_path / "srv" / "link").symlink_to(outside)
    (tmp_path / "srv" / "tree").mkdir()
    (tmp_path / "srv" / "tree" / ".git").write_text(f"gitdir: {outside}/.git\n")
    (tmp_path / "srv" / "inner").mkdir()
    (tmp_path / "srv" / "inner" / ".git").symlink_to(outside / ".git")
    places = Whereabouts(paths=[tmp_path / "srv"])
    assert places.path(str(inside)) == f"file://{inside}"
    assert places.url(f"file://{inside}") == f"file://{inside}"
    for name in ("link", "tree", "inner"):
        with pytest.raises(PermissionDenied):
            places.path(str(tmp_path / "srv" / name))
    for path in (str(outside), str(tmp_path / "not-there")):
        with pytest.raises(PermissionDenied):
            places.path(path)
    with pytest.raises(InvalidRequest):
        places.path(f"{tmp_path}/srv/../secret")


def test_with_keys_only_named_hosts() -> None:
    places = Whereabouts(hosts=frozenset({"git.example.com:3000"}))
    assert places.url("https://git.example.com:3000/a/b") == "https://git.example.com:3000/a/b"
    assert places.url("https://github.com/a/b") == "https://github.com/a/b"
    for url in ("http://169.254.169.254/latest", "https://git.example.com/a/b", "http://127.0.0.1:8080/x"):
        with pytest.raises(PermissionDenied):
            places.url(url)
