"""Puts what a run has measured into `benchmarks/README.md`, between two markers."""

from pathlib import Path

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


def link(path: Path) -> str:
    """As seen from the README, where it lies below the same folder."""
    path = path.absolute()
    return str(path.relative_to(README.parent)) if path.is_relative_to(README.parent) else path.name


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *body])
