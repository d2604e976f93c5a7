"""Roles of agents: learned beside the arms, from the same journal, and not mixed with them."""

import pytest

from tests.routing.test_live import LOCAL, NOW, SETTINGS, X, live, logged, quality, remote
from zoran_ray.routing import AGENTS
from zoran_ray.routing.journal import LateScore
from zoran_ray.routing.live import LiveResonator, packed
from zoran_ray.routing.roles import ROLE_ARMS, role_of

CODER = "zoran/agents:coder"


def taught(scores: dict[str, float], rounds: int = 40) -> LiveResonator:
    router = live()
    router.follow([LOCAL, remote()])
    seq = 0
    for _ in range(rounds):
        for role, score in scores.items():
            seq += 1
            report = logged(seq, f"zoran/agents:{role}", None)
            router.learn(report)
            router.score(LateScore(seq, report.answered, score, NOW + seq, implicit=False))
    return router


def chosen(router: LiveResonator) -> list[str]:
    """By each of the draws."""
    snapshot = router.publication()
    assert snapshot is not None
    assert snapshot.roles is not None
    return [snapshot.roles.arms[snapshot.roles.choose(X, draw / 16).arm] for draw in range(16)]


def test_scores_move_the_choice_of_roles_and_not_that_of_arms() -> None:
    router = taught({"reasoner": 0.1, "coder": 0.95, "retriever": 0.1, "vision": 0.1})
    untouched = live()
    untouched.follow([LOCAL, remote()])
    assert chosen(router).count(CODER) >= 14
    assert quality(router) == quality(untouched)
    assert router.state()["roles"][CODER]["quality"] > 0.8


def test_the_mix_of_agents_is_what_was_chosen() -> None:
    mix = taught({"coder": 1.0}).state()["agents"]["code"]
    assert mix["coder"] > 0.9


def test_gateways_get_a_new_snapshot_for_each_lesson() -> None:
    router = taught({"coder": 1.0}, 1)
    first = router.publication()
    report = logged(9, CODER, None)
    router.score(LateScore(9, report.answered, 0.0, NOW, implicit=False))
    second = router.publication()
    assert first is not None
    assert second is not None
    assert second.version > first.version


def test_what_was_learned_of_roles_outlives_a_restart() -> None:
    router = taught({"reasoner": 0.1, "coder": 0.95, "retriever": 0.1, "vision": 0.1})
    checkpoint = router.checkpoint()
    assert checkpoint is not None
    again = LiveResonator(SETTINGS, "another life")
    again.resume(*packed(checkpoint))
    again.follow([LOCAL, remote()])
    assert chosen(again) == chosen(router)


@pytest.mark.parametrize(
    ("model", "role"),
    [
        ("zoran/agents", ""),
        (CODER, "coder"),
        ("zoran/agents:cook", "cook"),
        ("zoran/agents:", None),
        ("zoran/agentsx", None),
        ("zoran/auto", None),
    ],
)
def test_which_role_a_name_asks_for(model: str, role: str | None) -> None:
    assert role_of(model) == role


def test_role_arms_are_in_the_order_of_the_mix() -> None:
    assert [role_of(name) for name in ROLE_ARMS] == list(AGENTS)
