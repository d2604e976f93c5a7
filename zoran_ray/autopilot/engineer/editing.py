"""From a model's answer to a commit in our bare repository, or to why there is none. Runs no tests."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from zoran_ray.autopilot.context import Texts, View, restored
from zoran_ray.autopilot.edits import Edit, EditError, Remove, Write, apply_edits, parse_edits
from zoran_ray.autopilot.engineer.values import Attempt, AttemptOutcome, Job, Plan
from zoran_ray.autopilot.git import Repository, Tree
from zoran_ray.policy import DIFF_OPTIONS, Decision, Operation, PolicyEngine, read_diff

MOST_REASONS = 12


class Draft:
    """Makes commits out of answers.

    Args:
        repository: Our copy.
        engine: The policy.
        tree: Of the base.
        texts: Of the same.
    """

    def __init__(self, repository: Repository, engine: PolicyEngine, tree: Tree, texts: Texts) -> None:
        self._repository = repository
        self._engine = engine
        self._tree = tree
        self._texts = texts

    def attempt(
        self, job: Job, plan: Plan, number: int, answer: str, shown: View, only: str | None = None
    ) -> Attempt:
        """The try that an answer is. Blocks while git runs.

        Args:
            only: The one file that was asked for whole: a text under no path is that file.

        Raises:
            GitError: The commit cannot be made.
        """
        try:
            edits = parse_edits(restored(_spoken(answer), [file.text for file in shown.files]), only)
            refused = self._refused(edits)
            changed = {} if refused else self._applied(edits, shown)
        except EditError as error:
            reason = self._engine.redact(error.message)  # it may show lines of a file
            return Attempt(number, AttemptOutcome.UNREADABLE, (reason,), answer=answer)
        if refused:
            return Attempt(number, AttemptOutcome.REFUSED, refused, answer=answer)
        return self._committed(job, plan, number, answer, changed)

    def _refused(self, edits: Sequence[Edit]) -> tuple[str, ...]:
        """What the policy says against the files, before anything is done with them."""
        decisions = [self._engine.decide_path(edit.path, self._operation(edit)) for edit in edits]
        return _denials(decisions)

    def _operation(self, edit: Edit) -> Operation:
        if isinstance(edit, Remove):
            return "delete"
        is_there = edit.path in self._tree.files or edit.path in self._tree.left_out
        return "modify" if is_there else "add"

    def _applied(self, edits: Sequence[Edit], shown: View) -> dict[str, bytes | None]:
        whole = {file.path for file in shown.files if file.whole}
        for edit in edits:
            if isinstance(edit, Write) and edit.path in self._tree.files and edit.path not in whole:
                raise EditError(
                    f"{edit.path}: you were not shown all of this file, so it is not written whole."
                    " Use SEARCH and REPLACE."
                )
        after = apply_edits(edits, self._texts.files)
        return {path: None if text is None else text.encode() for path, text in after.items()}

    def _committed(
        self, job: Job, plan: Plan, number: int, answer: str, changed: Mapping[str, bytes | None]
    ) -> Attempt:
        message = commit_message(self._engine, plan, job.footer)
        commit = self._repository.commit(job.base, changed, message, job.author, job.at)
        draft = drafted(self._repository, self._engine, job.base, commit, message, number)
        if draft.commit and set(draft.changed) != set(changed):
            reason = "Other files than those of the edits would change: a file and a folder have one name."
            draft = Attempt(number, AttemptOutcome.REFUSED, (reason,))
        return replace(draft, answer=answer)


def commit_message(engine: PolicyEngine, plan: Plan, footer: str) -> str:
    """What the commits of a plan say."""
    return f"{engine.redact(plan.title)}\n\n{footer}".rstrip()


def drafted(
    repository: Repository, engine: PolicyEngine, base: str, commit: str, message: str, number: int
) -> Attempt:
    """The try that a commit in our copy is, or the refusal of it. Blocks while git runs.

    Args:
        base: What it is compared with.
        message: Of the commit.
        number: Of the try, from 1.

    Raises:
        GitError: A commit is not here.
    """
    told = repository.diff_as(base, commit, DIFF_OPTIONS)
    decisions = [engine.decide_diff(told), engine.decide_text(message, "the message")]
    if reasons := _denials(decisions):
        return Attempt(number, AttemptOutcome.REFUSED, reasons)
    diff = read_diff(told)
    counted = [lines for lines in diff.lines.values() if lines]
    return Attempt(
        number, AttemptOutcome.DRAFTED, (), tuple(change.path for change in diff.changes), _asks(decisions),
        sum(added for added, _ in counted), sum(removed for _, removed in counted),
        commit, repository.diff(base, commit),
    )  # fmt: skip


def _spoken(answer: str) -> str:
    """The answer without what a model thought aloud before it."""
    head, end, rest = answer.partition("</think>")
    return rest if end and head.lstrip().startswith("<think>") else answer


def _denials(decisions: Iterable[Decision]) -> tuple[str, ...]:
    said = (
        f"The policy refuses ({step.rule}): {step.reason}."
        for decision in decisions
        for step in decision.steps
        if step.verdict == "deny"
    )
    return tuple(dict.fromkeys(said))[:MOST_REASONS]


def _asks(decisions: Iterable[Decision]) -> tuple[str, ...]:
    steps = (step for decision in decisions for step in decision.steps if step.verdict == "needs_person")
    return tuple(dict.fromkeys(f"{step.rule}: {step.reason}" for step in steps))
