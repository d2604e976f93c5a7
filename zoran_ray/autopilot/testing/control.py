"""The negative control: the base's own tests, rewritten so that none of them can pass.

Each does what it always did, and where that ends well it fails and says a secret. So a test that passes or
fails without having said it did not run as tests must: something in the change answers for it. What no
function of the base's tests stands for (a doctest, tests made by a program) stays as it is, unjudged.
"""

import ast
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

MOST_SOURCE_BYTES = 1024 * 1024

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Control:
    """Tests that must fail.

    Attributes:
        files: Of the whole tree, by path.
        secret: What each says that ran to its end. No line of a file holds it in one piece.
        tests: Names of the functions that were rewritten.
    """

    files: Mapping[str, bytes] = field(repr=False)
    secret: str
    tests: frozenset[str]

    def judges(self, test: str) -> bool:
        """Whether this test (`file or class::name`) was rewritten."""
        return _function(test) in self.tests


def negative_control(
    files: Mapping[str, bytes], is_test_file: Callable[[str], bool], ran: Iterable[str]
) -> Control:
    """The files of a run with tests that must fail. Takes as long as parsing the tests.

    Args:
        files: Of the run that is doubted.
        is_test_file: Whether a file is the base's own and not the change's.
        ran: Tests that passed in it, as the report names them.
    """
    ran = list(ran)
    wanted, modules = {_function(test) for test in ran}, {test.partition("::")[0] for test in ran}
    parts = secrets.token_hex(4), secrets.token_hex(4)
    after, tests = dict(files), set[str]()
    for path, content in files.items():
        if not path.endswith(".py") or not is_test_file(path) or len(content) > MOST_SOURCE_BYTES:
            continue
        module = path.removesuffix(".py").replace("/", ".")
        has_tests = any(each == module or each.startswith(f"{module}.") for each in modules)
        if (text := _Rewriter(wanted, parts, has_tests).rewritten(content)) is not None:
            after[path], found = text
            tests |= found
    return Control(after, "".join(parts), frozenset(tests))


def _function(test: str) -> str:
    return test.partition("::")[2].partition("[")[0]


class _Rewriter:
    """Rewrites one file.

    Args:
        wanted: Names of functions.
        parts: Of the secret.
        has_tests: Whether the file's functions are tests; methods, which others may inherit, always are.
    """

    def __init__(self, wanted: set[str], parts: tuple[str, str], has_tests: bool) -> None:
        self._wanted = wanted
        self._parts = parts
        self._has_tests = has_tests

    def rewritten(self, source: bytes) -> tuple[bytes, set[str]] | None:
        """The file and the functions that were rewritten; None where there is nothing to rewrite."""
        try:
            tree = ast.parse(source)
            functions = list(self._found(tree, self._has_tests))
            for function in functions:
                self._must_fail(function)
            if not functions:
                return None
            return ast.unparse(ast.fix_missing_locations(tree)).encode(), {each.name for each in functions}
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None

    def _found(self, node: ast.AST, here: bool) -> Iterator[_Function]:
        """Tests below a node, those within tests excepted."""
        for child in ast.iter_child_nodes(node):
            if here and isinstance(child, _Function) and child.name in self._wanted and not _fixture(child):
                yield child
            elif not isinstance(child, ast.expr):
                yield from self._found(child, here or isinstance(child, ast.ClassDef))

    def _must_fail(self, function: _Function) -> None:
        """Makes its end a failure, however it is reached; what it raises by itself stays what it is."""
        told = ast.get_docstring(function, clean=False) is not None
        head, body = function.body[:told], function.body[told:]
        raised, (first, second) = f"raised_{self._parts[0]}", self._parts
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
