"""The negative control: the base's own tests, rewritten so that none of them can pass.

Each does what it always did, and where that ends well it fails and says a secret. So a test that passes or
fails without having said it did not run as tests must: something in the change answers for it. What no
function of the base's tests stands for (a doctest, tests made by a program) stays as it is, unjudged.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from zoran_ray.autopilot.testing.apart import must_fail

MOST_SOURCE_BYTES = 1024 * 1024


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
    """The files of a run with tests that must fail. Blocks for as long as parsing the tests takes.

    Where the parser was ended no test is rewritten, so that none of them shows anything.

    Args:
        files: Of the run that is doubted.
        is_test_file: Whether a file is the base's own and not the change's.
        ran: Tests that passed in it, as the report names them.
    """
    ran = list(ran)
    wanted, modules = sorted({_function(test) for test in ran}), {test.partition("::")[0] for test in ran}
    paths = [
        path
        for path, content in files.items()
        if path.endswith(".py") and is_test_file(path) and len(content) <= MOST_SOURCE_BYTES
    ]
    has_tests = [_has_tests(path, modules) for path in paths]
    secret = secrets.token_hex(4), secrets.token_hex(4)
    found = must_fail([files[path] for path in paths], has_tests, wanted, secret)
    new = {path: each for path, each in zip(paths, found, strict=True) if each is not None}
    tests = frozenset(name for _, names in new.values() for name in names)
    return Control({**files, **{path: text for path, (text, _) in new.items()}}, "".join(secret), tests)


def _has_tests(path: str, modules: Iterable[str]) -> bool:
    """Whether some of the tests are of this file."""
    module = path.removesuffix(".py").replace("/", ".")
    return any(each == module or each.startswith(f"{module}.") for each in modules)


def _function(test: str) -> str:
    return test.partition("::")[2].partition("[")[0]
