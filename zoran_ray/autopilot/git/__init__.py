"""Git for the autopilot: a bare copy, commits out of contents, one branch pushed with a lease.

repository = Repository(folder, "https://example.com/team/project", token)
branch, base = repository.fetch()
commit = repository.commit(base, {"src/a.py": b"…"}, "Mend the sum", author, at)
repository.push(commit, "zoran/task_1", expected=None)
"""

from zoran_ray.autopilot.git.commands import GitError
from zoran_ray.autopilot.git.repository import Author, Repository, Tree, checked_branch, checked_remote

__all__ = ["Author", "GitError", "Repository", "Tree", "checked_branch", "checked_remote"]
