"""Which tools the operator's policy grants, for whoever hands tools out. Knows no tool.

The file is read when a tool is first wanted, and again once it has changed: what is forbidden in it is
forbidden from the next request on.
"""

from collections.abc import Callable
from pathlib import Path

from zoran_ray.errors import ConfigError
from zoran_ray.policy.engine import PolicyEngine
from zoran_ray.policy.load import read_policy, shipped_policy_file

MCP = "mcp"
"""Who the clients of `zoran mcp serve` are to a policy."""


class ToolGate:
    """The section `tools` of a policy.

    Args:
        file: The policy's; None for the one that is shipped.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file or shipped_policy_file()
        self._read: tuple[tuple[int, int], PolicyEngine] | None = None

    def grants(self, who: str) -> Callable[[str, str], bool]:
        """Whether somebody may use a tool, told its name and what it reaches. Reads a file.

        Args:
            who: `coder`, `strategy:react` or `MCP`.

        Raises:
            ConfigError: The policy is not there, or is wrong: nothing may be used then.
        """
        engine = self._engine()
        return lambda tool, permission: engine.decide_tool(who, tool, permission).allowed

    def _engine(self) -> PolicyEngine:
        try:
            now = self._file.stat()
        except OSError as error:
            raise ConfigError(f"{self._file}: the policy cannot be read: {error.strerror}.") from error
        seen = now.st_mtime_ns, now.st_size
        if self._read is None or self._read[0] != seen:
            self._read = seen, PolicyEngine(read_policy(self._file))
        return self._read[1]
