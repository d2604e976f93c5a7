"""A small GitHub on this machine: pull requests over HTTP, real merges in bare repositories, pushes by git.

with StandIn(folder) as github:
    widgets = github.add_repository("acme/widgets")
    base = widgets.git.put("main", {"a.py": b"x = 1\n"}, "first")
    me = github.add_user("zoran-bot", token="…")
    forge_of(github.remote("acme/widgets"), "…", github.api_urls, between_writes_s=0)
    assert github.violations == []        # every answer and request was as GitHub describes it

What it has: repositories, users by token, `pulls` (list, open, read, edit, close, merge), `reviews` (read),
comments, statuses, check runs, branches, and `git http-backend` behind the same tokens. It answers 401,
403, 404, 405, 409, 422 as GitHub does, and 304 never. Faults are put at any request, before it acts or
between its act and its answer.

What it has not, beside all the rest of GitHub:
- State is in memory, one process, one lock; nothing survives it but the repositories.
- No forks, drafts, teams, labels, webhooks, merge queue, GraphQL or conditional requests.
- Of rules for branches only "must be up to date" (`strict`). Everybody with a token may do everything.
- A rebase is a fast-forward where that is possible and 405 elsewhere; GitHub makes the commits anew.
- A pull request whose head gets into its base by a push stays open; GitHub calls it merged.
- `mergeable` is null at the first look at a head and a base, as GitHub's is while it is being computed.
- `base.sha` stays where the base was at the opening; GitHub moves it now and then.
- Answers about reviews are held against a schema written here, as the supplied description lacks them; the
  others against the description, where it is there.
"""

from benchmarks.autopilot.github_stand_in.contract import DESCRIPTION, Contract, described
from benchmarks.autopilot.github_stand_in.faults import Fault, Moment, Reply, Seen
from benchmarks.autopilot.github_stand_in.hub import Hosted, Hub
from benchmarks.autopilot.github_stand_in.records import CheckRun, Pull, Review, Status, User
from benchmarks.autopilot.github_stand_in.server import StandIn

__all__ = [
    "DESCRIPTION", "CheckRun", "Contract", "Fault", "Hosted", "Hub", "Moment", "Pull", "Reply", "Review",
    "Seen", "StandIn", "Status", "User", "described",
]  # fmt: skip
