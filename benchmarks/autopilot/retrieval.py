"""Repositories with questions whose right file is known: descriptions of functions, taken out of the files.

Source: the way of CodeSearchNet (Husain et al., 2019): a function's documentation asks for its code.
"""

import ast
import json
import random
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

LEAST_WORDS = 5
"""Of a question."""
MOST_OF_A_FILE = 3
"""Questions."""


@dataclass(frozen=True, slots=True)
class Retrieval:
    """A repository and what is asked of it.

    Attributes:
        name: For people.
        files: By path.
        queries: Question and path of the right file.
    """

    name: str
    files: Mapping[str, str] = field(repr=False)
    queries: tuple[tuple[str, str], ...] = field(repr=False)


def modules(data: Path) -> tuple[Retrieval, ...]:
    """All bugs of HumanEvalPack as one repository whose paths tell nothing, in two ways.

    With the descriptions taken out of the files, and only their prose asked; and both as they are.
    """
    rows = [json.loads(line) for line in data.read_text().splitlines() if line.strip()]
    bare, whole, prose, said = dict[str, str](), dict[str, str](), [], []
    for number, row in enumerate(rows):
        path = f"m{number:02}.py"
        tests = f"from m{number:02} import *\n{row['test']}\n"
        source = row["prompt"] + row["buggy_solution"]
        bare |= {path: without_docstrings(source), f"tests/test_m{number:02}.py": tests}
        whole |= {path: source, f"tests/test_m{number:02}.py": tests}
        prose.append((_prose(row["docstring"], row["entry_point"]), path))
        said.append((row["docstring"], path))
    return (
        Retrieval("64 functions, descriptions taken out", bare, tuple(prose)),
        Retrieval("64 functions as they are", whole, tuple(said)),
    )


def library(folder: Path | None = None) -> Retrieval:
    """The modules of Python's standard library that are one file, without their docstrings.

    Asked are first paragraphs of functions' docstrings.
    """
    root = folder or Path(sysconfig.get_path("stdlib"))
    files, queries = dict[str, str](), []
    for path in sorted(root.glob("*.py")):
        source = path.read_text()
        files[path.name] = without_docstrings(source)
        asked = sorted(set(_paragraphs(source)))
        drawn = random.Random(path.name).sample(asked, min(MOST_OF_A_FILE, len(asked)))
        queries += [(said, path.name) for said in drawn]
    version = ".".join(map(str, sys.version_info[:2]))
    return Retrieval(f"standard library of Python {version}, docstrings taken out", files, tuple(queries))


def without_docstrings(source: str) -> str:
    """A module with `...` in place of each docstring. Raises: SyntaxError: It is none."""
    lines: list[str] = source.split("\n")
    for _, node in sorted(_docstrings(source), key=lambda found: -found[1].lineno):
        head = lines[node.lineno - 1].encode()[: node.col_offset].decode()
        tail = lines[(node.end_lineno or 0) - 1].encode()[node.end_col_offset :].decode()
        lines[node.lineno - 1 : node.end_lineno] = [f"{head}...{tail}"]
    return "\n".join(lines)


def _paragraphs(source: str) -> Iterator[str]:
    """First paragraphs of functions' docstrings."""
    for owner, node in _docstrings(source):
        first = " ".join(str(node.value).strip().split("\n\n")[0].split())
        if isinstance(owner, ast.FunctionDef) and len(first.split()) >= LEAST_WORDS:
            yield first


def _docstrings(source: str) -> Iterator[tuple[ast.AST, ast.Constant]]:
    for owner in ast.walk(ast.parse(source)):
        if isinstance(owner, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node = owner.body[0] if owner.body else None
            said = node.value if isinstance(node, ast.Expr) else None
            if isinstance(said, ast.Constant) and isinstance(said.value, str):
                yield owner, said


def _prose(docstring: str, function: str) -> str:
    """What a docstring says before its examples, without the function's name."""
    kept = []
    for line in docstring.strip().split("\n"):
        if ">>>" in line or function in line:
            break
        kept.append(line)
    return " ".join(" ".join(kept).split()) or docstring.split("\n")[0].replace(function, "it")
