"""Which arm answers a request: features, learners, budget, mixer, guard. Pure: no Ray, no HTTP, no clock.

The path of one request:
    x = features(prompt)
    decision = snapshot.choose(x, draw, ...)          # on any gateway, from a local picture
    resonator.learn(x, decision.arm, outcome, ...)    # in one place, later
    snapshot = resonator.snapshot()
"""

from zoran_ray.routing.features import Features, Prompt
from zoran_ray.routing.guard import Guard, GuardSettings, Verdict
from zoran_ray.routing.learner import Outcome, Prior
from zoran_ray.routing.mixer import Mixer
from zoran_ray.routing.pacer import BudgetPacer
from zoran_ray.routing.resonator import Arm, Feedback, Resonator
from zoran_ray.routing.snapshot import ArmPrice, Decision, Objective, Snapshot

__all__ = [
    "Arm",
    "ArmPrice",
    "BudgetPacer",
    "Decision",
    "Features",
    "Feedback",
    "Guard",
    "GuardSettings",
    "Mixer",
    "Objective",
    "Outcome",
    "Prior",
    "Prompt",
    "Resonator",
    "Snapshot",
    "Verdict",
]
