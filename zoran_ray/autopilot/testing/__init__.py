"""Whether a change works, shown by tests of the base commit. Knows no sandbox but by its protocol.

files = Harness().judged(base, changed)                # the base's tests, the changed code
run, said = await run_tests(sandbox, files, timeout_s=60, beside=[lib])   # files that it needs and has not
evidence = compare(before, after, again)               # three runs
evidence = controlled(evidence, passed, control, run)  # and one in which none of the tests can pass
"""

from zoran_ray.autopilot.testing.canary import Canary
from zoran_ray.autopilot.testing.control import Control, negative_control
from zoran_ray.autopilot.testing.coverage import Lines, changed_lines, covered
from zoran_ray.autopilot.testing.dependency import Dependency, Files, require_room
from zoran_ray.autopilot.testing.evidence import BAD, Evidence, Run, broken, compare, controlled
from zoran_ray.autopilot.testing.harness import HARNESS, SELF_LOADED, Harness
from zoran_ray.autopilot.testing.junit import JUnitError, Outcome, read_junit
from zoran_ray.autopilot.testing.running import run_tests

__all__ = [
    "BAD", "HARNESS", "SELF_LOADED", "Canary", "Control", "Dependency", "Evidence", "Files", "Harness",
    "JUnitError", "Lines", "Outcome", "Run", "broken", "changed_lines", "compare", "controlled", "covered",
    "negative_control", "read_junit", "require_room", "run_tests",
]  # fmt: skip
