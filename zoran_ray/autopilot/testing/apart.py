"""Asks Python's own parser about somebody's files, in a process that it may end. Knows no test.

Tree-sitter reads symbols, see `context`; here a file is compiled or written anew, which it cannot do.
"""

import json
import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

log = logging.getLogger("zoran.autopilot")

LONGEST_S = 60.0
"""For all texts of one question, in seconds; it takes milliseconds."""
_PARSER = Path(__file__).with_name("parser.py")


def executable_lines(texts: Sequence[bytes]) -> list[frozenset[int] | None]:
    """Lines of each text that there is something to run in; None where it is no program."""
    return [
        None if lines is None else frozenset(lines) for lines in _answers("executable_lines", texts, {})
    ]


def must_fail(
    texts: Sequence[bytes], has_tests: Sequence[bool], wanted: Sequence[str], secret: tuple[str, str]
) -> list[tuple[bytes, list[str]] | None]:
    """Each text with tests that cannot pass, and their names; None where it has none, or is no program.

    Args:
        has_tests: Of each, whether its functions are tests; methods always are.
        wanted: Names of the functions.
        secret: What they say, in two parts.
    """
    more = {"has_tests": list(has_tests), "wanted": list(wanted), "secret": secret}
    return [
        None if found is None else (found[0].encode("latin-1"), found[1])
        for found in _answers("must_fail", texts, more)
    ]


def _answers(ask: str, texts: Sequence[bytes], more: dict[str, Any]) -> list[Any]:
    """The parser's answers; None to everything where it was ended, by a text or its bounds."""
    if not texts:
        return []
    asked = {"ask": ask, "texts": [text.decode("latin-1") for text in texts], **more}
    try:
        ended = subprocess.run(
            [sys.executable, "-I", "-S", "-W", "ignore", str(_PARSER)],
            input=json.dumps(asked).encode(), capture_output=True, env={}, timeout=LONGEST_S, check=True,
        )  # fmt: skip
    except (subprocess.SubprocessError, OSError) as failure:
        log.warning("a text ended the parser: %s", type(failure).__name__)
        return [None] * len(texts)
    found: list[Any] = json.loads(ended.stdout)
    return found
