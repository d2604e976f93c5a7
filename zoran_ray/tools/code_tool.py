"""The tool `code`: runs a program that a model wrote, in a sandbox."""

from collections.abc import Mapping
from typing import Any, ClassVar

from zoran_ray.tools.code_runner import CodeRunner, Ran
from zoran_ray.tools.tool import Observation, Permission

MOST_CODE_CHARS = 64 * 1024
RUN_S = 20.0
"""Longest that a program may run, in seconds."""
START_S = 20.0
"""How long the sandbox may take besides, in seconds."""
_SHOWN_BYTES = 32 * 1024
"""Of each stream; the toolbox cuts further."""


class CodeTool:
    """Runs Python for a model.

    Args:
        runner: The sandbox.
        run_s: Longest that a program may run, in seconds.
    """

    name = "code"
    description = (
        "Run a Python program and read what it prints. It has no network and no files of the user; print"
        " what you want to know."
    )
    permission: Permission = "code"
    parameters: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "code": {
                "type": "string",
                "minLength": 1,
                "maxLength": MOST_CODE_CHARS,
                "description": "The whole program.",
            }
        },
        "required": ["code"],
        "additionalProperties": False,
    }

    def __init__(self, runner: CodeRunner, run_s: float = RUN_S) -> None:
        self._runner = runner
        self._run_s = run_s
        self.timeout_s = run_s + START_S

    async def call(self, arguments: Mapping[str, Any]) -> Observation:
        """Runs `arguments["code"]`.

        Raises:
            ZoranError: It could not be run at all; `SandboxUnavailable` where there is no sandbox.
        """
        files = {"main.py": str(arguments["code"]).encode(errors="replace")}
        ran = await self._runner.run(files, ("python", "main.py"), timeout_s=self._run_s)
        return Observation(_told(ran, self._run_s), ok=ran.exit_status == 0 and not ran.timed_out)


def _told(ran: Ran, run_s: float) -> str:
    parts = [_text(ran.stdout) or "(It printed nothing.)"]
    if ran.stderr:
        parts.append(f"On the error stream:\n{_text(ran.stderr)}")
    if ran.timed_out:
        parts.append(f"It was ended after {run_s:g} seconds.")
    elif ran.exit_status is None:
        parts.append("It was ended: it used more than it may.")
    elif ran.exit_status:
        parts.append(f"It ended with exit status {ran.exit_status}.")
    return "\n".join(parts)


def _text(data: bytes) -> str:
    return data[:_SHOWN_BYTES].decode(errors="replace").strip()
