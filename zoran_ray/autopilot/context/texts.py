"""What of a commit a model may see: text that the policy lets it read, without secrets. Knows no prompt."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from zoran_ray.autopilot.git import Tree
from zoran_ray.policy import PolicyEngine

MOST_FILE_BYTES = 512 * 1024
"""Of a file that is shown or searched."""
MOST_TEXT_BYTES = 16 * 1024 * 1024
"""Of all of them together."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of a commit.

    Attributes:
        files: As they are, by path: what edits are applied to.
        left_out: Why the others are not here, by path.
        engine: The policy.
    """

    files: Mapping[str, str] = field(repr=False)
    left_out: Mapping[str, str]
    engine: PolicyEngine = field(repr=False)
    _redacted: dict[str, str] = field(default_factory=dict, repr=False)

    def shown(self, path: str) -> str:
        """A file as a model may see it: the name of a rule in place of each secret."""
        return self._without_secrets(path).replace("\r\n", "\n")

    def hides_something(self, path: str) -> bool:
        """Whether a model sees less of a file than is in it."""
        return self._without_secrets(path) != self.files[path]

    def _without_secrets(self, path: str) -> str:
        if path not in self._redacted:
            self._redacted[path] = self.engine.redact(self.files[path])
        return self._redacted[path]


def readable(tree: Tree, engine: PolicyEngine) -> Texts:
    """The texts of a commit."""
    files, left_out = dict[str, str](), dict(tree.left_out)
    room = MOST_TEXT_BYTES
    for path, content in sorted(tree.files.items()):
        fault = _fault(path, content, engine)
        if not fault and len(content) > room:
            fault = "there are too many texts"
        if fault:
            left_out[path] = fault
        else:
            room -= len(content)
            files[path] = content.decode()
    return Texts(files, left_out, engine)


def _fault(path: str, content: bytes, engine: PolicyEngine) -> str:
    """Why a file is not shown; empty if it is."""
    if len(content) > MOST_FILE_BYTES:
        return "it is too large"
    if b"\0" in content:
        return "it is no text"
    try:
        content.decode()
    except UnicodeDecodeError:
        return "it is no text"
    decision = engine.decide_path(path, "read")
    return "" if decision.allowed else decision.reason
