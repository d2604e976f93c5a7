"""Merges pull requests as GitHub does: against the head that was named, into the base as it is now."""

from benchmarks.autopilot.github_stand_in.hub import Hosted
from benchmarks.autopilot.github_stand_in.records import Pull, User

Refused = tuple[int, str]

_NOT_MERGEABLE = (405, "Pull Request is not mergeable")


def mergeable(hosted: Hosted, pull: Pull) -> bool | None:
    """Whether git can merge it; None at the first look at this head and base, or where it is closed."""
    base, head = hosted.git.commit_of(pull.base), hosted.head_commit(pull)
    if pull.state != "open" or base is None:
        return None
    seen, pull.looked_at = pull.looked_at, (base, head)
    return hosted.git.merged_tree(base, head) is not None if seen == (base, head) else None


def merge(hosted: Hosted, pull: Pull, user: User, sha: str | None, method: str) -> str | Refused:
    """The commit of the merge, or status and message of the refusal."""
    git, head, base = hosted.git, hosted.head_commit(pull), hosted.git.commit_of(pull.base)
    if pull.state != "open" or base is None:
        return _NOT_MERGEABLE
    if sha is not None and sha != head:
        return (409, "Head branch was modified. Review and try the merge again.")
    if hosted.strict and not git.contains(head, base):
        return (405, "Head branch is out of date. Review and try the merge again.")
    commit = _made(hosted, pull, user, method, base, head)
    if commit is None:
        return _NOT_MERGEABLE
    if not git.move(pull.base, commit, base):
        return (405, "Base branch was modified. Review and try the merge again.")
    hosted.merged(pull, user, commit)
    return commit


def _made(hosted: Hosted, pull: Pull, user: User, method: str, base: str, head: str) -> str | None:
    """The commit that a method makes; None where it cannot."""
    git, owner = hosted.git, hosted.full_name.partition("/")[0]
    tree = git.merged_tree(base, head)
    if tree is None:
        return None
    if method == "squash":
        return git.commit(tree, [base], f"{pull.title} (#{pull.number})\n", user.login)
    if method == "rebase":
        return head if git.contains(head, base) else None
    message = f"Merge pull request #{pull.number} from {owner}/{pull.head}\n\n{pull.title}\n"
    return git.commit(tree, [base, head], message, user.login)
