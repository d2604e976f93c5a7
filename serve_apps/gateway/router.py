"""Who answers a request: the arm it names and its fallbacks, or the one the Resonator's snapshot chooses.

All local: catalogue, fleet, breakers and snapshot are this gateway's own copies. Knows bodies and arms, no
transport.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from serve_apps.gateway.arms import Arms
from serve_apps.gateway.conversations import Conversations, talk_of
from serve_apps.gateway.door import Door
from serve_apps.gateway.inner_name import LOCAL_PATHS, InnerName
from serve_apps.gateway.model_rows import named
from serve_apps.gateway.price_tag import most_nano_usd
from serve_apps.gateway.strategies import NONE, Strategies, Wish
from serve_apps.gateway.tool_loop import in_tool_loop
from zoran_ray.access.money import NANO_PER_USD
from zoran_ray.engines.fleet import Fleet
from zoran_ray.engines.providers.build import endpoints_of
from zoran_ray.errors import InvalidRequest, NoArmFits, ZoranError
from zoran_ray.messages import KeyInfo
from zoran_ray.models_file import ModelSpec
from zoran_ray.offers import AUTO, ArmSpec
from zoran_ray.routing import (
    Decision,
    Features,
    Needs,
    Objective,
    Prompt,
    Snapshot,
    Vector,
    prompt_of,
    task_of,
)
from zoran_ray.routing.needs import excluded, nothing_fits
from zoran_ray.routing.roles import role_of
from zoran_ray.settings import RoutingSettings
from zoran_ray.wire import RequestBody

_ROUTED = frozenset({"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"})
_NEVER = 1e9
"""Cost of a switch in the middle of a tool loop."""


@dataclass(frozen=True, slots=True)
class Question:
    """A request for `zoran/auto`, as routing sees it.

    Attributes:
        x: float64[size], the prompt.
        task: Its class.
        excluded: Why an arm cannot or may not answer, by name.
        current: Index of the arm that answered this conversation last.
        switch_cost: Quality that another one must gain over it.
    """

    prompt: Prompt
    x: Vector
    task: str
    objective: Objective
    excluded: dict[str, str]
    input_tokens: int
    current: int | None
    switch_cost: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Who is asked for one request.

    Attributes:
        arms: Public names, in order; taken one by one, so that the later ones are thought of late.
        reason: Why the first one, in a word.
        chosen: Name of the first one, where it was chosen here.
        alone: The only one, where there is neither choice nor fallback.
        question: None where the caller named a model.
        decision: None where there was nothing to decide by.
        wish: What a strategy is to do; None where a model answers by itself.
    """

    arms: Iterator[str]
    reason: str
    chosen: str = ""
    alone: str | None = None
    question: Question | None = None
    decision: Decision | None = None
    wish: Wish | None = None


class Roles(Protocol):
    """Chooses among agents; see `agents.AgentRouter`."""

    def plan(self, body: RequestBody, key: KeyInfo) -> Plan: ...

    def update(self, snapshot: Snapshot) -> None: ...


class Router:
    """Chooses for one gateway.

    Args:
        fleet: Models and replicas served here.
        arms: Models of providers, and the catalogue of both.
        door: Which models a key may use.
        conversations: Who answered last.
        settings: Size of a prompt's vector, cost of a switch.
        draw: Gives a number in [0, 1) for each decision.
        strategies: Which there are as models.
        roles: Plans for `zoran/agents`; None where there are none.
    """

    def __init__(
        self,
        fleet: Fleet,
        arms: Arms,
        door: Door,
        conversations: Conversations,
        settings: RoutingSettings,
        draw: Callable[[], float] = random.random,
        strategies: Strategies = NONE,
        roles: Roles | None = None,
    ) -> None:
        self._fleet = fleet
        self._arms = arms
        self._door = door
        self._conversations = conversations
        self._settings = settings
        self.features = Features(settings.size)
        self._draw = draw
        self._strategies = strategies
        self._inner = InnerName(fleet, arms, door, strategies)
        self._roles = roles
        self._places: dict[str, int] = {}
        self.snapshot: Snapshot | None = None

    def update(self, snapshot: Snapshot) -> None:
        """Decide by this one from now on."""
        self.snapshot = snapshot
        self._places = {name: place for place, name in enumerate(snapshot.arms)}
        if self._roles is not None:
            self._roles.update(snapshot)

    def names(self) -> tuple[str, ...]:
        """Every arm there is."""
        return tuple(self._arms.catalogue)

    def rows(self) -> dict[str, object]:
        """What this gateway sees of the arms: who can be asked, and why not."""
        away = {name: self._away(name) for name in self._arms.catalogue}
        return {"away": {name: why for name, why in away.items() if why}, "providers": self._arms.rows()}

    def usable(self, name: str) -> bool:
        """Whether an arm can be asked now."""
        return self._away(name) is None

    def plan(self, body: RequestBody, key: KeyInfo) -> Plan:
        """Who is to be asked.

        Raises:
            ModelNotFound, PermissionDenied: Of the model that was named.
            NoArmFits: No arm can and may answer; says which constraint excluded which.
            Unavailable, ProviderRefused: Those that can and may are all away.
            InvalidRequest: The objective, or what is said to a strategy, makes no sense.
        """
        if body.model == AUTO:
            return self._choose(self.question(body, key), body, key)
        if self._roles is not None and role_of(body.model) is not None:
            return self._roles.plan(body, key)
        if parts := self._strategies.split(body.model):
            self._door.authorize(key, parts[0])
            wish = self._strategies.wish(body, lambda name: self._inner(name, key))
            return Plan(iter((wish.inner,)), "named", alone=wish.inner, wish=wish)
        if "zoran" in body.document:
            raise InvalidRequest(
                f"'zoran' is the objective of the model '{AUTO}', or said to a strategy; name one.",
                param="zoran",
            )
        return self._named(body, key)

    def question(self, body: RequestBody, key: KeyInfo) -> Question:
        """A request for `zoran/auto`, with the reason why each arm that cannot answer cannot.

        Raises:
            InvalidRequest: The objective makes no sense, or names an arm that does not exist.
            NoArmFits: Every arm is excluded.
            Unavailable, ProviderRefused: Those that are not are all away.
        """
        if body.endpoint.path not in _ROUTED:
            raise InvalidRequest(
                f"'{AUTO}' does not answer {body.endpoint.path}; name a model.", param="model"
            )
        objective = Objective.of(body.document.get("zoran"))
        self._know(objective)
        prompt = prompt_of(body.document, body.endpoint.path)
        needs = Needs.of(body.document, body.endpoint.path, body.prompt_tokens, body.max_tokens)
        why = {name: self._excluded(name, key, needs, objective) for name in self._arms.catalogue}
        fits = [name for name, reason in why.items() if reason is None]
        why |= {name: self._away(name) for name in fits}
        if all(why.values()):
            # Waiting helps where somebody fits; otherwise only another request does.
            reasons = {name: reason for name, reason in why.items() if reason}
            raise self._arms.refusal(fits) if fits else nothing_fits(reasons)
        x = self.features(prompt)
        last = self._conversations.arm(key.key_id, talk_of(body)) if prompt.turns > 1 else None
        return Question(
            prompt=prompt,
            x=x,
            task=task_of(x),
            objective=objective,
            excluded={name: reason for name, reason in why.items() if reason},
            input_tokens=body.prompt_tokens,
            current=self._places.get(last) if last is not None else None,
            switch_cost=_NEVER if in_tool_loop(body) else self._settings.switch_cost,
        )

    def _choose(self, question: Question, body: RequestBody, key: KeyInfo) -> Plan:
        snapshot, allowed = self.snapshot, self.allowed(question)
        if snapshot is None or not allowed:
            return self._cheapest(question, body)
        draw = self._draw()
        try:
            decision = snapshot.choose(
                question.x,
                draw,
                input_tokens=question.input_tokens,
                objective=question.objective,
                allowed=allowed,
                current=question.current,
                switch_cost=question.switch_cost,
            )
        except NoArmFits:
            raise _all_too_dear(question, snapshot, allowed) from None
        first = snapshot.arms[decision.arm]
        following = self._first_then_next_best(first, question, draw, snapshot)
        return Plan(following, decision.reason, chosen=first, question=question, decision=decision)

    def _cheapest(self, question: Question, body: RequestBody) -> Plan:
        """Before the first snapshot, or in the second after a catalogue's edit: by the most it may cost."""
        catalogue = self._arms.catalogue
        most = {
            name: most_nano_usd(catalogue, name, body)
            for name in catalogue
            if name not in question.excluded
        }
        limit = question.objective.max_usd * NANO_PER_USD
        names = sorted((name for name in most if most[name] <= limit), key=lambda name: most[name])
        if not names:
            dear = dict.fromkeys(most, "it may cost more than 'zoran.max_usd'")
            raise nothing_fits(dear | question.excluded)
        return Plan(iter(names), "nothing learned", chosen=names[0], question=question)

    def allowed(self, question: Question) -> list[int]:
        """Places in the snapshot of the arms that can answer."""
        catalogue = self._arms.catalogue
        return [
            place
            for name, place in self._places.items()
            if name in catalogue and name not in question.excluded
        ]

    def _first_then_next_best(
        self, first: str, question: Question, draw: float, snapshot: Snapshot
    ) -> Iterator[str]:
        yield first
        if others := [place for place in self.allowed(question) if snapshot.arms[place] != first]:
            try:
                ranked = snapshot.ranked(
                    question.x,
                    draw,
                    input_tokens=question.input_tokens,
                    objective=question.objective,
                    allowed=others,
                )
            except NoArmFits:
                return  # all others are too dear: the first one's failure is what there is to tell
            yield from (snapshot.arms[place] for place in ranked)

    def _named(self, body: RequestBody, key: KeyInfo) -> Plan:
        name = body.model
        if not self._arms.is_remote(name):
            local = named(name, self._fleet, self._arms, self._strategies)
            self._door.authorize(key, local)
            return Plan(iter((local,)), "named", alone=local)
        self._door.authorize(key, name)
        if body.endpoint.path not in self._paths(name):
            raise InvalidRequest(
                f"'{name}' does not answer {body.endpoint.path}; GET /v1/models says who else there is.",
                param="model",
            )
        return Plan(self._chain(name, body, key), "named")

    def _chain(self, name: str, body: RequestBody, key: KeyInfo) -> Iterator[str]:
        """A named arm, its fallbacks as far as the key may use them, then the router's next best."""
        chain = self._arms.catalogue.chain(name)
        asked = {name}
        yield name
        for fallback in chain.names[1:]:
            if self._door.may(key, fallback) and body.endpoint.path in self._paths(fallback):
                asked.add(fallback)
                yield fallback
        if chain.auto and body.endpoint.path in _ROUTED:
            try:
                others = self._choose(self.question(body, key), body, key).arms
            except ZoranError:
                return  # nobody else can answer: what there is to tell is the failure of those asked
            yield from (arm for arm in others if arm not in asked)

    def _know(self, objective: Objective) -> None:
        for name in objective.arms or ():
            if name not in self._arms.catalogue:
                known = ", ".join(self._arms.catalogue)
                raise InvalidRequest(
                    f"'zoran.arms' names '{name[:128]}', which does not exist. Arms here: {known[:512]}.",
                    param="zoran.arms",
                )

    def _excluded(self, name: str, key: KeyInfo, needs: Needs, objective: Objective) -> str | None:
        if objective.arms is not None and name not in objective.arms:
            return "it is not among 'zoran.arms'"
        if not self._door.may(key, name):
            return "this key may not use it"
        entry = self._arms.catalogue[name]
        return excluded(needs, name, entry, endpoints=self._paths(name), residency=objective.residency)

    def _paths(self, name: str) -> frozenset[str]:
        """Public paths that an arm answers."""
        entry: ModelSpec | ArmSpec = self._arms.catalogue[name]
        return endpoints_of(entry.provider) if isinstance(entry, ArmSpec) else LOCAL_PATHS

    def _away(self, name: str) -> str | None:
        """Why an arm cannot be asked now, None if it can."""
        if self._arms.is_remote(name):
            return self._arms.why_not(name)
        model = self._fleet.snapshot.models.get(name)
        if model is None:
            return "it is not loaded"
        # One that is scaled to zero wakes for a request.
        return None if self._fleet.ready(name) or model.min_replicas == 0 else "no replica of it is ready"


def _all_too_dear(question: Question, snapshot: Snapshot, allowed: list[int]) -> NoArmFits:
    """The error for an objective that no arm is cheap enough for."""
    views = snapshot.explain(
        question.x, input_tokens=question.input_tokens, objective=question.objective, allowed=allowed
    )
    dear = {snapshot.arms[place]: views[place].excluded or "it is too dear" for place in allowed}
    return nothing_fits(dear | question.excluded)
