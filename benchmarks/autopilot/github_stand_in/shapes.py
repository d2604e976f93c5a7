"""GitHub's JSON for what the stand-in remembers. Source: github/rest-api-description."""

from typing import Any

from benchmarks.autopilot.github_stand_in.records import CheckRun, Comment, Pull, Review, Status, User

Json = dict[str, Any]

_USER_URLS = (
    "avatar_url", "events_url", "followers_url", "following_url", "gists_url", "html_url",
    "organizations_url", "received_events_url", "repos_url", "starred_url", "subscriptions_url", "url",
)  # fmt: skip
_REPOSITORY_URLS = (
    "archive_url", "assignees_url", "blobs_url", "branches_url", "collaborators_url", "comments_url",
    "commits_url", "compare_url", "contents_url", "contributors_url", "deployments_url", "downloads_url",
    "events_url", "forks_url", "git_commits_url", "git_refs_url", "git_tags_url", "hooks_url", "html_url",
    "issue_comment_url", "issue_events_url", "issues_url", "keys_url", "labels_url", "languages_url",
    "merges_url", "milestones_url", "notifications_url", "pulls_url", "releases_url", "stargazers_url",
    "statuses_url", "subscribers_url", "subscription_url", "tags_url", "teams_url", "trees_url",
    "clone_url", "git_url", "ssh_url", "svn_url", "url",
)  # fmt: skip
_COUNTS = (
    "forks", "forks_count", "open_issues", "open_issues_count", "size", "stargazers_count", "watchers",
    "watchers_count", "network_count", "subscribers_count",
)  # fmt: skip
_FLAGS = (
    "fork", "private", "has_downloads", "has_issues", "has_projects", "has_wiki", "has_pages",
    "has_discussions", "archived", "disabled",
)  # fmt: skip


class Shapes:
    """JSON of one repository.

    Args:
        origin: Of the server: `http://127.0.0.1:1234`.
        full_name: `owner/name`.
        made_at: ISO 8601.
    """

    def __init__(self, origin: str, full_name: str, made_at: str) -> None:
        self.origin = origin
        self.full_name = full_name
        self.api = f"{origin}/api/v3/repos/{full_name}"
        self.page = f"{origin}/{full_name}"
        self._made_at = made_at

    def user(self, user: User) -> Json:
        """A simple-user."""
        url = f"{self.origin}/{user.login}"
        known = {"id": user.id, "login": user.login, "type": user.type, "node_id": f"U{user.id}"}
        return known | {"gravatar_id": "", "site_admin": False} | dict.fromkeys(_USER_URLS, url)

    def myself(self, user: User) -> Json:
        """A public-user."""
        nothing = dict.fromkeys(("bio", "blog", "company", "email", "hireable", "location", "name"))
        counts = dict.fromkeys(("followers", "following", "public_gists", "public_repos"), 0)
        times = {"created_at": self._made_at, "updated_at": self._made_at}
        return self.user(user) | nothing | counts | times | {"user_view_type": "public"}

    def repository(self) -> Json:
        """A full-repository, which is a repository and a minimal-repository too."""
        owner, _, name = self.full_name.partition("/")
        return {
            **dict.fromkeys(_REPOSITORY_URLS, self.api),
            **dict.fromkeys(_COUNTS, 0),
            **dict.fromkeys(_FLAGS, False),
            **dict.fromkeys(("description", "homepage", "language", "license", "mirror_url")),
            **dict.fromkeys(("created_at", "pushed_at", "updated_at"), self._made_at),
            "html_url": self.page,
            "url": self.api,
            "clone_url": f"{self.page}.git",
            "id": 1,
            "node_id": "R1",
            "name": name,
            "full_name": self.full_name,
            "owner": self.user(User(1, owner, "Organization")),
            "default_branch": "main",
        }

    def pull_in_list(self, pull: Pull, head_commit: str) -> Json:
        """A pull-request-simple."""
        url, page = f"{self.api}/pulls/{pull.number}", f"{self.page}/pull/{pull.number}"
        issue = f"{self.api}/issues/{pull.number}"
        urls = {
            "url": url, "html_url": page, "diff_url": f"{page}.diff", "patch_url": f"{page}.patch",
            "issue_url": issue, "commits_url": f"{url}/commits", "review_comments_url": f"{url}/comments",
            "review_comment_url": f"{self.api}/pulls/comments{{/number}}",
            "comments_url": f"{issue}/comments", "statuses_url": f"{self.api}/statuses/{head_commit}",
        }  # fmt: skip
        linked = ("comments", "commits", "statuses", "review_comments", "review_comment")
        links = {name: {"href": urls[f"{name}_url"]} for name in linked}
        links |= {"self": {"href": url}, "html": {"href": page}, "issue": {"href": issue}}
        return {
            **urls,
            **dict.fromkeys(("assignee", "milestone", "auto_merge", "active_lock_reason")),
            "_links": links,
            "id": pull.number,
            "node_id": f"PR{pull.number}",
            "number": pull.number,
            "state": pull.state,
            "title": pull.title,
            "body": pull.body,
            "user": self.user(pull.user),
            "labels": [],
            "locked": False,
            "draft": False,
            "created_at": pull.at,
            "updated_at": pull.closed_at or pull.at,
            "closed_at": pull.closed_at,
            "merged_at": pull.closed_at if pull.merge_commit else None,
            "merge_commit_sha": pull.merge_commit,
            "author_association": pull.user.association,
            "head": self._side(pull.head, head_commit),
            "base": self._side(pull.base, pull.base_commit),
        }

    def pull(self, pull: Pull, head_commit: str, mergeable: bool | None) -> Json:
        """A pull-request."""
        state = {None: "unknown", True: "clean", False: "dirty"}[mergeable]
        counts = ("additions", "changed_files", "comments", "commits", "deletions", "review_comments")
        return {
            **self.pull_in_list(pull, head_commit),
            **dict.fromkeys(counts, 0),
            "mergeable": mergeable,
            "mergeable_state": state,
            "merged": pull.merge_commit is not None,
            "merged_by": self.user(pull.merged_by) if pull.merged_by else None,
            "maintainer_can_modify": False,
        }

    def review(self, review: Review, number: int, at: str) -> Json:
        """A pull-request-review."""
        page = f"{self.page}/pull/{number}#pullrequestreview-{review.id}"
        url = f"{self.api}/pulls/{number}"
        return {
            "id": review.id, "node_id": f"RV{review.id}", "user": self.user(review.user), "body": "",
            "state": review.state, "html_url": page, "pull_request_url": url, "submitted_at": at,
            "_links": {"html": {"href": page}, "pull_request": {"href": url}},
            "commit_id": review.commit, "author_association": review.user.association,
        }  # fmt: skip

    def comment(self, comment: Comment, number: int) -> Json:
        """An issue-comment."""
        return {
            "id": comment.id, "node_id": f"C{comment.id}", "user": self.user(comment.user),
            "url": f"{self.api}/issues/comments/{comment.id}", "body": comment.body,
            "html_url": f"{self.page}/pull/{number}#issuecomment-{comment.id}",
            "issue_url": f"{self.api}/issues/{number}", "author_association": comment.user.association,
            "created_at": comment.at, "updated_at": comment.at,
        }  # fmt: skip

    def statuses(self, commit: str, statuses: list[Status], total: int) -> Json:
        """A combined-commit-status."""
        states = {status.state for status in statuses}
        failed = states & {"failure", "error"}
        pending = not states or "pending" in states
        return {
            "state": "failure" if failed else "pending" if pending else "success",
            "sha": commit,
            "total_count": total,
            "statuses": [self._status(status, commit) for status in statuses],
            "repository": self.repository(),
            "commit_url": f"{self.api}/commits/{commit}",
            "url": f"{self.api}/commits/{commit}/status",
        }

    def check_run(self, run: CheckRun, commit: str) -> Json:
        """A check-run."""
        url = f"{self.api}/check-runs/{run.id}"
        output = dict.fromkeys(("title", "summary", "text")) | {
            "annotations_count": 0, "annotations_url": f"{url}/annotations",
        }  # fmt: skip
        return {
            "id": run.id, "node_id": f"CR{run.id}", "head_sha": commit, "name": run.name, "url": url,
            "html_url": url, "details_url": url, "external_id": "", "status": run.status,
            "conclusion": run.conclusion, "started_at": run.at,
            "completed_at": run.at if run.conclusion else None, "check_suite": None, "app": None,
            "output": output, "pull_requests": [],
        }  # fmt: skip

    def ref(self, branch: str, commit: str) -> Json:
        """A git-ref."""
        target = {"type": "commit", "sha": commit, "url": f"{self.api}/git/commits/{commit}"}
        name = f"refs/heads/{branch}"
        return {"ref": name, "node_id": "REF", "url": f"{self.api}/git/{name}", "object": target}

    def _side(self, branch: str, commit: str) -> Json:
        owner = self.full_name.partition("/")[0]
        return {
            "label": f"{owner}:{branch}",
            "ref": branch,
            "sha": commit,
            "repo": self.repository(),
            "user": self.user(User(1, owner, "Organization")),
        }

    def _status(self, status: Status, commit: str) -> Json:
        return {
            "id": status.id, "node_id": f"S{status.id}", "state": status.state, "context": status.context,
            "description": None, "target_url": None, "avatar_url": None,
            "url": f"{self.api}/statuses/{commit}", "created_at": status.at, "updated_at": status.at,
        }  # fmt: skip
