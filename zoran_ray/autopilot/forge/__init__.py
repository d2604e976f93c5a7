"""Pull requests: opened, read and merged on a forge, each once. Knows no policy and no task's course.

forge = forge_of("https://github.com/team/project", token)
step = ForgeStep(tasks, lease, forge, "pull request 1")
number, url = open_once(step, Wanted(head, base, title, body))
"""

from zoran_ray.autopilot.forge.body import Account, marker, note, pull_request_body, pull_request_title
from zoran_ray.autopilot.forge.choose import API_URLS, forge_of
from zoran_ray.autopilot.forge.forge import (
    Check,
    Forge,
    MergeMethod,
    PullRequest,
    PullState,
    Reviews,
)  # fmt: skip
from zoran_ray.autopilot.forge.gate import Commits, refuse_unmet, same_base, same_head
from zoran_ray.autopilot.forge.github import GitHubForge
from zoran_ray.autopilot.forge.once import (
    ForgeStep,
    Wanted,
    close_once,
    comment_once,
    merge_once,
    open_once,
)
from zoran_ray.autopilot.forge.plain import PlainRemote
from zoran_ray.autopilot.forge.prose import one_line

__all__ = [
    "API_URLS", "Account", "Check", "Commits", "Forge", "ForgeStep", "GitHubForge", "MergeMethod",
    "PlainRemote", "PullRequest", "PullState", "Reviews", "Wanted", "close_once", "comment_once",
    "forge_of", "marker", "merge_once", "note", "one_line", "open_once", "pull_request_body",
    "pull_request_title", "refuse_unmet", "same_base", "same_head",
]  # fmt: skip
