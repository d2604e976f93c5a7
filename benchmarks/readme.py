"""Puts what a run has measured into `benchmarks/README.md`, between two markers."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
README = ROOT / "benchmarks" / "README.md"


def markers(section: str) -> tuple[str, str]:
    """The lines that a section stands between."""
    return f"<!-- {section}: begin -->", f"<!-- {section}: end -->"


def write_into(readme: Path, section: str, text: str) -> None:
    """Put `text` in place of what stands between the section's markers.

    Raises:
        ValueError: The file does not have both markers, in order.
    """
    first, last = markers(section)
    before, begin, rest = readme.read_text().partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"{readme.name} needs the lines {first} and {last}")
    readme.write_text(f"{before}{first}\n{text.strip()}\n{last}{after}")


def save(section: str, results: dict[str, Any], asked: Path | None, *, publish: bool) -> Path | None:
    """Write results as JSON where it was asked for, else to `results/` if they are published.

    Args:
        results: With `started`, which begins with the date.

    Returns:
        The file; None if none was wanted.
    """
    name = f"{section}-{results['started'][:10]}.json"
    path = asked or (ROOT / "benchmarks" / "results" / name if publish else None)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(results, indent=1) + "\n")
    return path


def link(path: Path) -> str:
    """As seen from the README, where it lies below the same folder."""
    path = path.absolute()
    return str(path.relative_to(README.parent)) if path.is_relative_to(README.parent) else path.name


def against(reached: bool, target: str) -> str:
    """A target as tables show it; one that was missed says so."""
    return target if reached else f"{target} **missed**"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; without rows it says so."""
    body = ["| " + " | ".join(row) + " |" for row in rows]
    if not body:
        return "Not measured."
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *body])
