"""Where a job is worked on: everything that is read once. Does nothing."""

from dataclasses import dataclass, field

from zoran_ray.autopilot.context import Ranking, Texts
from zoran_ray.autopilot.engineer.proving import Baseline
from zoran_ray.autopilot.engineer.values import Job
from zoran_ray.autopilot.git import Tree


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job is worked on.

    Attributes:
        tree: Of the base.
        texts: What the model may see of it.
        ranking: Of the same.
        before: How the base's tests end; None where none can be run.
        untested: Why none can be run; empty if they can.
    """

    job: Job
    tree: Tree = field(repr=False)
    texts: Texts = field(repr=False)
    ranking: Ranking = field(repr=False)
    before: Baseline | None
    untested: str = ""

    @property
    def said(self) -> str:
        """What the base's tests write."""
        return self.before.said if self.before else ""
