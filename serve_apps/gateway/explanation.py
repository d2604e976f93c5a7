"""Why a choice would fall, as JSON. Reads the router and its snapshot; asks nobody, learns nothing."""

from typing import Any, Protocol

from serve_apps.gateway.router import Plan, Question
from zoran_ray.messages import KeyInfo
from zoran_ray.routing import Features, Snapshot
from zoran_ray.routing.explain import ArmView
from zoran_ray.wire import RequestBody

_MIDDLE = 0.5


class Chooses(Protocol):
    """A router of models, or of roles."""

    @property
    def snapshot(self) -> Snapshot | None: ...

    @property
    def features(self) -> Features: ...

    def names(self) -> tuple[str, ...]: ...

    def allowed(self, question: Question) -> list[int]: ...

    def question(self, body: RequestBody, key: KeyInfo) -> Question: ...

    def plan(self, body: RequestBody, key: KeyInfo) -> Plan: ...


def explanation(router: Chooses, body: RequestBody, key: KeyInfo) -> dict[str, Any]:
    """The choice for one request, every arm's estimates, and what of the prompt mattered.

    Raises:
        NoArmFits, InvalidRequest: As the request itself would.
    """
    question, snapshot = router.question(body, key), router.snapshot
    told: dict[str, Any] = {"object": "route.explanation", "task": question.task}
    if snapshot is None:
        plan = router.plan(body, key)
        choice = {"arm": plan.chosen, "reason": plan.reason, "propensity": None, "expected_usd": None}
        return told | {
            "choice": choice, "arms": _unknown(router, question), "features": [],
            "snapshot_version": None, "guard": "",
        }  # fmt: skip
    views = _views(router, snapshot, question)
    best = max(
        (view for view in views if view.excluded is None),
        key=lambda view: (view.propensity, view.utility),
        default=None,
    )
    known = {view.name for view in views}
    return told | {
        "choice": None if best is None else _choice(best, router, question, snapshot),
        "arms": [_arm(view) for view in views] + _unknown(router, question, known),
        "features": [] if best is None else [{"name": n, "weight": w} for n, w in best.features],
        "snapshot_version": snapshot.version,
        "guard": snapshot.guard,
    }


def _views(router: Chooses, snapshot: Snapshot, question: Question) -> tuple[ArmView, ...]:
    return snapshot.explain(
        question.x,
        input_tokens=question.input_tokens,
        objective=question.objective,
        allowed=router.allowed(question),
        current=question.current,
        switch_cost=question.switch_cost,
        names=router.features.names(question.prompt),
        excluded=question.excluded,
    )


def _choice(best: ArmView, router: Chooses, question: Question, snapshot: Snapshot) -> dict[str, Any]:
    """The likeliest choice: each request draws anew, so another one may fall where shares are close."""
    decision = snapshot.choose(
        question.x,
        _MIDDLE,
        input_tokens=question.input_tokens,
        objective=question.objective,
        allowed=router.allowed(question),
        current=question.current,
        switch_cost=question.switch_cost,
    )
    same = snapshot.arms[decision.arm] == best.name
    return {
        "arm": best.name,
        "reason": decision.reason if same else "best value",
        "propensity": best.propensity,
        "expected_usd": best.usd,
    }


def _arm(view: ArmView) -> dict[str, Any]:
    return {
        "name": view.name,
        "quality": {"mean": view.quality, "low": view.quality_low, "high": view.quality_high},
        "output_tokens": view.output_tokens,
        "latency_ms": view.latency_ms,
        "p_late": view.late,
        "usd": view.usd,
        "utility": view.utility,
        "share": view.propensity,
        "excluded": view.excluded,
        "features": [{"name": name, "weight": weight} for name, weight in view.features],
    }


def _unknown(
    router: Chooses, question: Question, known: set[str] | frozenset[str] = frozenset()
) -> list[dict[str, Any]]:
    """Arms of the catalogue of which nothing was learned yet."""
    return [
        {
            "name": name, "quality": None, "output_tokens": None, "latency_ms": None, "p_late": None,
            "usd": None, "utility": None, "share": None, "excluded": question.excluded.get(name),
            "features": [],
        }
        for name in router.names()
        if name not in known
    ]  # fmt: skip
