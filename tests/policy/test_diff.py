"""Diffs as real git tells them, and as a hostile one might."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.errors import InvalidRequest
from zoran_ray.policy import DIFF_OPTIONS, Decision, PolicyEngine, load_policy, read_diff

POLICY = b"""
paths:
  allow: [{name: all, globs: ["*"]}]
  forbid: [{name: tests, globs: [tests/], on: [modify, delete]}, {name: locked, globs: [locked/]}]
changes: {max_files: 5, max_lines: 20, max_bytes: 4000}
forbidden: [{name: bad, pattern: forbidden_word}]
"""
ENGINE = PolicyEngine(load_policy(POLICY, "p"))
Judge = Callable[..., Decision]

git = pytest.mark.skipif(
    shutil.which("git") is None, reason="THESE TESTS NEED git, which is not on the PATH"
)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    _git(tmp_path, "init", "-q", "-b", "main")
    for name in ("a.py", "tests/test_a.py", "locked/x", "run.sh"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("one\ntwo\nthree\n")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "old-link").symlink_to("a.py")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "-c", "user.name=n", "-c", "user.email=e@x", "commit", "-qm", "base")
    return tmp_path


def _git(folder: Path, *args: str) -> bytes:
    env = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(
        ["git", *args], cwd=folder, env=env, check=True, capture_output=True, timeout=60
    ).stdout


def _judge(repository: Path, *options: str) -> Decision:
    _git(repository, "add", "-A", "-f")
    return ENGINE.decide_diff(_git(repository, "diff", "--cached", *DIFF_OPTIONS, *options))


@git
def test_an_ordinary_change_is_allowed(repository: Path) -> None:
    (repository / "a.py").write_text("one\n2\nthree\n")
    (repository / "é new.py").write_text("x\n")
    (repository / "run.sh").write_text("still executable\n")
    decision = _judge(repository)
    assert decision.verdict == "allow", decision.reason
    assert len(decision.steps) == 4


@git
def test_an_empty_diff_is_none(repository: Path) -> None:
    decision = _judge(repository)
    assert (decision.verdict, decision.reason) == ("deny", "nothing changes")
    assert ENGINE.decide_changes(b"").allowed


@git
def test_a_change_of_modes_alone_is_judged_too(repository: Path) -> None:
    (repository / "run.sh").chmod(0o644)
    assert _judge(repository).verdict == "allow"


def _link(at: Path) -> None:
    (at / "x").symlink_to("/etc/passwd")


def _to_link(at: Path) -> None:
    (at / "a.py").unlink()
    (at / "a.py").symlink_to("run.sh")


def _from_link(at: Path) -> None:
    (at / "old-link").unlink()


def _exec(at: Path) -> None:
    (at / "a.py").chmod(0o755)


def _new_exec(at: Path) -> None:
    (at / "n.sh").write_text("x")
    (at / "n.sh").chmod(0o755)


def _submodule(at: Path) -> None:
    _git(at, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    (at / "sub").mkdir()


def _test_edited(at: Path) -> None:
    (at / "tests/test_a.py").write_text("assert True\n")


def _test_moved(at: Path) -> None:
    (at / "tests/test_a.py").rename(at / "b.py")


def _into_locked(at: Path) -> None:
    (at / "a.py").rename(at / "locked/y")


def _case(at: Path) -> None:
    (at / "Locked").mkdir()
    (at / "Locked/z").write_text("z")


def _attributes(at: Path) -> None:
    (at / ".gitattributes").write_text("* filter=x\n")


def _modules(at: Path) -> None:
    (at / ".gitmodules").write_text("[submodule]\n")


def _own_rules(at: Path) -> None:
    (at / ".zoran").mkdir()
    (at / ".zoran/policy.yaml").write_text("mode_max: sovereign\n")


def _twins(at: Path) -> None:
    (at / "new.py").write_text("a")
    (at / "NEW.py").write_text("b")


def _binary(at: Path) -> None:
    (at / "x.bin").write_bytes(b"\0\1\2")


def _many(at: Path) -> None:
    for number in range(6):
        (at / f"{number}.py").write_text("x\n")


def _long(at: Path) -> None:
    (at / "a.py").write_text("x\n" * 30)


def _wide(at: Path) -> None:
    (at / "a.py").write_text("x" * 5000)


def _secret(at: Path) -> None:
    (at / "a.py").write_text("AKIA" + "QX7RT2LMNB4VZ9KD\n")


def _forbidden(at: Path) -> None:
    (at / "a.py").write_text("forbidden_word\n")


def _odd_name(at: Path) -> None:
    (at / "a\nb").write_text("x")


def _device(at: Path) -> None:
    (at / "CON.py").write_text("x")


@git
@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (_link, "built in: links"),
        (_to_link, "built in: links"),
        (_from_link, "built in: links"),
        (_exec, "changes.exec_bits"),
        (_new_exec, "changes.exec_bits"),
        (_test_edited, "paths.forbid.tests"),
        (_test_moved, "paths.forbid.tests"),
        (_into_locked, "paths.forbid.locked"),
        (_case, "paths.forbid.locked"),
        (_attributes, "changes.gitattributes"),
        (_modules, "changes.gitmodules"),
        (_own_rules, "built in: own rules"),
        (_twins, "built in: names"),
        (_binary, "changes.binary"),
        (_many, "changes.max_files"),
        (_long, "changes.max_lines"),
        (_wide, "changes.max_bytes"),
        (_secret, "secrets.detectors.api_key"),
        (_forbidden, "forbidden.bad"),
        (_odd_name, "built in: names"),
        (_device, "built in: names"),
    ],
)
@pytest.mark.parametrize("options", [(), ("--find-renames",), ("--find-copies-harder",)])
def test_what_may_not_be_is_refused(
    repository: Path, change: Callable[[Path], None], rule: str, options: tuple[str, ...]
) -> None:
    change(repository)
    decision = _judge(repository, *options)
    assert (decision.verdict, decision.rule) == ("deny", rule), decision.reason


@git
def test_a_submodule_is_refused(repository: Path) -> None:
    _submodule(repository)
    output = _git(repository, "diff", "--cached", *DIFF_OPTIONS)
    assert ENGINE.decide_diff(output).rule == "built in: submodules"


@git
def test_gits_configuration_changes_nothing(repository: Path) -> None:
    for setting in (
        "diff.noprefix=true",
        "diff.external=false",
        "color.diff=always",
        "diff.renames=copies",
    ):
        _git(repository, "config", *setting.split("="))
    (repository / "a.py").write_text("one\n2\nthree\n")
    assert _judge(repository).verdict == "allow"


@git
def test_removing_a_secret_is_allowed(repository: Path) -> None:
    (repository / "s.py").write_text("AKIA" + "QX7RT2LMNB4VZ9KD\n")
    _git(repository, "add", "-A")
    _git(repository, "-c", "user.name=n", "-c", "user.email=e@x", "commit", "-qm", "leak")
    (repository / "s.py").write_text("import os\n")
    assert _judge(repository).verdict == "allow"


HEAD = ":100644 100644 {0} {0} M\0".format("1" * 40)
GOOD = (HEAD + "a.py\0" + "1\t0\ta.py\0\0+++ b/a.py\n+x\n").encode()


def test_the_raw_format_alone_is_judged_by_names() -> None:
    raw = (HEAD + "a.py\0").encode()
    assert ENGINE.decide_changes(raw).allowed
    assert ENGINE.decide_diff(raw).rule == "built in: diff"
    assert ENGINE.decide_diff(GOOD).allowed


@pytest.mark.parametrize(
    "output",
    [
        b"garbage",
        b":100644",
        GOOD[:60],
        HEAD.encode() + b"a.py",
        HEAD.encode() + b"\xff\0",
        (HEAD + "a.py\0" + "1\t0\tb.py\0\0+x\n").encode(),
        (HEAD + "a.py\0" + "1\t0\ta.py\0" * 2 + "\0+x\n").encode(),
        (HEAD + "a.py\0" + "9\t0\ta.py\0\0+x\n").encode(),
        (HEAD + "a.py\0" + "1\t0\ta.py\0\0+x\0\n").encode(),
        HEAD.replace(" M", " U").encode() + b"a.py\0",
        HEAD.replace(" M", " X").encode() + b"a.py\0",
        b":" + HEAD.encode() + b"a.py\0",
        HEAD.replace("100644", "100600", 1).encode() + b"a.py\0",
        HEAD.replace("100644", "000000").encode() + b"a.py\0",
        HEAD.encode() + b"../a.py\0",
        HEAD.encode() + b".git/config\0",
        HEAD.encode() * 2,
        (HEAD + "x\0").encode() * 10_001,
    ],
)
def test_what_git_would_not_say_is_refused(output: bytes) -> None:
    assert ENGINE.decide_diff(output).verdict == "deny"


@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from([HEAD.encode(), GOOD, b"\0", b"a", b"1\t1\t", b"R100"])).map(b"".join)
)
def test_any_bytes_are_read_or_refused(output: bytes) -> None:
    assert ENGINE.decide_diff(output).verdict in ("allow", "deny")
    try:
        diff = read_diff(output)
    except InvalidRequest:
        return
    assert len(diff.changes) <= output.count(b":")
