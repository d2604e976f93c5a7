"""A bare repository with the few commands that a forge needs. Merges are git's own."""

from collections.abc import Mapping
from pathlib import Path

from zoran_ray.autopilot.git import GitError
from zoran_ray.autopilot.git.commands import GitCommands


class Bare:
    """Args: folder: Made here."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self._git = GitCommands(folder)
        self._git.run("init", "--quiet", "--bare", "--template=", "--initial-branch=main", ".")

    def commit_of(self, branch: str) -> str | None:
        """Where a branch stands; None if there is none."""
        try:
            return self._git.line("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}")
        except GitError:
            return None

    def contains(self, commit: str, older: str) -> bool:
        """Whether a commit has another below it."""
        return (
            self._git.line("merge-base", commit, older) == older if self._related(commit, older) else False
        )

    def file(self, commit: str, path: str) -> bytes:
        """A file's content. Raises: GitError: There is none."""
        return self._git.run("cat-file", "blob", f"{commit}:{path}")

    def parents(self, commit: str) -> list[str]:
        """The commits below, the first first."""
        return self._git.line("rev-list", "--parents", "-n", "1", commit).split()[1:]

    def count(self, branch: str) -> int:
        """Commits of a branch."""
        return int(self._git.line("rev-list", "--count", f"refs/heads/{branch}"))

    def branches(self) -> list[str]:
        """Their names."""
        return self._git.line("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads").split()

    def put(self, branch: str, files: Mapping[str, bytes], message: str, onto: str | None = None) -> str:
        """Commits files upon a branch, or upon another commit, and lets the branch stand there."""
        below = onto or self.commit_of(branch)
        index = {"GIT_INDEX_FILE": str(self.folder / "index-put")}
        self._git.run("read-tree", *([below] if below else ["--empty"]), environ=index)
        for path, content in files.items():
            blob = self._git.line("hash-object", "-w", "--stdin", given=content)
            self._git.run("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", environ=index)
        tree = self._git.line("write-tree", environ=index)
        commit = self.commit(tree, [below] if below else [], message, "someone")
        self._git.run("update-ref", f"refs/heads/{branch}", commit)
        return commit

    def merged_tree(self, base: str, head: str) -> str | None:
        """The tree of a merge; None where there are conflicts."""
        try:
            return self._git.line("merge-tree", "--write-tree", "--no-messages", base, head)
        except GitError:
            return None

    def commit(self, tree: str, parents: list[str], message: str, login: str) -> str:
        """A commit of a tree."""
        who = {
            f"GIT_{role}_{what}": value
            for role in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", login), ("EMAIL", f"{login}@users.example.com"))
        }
        above = [word for parent in parents for word in ("-p", parent)]
        return self._git.line("commit-tree", tree, *above, given=message.encode(), environ=who)

    def move(self, branch: str, to: str, expected: str) -> bool:
        """Lets a branch stand elsewhere, unless somebody moved it."""
        try:
            self._git.run("update-ref", f"refs/heads/{branch}", to, expected)
        except GitError:
            return False
        return True

    def _related(self, one: str, other: str) -> bool:
        try:
            return bool(self._git.line("merge-base", one, other))
        except GitError:
            return False
