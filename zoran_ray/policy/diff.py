"""Judges a diff: the kinds of files, their names, its size, what it adds. Runs no git."""

from collections.abc import Iterator

from zoran_ray.policy.decision import STRICTNESS, Step
from zoran_ray.policy.document import Changes
from zoran_ray.policy.globs import fold
from zoran_ray.policy.names import shown
from zoran_ray.policy.paths import PathJudge
from zoran_ray.policy.raw_diff import ABSENT, EXECUTABLE, LINK, REGULAR, SUBMODULE, Change, Diff
from zoran_ray.policy.texts import TextJudge


class DiffJudge:
    """Asks everything that a policy says about a diff."""

    def __init__(self, changes: Changes, paths: PathJudge, texts: TextJudge) -> None:
        self._limits = changes
        self._paths = paths
        self._texts = texts

    def file_steps(self, diff: Diff) -> Iterator[Step]:
        """What modes and names come to: one step for each file, and one for each thing wrong with it."""
        count = len(diff.changes)
        if count > self._limits.max_files:
            yield Step("changes.max_files", "deny", f"{count} files, at most {self._limits.max_files}")
            return
        for change in diff.changes:
            yield from self._mode_steps(change)
            if not change.operations:
                status = f"git says {change.status!r} of it"
                yield Step("built in: diff", "deny", f"{shown(change.path)}: {status}")
            for path, operation in change.operations:
                steps = list(self._paths.steps(path, operation))
                yield max(steps, key=lambda step: STRICTNESS[step.verdict])
        yield from _collisions(diff)

    def content_steps(self, diff: Diff) -> Iterator[Step]:
        """What sizes and added lines come to."""
        limits = self._limits
        if diff.patch is None:
            reason = "its text was not given, so nobody can judge it" if diff.changes else "nothing changes"
            yield Step("built in: diff", "deny", reason)
            return
        if set(diff.lines) != {change.path for change in diff.changes}:
            yield Step("built in: diff", "deny", "its parts do not tell of the same files")
        if len(diff.patch) > limits.max_bytes:
            yield Step("changes.max_bytes", "deny", f"{len(diff.patch)} bytes, at most {limits.max_bytes}")
            return
        for path, told in diff.lines.items():
            if told is None and not limits.binary:
                yield Step("changes.binary", "deny", f"{shown(path)} is no text")
        counted = [told for told in diff.lines.values() if told]
        lines = sum(map(sum, counted))
        if lines > limits.max_lines:
            yield Step("changes.max_lines", "deny", f"{lines} lines, at most {limits.max_lines}")
        yield from self._text_steps(diff.patch, sum(added for added, _ in counted))

    def _text_steps(self, patch: bytes, expected: int) -> Iterator[Step]:
        if b"\0" in patch and not self._limits.binary:
            yield Step("changes.binary", "deny", "what is added is no text")
        added = [line[1:] for line in patch.split(b"\n") if line.startswith(b"+")]
        if len(added) < expected:
            yield Step("built in: diff", "deny", "its patch has fewer lines than git counted")
        text = b"\n".join(added).decode("utf-8", "replace")
        yield from self._texts.secret_steps(text, "what is added")
        yield from self._texts.forbidden_steps(text, "what is added")

    def _mode_steps(self, change: Change) -> Iterator[Step]:
        modes, path = (change.old_mode, change.new_mode), shown(change.path)
        if LINK in modes:
            yield Step("built in: links", "deny", f"{path} is, or would become, a symbolic link")
        elif SUBMODULE in modes:
            yield Step("built in: submodules", "deny", f"{path} is, or would become, a submodule")
        elif not set(modes) <= REGULAR | {ABSENT} or modes == (ABSENT, ABSENT):
            yield Step("built in: modes", "deny", f"{path} is no regular file")
        is_new = change.new_mode == EXECUTABLE and change.old_mode != EXECUTABLE
        if is_new and not self._limits.exec_bits:
            yield Step("changes.exec_bits", "deny", f"{path} would become executable")


def _collisions(diff: Diff) -> Iterator[Step]:
    """Files of the diff that would be one file where a file system knows no case."""
    kept: dict[str, str] = {}
    for change in diff.changes:
        if change.status != "D":
            other = kept.setdefault(fold(change.path), change.path)
            if other != change.path:
                reason = f"{shown(change.path)} and {shown(other)} are one file elsewhere"
                yield Step("built in: names", "deny", reason)
