"""Which role answers a request to `zoran/agents`: by the Resonator's snapshot among those that can.

`zoran/agents:coder` asks for one. What a request says to a role stands in its body as for a strategy:
`"zoran": {"model": …, "strategy": {"strategy": "tot", …}, "budget": {…}, "verifier": {…}}`. Roles are
learned apart from arms, and from the same reports. Knows names, facts and who may use what, no transport.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from serve_apps.gateway.agent_role import HostedRole, Link
from serve_apps.gateway.arms import Arms
from serve_apps.gateway.conversations import Conversations, talk_of
from serve_apps.gateway.door import Door
from serve_apps.gateway.inner_name import InnerName
from serve_apps.gateway.router import Plan, Question
from serve_apps.gateway.strategies import AskedFields, Strategies, Wish, placed
from zoran_ray.engines.fleet import Fleet
from zoran_ray.errors import InvalidRequest, ModelNotFound, NoArmFits
from zoran_ray.messages import KeyInfo
from zoran_ray.offers import AGENTS as MODEL
from zoran_ray.routing import (
    AGENTS,
    ArmPrice,
    Decision,
    Features,
    Needs,
    Objective,
    PriceList,
    Snapshot,
    prompt_of,
    task_of,
)
from zoran_ray.routing.needs import nothing_fits
from zoran_ray.routing.roles import ROLE_ARMS, role_of
from zoran_ray.settings import RoutingSettings
from zoran_ray.tools.code_tool import CodeTool
from zoran_ray.wire import RequestBody

REASONER, CODER, RETRIEVER, VISION = AGENTS
_MILLION = 1e6
_NOBODY_SEES = (
    "No model here that this key may use takes pictures. Give one `modalities: [text, image]` in the models"
    " file, as a provider's arm or a local model that can see, or name it in 'zoran.model'."
)


@dataclass(frozen=True, slots=True)
class Agents:
    """The roles of one deployment.

    Attributes:
        link: Reaches their processes.
        searches: Whether there is a folder for the retriever.
        passes: Whether a tenant's prompts go out unmasked, told the tenant and whether they go to a
            provider: what the retriever finds is not masked.
    """

    link: Link
    searches: bool
    passes: Callable[[str, bool], bool]


class AgentRouter:
    """Chooses roles for one gateway. To `explanation` it is a router.

    Args:
        fleet: Models served here.
        arms: Models of providers, and the catalogue of both.
        door: Who may use what.
        conversations: Who answered last.
        settings: Size of a prompt's vector, cost of a switch.
        draw: Gives a number in [0, 1) for each decision.
        strategies: Those that the reasoner may think with.
        agents: The roles.
    """

    def __init__(
        self,
        fleet: Fleet,
        arms: Arms,
        door: Door,
        conversations: Conversations,
        settings: RoutingSettings,
        draw: Callable[[], float],
        strategies: Strategies,
        agents: Agents,
    ) -> None:
        self._arms = arms
        self._door = door
        self._conversations = conversations
        self._settings = settings
        self._draw = draw
        self._strategies = strategies
        self._agents = agents
        self._inner = InnerName(fleet, arms, door, strategies)
        self.features = Features(settings.size)
        self.snapshot: Snapshot | None = None

    def update(self, snapshot: Snapshot) -> None:
        """Decide by this one from now on."""
        roles = snapshot.roles
        # What a dollar is worth is known to the choice of arms, which is where they are spent.
        self.snapshot = roles and replace(
            roles, usd_weight=snapshot.usd_weight, allowance_usd=snapshot.allowance_usd
        )

    def names(self) -> tuple[str, ...]:
        """Every role, as a model."""
        return ROLE_ARMS

    def allowed(self, question: Question) -> list[int]:
        """Places in the snapshot of the roles that can answer."""
        return [place for place, name in enumerate(ROLE_ARMS) if name not in question.excluded]

    def plan(self, body: RequestBody, key: KeyInfo) -> Plan:
        """Who is to be asked.

        Raises:
            ModelNotFound, PermissionDenied: There is no such role or model, or this key may not use it.
            NoArmFits: The role that was named, or any, cannot answer this; says why.
            InvalidRequest: What is said to it makes no sense.
        """
        role = role_of(body.model)
        if role:
            self._check(role, body, key)
            return self._planned(role, body, key, "named")
        question = self.question(body, key)
        decision = self._decision(question, body, key)
        if decision is None:
            return self._planned(_guess(question), body, key, "nothing learned", question)
        return self._planned(AGENTS[decision.arm], body, key, decision.reason, question, decision)

    def question(self, body: RequestBody, key: KeyInfo) -> Question:
        """A request for any role, with the reason why each that cannot answer cannot.

        Raises:
            NoArmFits: None can. PermissionDenied: This key may use none.
            InvalidRequest: What is said to it makes no sense.
        """
        if not any(self._may(key, role) for role in AGENTS):
            self._door.authorize(key, MODEL)
        fields = self._strategies.fields(body)
        prompt, needs = prompt_of(body.document, body.endpoint.path), _needs(body)
        why = {name: self._why_not(role, fields, needs, key) for name, role in _ROLES}
        excluded = {name: reason for name, reason in why.items() if reason}
        if len(excluded) == len(AGENTS):
            raise NoArmFits(_NOBODY_SEES) if _NOBODY_SEES in excluded.values() else nothing_fits(excluded)
        x = self.features(prompt)
        last = self._conversations.arm(key.key_id, talk_of(body)) if prompt.turns > 1 else None
        return Question(
            prompt=prompt,
            x=x,
            task=task_of(x),
            objective=Objective(),
            excluded=excluded,
            input_tokens=body.prompt_tokens,
            current=ROLE_ARMS.index(last) if last in ROLE_ARMS else None,
            switch_cost=self._settings.switch_cost,
        )

    def _decision(self, question: Question, body: RequestBody, key: KeyInfo) -> Decision | None:
        """None where nothing was learned yet."""
        if self.snapshot is None:
            return None
        fields = self._strategies.fields(body)
        allowed = self.allowed(question)
        inner = self._model_of(AGENTS[allowed[0]], fields, key)
        return self._priced(self.snapshot, inner).choose(
            question.x,
            self._draw(),
            input_tokens=question.input_tokens,
            allowed=allowed,
            current=question.current,
            switch_cost=question.switch_cost,
        )

    def _priced(self, snapshot: Snapshot, inner: str) -> Snapshot:
        """Roles cost what the model costs that they ask; they differ in how much of it they use."""
        if inner not in self._arms.catalogue:
            return snapshot
        offer = self._arms.catalogue[inner]
        price = ArmPrice(offer.usd_per_million_input / _MILLION, offer.usd_per_million_output / _MILLION)
        return replace(snapshot, prices=PriceList.of([price] * len(AGENTS)))

    def _planned(
        self,
        role: str,
        body: RequestBody,
        key: KeyInfo,
        reason: str,
        question: Question | None = None,
        decision: Decision | None = None,
    ) -> Plan:
        fields = self._strategies.fields(body)
        if fields.strategy:
            name, parameters = _named_strategy(fields)
            with placed("strategy"):
                self._strategies.made(name, parameters)
        with placed("verifier"):
            verifier = None if fields.verifier is None else self._strategies.judge(fields.verifier)
        inner = self._model_of(role, fields, key)
        said = fields.model_dump(mode="json", exclude_defaults=True)
        hosted = HostedRole(role, fields.strategy, self._agents.link)
        wish = Wish(
            body.model,
            inner,
            hosted,
            fields.budget.budget(),
            verifier,
            said,
            role=role,
            tools=fields.tools,
            uses=frozenset({CodeTool.name}) if role == CODER else None,
        )
        chosen = "" if question is None else f"{MODEL}:{role}"
        return Plan(
            iter((inner,)), reason, chosen, alone=inner, question=question, decision=decision, wish=wish
        )

    def _check(self, role: str, body: RequestBody, key: KeyInfo) -> None:
        """Whether a role that was named can answer."""
        name = f"{MODEL}:{role}"
        if role not in AGENTS:
            raise ModelNotFound(
                f"There is no agent '{role[:64]}'. There are {', '.join(ROLE_ARMS)}.", param="model"
            )
        if not self._may(key, role):
            self._door.authorize(key, name)
        fields = self._strategies.fields(body)
        self._model_of(role, fields, key)  # of a model that was named, the exact error
        if reason := self._why_not(role, fields, _needs(body), key):
            raise nothing_fits({name: reason})

    def _why_not(self, role: str, fields: AskedFields, needs: Needs, key: KeyInfo) -> str | None:
        """Why a role cannot answer, None where it can."""
        if not self._may(key, role):
            return "this key may not use it"
        if fields.strategy and role != REASONER:
            return "'zoran.strategy' is said to the reasoner alone"
        if role == VISION and not needs.media:
            return "there is no picture in the prompt"
        if missing := sorted(needs.media - ({"image"} if role == VISION else set())):
            return f"it does not take {' or '.join(missing)}s in a prompt"
        try:
            inner = self._model_of(role, fields, key)
        except NoArmFits as error:
            return error.message
        if role == RETRIEVER:
            return self._why_not_search(inner, key)
        return None

    def _why_not_search(self, inner: str, key: KeyInfo) -> str | None:
        if not self._agents.searches:
            return "there is no folder for it: the operator sets `agents.folder`"
        if not self._agents.passes(key.tenant, self._arms.is_remote(inner)):
            return f"what it finds is not masked, and '{inner}' must not see it so; name a local model"
        return None

    def _model_of(self, role: str, fields: AskedFields, key: KeyInfo) -> str:
        """The model that a role asks. Raises: ZoranError: There is none, or it cannot see."""
        if role != VISION:
            return self._inner(fields.model, key)
        try:
            found = self._inner(fields.model, key, self._sees)
        except ModelNotFound as error:
            raise error if fields.model else NoArmFits(_NOBODY_SEES, param="model") from None
        if not self._sees(found):
            raise NoArmFits(f"'{found}' does not take pictures; name one that does.", param="zoran.model")
        return found

    def _sees(self, name: str) -> bool:
        return name in self._arms.catalogue and "image" in self._arms.catalogue[name].modalities

    def _may(self, key: KeyInfo, role: str) -> bool:
        return self._door.may(key, MODEL) or self._door.may(key, f"{MODEL}:{role}")


_ROLES = tuple(zip(ROLE_ARMS, AGENTS, strict=True))


def _needs(body: RequestBody) -> Needs:
    return Needs.of(body.document, body.endpoint.path, body.prompt_tokens, body.max_tokens)


def _guess(question: Question) -> str:
    """Before anything was learned: pictures to who sees them, code to who writes it."""
    wanted = CODER if question.task == "code" else REASONER
    there = [role for name, role in _ROLES if name not in question.excluded]
    return wanted if wanted in there else there[0]


def _named_strategy(fields: AskedFields) -> tuple[str, dict[str, object]]:
    parameters = dict(fields.strategy)
    name = parameters.pop("strategy", None)
    if not isinstance(name, str):
        raise InvalidRequest(
            'Name the strategy: `"zoran": {"strategy": {"strategy": "tot"}}`.',
            param="zoran.strategy.strategy",
        )
    return name, parameters
