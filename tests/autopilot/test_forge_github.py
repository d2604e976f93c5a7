"""GitHub's pull requests, on a stand-in with real merges whose answers are held against its description."""

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.autopilot.github_stand_in import (
    DESCRIPTION,
    Hosted,
    Moment,
    Reply,
    StandIn,
    User,
    described,
)
from zoran_ray.autopilot.forge import Check, Forge, MergeMethod, PullState, Reviews, forge_of
from zoran_ray.autopilot.git import Author, Repository
from zoran_ray.errors import (
    DeadlineExceeded,
    ForgeRefused,
    NotMergeable,
    ProviderBusy,
    PullRequestMoved,
    Unreachable,
    UpstreamError,
)

TOKEN = "ghp_canary_of_a_token"
NAME = "acme/widgets"
MARK = "<!-- zoran task_0123456789abcdef01234567 change -->"
AT = 1_700_000_000
BODY = f"{MARK}\n\nthe plan"


@pytest.fixture
def github(tmp_path: Path) -> Iterator[StandIn]:
    with StandIn(tmp_path / "hub") as stand_in:
        yield stand_in
    assert stand_in.violations == []


@pytest.fixture
def me(github: StandIn) -> User:
    return github.add_user("zoran-bot", token=TOKEN)


@pytest.fixture
def hosted(github: StandIn) -> Hosted:
    """A repository with `main` and a branch `fix` upon it."""
    made = github.add_repository(NAME)
    base = made.git.put("main", {"a.py": b"x = 1\n", "b.py": b"y = 1\n"}, "first")
    made.git.put("fix", {"a.py": b"x = 2\n"}, "fix", onto=base)
    return made


@pytest.fixture
def forge(github: StandIn, me: User, hosted: Hosted) -> Forge:
    return made(github)


def made(github: StandIn, token: str = TOKEN, deadline_s: float = 20.0) -> Forge:
    return forge_of(
        github.remote(NAME), token, github.api_urls, deadline_s=deadline_s, between_writes_s=0.0
    )


def at(hosted: Hosted, branch: str) -> str:
    commit = hosted.git.commit_of(branch)
    assert commit
    return commit


def test_the_description_is_there() -> None:
    if not described():
        pytest.skip(f"NOT TESTED: {DESCRIPTION} is missing; answers are held against no description")


def test_a_pull_request_is_opened_found_and_read(forge: Forge, hosted: Hosted, github: StandIn) -> None:
    opened = forge.open_pull_request("fix", "main", "Mend it", BODY)
    assert opened.url == f"http://{github.host}/{NAME}/pull/1"
    assert (opened.number, opened.state, opened.mergeable) == (1, PullState.OPEN, None)
    assert (opened.head_commit, opened.base_commit) == (at(hosted, "fix"), at(hosted, "main"))
    found = forge.find_pull_request("fix", MARK)
    assert found == forge.get(1)
    assert found is not None
    assert found.mergeable is True
    assert hosted.pulls[1].body == BODY


def test_a_second_pull_request_is_the_first_one(forge: Forge, hosted: Hosted) -> None:
    first = forge.open_pull_request("fix", "main", "Mend it", BODY)
    assert forge.open_pull_request("fix", "main", "Mend it again", BODY).number == first.number
    assert len(hosted.pulls) == 1


def test_somebody_elses_pull_request_is_not_taken_for_ours(
    forge: Forge, hosted: Hosted, github: StandIn
) -> None:
    hosted.open(github.add_user("mallory"), "fix", "main", "Mine", BODY)
    assert forge.find_pull_request("fix", MARK) is None
    with pytest.raises(ForgeRefused, match="Somebody else's"):
        forge.open_pull_request("fix", "main", "Mend it", BODY)


def test_a_marker_counts_at_the_beginning_alone(forge: Forge, hosted: Hosted, me: User) -> None:
    hosted.open(me, "fix", "main", "Other", f"said by a model: {MARK}")
    assert forge.find_pull_request("fix", MARK) is None


def test_the_base_is_where_it_stands_now(forge: Forge, hosted: Hosted) -> None:
    forge.open_pull_request("fix", "main", "Mend it", BODY)
    moved = hosted.git.put("main", {"b.py": b"y = 2\n"}, "meanwhile")
    assert forge.get(1).base_commit == moved
    assert hosted.pulls[1].base_commit != moved


@pytest.mark.parametrize("method", list(MergeMethod))
def test_a_merge_is_a_real_one(forge: Forge, hosted: Hosted, method: MergeMethod) -> None:
    base, head = at(hosted, "main"), at(hosted, "fix")
    number = forge.open_pull_request("fix", "main", "Mend it", BODY).number
    commit = forge.merge(number, head, method)
    assert at(hosted, "main") == commit
    assert hosted.git.file(commit, "a.py") == b"x = 2\n"
    assert hosted.git.parents(commit)[0] == base
    seen = forge.get(number)
    assert (seen.state, seen.merged_commit, seen.head_commit) == (PullState.MERGED, commit, head)
    assert forge.merge(number, head, method) == commit
    assert forge.close(number).state is PullState.MERGED


def test_a_head_that_moved_is_not_merged(forge: Forge, hosted: Hosted) -> None:
    tested, base = at(hosted, "fix"), at(hosted, "main")
    number = forge.open_pull_request("fix", "main", "Mend it", BODY).number
    hosted.git.put("fix", {"a.py": b"import os; os._exit(0)\n"}, "more")
    with pytest.raises(PullRequestMoved):
        forge.merge(number, tested, MergeMethod.MERGE)
    assert at(hosted, "main") == base


def test_conflicts_are_not_merged(forge: Forge, hosted: Hosted) -> None:
    number = forge.open_pull_request("fix", "main", "Mend it", BODY).number
    base = hosted.git.put("main", {"a.py": b"x = 3\n"}, "meanwhile")
    forge.get(number)
    assert forge.get(number).mergeable is False
    with pytest.raises(NotMergeable):
        forge.merge(number, at(hosted, "fix"), MergeMethod.MERGE)
    assert at(hosted, "main") == base


def test_where_rules_ask_for_it_a_base_that_moved_is_not_merged_into(forge: Forge, hosted: Hosted) -> None:
    hosted.strict = True
    number = forge.open_pull_request("fix", "main", "Mend it", BODY).number
    hosted.git.put("main", {"b.py": b"y = 2\n"}, "meanwhile")
    with pytest.raises(NotMergeable):
        forge.merge(number, at(hosted, "fix"), MergeMethod.MERGE)


def test_a_base_that_moves_during_the_merge_is_said_as_such(
    forge: Forge, hosted: Hosted, github: StandIn
) -> None:
    number = forge.open_pull_request("fix", "main", "Mend it", BODY).number
    said = {"message": "Base branch was modified. Review and try the merge again."}
    github.fault("PUT", "/merge$", Moment.BEFORE, lambda: Reply(405, said))
    with pytest.raises(PullRequestMoved):
        forge.merge(number, at(hosted, "fix"), MergeMethod.MERGE)


def test_a_merge_whose_answer_was_lost_is_found(forge: Forge, hosted: Hosted, github: StandIn) -> None:
    head = at(hosted, "fix")
    number = forge.open_pull_request("fix", "main", "Mend it", BODY).number
    github.fault("PUT", "/merge$", Moment.AFTER, lambda: None)
    with pytest.raises(UpstreamError):
        forge.merge(number, head, MergeMethod.MERGE)
    assert forge.merge(number, head, MergeMethod.MERGE) == at(hosted, "main")
    assert hosted.git.count("main") == 3


def test_checks_are_read_by_name_and_only_success_succeeds(forge: Forge, hosted: Hosted) -> None:
    commit = at(hosted, "fix")
    for name, state in {"ci": "success", "lint": "failure", "slow": "pending", "broken": "error"}.items():
        hosted.status(commit, name, state)
    for name, conclusion in {"test": "success", "docs": "skipped", "e2e": None, "opt": "neutral"}.items():
        hosted.check(commit, name, conclusion)
    hosted.check(commit, "ci", "failure")
    good, bad, open_ = Check.SUCCEEDED, Check.FAILED, Check.PENDING
    assert forge.checks(commit) == {
        "ci": bad, "lint": bad, "slow": open_, "broken": bad, "test": good, "docs": bad, "e2e": open_,
        "opt": bad,
    }  # fmt: skip


def test_lists_are_read_to_their_end(forge: Forge, hosted: Hosted) -> None:
    commit = at(hosted, "fix")
    for number in range(250):
        hosted.check(commit, f"check-{number}", "success")
    assert len(forge.checks(commit)) == 250
    for number in range(1001):
        hosted.status(commit, f"status-{number}", "success")
    with pytest.raises(UpstreamError, match="more than"):
        forge.checks(commit)


def test_approvals_are_of_people_with_a_say_and_of_this_head(
    forge: Forge, hosted: Hosted, github: StandIn, me: User
) -> None:
    ann, ben, cal, eve = (github.add_user(name) for name in ("ann", "ben", "cal", "eve"))
    stranger = github.add_user("stranger", association="NONE")
    robot = github.add_user("robot[bot]", kind="Bot", association="COLLABORATOR")
    old = at(hosted, "fix")
    number = forge.open_pull_request("fix", "main", "Mend it", BODY).number
    for user in (ann, me, stranger, robot, eve):
        hosted.review(number, user)
    hosted.review(number, ann, "COMMENTED")
    hosted.review(number, cal, "CHANGES_REQUESTED")
    hosted.review(number, ben, "CHANGES_REQUESTED")
    hosted.review(number, ben)
    hosted.review(number, eve, "DISMISSED")
    assert forge.reviews(number, old) == Reviews(("ann", "ben"), ("cal",))
    new = hosted.git.put("fix", {"c.py": b""}, "more")
    hosted.review(number, ben)
    assert forge.reviews(number, new) == Reviews(("ben",), ("cal",))


def test_a_comment_is_found_again_by_us_alone(forge: Forge, hosted: Hosted, github: StandIn) -> None:
    number = forge.open_pull_request("fix", "main", "Mend it", BODY).number
    hosted.comment(number, github.add_user("mallory"), f"{MARK}\n\nnot ours")
    assert forge.find_comment(number, MARK) is None
    page = forge.comment(number, f"{MARK}\n\nours")
    assert forge.find_comment(number, MARK) == page


def test_a_pull_request_is_closed(forge: Forge) -> None:
    number = forge.open_pull_request("fix", "main", "Mend it", BODY).number
    assert forge.close(number).state is PullState.CLOSED
    assert forge.close(number).state is PullState.CLOSED
    found = forge.find_pull_request("fix", MARK)
    assert found is not None
    assert found.state is PullState.CLOSED


def test_an_apps_token_cannot_ask_who_it_is(github: StandIn, hosted: Hosted) -> None:
    github.add_user("zoran[bot]", token="ghs_app", kind="Bot")
    forge = made(github, "ghs_app")
    forge.open_pull_request("fix", "main", "Mend it", BODY)
    assert forge.find_pull_request("fix", MARK) is not None


def test_branches_are_pushed_to_the_same_address(
    github: StandIn, hosted: Hosted, forge: Forge, tmp_path: Path
) -> None:
    repository = Repository(tmp_path / "copy", github.remote(NAME), TOKEN)
    branch, base = repository.fetch()
    change = {"a.py": b"x = 3\n", "large": bytes(range(256)) * 8192}
    commit = repository.commit(base, change, "Mend it", Author("zoran", "zoran@example.com"), AT)
    repository.push(commit, "zoran/task_1", expected=None)
    opened = forge.open_pull_request("zoran/task_1", branch, "Mend it", BODY)
    assert opened.head_commit == commit == repository.remote_commit("zoran/task_1")


@pytest.mark.parametrize("method", ["get", "checks", "open"])
def test_a_token_that_is_refused_is_said(github: StandIn, hosted: Hosted, method: str) -> None:
    forge = made(github, "ghp_unknown")
    with pytest.raises(ForgeRefused, match="token"):
        {
            "get": lambda: forge.get(1),
            "checks": lambda: forge.checks("0" * 40),
            "open": lambda: forge.open_pull_request("fix", "main", "t", BODY),
        }[method]()


def test_what_is_not_there_is_said(forge: Forge, hosted: Hosted) -> None:
    with pytest.raises(ForgeRefused, match="no such"):
        forge.get(7)
    with pytest.raises(ForgeRefused):
        forge.open_pull_request("absent", "main", "t", BODY)
    hosted.git.put("same", {}, "nothing", onto=at(hosted, "main"))
    with pytest.raises(ForgeRefused):
        forge.open_pull_request("main", "main", "t", BODY)


@pytest.mark.parametrize(
    ("status", "headers", "message", "wait_s"),
    [
        (403, {"retry-after": "17"}, "You have exceeded a secondary rate limit.", 17),
        (429, {"retry-after": "0"}, "Too Many Requests", 1),
        (429, {}, "Too Many Requests", 60),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"}, "API rate limit exceeded", 1),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9999999999"}, "API rate limit", 3600),
        (403, {"retry-after": "nan"}, "API rate limit exceeded for x", 60),
        (429, {"retry-after": "9" * 400}, "", 60),
    ],
)
def test_a_limit_says_when_to_come_again(
    github: StandIn, forge: Forge, status: int, headers: dict[str, str], message: str, wait_s: float
) -> None:
    github.fault(None, "", Moment.BEFORE, lambda: Reply(status, {"message": message}, headers))
    with pytest.raises(ProviderBusy) as caught:
        forge.get(1)
    assert caught.value.retryable
    assert caught.value.retry_after_s == wait_s
    assert len(github.seen) == 1


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(500, {"message": "oh"}), UpstreamError),
        (Reply(403, {"message": "Resource not accessible by personal access token"}), ForgeRefused),
        (Reply(200, {"number": 1}), UpstreamError),
        (Reply(200, ["not", "a", "pull"]), UpstreamError),
        (Reply(200, None), UpstreamError),
        (Reply(404, ["no", "object"]), UpstreamError),
        (Reply(404, {"message": {"no": "text"}}), UpstreamError),
        (Reply(202, {}), UpstreamError),
        (Reply(301, {}, {"location": "/api/v3/repos/acme/other/pulls/1"}), ForgeRefused),
        (Reply(302, {}, {"location": "http://203.0.113.7/"}), ForgeRefused),
        (Reply(200, {}, {"x-ratelimit-remaining": "x", "x-ratelimit-limit": "y"}), UpstreamError),
    ],
)
def test_an_answer_that_is_none_is_an_error(
    github: StandIn, forge: Forge, reply: Reply, kind: type[Exception]
) -> None:
    github.fault(None, "", Moment.BEFORE, lambda: reply)
    with pytest.raises(kind):
        forge.get(1)
    assert len(github.seen) == 1


def test_a_silent_server_has_a_deadline(github: StandIn, me: User, hosted: Hosted) -> None:
    forge = made(github, deadline_s=0.3)
    github.fault(None, "", Moment.BEFORE, github.hang)
    with pytest.raises(DeadlineExceeded):
        forge.get(1)


def test_no_server_is_said(github: StandIn, me: User, hosted: Hosted, tmp_path: Path) -> None:
    with StandIn(tmp_path / "other") as gone:
        forge = made(gone)
    with pytest.raises(Unreachable):
        forge.get(1)


def test_nothing_secret_is_logged_or_told(
    github: StandIn, forge: Forge, caplog: pytest.LogCaptureFixture
) -> None:
    for name in (None, "github", "github.Requester"):
        caplog.set_level(logging.DEBUG, name)
    said = "canary of a body"
    number = forge.open_pull_request("fix", "main", said, f"{MARK}\n\n{said}").number
    forge.comment(number, said)
    told = []
    for status in (401, 403, 404, 405, 409, 422, 500, 200):
        echoed = {"message": f"{said} {TOKEN}", "errors": [{"message": f"{said} {TOKEN}"}]}
        github.fault("PUT", "/merge", Moment.BEFORE, lambda s=status, e=echoed: Reply(s, e))  # type: ignore[misc]
        with pytest.raises((ForgeRefused, UpstreamError)) as caught:
            forge.merge(number, "1" * 40, MergeMethod.MERGE)
        told.append(f"{caught.value!r} {caught.value}")
    github.fault("GET", "", Moment.BEFORE, lambda: Reply(200, {"html_url": f"{said} {TOKEN}"}))
    with pytest.raises(UpstreamError) as caught:
        forge.get(number)
    everything = "\n".join([caplog.text, *told, str(caught.value), repr(forge)])
    assert said not in everything
    assert TOKEN not in everything


def test_a_pull_request_is_one_however_many_open_it(github: StandIn, forge: Forge, hosted: Hosted) -> None:
    numbers: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: numbers.append(made(github).open_pull_request("fix", "main", "t", BODY).number)
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers == [1] * 4
    assert len(hosted.pulls) == 1
