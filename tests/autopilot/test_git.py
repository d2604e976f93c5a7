"""A bare copy of a real remote: read, committed to and pushed to, whatever the repository holds."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from zoran_ray.autopilot.git import Author, GitError, Repository, checked_branch, checked_remote
from zoran_ray.errors import InvalidRequest

ZORAN = Author("zoran", "zoran@example.com")
AT = 1_700_000_000


def git(folder: Path, *words: str) -> str:
    """Git as the owner of the repository uses it."""
    who = {
        f"GIT_{role}_{what}": "someone@example.com"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    environ = {**who, "PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_GLOBAL": "/dev/null"}
    done = subprocess.run(("git", *words), cwd=folder, env=environ, capture_output=True, check=True)
    return done.stdout.decode().strip()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A working copy as its owner has it, with hooks, a link, a filter, changes not committed."""
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "-q", "-b", "trunk")
    (work / "a.py").write_text("x = 1\n")
    (work / "run.sh").write_text("echo\n")
    (work / "run.sh").chmod(0o755)
    (work / "sub").mkdir()
    (work / "sub" / "ü b.txt").write_text("ü\n")
    (work / "link").symlink_to("/etc/passwd")
    (work / ".gitattributes").write_text("*.py filter=evil\na.py export-ignore\n")
    git(work, "add", "-A")
    git(work, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    git(work, "commit", "-q", "-m", "first")
    (work / "a.py").write_text("x = 'not committed'\n")
    return work


@pytest.fixture
def repository(tmp_path: Path, work: Path) -> Repository:
    return Repository(tmp_path / "bare", f"file://{work}")


def test_what_is_committed_is_read_as_it_is(repository: Repository, work: Path) -> None:
    branch, base = repository.fetch()
    assert (branch, base) == ("trunk", git(work, "rev-parse", "HEAD"))
    tree = repository.tree(base)
    assert tree.files["a.py"] == b"x = 1\n"
    assert tree.files["sub/ü b.txt"] == "ü\n".encode()
    assert tree.executable == {"run.sh"}
    assert tree.left_out == {"link": "a link", "module": "a submodule"}


def test_a_commit_is_the_same_however_often_it_is_made(repository: Repository) -> None:
    _, base = repository.fetch()
    change = {"a.py": b"x = 2\n", "new/b.py": b"y\r\n", "run.sh": b"echo 2\n", "sub/ü b.txt": None}
    commit = repository.commit(base, change, "Mend it", ZORAN, AT)
    assert repository.commit(base, change, "Mend it", ZORAN, AT) == commit
    tree = repository.tree(commit)
    assert tree.files["a.py"] == b"x = 2\n"
    assert tree.files["new/b.py"] == b"y\r\n"
    assert "sub/ü b.txt" not in tree.files
    assert tree.executable == {"run.sh"}
    assert tree.left_out["link"] == "a link"
    raw = repository.raw_diff(base, commit)
    assert raw.count(b"\0") == 8
    assert b":100755 100755" in raw
    assert "+x = 2" in repository.diff(base, commit)


def test_commits_on_one_base_made_at_once_do_not_disturb_each_other(
    repository: Repository, tmp_path: Path
) -> None:
    _, base = repository.fetch()

    def commit(number: int) -> str:
        return repository.commit(base, {f"{number}.py": b"x = %d\n" % number}, "Mend it", ZORAN, AT)

    with ThreadPoolExecutor(8) as threads:
        commits = list(threads.map(commit, range(8)))
    for number, made in enumerate(commits):
        changed = repository.raw_diff(base, made).split(b"\0")[1::2]
        assert changed == [b"%d.py" % number]
    assert list((tmp_path / "bare").glob("index*")) == []


def test_a_push_lands_once_and_only_where_nobody_else_was(repository: Repository, work: Path) -> None:
    _, base = repository.fetch()
    commit = repository.commit(base, {"a.py": b"x = 2\n"}, "Mend it", ZORAN, AT)
    assert repository.remote_commit("zoran/task_1") is None
    repository.push(commit, "zoran/task_1", expected=None)
    repository.push(commit, "zoran/task_1", expected=None)
    assert repository.remote_commit("zoran/task_1") == commit
    said = git(work, "log", "-1", "--format=%an <%ae> %B", "zoran/task_1")
    assert said == "zoran <zoran@example.com> Mend it\n\nSigned-off-by: zoran <zoran@example.com>"
    assert (work / "a.py").read_text() == "x = 'not committed'\n"
    git(work, "update-ref", "refs/heads/zoran/task_1", base)
    other = repository.commit(base, {"a.py": b"x = 3\n"}, "Mend it", ZORAN, AT)
    with pytest.raises(GitError, match="push"):
        repository.push(other, "zoran/task_1", expected=commit)
    assert repository.remote_commit("zoran/task_1") == base


def test_no_hook_filter_or_setting_of_the_machine_is_run(
    repository: Repository, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = f"touch {tmp_path}/sprung; false"
    hook = f"#!/bin/sh\n{trap}\n"
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("pre-push", "post-checkout", "reference-transaction", "post-commit", "pre-auto-gc"):
        (hooks / name).write_text(hook)
        (hooks / name).chmod(0o755)
    config = tmp_path / "gitconfig"
    config.write_text(
        f'[core]\nhooksPath={hooks}\nfsmonitor={trap}\n[filter "evil"]\nclean={trap}\nsmudge={trap}\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    _, base = repository.fetch()
    commit = repository.commit(base, {"a.py": b"x = 2\n"}, "Mend it", ZORAN, AT)
    repository.push(commit, "zoran/task_1", expected=None)
    assert not (tmp_path / "sprung").exists()


def test_faults_are_said_without_addresses(tmp_path: Path, repository: Repository) -> None:
    with pytest.raises(GitError, match="fetch") as caught:
        repository.fetch("nowhere")
    assert "file:" not in str(caught.value)
    with pytest.raises(GitError):
        Repository(tmp_path / "other", f"file://{tmp_path}/absent").fetch()


@pytest.mark.parametrize(
    "remote",
    [
        "ext::sh -c id",
        "--upload-pack=id",
        "ssh://host/x",
        "https://me:secret@host/x",
        "file:///a/../b",
        "git@host:x",
        "",
    ],
)
def test_addresses_that_git_is_not_given(remote: str) -> None:
    with pytest.raises(InvalidRequest):
        checked_remote(remote)


@pytest.mark.parametrize(
    "name", ["--all", "a..b", "a//b", "/a", "a/", "a.lock", "a b", "a@{1}", "a~1", "-x", "", "a."]
)
def test_names_that_are_no_branch(name: str) -> None:
    with pytest.raises(InvalidRequest):
        checked_branch(name)


def test_names_that_are_one() -> None:
    assert checked_branch("zoran/task_1a") == "zoran/task_1a"
    assert (
        checked_remote("https://git.example.com:8443/team/a.git")
        == "https://git.example.com:8443/team/a.git"
    )


def test_two_commits_come_together_unless_they_are_at_odds(repository: Repository) -> None:
    _, base = repository.fetch()
    one = repository.commit(base, {"a.py": b"x = 2\n"}, "one", ZORAN, AT)
    other = repository.commit(base, {"b.py": b"y = 1\n"}, "other", ZORAN, AT)
    both = repository.together(one, other, "both", ZORAN, AT)
    assert both is not None
    assert repository.together(one, other, "both", ZORAN, AT) == both
    assert repository.parents(both) == [one, other]
    tree = repository.tree(both)
    assert (tree.files["a.py"], tree.files["b.py"]) == (b"x = 2\n", b"y = 1\n")
    against = repository.commit(base, {"a.py": b"x = 3\n"}, "against", ZORAN, AT)
    assert repository.together(one, against, "both", ZORAN, AT) is None
    with pytest.raises(GitError):
        repository.together(one, "1" * 40, "both", ZORAN, AT)


def test_a_commit_is_undone_and_what_came_since_stays(repository: Repository) -> None:
    _, base = repository.fetch()
    one = repository.commit(base, {"a.py": b"x = 2\n"}, "one", ZORAN, AT)
    tip = repository.commit(one, {"b.py": b"y = 1\n"}, "since", ZORAN, AT)
    for commit, files in ((one, {}), (tip, {"b.py": b"y = 1\n"})):
        undone = repository.undone(one, commit, "undone", ZORAN, AT)
        assert undone is not None
        assert repository.parents(undone) == [commit]
        assert repository.tree(undone).files == {**repository.tree(base).files, **files}
    against = repository.commit(one, {"a.py": b"x = 3\n"}, "against", ZORAN, AT)
    assert repository.undone(one, against, "undone", ZORAN, AT) is None


def test_one_file_is_read_if_it_is_a_regular_one(repository: Repository) -> None:
    _, base = repository.fetch()
    assert repository.file(base, "a.py", 100) == b"x = 1\n"
    assert repository.file(base, "none.py", 100) is None
    assert repository.file(base, "link/below", 100) is None
    for path, most in (("a.py", 5), ("link", 100), ("sub", 100), ("module", 100)):
        with pytest.raises(GitError):
            repository.file(base, path, most)
