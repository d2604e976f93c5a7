"""Pull requests on GitHub, or GitHub Enterprise, through PyGithub.

Of PyGithub it takes the token, the pace and the meaning of refusals, not its objects: those take addresses
out of answers and ask again by themselves. Decides nothing about what may be merged.
"""

from collections.abc import Iterator, Mapping
from typing import NoReturn
from urllib.parse import quote

from github import GithubException

from zoran_ray.autopilot.forge import answers
from zoran_ray.autopilot.forge.answers import read, read_all
from zoran_ray.autopilot.forge.forge import Check, MergeMethod, PullRequest, PullState, Reviews
from zoran_ray.autopilot.forge.refusals import reasons, refusal, said
from zoran_ray.autopilot.forge.requests import Requests
from zoran_ray.autopilot.git import checked_branch
from zoran_ray.autopilot.git.repository import checked_commit
from zoran_ray.errors import ForgeRefused, NotMergeable, PullRequestMoved

_WITH_A_SAY = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})
"""Anybody may review in a public repository; these may also write, or belong to those who may."""
_VERDICTS = frozenset({"APPROVED", "CHANGES_REQUESTED", "DISMISSED"})
_ALREADY = "already exists"
_BASE_MOVED = "base branch was modified"


class GitHubForge:
    """One repository on GitHub. Args: requests: About this repository, with our token."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._me: answers.User | None = None
        self._asked_who = False

    def open_pull_request(self, head: str, base: str, title: str, body: str) -> PullRequest:
        """As `Forge.open_pull_request`. Raises: ZoranError."""
        given = {"head": checked_branch(head), "base": checked_branch(base), "title": title, "body": body}
        try:
            pull = read(answers.Pull, self._requests.ask("POST", "pulls", given))
        except GithubException as error:
            if error.status != 422 or _ALREADY not in reasons(error):
                self._refuse(error)
            found = self.find_pull_request(head, body.partition("\n")[0])
            if found is None or found.state is not PullState.OPEN or found.base != base:
                raise ForgeRefused(
                    "Somebody else's pull request stands open for this branch. Close it, or take over."
                ) from None
            return found
        return self._whole(pull)

    def find_pull_request(self, head: str, marker: str) -> PullRequest | None:
        """As `Forge.find_pull_request`. Raises: ZoranError."""
        owner = self._requests.repository.partition("/")[0]
        given = {"head": f"{owner}:{checked_branch(head)}", "state": "all"}
        found = [
            pull
            for page in self._requests.pages("pulls", **given)
            for pull in read_all(answers.Pull, page)
            if self._is_ours(pull, head) and _begins(pull.body, marker)
        ]
        if not found:
            return None
        return self.get(max(found, key=lambda pull: (pull.state == "open", pull.number)).number)

    def get(self, number: int) -> PullRequest:
        """As `Forge.get`. Raises: ZoranError."""
        return self._whole(read(answers.Pull, self._requests.get(f"pulls/{number}")))

    def merge(self, number: int, expected_head: str, method: MergeMethod) -> str:
        """As `Forge.merge`. Raises: ZoranError."""
        given = {"sha": checked_commit(expected_head), "merge_method": method.value}
        try:
            data = self._requests.ask("PUT", f"pulls/{number}/merge", given)
        except GithubException as error:
            if error.status not in (405, 409):
                self._refuse(error)
            if merged := self._merged_before(number, expected_head):
                return merged
            if error.status == 409:
                raise PullRequestMoved("The head is not the commit that was tested: test again.") from None
            if _BASE_MOVED in said(error):
                raise PullRequestMoved("The base moved during the merge: test again.") from None
            raise NotMergeable("Conflicts, or rules of the branch, keep it from being merged.") from None
        return read(answers.Merged, data).sha

    def checks(self, commit: str) -> Mapping[str, Check]:
        """As `Forge.checks`; of several with one name the worst counts. Raises: ZoranError."""
        found: dict[str, Check] = {}
        for name, check in self._each_check(checked_commit(commit)):
            found[name] = max(found.get(name, check), check, key=_BADNESS.index)
        return found

    def reviews(self, number: int, head_commit: str) -> Reviews:
        """As `Forge.reviews`. Raises: ZoranError."""
        last: dict[int, answers.Review] = {}
        for page in self._requests.pages(f"pulls/{number}/reviews"):
            for review in read_all(answers.Review, page):
                if review.user and review.state in _VERDICTS and self._is_person(review):
                    last[review.user.id] = review
        of = {
            state: tuple(
                each.user.login
                for each in last.values()
                if each.user and each.state == state and (commit is None or each.commit_id == commit)
            )
            for state, commit in (("APPROVED", checked_commit(head_commit)), ("CHANGES_REQUESTED", None))
        }
        return Reviews(of["APPROVED"], of["CHANGES_REQUESTED"])

    def comment(self, number: int, text: str) -> str:
        """As `Forge.comment`. Raises: ZoranError."""
        data = self._requests.do("POST", f"issues/{number}/comments", {"body": text})
        return read(answers.Comment, data).html_url

    def find_comment(self, number: int, marker: str) -> str | None:
        """As `Forge.find_comment`. Raises: ZoranError."""
        for page in self._requests.pages(f"issues/{number}/comments"):
            for comment in read_all(answers.Comment, page):
                if _begins(comment.body, marker) and self._is_me(comment.user):
                    return comment.html_url
        return None

    def close(self, number: int) -> PullRequest:
        """As `Forge.close`. Raises: ZoranError."""
        data = self._requests.do("PATCH", f"pulls/{number}", {"state": "closed"})
        return self._whole(read(answers.Pull, data))

    def _whole(self, pull: answers.Pull) -> PullRequest:
        """A pull request with its base as it is now, which GitHub's own `base.sha` is not."""
        state = PullState.MERGED if pull.merged_at else PullState(pull.state)
        ref = self._requests.get(f"git/ref/heads/{quote(checked_branch(pull.base.ref))}")
        return PullRequest(
            pull.number, pull.html_url, pull.head.ref, pull.base.ref,
            pull.head.sha, read(answers.Ref, ref).object.sha, state,
            False if pull.draft else pull.mergeable,
            pull.merge_commit_sha if state is PullState.MERGED else None,
        )  # fmt: skip

    def _merged_before(self, number: int, expected_head: str) -> str | None:
        """The commit of a merge of this head that is done already, perhaps by us and unheard."""
        pull = self.get(number)
        return pull.merged_commit if pull.head_commit == expected_head else None

    def _each_check(self, commit: str) -> Iterator[tuple[str, Check]]:
        for page in self._requests.pages(f"commits/{commit}/status"):
            for status in read(answers.Statuses, page).statuses:
                yield status.context, status.check
        for page in self._requests.pages(f"commits/{commit}/check-runs"):
            for run in read(answers.CheckRuns, page).check_runs:
                yield run.name, run.check

    def _is_ours(self, pull: answers.Pull, head: str) -> bool:
        """Whether we opened it, from the repository itself: a fork may have a branch of the same name."""
        home = pull.head.repo.full_name.lower() if pull.head.repo else None
        here = home == self._requests.repository.lower() and pull.head.ref == head
        return here and self._is_me(pull.user)

    def _is_person(self, review: answers.Review) -> bool:
        user = review.user
        if user is None or user.type != "User" or review.author_association not in _WITH_A_SAY:
            return False
        return not self._is_me(user)

    def _is_me(self, user: answers.User | None) -> bool:
        """An app's token cannot ask who it is; apps are bots, and ours is taken to be the only one."""
        if user is None:
            return False
        me = self._who()
        return user.type == "Bot" if me is None else user.id == me.id

    def _who(self) -> answers.User | None:
        if not self._asked_who:
            try:
                self._me = read(answers.User, self._requests.ask("GET", "/user"))
            except GithubException as error:
                told = refusal(error, self._requests.now())
                if error.status not in (403, 404) or told.retryable:
                    raise told from None
            self._asked_who = True
        return self._me

    def _refuse(self, error: GithubException) -> NoReturn:
        raise refusal(error, self._requests.now()) from None


_BADNESS = (Check.SUCCEEDED, Check.PENDING, Check.FAILED)


def _begins(body: str | None, marker: str) -> bool:
    return bool(marker) and (body or "").startswith(marker)
