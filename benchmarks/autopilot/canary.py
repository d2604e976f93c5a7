"""Shows whether a right answer is seen anywhere before the model itself has said it.

The right file of each case ends with a line that nobody can guess. Prompts, files given to the sandbox and
the repository must not hold it until an answer of the model does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from benchmarks.autopilot.bugs import Bug
from zoran_ray.reasoning.completion import Complete, Completions, Message, Sampling, Used
from zoran_ray.tools.code_runner import CodeRunner, Ran


def marked(bug: Bug, nonce: str) -> Bug:
    """The bug with a right answer that holds the nonce."""
    return replace(bug, fixed=f"{bug.fixed.rstrip()}\n# {nonce}\n")


@dataclass
class Watch:
    """What is known of one case.

    Attributes:
        nonce: In the right answer alone.
        said: Whether the model has said it.
        leaks: Where it was before.
        looked: Prompts and runs that were looked at.
    """

    nonce: str
    said: bool = False
    leaks: list[str] = field(default_factory=list)
    looked: int = 0

    def look(self, where: str, texts: Sequence[str | bytes]) -> None:
        """Looks for the nonce where it must not be yet."""
        self.looked += 1
        found = any(
            self.nonce in text if isinstance(text, str) else self.nonce.encode() in text for text in texts
        )
        if found and not self.said:
            self.leaks.append(where)


class WatchedModel:
    """A model whose prompts are looked at; see `Complete`."""

    def __init__(self, model: Complete, watch: Watch) -> None:
        self._model = model
        self._watch = watch

    async def __call__(
        self, messages: Sequence[Message], sampling: Sampling, *, deadline: float
    ) -> Completions:
        """As `Complete`."""
        self._watch.look("prompt", [str(message.get("content")) for message in messages])
        answer = await self._model(messages, sampling, deadline=deadline)
        self._watch.said |= any(self._watch.nonce in choice.text for choice in answer.choices)
        return answer

    def most(self, messages: Sequence[Message], sampling: Sampling) -> Used:
        """As `Complete`."""
        return self._model.most(messages, sampling)


class WatchedRunner:
    """A sandbox whose files are looked at; see `CodeRunner`."""

    def __init__(self, runner: CodeRunner, watch: Watch) -> None:
        self._runner = runner
        self._watch = watch

    async def run(self, files: Mapping[str, bytes], argv: Sequence[str], *, timeout_s: float) -> Ran:
        """As `CodeRunner`."""
        self._watch.look("sandbox", [*files.values(), *files, *argv])
        return await self._runner.run(files, argv, timeout_s=timeout_s)
