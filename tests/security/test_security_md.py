"""What SECURITY.md claims: its table of ports is the one that is tried, every test it names is there."""

import ast
import re
from pathlib import Path

import pytest

from tests.security.ports import ONE_MACHINE, table

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
_NAMED = re.compile(r"`([a-z_/]*test_[a-z_]+\.py)::(test_[a-z0-9_]+)`")
_CVE = re.compile(r"CVE-\d{4}-\d{4,}")


def test_the_table_of_ports_is_the_one_that_is_tried() -> None:
    assert table(ONE_MACHINE) in TEXT, "put this into SECURITY.md:\n" + table(ONE_MACHINE)


def named() -> list[tuple[str, str]]:
    return sorted(set(_NAMED.findall(TEXT)))


@pytest.mark.parametrize(("file", "name"), named())
def test_a_test_that_is_named_is_there(file: str, name: str) -> None:
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


@pytest.mark.parametrize("table", ["LLM", "API"])
def test_every_item_of_owasps_tables_names_a_test_or_says_why_not(table: str) -> None:
    numbers = range(1, 11)
    for number in numbers:
        item = f"LLM{number:02d}" if table == "LLM" else f"API{number}"
        (row,) = [line for line in TEXT.splitlines() if line.startswith(f"| {item} ")]
        assert _NAMED.search(row) or "not tested:" in row, row


def test_every_hole_that_touches_us_is_tried_by_its_name() -> None:
    others = [path for path in Path(__file__).parent.glob("*.py") if path != Path(__file__)]
    tests = "".join(path.read_text() for path in others)
    rows = [line for line in TEXT.splitlines() if line.startswith("| CVE-")]
    assert rows
    for row in rows:
        assert set(_CVE.findall(row)) <= set(_CVE.findall(tests)), row
