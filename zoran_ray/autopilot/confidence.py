"""How sure one may be that a change is right: a formula over facts. No model is asked for its opinion.

    z = bias − lines·log2(1 + lines changed) − files·(files − 1) − risky·(risky paths)
        − tries·(tries − 1) − failing·log2(1 + tests that still fail) − flaky·(flaky tests)
        − uncovered·(share of changed lines that no test ran)
    confidence = 1 / (1 + e^−z), and half of that where the evidence does not hold

So evidence that does not hold stays below one half, and more lines, files, risk or tries never raise it.
"""

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of the formula, each for one step of its fact; none below 0.

    Attributes:
        bias: Of a change of nothing that nobody measured: 0.989.
        lines: Each time as many lines change.
        files: Each file after the first.
        risky: Each path that a policy wants a person to see.
        tries: Each try before the one that is judged.
        failing: Each time as many tests still fail as on the base.
        flaky: Each test that ended differently in two runs.
        uncovered: All changed lines without a test that runs them.
        unknown_coverage: Share of lines that counts as such where nobody measured.
    """

    bias: float = 4.6
    lines: float = 0.25
    files: float = 0.15
    risky: float = 2.0
    tries: float = 0.3
    failing: float = 0.25
    flaky: float = 1.0
    uncovered: float = 1.0
    unknown_coverage: float = 0.1

    def __post_init__(self) -> None:
        for each in fields(self):
            if not 0 <= getattr(self, each.name) < math.inf:
                raise ValueError(f"The weight '{each.name}' is a number from 0.")
        if self.bias > _MOST_BIAS or self.unknown_coverage > 1:
            raise ValueError(f"The bias is at most {_MOST_BIAS:g}, a share at most 1.")


_MOST_BIAS = 30.0
"""Beyond, the formula's result is 1 in floating point, and half of it no less than one half."""


@dataclass(frozen=True, slots=True)
class ChangeFacts:
    """What is known of a change. Whoever gives it has looked.

    Attributes:
        holds: Whether tests show that it mends something and breaks nothing, twice.
        lines: Lines added and removed.
        files: Files changed.
        risky: Paths among them that the policy wants a person to see.
        tries: Which try it is, from 1.
        still_failing: Tests that failed on the base and still do.
        flaky: Tests that ended differently in two runs.
        coverage: Share of its lines that tests ran, 0..1; None where nobody measured.
    """

    holds: bool
    lines: int
    files: int
    risky: int = 0
    tries: int = 1
    still_failing: int = 0
    flaky: int = 0
    coverage: float | None = None


WEIGHTS = Weights()


def confidence(facts: ChangeFacts, weights: Weights = WEIGHTS) -> float:
    """How sure one may be, 0..1."""
    z = weights.bias - sum(_doubts(facts, weights))
    sure = 1 / (1 + math.exp(min(-z, _MOST_EXPONENT)))
    return sure if facts.holds else sure / 2


_MOST_EXPONENT = 700.0
"""Beyond, `exp` overflows."""


def _doubts(facts: ChangeFacts, weights: Weights) -> tuple[float, ...]:
    return (
        weights.lines * math.log2(1 + max(0, facts.lines)),
        weights.files * max(0, facts.files - 1),
        weights.risky * max(0, facts.risky),
        weights.tries * max(0, facts.tries - 1),
        weights.failing * math.log2(1 + max(0, facts.still_failing)),
        weights.flaky * max(0, facts.flaky),
        weights.uncovered * _uncovered(facts.coverage, weights),
    )


def _uncovered(coverage: float | None, weights: Weights) -> float:
    if coverage is None or math.isnan(coverage):
        return weights.unknown_coverage
    return 1 - min(1.0, max(0.0, coverage))
