"""A repository without a working tree: nothing is ever checked out, so no hook, filter or link has a say.

Its own bare copy fetches from the remote, makes commits out of contents, and pushes one branch. The same
contents, words and time make the same commit, so that whoever does it again does nothing new.
Files are read by GitPython. Knows no policy and no forge.
"""

import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

# A machine without git serves all the same: what needs it says so then, and not this import.
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
from git import Repo
from git.objects import Blob
from git.objects.submodule.base import Submodule

from zoran_ray.autopilot.git.commands import GitCommands, GitError
from zoran_ray.errors import InvalidRequest

MOST_FILES = 20_000
MOST_TREE_BYTES = 64 * 1024 * 1024
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\n"

_REMOTE = re.compile(r"(?:https?://[\w.\-:]+/|file:///)[\w.@~/+\-]*[\w.@~+\-]")
_BRANCH = re.compile(r"(?!.*(?:\.\.|//|@\{|\.lock(?:/|$)))[\w][\w.@+\-]*(?:/[\w][\w.@+\-]*)*")
_SHA = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Author:
    """Who a commit is by, and signed off by."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of a commit.

    Attributes:
        files: Contents of regular files, by path.
        executable: Those that may be run.
        left_out: What was not read, by path: links, submodules, names that are no UTF-8.
    """

    files: Mapping[str, bytes]
    executable: frozenset[str]
    left_out: Mapping[str, str]


def checked_remote(remote: str) -> str:
    """An address that git may be given. Raises: InvalidRequest: It is none, or holds a password."""
    if not _REMOTE.fullmatch(remote) or "/../" in remote:
        raise InvalidRequest(
            "A repository is given as https://host/path or file:///path, without name or password in it.",
            param="repo_url",
        )
    return remote


class Repository:
    """Our bare copy of one remote.

    Args:
        folder: Ours alone; made at the first fetch.
        remote: Its address, checked.
        token: For `https` remotes.
    """

    def __init__(self, folder: Path, remote: str, token: str | None = None) -> None:
        self._remote = checked_remote(remote)
        self._folder = folder
        self._git = GitCommands(folder, token)

    def fetch(self, branch: str | None = None) -> tuple[str, str]:
        """Brings a branch here.

        Args:
            branch: None for the remote's own.

        Returns:
            The branch and its commit.

        Raises:
            GitError: The remote does not answer, or has no such branch.
        """
        if not (self._folder / "HEAD").exists():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._git.run("init", "--quiet", "--bare", "--template=", "--initial-branch=main", ".")
        name = checked_branch(branch) if branch else self._default_branch()
        ref = f"refs/heads/{name}"
        self._git.run("fetch", "--quiet", "--no-tags", "--force", self._remote, f"+{ref}:refs/zoran/{name}")
        return name, self._git.line("rev-parse", "--verify", f"refs/zoran/{name}^{{commit}}")

    def tree(self, commit: str) -> Tree:
        """Everything in a commit. Raises: GitError: It is too large, or not here."""
        files, executable, left_out = dict[str, bytes](), set[str](), dict[str, str]()
        room = MOST_TREE_BYTES
        with Repo(self._folder) as repo:
            repo.git.update_environment(**self._git.environ, GIT_DIR=str(self._folder))
            for item in repo.commit(checked_commit(commit)).tree.traverse():
                if isinstance(item, Submodule):
                    left_out[str(item.path)] = "a submodule"
                if not isinstance(item, Blob):
                    continue
                path = str(item.path)
                if stat.S_ISLNK(item.mode):
                    left_out[path] = "a link"
                elif not _utf8(path):
                    left_out[ascii(path)] = "its name is no UTF-8"
                else:
                    room -= item.size
                    if room < 0 or len(files) >= MOST_FILES:
                        raise GitError(
                            f"The tree has more than {MOST_FILES} files or {MOST_TREE_BYTES >> 20} MiB."
                        )
                    files[path] = item.data_stream.read()
                    if item.mode & 0o100:
                        executable.add(path)
        return Tree(files, frozenset(executable), left_out)

    def commit(
        self, base: str, changed: Mapping[str, bytes | None], message: str, author: Author, at: int
    ) -> str:
        """A commit on top of another; the same arguments give the same one.

        Args:
            base: The commit below.
            changed: Contents by path, None for a file that is gone. A file that is there keeps its mode.
            message: Signed off below.
            at: Unix time in seconds, of author and committer.

        Raises:
            GitError: It cannot be made.
        """
        tree = self._tree_with(checked_commit(base), changed)
        return self._committed(tree, [base], message, author, at)

    def together(self, one: str, other: str, message: str, author: Author, at: int) -> str | None:
        """A commit upon two: what both made of what they have in common. None where they are at odds.

        Raises:
            GitError: It cannot be made.
        """
        tree = self._merged_tree(one, other)
        return None if tree is None else self._committed(tree, [one, other], message, author, at)

    def undone(self, commit: str, tip: str, message: str, author: Author, at: int) -> str | None:
        """A commit upon `tip` without what `commit`, which is below it, did to its first parent.

        None where what came since is at odds with that. Raises: GitError: It cannot be made.
        """
        before = self._git.line("rev-parse", "--verify", f"{self.parents(commit)[0]}^{{tree}}")
        tree: str | None = before
        if tip != commit:
            tree = self._merged_tree(tip, self._committed(before, [commit], message, author, at))
        return None if tree is None else self._committed(tree, [tip], message, author, at)

    def parents(self, commit: str) -> list[str]:
        """The commits below one, the first first. Raises: GitError: It is not here."""
        return self._git.line("rev-list", "--parents", "-n", "1", checked_commit(commit)).split()[1:]

    def file(self, commit: str, path: str, most_bytes: int) -> bytes | None:
        """A regular file of a commit; None where there is none.

        Raises:
            GitError: It is no regular file, or larger than that.
        """
        listed = self._git.line("ls-tree", "--full-tree", "-l", checked_commit(commit), "--", path)
        if not listed:
            return None
        mode, _, sha, size = listed.partition("\t")[0].split()
        if not mode.startswith("100") or int(size) > most_bytes:
            raise GitError(f"{path} is no regular file of at most {most_bytes} bytes.")
        return self._git.run("cat-file", "blob", sha)

    def _merged_tree(self, one: str, other: str) -> str | None:
        words = ("merge-tree", "--write-tree", "--no-messages", checked_commit(one), checked_commit(other))
        for commit in (one, other):
            self.parents(commit)  # it is here; what fails below is a conflict
        try:
            return self._git.line(*words)
        except GitError:
            return None

    def _committed(self, tree: str, below: Sequence[str], message: str, author: Author, at: int) -> str:
        who = {
            f"GIT_{role}_{what}": value
            for role in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", author.name), ("EMAIL", author.email), ("DATE", f"@{at} +0000"))
        }
        text = f"{message.rstrip()}\n\nSigned-off-by: {author.name} <{author.email}>\n"
        parents = [word for parent in below for word in ("-p", parent)]
        return self._git.line("commit-tree", tree, *parents, given=text.encode(), environ=who)

    def _tree_with(self, base: str, changed: Mapping[str, bytes | None]) -> str:
        """A commit's tree with other contents; by an index of its own, as others work on this base too."""
        with TemporaryDirectory(dir=self._folder, prefix="index-") as folder:
            return self._tree_of(base, changed, {"GIT_INDEX_FILE": str(Path(folder) / "index")})

    def _tree_of(self, base: str, changed: Mapping[str, bytes | None], index: Mapping[str, str]) -> str:
        self._git.run("read-tree", base, environ=index)
        modes = self._modes(base)
        entries = []
        for path, content in sorted(changed.items()):
            if content is None:
                entries.append(f"0 {'0' * 40}\t{path}\0")
                continue
            sha = self._git.line("hash-object", "-w", "--stdin", "--no-filters", given=content)
            entries.append(f"{modes.get(path, '100644')} {sha}\t{path}\0")
        self._git.run("update-index", "-z", "--index-info", given="".join(entries).encode(), environ=index)
        return self._git.line("write-tree", environ=index)

    def raw_diff(self, base: str, commit: str) -> bytes:
        """`git diff --raw -z` between two commits: modes and names as they are."""
        return self._git.run(
            "diff", "--raw", "-z", "--no-renames", "--no-ext-diff", "--no-textconv", "--abbrev=40",
            checked_commit(base), checked_commit(commit),
        )  # fmt: skip

    def diff(self, base: str, commit: str) -> str:
        """The unified diff between two commits, for people."""
        out = self._git.run(
            "diff", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames",
            checked_commit(base), checked_commit(commit),
        )  # fmt: skip
        return out.decode(errors="replace")

    def diff_as(self, base: str, commit: str, options: Sequence[str]) -> bytes:
        """What `git diff` prints between two commits, with options of the caller's."""
        return self._git.run("diff", *options, checked_commit(base), checked_commit(commit))

    def remote_commit(self, branch: str) -> str | None:
        """Where a branch of the remote stands; None if there is none. Raises: GitError."""
        line = self._git.line("ls-remote", self._remote, f"refs/heads/{checked_branch(branch)}")
        return line.split()[0] if line else None

    def push(self, commit: str, branch: str, expected: str | None) -> None:
        """Lets a branch of the remote stand at a commit, unless somebody else moved it.

        Args:
            expected: Where it stands now; None: it is not there.

        Raises:
            GitError: Somebody moved it, or the remote refuses.
        """
        ref = f"refs/heads/{checked_branch(branch)}"
        lease = f"--force-with-lease={ref}:{expected or ''}"
        what = f"{checked_commit(commit)}:{ref}"
        self._git.run("push", "--quiet", "--no-verify", "--no-follow-tags", lease, self._remote, what)

    def _default_branch(self) -> str:
        """What the remote's HEAD points at."""
        for line in self._git.line("ls-remote", "--symref", self._remote, "HEAD").splitlines():
            if line.startswith("ref: refs/heads/"):
                return checked_branch(line.split()[1].removeprefix("refs/heads/"))
        raise GitError("The remote has no branch of its own: name one, or push a first commit.")

    def _modes(self, commit: str) -> dict[str, str]:
        listed = self._git.run("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0")
        return {
            entry.partition(b"\t")[2].decode(errors="surrogateescape"): entry[:6].decode()
            for entry in listed
            if entry[:3] == b"100"
        }


def checked_branch(name: str) -> str:
    """A name that git may be given. Raises: InvalidRequest: It is none. Source: git-check-ref-format(1)."""
    if len(name) > 200 or not _BRANCH.fullmatch(name) or name.endswith("."):
        raise InvalidRequest("A branch has letters, digits, ._-+@ between single slashes.", param="branch")
    return name


def checked_commit(sha: str) -> str:
    """Raises: InvalidRequest: It is no commit's whole name."""
    if not _SHA.fullmatch(sha):
        raise InvalidRequest("A commit is named by its 40 hexadecimal digits.", param="commit")
    return sha


def _utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
