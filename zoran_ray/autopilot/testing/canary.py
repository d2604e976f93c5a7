"""Two tests nobody knows beforehand, one that passes and one that fails: a run that denies it is faked.

A `conftest.py`, a plugin or a module that makes every test pass also makes the failing one pass; a program
that ends by itself reports neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from zoran_ray.autopilot.testing.junit import Outcome


@dataclass(frozen=True, slots=True)
class Canary:
    """The two tests of one run.

    Args:
        nonce: Hexadecimal digits that no change can have known.
    """

    nonce: str

    @property
    def path(self) -> str:
        """Of their file, at the top of the tree."""
        return f"test_zoran_{self.nonce}.py"

    @property
    def text(self) -> bytes:
        """Of their file."""
        return (
            f"def test_holds_{self.nonce}():\n    assert '{self.nonce}'\n\n\n"
            f"def test_fails_{self.nonce}():\n    assert not '{self.nonce}'\n"
        ).encode()

    def taken_out(self, outcomes: Mapping[str, Outcome]) -> tuple[dict[str, Outcome], bool]:
        """The other tests' outcomes, and whether both of these ended as they must."""
        holds, fails = (f"test_zoran_{self.nonce}::test_{what}_{self.nonce}" for what in ("holds", "fails"))
        honest = outcomes.get(holds) is Outcome.PASSED and outcomes.get(fails) is Outcome.FAILED
        others = {name: outcome for name, outcome in outcomes.items() if name not in (holds, fails)}
        return others, honest
