"""A sample repository with one bug, tests that show it, and a script that mends it: `zoran task demo`.

The script stands for a model where none is at hand, and is labelled so; see `scripted_model`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoran_ray.autopilot.engineer import PLANNING
from zoran_ray.autopilot.git.commands import GitCommands
from zoran_ray.autopilot.scripted_model import Reply
from zoran_ray.errors import InvalidRequest

DEMO_MESSAGE = "The discount is wrong: ten percent off 200 should be 180, and we charge 190."
DEMO_MODEL = "demo"
"""Name of the script, without the prefix."""
_AT = "1700000000 +0000"

_PRICES = '''"""Prices of a small shop."""


def discounted(price: float, percent: float) -> float:
    """The price with a discount.

    >>> discounted(200, 10)
    180.0
    """
    if not 0 <= percent <= 100:
        raise ValueError("a discount is 0 to 100 percent")
    return price - percent


def total(prices: list[float], percent: float = 0) -> float:
    """What a customer pays for all of it."""
    return sum(discounted(price, percent) for price in prices)
'''
_TESTS = '''"""What the shop promises."""

import pytest
from shop.prices import discounted, total


def test_ten_percent_off():
    assert discounted(200, 10) == 180


def test_no_discount():
    assert total([1.5, 2.5]) == 4


def test_discount_on_everything():
    assert total([100, 50], 50) == 75


def test_discounts_have_bounds():
    with pytest.raises(ValueError, match="percent"):
        discounted(1, 101)
'''
_README = """# Shop

A sample made by `zoran task demo`. One function is wrong, and two of its tests fail.
"""
DEMO_FILES: Mapping[str, str] = {
    "README.md": _README,
    "shop/__init__.py": "",
    "shop/prices.py": _PRICES,
    "tests/test_prices.py": _TESTS,
}

_PLAN = """Take the discount as a share of the price

`discounted` takes the percent off as if it were an amount.
FILE: shop/prices.py
"""
_EDITS = """shop/prices.py
<<<<<<< SEARCH
    return price - percent
=======
    return price * (100 - percent) / 100
>>>>>>> REPLACE
"""


def write_repository(folder: Path, files: Mapping[str, str]) -> str:
    """A new git repository with one commit, the same each time.

    Args:
        folder: Where; it is not there, or empty.
        files: Texts by path.

    Returns:
        The commit.

    Raises:
        InvalidRequest: There is something in the folder.
        ConfigError: There is no git.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise InvalidRequest(f"{folder} is not empty. Name a new folder.", param="folder")
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    git = GitCommands(folder)
    git.run("init", "--quiet", "--template=", "--initial-branch=main", ".")
    git.run("add", "--all")
    roles = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "zoran demo"), ("EMAIL", "demo@example.com"), ("DATE", _AT))
    }
    git.run("commit", "--quiet", "--no-verify", "-m", "A shop", environ=roles)
    return git.line("rev-parse", "HEAD")


def demo_repository(folder: Path) -> str:
    """The sample. Args, returns and errors are those of `write_repository`."""
    return write_repository(folder, DEMO_FILES)


def demo_script(_: str, messages: Sequence[Mapping[str, Any]]) -> Reply:
    """What the scripted model of the demonstration says: a plan, then the right edit."""
    plans = str(messages[0].get("content") or "").startswith(PLANNING)
    return Reply(_PLAN if plans else _EDITS)
