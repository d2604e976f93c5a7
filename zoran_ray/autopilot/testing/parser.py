"""What Python's own parser says of somebody's files: a program of its own, which `apart` runs.

Python documents that a text made for its parser can end the process: then it ends this one. Knows nothing
of ours. One line of JSON comes in, `{"ask": …, "texts": [latin-1, …], …}`, and one goes out: an answer for
each text, null where it is no program.

Source: https://docs.python.org/3/library/ast.html#ast.parse (the warning)
"""

import ast
import json
import resource
import sys
from collections.abc import Iterator, Sequence
from types import CodeType
from typing import Any

MOST_MEMORY_BYTES = 2 * 1024**3
_UNREADABLE = (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError)

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def executable_lines(source: bytes) -> list[int] | None:
    """Lines that the compiler makes instructions of."""
    try:
        left = [compile(source, "<change>", "exec", dont_inherit=True)]
    except _UNREADABLE:
        return None
    found = set[int]()
    while left:
        code = left.pop()
        found.update(line for _, _, line in code.co_lines() if line)
        left.extend(each for each in code.co_consts if isinstance(each, CodeType))
    return sorted(found)


def must_fail(
    source: bytes, wanted: Sequence[str], secret: Sequence[str], has_tests: bool
) -> tuple[bytes, list[str]] | None:
    """A file whose tests fail where they end well, and which functions these are; None for none.

    Args:
        wanted: Names of functions.
        secret: Its two parts, which they say.
        has_tests: Whether the file's functions are tests; methods, which others may inherit, always are.
    """
    try:
        tree = ast.parse(source)
        functions = list(_found(tree, frozenset(wanted), has_tests))
        for function in functions:
            _make_fail(function, *secret)
        if not functions:
            return None
        text = ast.unparse(ast.fix_missing_locations(tree)).encode()
    except _UNREADABLE:
        return None
    return text, sorted({each.name for each in functions})


def _found(node: ast.AST, wanted: frozenset[str], here: bool) -> Iterator[_Function]:
    """Tests below a node, those within tests excepted."""
    for child in ast.iter_child_nodes(node):
        if here and isinstance(child, _Function) and child.name in wanted and not _fixture(child):
            yield child
        elif not isinstance(child, ast.expr):
            yield from _found(child, wanted, here or isinstance(child, ast.ClassDef))


def _make_fail(function: _Function, first: str, second: str) -> None:
    """Makes its end a failure, however it is reached; what it raises by itself stays what it is."""
    told = ast.get_docstring(function, clean=False) is not None
    head, body = function.body[:told], function.body[told:]
    raised = f"raised_{first}"
    # By an assertion, so that whoever takes these out of the tests makes them pass.
    begin, whole = ast.parse(
        f"{raised} = False\ntry:\n    pass\nexcept BaseException:\n    {raised} = True\n    raise\n"
        f"finally:\n    if not {raised}:\n        assert False, {first!r} + {second!r}\n"
    ).body
    assert isinstance(whole, ast.Try)
    whole.body = body or whole.body
    function.body = [*head, begin, whole]


def _fixture(function: _Function) -> bool:
    calls = (each.func if isinstance(each, ast.Call) else each for each in function.decorator_list)
    return any(ast.unparse(each).rpartition(".")[2] == "fixture" for each in calls)


def _answers(asked: dict[str, Any]) -> Iterator[Any]:
    texts = [text.encode("latin-1") for text in asked["texts"]]
    if asked["ask"] == "executable_lines":
        yield from map(executable_lines, texts)
        return
    for text, has_tests in zip(texts, asked["has_tests"], strict=True):
        found = must_fail(text, asked["wanted"], asked["secret"], has_tests)
        yield found and (found[0].decode("latin-1"), found[1])


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    json.dump(list(_answers(json.load(sys.stdin))), sys.stdout)
