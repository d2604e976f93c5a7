"""Which strategies there are as models, and what a request says to one. Knows no model and no transport.

`zoran/<strategy>` answers with the first model served here, `zoran/<strategy>:<model>` with that one; the
body may say it too: `"zoran": {"model": …, "strategy": {…}, "budget": {…}, "verifier": {…}}`.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from serve_apps.gateway.memory_fields import Fields, Name, NameOrNone, read_fields
from zoran_ray.access.money import NANO_PER_USD
from zoran_ray.errors import ConfigError, InvalidRequest
from zoran_ray.reasoning.budget import Budget
from zoran_ray.reasoning.strategy import Strategy
from zoran_ray.reasoning.verifier import Verifier
from zoran_ray.wire import RequestBody
from zoran_ray.wire.talk import TALKS

HOUSE = "zoran/"
MEMBER = "zoran"
MOST_CALLS = 1000
"""Calls of the model in one request, whatever its budget says."""
USUAL_CALLS = 4
"""Calls whose tokens are set aside at the rate limits where no budget says how many there may be."""


class BudgetFields(Fields):
    """`zoran.budget`: what one request may use."""

    tokens: Annotated[int, Field(ge=1, le=10**9)] | None = None
    """Of prompts and answers together."""
    usd: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] | None = None
    wall_s: Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)] | None = None
    calls: Annotated[int, Field(ge=1, le=MOST_CALLS)] | None = None

    def budget(self) -> Budget:
        """The bounds of the request."""
        nano = None if self.usd is None else math.floor(self.usd * NANO_PER_USD)
        return Budget(self.tokens, nano, self.wall_s, self.calls or MOST_CALLS)


class MemoryUse(Fields):
    """`zoran.tools.memory`: whose memory the tool `memory` may use, and how."""

    subject: Name
    """Whom the conversation is with. A model can name nobody else."""
    write: bool = False
    """Whether it may keep something, under the consent and for the purpose given here."""
    purpose: Name | None = None
    """Find only what is kept for it, and keep for it; None: find all, keep for `conversation`."""
    consent: NameOrNone = ""


class ToolFields(Fields):
    """`zoran.tools`: what one request may use of what the server allows."""

    allowed: Annotated[tuple[Name, ...], Field(strict=False, max_length=256)] | None = None
    """Names of tools; None for all that the server allows."""
    memory: MemoryUse | None = None


class AskedFields(Fields):
    """`zoran` of a request to a strategy."""

    model: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    strategy: dict[str, Any] = Field(default_factory=dict)
    """Its parameters."""
    budget: BudgetFields = BudgetFields()
    verifier: dict[str, Any] | None = None
    tools: ToolFields = ToolFields()


@dataclass(frozen=True, slots=True)
class Wish:
    """A request to a strategy.

    Attributes:
        name: As the caller named it, such as `zoran/tot:local/m`.
        inner: Public name of the model it asks.
        asked: What the body says, as plain values.
        role: Of the agent that answers; empty where a strategy does.
        tools: Which tools it may use.
        uses: The only tools that it can use at all; None for any.
    """

    name: str
    inner: str
    strategy: Strategy
    budget: Budget
    verifier: Verifier | None = None
    asked: Mapping[str, Any] = field(default_factory=dict, repr=False)
    role: str = ""
    tools: ToolFields = field(default_factory=ToolFields)
    uses: frozenset[str] | None = None

    @property
    def who(self) -> str:
        """As a policy's grants name it: `coder`, or `strategy:react`."""
        return self.role or f"strategy:{self.name.removeprefix(HOUSE).partition(':')[0]}"

    def estimated_tokens(self, body: RequestBody) -> int:
        """Tokens to set aside at the rate limits; what was used is settled in the end."""
        calls = min(self.budget.calls or USUAL_CALLS, USUAL_CALLS)
        usual = calls * body.estimated_tokens
        return usual if self.budget.tokens is None else min(usual, self.budget.tokens)


def _no_verifier(wanted: Mapping[str, Any]) -> Verifier:
    raise InvalidRequest("There is no verifier here.", param="verifier")


@dataclass(frozen=True, slots=True)
class Strategies:
    """The strategies of one deployment.

    Attributes:
        described: For people, by short name such as `tot`.
        make: Makes one with parameters. Raises: ZoranError: `param` names the one that is wrong.
        judge: Makes a verifier of `zoran.verifier`. Raises: ZoranError: likewise.
        agents: For people, what the roles are for, by the name of their model.
    """

    described: Mapping[str, str] = field(default_factory=dict)
    make: Callable[[str, Mapping[str, Any]], Strategy] | None = None
    judge: Callable[[Mapping[str, Any]], Verifier] = _no_verifier
    agents: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> tuple[str, ...]:
        """All of them as models, and the roles of agents."""
        return (*(HOUSE + name for name in self.described), *self.agents)

    def split(self, model: str) -> tuple[str, str] | None:
        """The strategy's model name and that of its inner model (empty: not said); None if it is none."""
        outer, _, inner = model.partition(":")
        known = outer.startswith(HOUSE) and outer.removeprefix(HOUSE) in self.described
        return (outer, inner) if known else None

    def wish(self, body: RequestBody, inner: Callable[[str | None], str]) -> Wish:
        """What a request to one of them says.

        Args:
            inner: The public name of the model meant, of None that of the usual one.

        Raises:
            InvalidRequest: A field is wrong, or the endpoint has no conversation; `param` names it.
            ZoranError: As `inner`.
        """
        parts = self.split(body.model)
        assert parts is not None
        outer, named = parts
        asked = self.fields(body)
        if named and asked.model and named != asked.model:
            raise InvalidRequest(
                f"'model' names '{named[:128]}' and 'zoran.model' another one; keep one.",
                param="zoran.model",
            )
        with placed("strategy"):
            strategy = self.made(outer.removeprefix(HOUSE), asked.strategy)
        with placed("verifier"):
            verifier = None if asked.verifier is None else self.judge(asked.verifier)
        said = asked.model_dump(mode="json", exclude_defaults=True)
        found = inner(named or asked.model)
        budget = asked.budget.budget()
        return Wish(body.model, found, strategy, budget, verifier, said, tools=asked.tools)

    def fields(self, body: RequestBody) -> AskedFields:
        """What a body says to a strategy or a role.

        Raises:
            InvalidRequest: A field is wrong, or the endpoint has no conversation; `param` names it.
        """
        if body.endpoint not in TALKS:
            outer = body.model.partition(":")[0]
            raise InvalidRequest(
                f"'{outer}' does not answer {body.endpoint.path}; name a model.", param="model"
            )
        return read_fields(AskedFields, body.document.get(MEMBER) or {}, MEMBER)

    def made(self, name: str, parameters: Mapping[str, Any]) -> Strategy:
        """See `make`."""
        assert self.make is not None
        return self.make(name, parameters)


NONE = Strategies()


@contextlib.contextmanager
def placed(part: str) -> Iterator[None]:
    """Errors of a part of `zoran` name their field as the caller wrote it."""
    place = f"{MEMBER}.{part}"
    try:
        yield
    except (InvalidRequest, ConfigError) as error:
        short = (error.param or "").removeprefix(place).removeprefix(f"{part}.").strip(".")
        raise InvalidRequest(error.message, param=f"{place}.{short}" if short else place) from None
    except (ValueError, TypeError):
        # Their texts may quote what was sent.
        raise InvalidRequest(f"'{place}' cannot be read.", param=place) from None
