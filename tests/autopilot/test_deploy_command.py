"""Commands of the operator's: what they are told, that they end, and that a value stays a value."""

import os
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from zoran_ray.autopilot.deploy import Deployer, Health, Release, deployers_of
from zoran_ray.autopilot.deploy import process as bounded
from zoran_ray.autopilot.deploy.checked import is_release
from zoran_ray.autopilot.deploy.command import filled
from zoran_ray.deploy_targets import CommandTarget
from zoran_ray.errors import ConfigError, DeadlineExceeded, DeployRefused, UpstreamError

COMMIT, MARKER = "b" * 40, "task_1/deploy"
PLACE = """
import pathlib, sys
verb, *rest = sys.argv[1:]
now, log = pathlib.Path("now"), pathlib.Path("log")
if verb == "deploy":
    if rest[0].startswith("f"):
        sys.exit(3)
    log.open("a").write(f"{rest[1]} {rest[0]}\\n")
    now.write_text(f"rel-{rest[0][:7]} {rest[0]}")
    print("building ...")
    print(now.read_text())
elif verb == "current":
    print(now.read_text() if now.exists() else "")
elif verb == "find":
    if log.exists() and f"{rest[0]} " in log.read_text():
        print(now.read_text())
elif verb == "health":
    sys.exit(int(pathlib.Path("health").read_text()))
elif verb == "back":
    now.write_text(f"{rest[0]} {rest[1]}")
"""


def target(folder: Path, /, **fields: object) -> CommandTarget:
    program = [sys.executable, str(folder / "place.py")]
    commands: dict[str, object] = {
        "deploy": (*program, "deploy", "{commit}", "{marker}"),
        "current": (*program, "current"),
        "find": (*program, "find", "{marker}"),
        "health": (*program, "health"),
        "roll_back": (*program, "back", "{release}", "{commit}"),
    }
    return CommandTarget.model_validate({"kind": "command", "folder": folder, **commands, **fields})


def place(folder: Path, /, **fields: object) -> Deployer:
    (folder / "place.py").write_text(PLACE)
    return deployers_of({"x": target(folder, **fields)})["x"]


def program(folder: Path, text: str, **fields: object) -> Deployer:
    """A place whose `deploy` is this program."""
    (folder / "deploy.py").write_text(text)
    return place(folder, deploy=(sys.executable, str(folder / "deploy.py"), "{commit}"), **fields)


def test_a_commit_goes_there_and_what_ran_before_comes_back(tmp_path: Path) -> None:
    there = place(tmp_path)
    assert there.reversible
    assert there.current() is None
    assert there.find(COMMIT, MARKER) is None
    first = there.deploy("a" * 40, "m1")
    before = there.current()
    assert before == first == Release("rel-aaaaaaa", "a" * 40)
    made = there.deploy(COMMIT, MARKER)
    assert there.find(COMMIT, MARKER) == made == Release("rel-bbbbbbb", COMMIT)
    for status, health in ((75, Health.PENDING), (0, Health.HEALTHY), (1, Health.UNHEALTHY)):
        (tmp_path / "health").write_text(str(status))
        assert there.health(made) is health
    assert there.roll_back(before, "m2") == before
    assert there.current() == before


def test_a_commit_that_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeployRefused, match="status 3"):
        place(tmp_path).deploy("f" * 40, "m")


def test_the_way_back_is_said_to_be_missing(tmp_path: Path) -> None:
    there = place(tmp_path, roll_back=None, health=None)
    assert not there.reversible
    with pytest.raises(DeployRefused, match="a person"):
        there.roll_back(Release("x"), "m")
    with pytest.raises(DeployRefused, match="a person"):
        there.health(Release("x"))
    with pytest.raises(DeployRefused, match="a person"):
        place(tmp_path).roll_back(None, "m")


def test_a_commit_that_is_not_known_stays_out_of_a_command(tmp_path: Path) -> None:
    with pytest.raises(DeployRefused, match="no commit"):
        place(tmp_path).roll_back(Release("rel-1"), "m")


def test_the_deadline_ends_the_whole_group(tmp_path: Path) -> None:
    there = program(
        tmp_path,
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "open('pids', 'w').write(f'{os.getpid()} {child.pid}')\n"
        "os.rename('pids', 'started')\n"
        "time.sleep(600)\n",
        deadline_s=2.0,
    )
    with pytest.raises(DeadlineExceeded, match="killed"):
        there.deploy(COMMIT, "m")
    for pid in (tmp_path / "started").read_text().split():
        assert not alive(int(pid))


def alive(pid: int) -> bool:
    """Whether a process still runs after a while; one that waits to be reaped does not."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return False
        if state == "Z":
            return False
        time.sleep(0.02)
    return True


def test_what_is_left_running_on_purpose_does_not_hold_it_up(tmp_path: Path) -> None:
    there = program(
        tmp_path,
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(30)'])\n"
        "open('pid', 'w').write(str(child.pid))\n"
        "print('rel-1')\n",
    )
    try:
        assert there.deploy(COMMIT, "m") == Release("rel-1", COMMIT)
    finally:
        os.kill(int((tmp_path / "pid").read_text()), 9)


def test_a_flood_is_read_to_its_end_and_its_end_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, "MOST_KEPT_BYTES", 1000)
    there = program(tmp_path, "print('x' * 3_000_000)\nprint('rel-1')\n")
    assert there.deploy(COMMIT, "m") == Release("rel-1", COMMIT)


def test_an_endless_flood_ends(tmp_path: Path) -> None:
    there = program(tmp_path, "while True: print('x' * 65536)\n", deadline_s=0.5)
    with pytest.raises(DeadlineExceeded):
        there.deploy(COMMIT, "m")


@pytest.mark.parametrize("line", ["-rf", "a b c", "../up", "a;b", "$(id)", "x\x00y", "rel " + "g" * 40])
def test_a_release_is_a_plain_name(tmp_path: Path, line: str) -> None:
    there = program(tmp_path, f"print({line!r})\n")
    with pytest.raises(UpstreamError, match="names no release") as caught:
        there.deploy(COMMIT, "m")
    assert line not in str(caught.value)


def test_only_named_variables_go_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_OURS", "s")
    monkeypatch.setenv("WANTED", "w")
    text = "import os\nopen('environ', 'w').write(' '.join(sorted(os.environ)))\n"
    program(tmp_path, text, variables=("WANTED", "NOT_THERE")).deploy(COMMIT, "m")
    names = set((tmp_path / "environ").read_text().split())
    assert "WANTED" in names
    assert names <= {"PATH", "HOME", "LANG", "WANTED", "LC_CTYPE"}  # the last is Python's own


def test_nothing_is_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not there"):
        deployers_of({"x": target(tmp_path / "none")})
    with pytest.raises(ConfigError, match="cannot be run"):
        place(tmp_path, deploy=(str(tmp_path / "none"), "{commit}")).deploy(COMMIT, "m")


@pytest.mark.parametrize(
    "fields",
    [
        {"deploy": ("x",)},
        {"deploy": ("x", "{commit}", "{release}")},
        {"deploy": ("{commit}",)},
        {"deploy": ()},
        {"find": ("x", "{commit}")},
        {"health": ("x", "{marker}")},
        {"current": ("x", "{commit}")},
        {"folder": "relative"},
        {"variables": ("A=B",)},
        {"deadline_s": 0},
        {"shell": True},
    ],
)
def test_settings_are_strict(tmp_path: Path, fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        target(tmp_path, **fields)


words = st.lists(
    st.text(alphabet="ab {}$;-'\"", max_size=6)
    | st.sampled_from(["{commit}", "--at={commit}", "{marker}{release}", "{{commit}}", "{ commit }"]),
    min_size=1,
    max_size=6,
)


@given(words, st.text(max_size=30))
def test_a_value_never_adds_a_word(template: list[str], value: str) -> None:
    """What is not refused stands as it is, inside the word where its placeholder stood."""
    values = dict.fromkeys(("commit", "marker", "release"), value)
    try:
        argv = filled(template, values)
    except DeployRefused:
        return
    assert len(argv) == len(template)
    for word, before in zip(argv, template, strict=True):
        if not any(f"{{{name}}}" in before for name in values):
            assert word == before
        elif before == "{commit}":
            assert is_release(word)
            assert word == value
            assert not word.startswith("-")
