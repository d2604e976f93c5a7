"""Which arm answers a request: features, learners, budget, mixer, guard. Pure: no Ray, no HTTP, no clock.

The path of one request:
    x = features(prompt_of(document, path))
    decision = snapshot.choose(x, draw, ...)          # on any gateway, from a local picture
    resonator.learn(Feedback(x, arm, outcome, ...))   # in one place, later
    resonator.score(x, arm, quality, ...)             # later still, if somebody says
    snapshot = resonator.publication(epoch)

What learns is `routing.resonator.Resonator`. It is not imported from here: it brings a compiler with it,
and gateways only decide.
"""

from zoran_ray.routing.explain import ArmView
from zoran_ray.routing.features import TASKS, Features, Prompt, Vector, prompt_of, task_of
from zoran_ray.routing.feedback import IMPLICIT, Arm, Feedback, Outcome, Prior
from zoran_ray.routing.guard import Guard, GuardSettings, Verdict
from zoran_ray.routing.mixer import AGENTS, Mixer
from zoran_ray.routing.needs import Needs
from zoran_ray.routing.objective import Objective
from zoran_ray.routing.prices import ArmPrice, PriceList
from zoran_ray.routing.snapshot import Decision, Snapshot
from zoran_ray.routing.sources import Sources

__all__ = [
    "AGENTS",
    "IMPLICIT",
    "TASKS",
    "Arm",
    "ArmPrice",
    "ArmView",
    "Decision",
    "Features",
    "Feedback",
    "Guard",
    "GuardSettings",
    "Mixer",
    "Needs",
    "Objective",
    "Outcome",
    "PriceList",
    "Prior",
    "Prompt",
    "Snapshot",
    "Sources",
    "Vector",
    "Verdict",
    "prompt_of",
    "task_of",
]
