"""Which strategies there are: those built in, those that files describe, and playbooks."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from zoran_ray.config.document import Location, read_document
from zoran_ray.config.validation import nearest, validated
from zoran_ray.errors import ConfigError, InvalidRequest
from zoran_ray.reasoning.acting import Tools
from zoran_ray.reasoning.best_of_n import BestOfN
from zoran_ray.reasoning.cot import ChainOfThought
from zoran_ray.reasoning.lot import LogicOfThought
from zoran_ray.reasoning.parameters import Parameters
from zoran_ray.reasoning.playbook import Playbook, StrategyStep, playbook_of
from zoran_ray.reasoning.playbook_run import Play, PlaybookParameters
from zoran_ray.reasoning.react import React
from zoran_ray.reasoning.reflexion import Reflexion
from zoran_ray.reasoning.self_consistency import SelfConsistency
from zoran_ray.reasoning.strategy import Strategy
from zoran_ray.reasoning.tot import TreeOfThoughts

KINDS: Mapping[str, type[Parameters]] = {
    ChainOfThought.name: ChainOfThought,
    SelfConsistency.name: SelfConsistency,
    BestOfN.name: BestOfN,
    TreeOfThoughts.name: TreeOfThoughts,
    LogicOfThought.name: LogicOfThought,
    React.name: React,
    Reflexion.name: Reflexion,
}
"""What is built in, by name."""

MOST_INNER = 3
"""How many strategies may stand inside one another."""
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")

Place = Callable[[Location], str]


class _Head(BaseModel):
    """What a file says besides parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: str
    about: str = Field(default="", max_length=500)


@dataclass(frozen=True, slots=True)
class Named:
    """A strategy with parameters, as a file describes it.

    Attributes:
        kind: The strategy that is built in.
        about: For people.
        parameters: What is not as usual.
        place: Says where in the file a value stands.
    """

    kind: str
    about: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    place: Place = field(default=lambda path: "strategy", repr=False, compare=False)


@runtime_checkable
class _Wraps(Protocol):
    """A strategy that lets another one answer."""

    def around(self, inner: Strategy) -> Strategy: ...


@runtime_checkable
class _Acts(Protocol):
    """A strategy that uses tools."""

    def using(self, tools: Tools) -> Strategy: ...


@dataclass(frozen=True, slots=True)
class Registry:
    """The strategies of one deployment.

    Attributes:
        named: Those that files describe, by name.
        tools: For those that use some; None for those of each request, see `Ask.tools`.
        playbooks: By name.
    """

    named: Mapping[str, Named] = field(default_factory=dict)
    tools: Tools | None = None
    playbooks: Mapping[str, Playbook] = field(default_factory=dict)

    def described(self) -> dict[str, str]:
        """All of them by name, in a sentence for people."""
        built_in = {name: (kind.__doc__ or "").partition("\n")[0] for name, kind in KINDS.items()}
        named = {name: told.about or built_in[told.kind] for name, told in self.named.items()}
        return built_in | named | {name: book.about for name, book in self.playbooks.items()}

    def make(self, name: str, parameters: Mapping[str, Any] | None = None) -> Strategy:
        """A strategy with parameters as a request names them; `inner` is the one that answers inside it.

        Raises:
            InvalidRequest: There is no such strategy or parameter; says which there are, and where.
        """
        try:
            return self.made(name, parameters or {}, lambda path: f"strategy '{name[:64]}'")
        except ConfigError as error:
            raise InvalidRequest(error.message, param=error.param) from None
        except (TypeError, ValueError, RecursionError):
            raise InvalidRequest("The parameters of the strategy are no plain JSON.") from None

    def made(self, name: str, parameters: Mapping[str, Any], place: Place, depth: int = 0) -> Strategy:
        """As `make`. Raises: ConfigError: As there; begins with its place."""
        if name in self.playbooks:
            return self._play(self.playbooks[name], parameters, place)
        told = self.named.get(name)
        kind = KINDS.get(told.kind if told else name)
        if kind is None:
            hint = nearest(name[:64], list(self.described()))
            raise ConfigError(f"{place(())}: no such strategy; {hint}", param="strategy")
        data = {**(told.parameters if told else {}), **parameters}
        inner = data.pop("inner", None) if hasattr(kind, "around") else None
        strategy = cast(Strategy, validated(kind, data, place))
        if self.tools is not None and isinstance(strategy, _Acts):
            strategy = strategy.using(self.tools)
        if inner is not None and isinstance(strategy, _Wraps):
            strategy = strategy.around(self._inner(inner, place, depth + 1))
        return strategy

    def _play(self, book: Playbook, parameters: Mapping[str, Any], place: Place) -> Play:
        # A playbook's strategies are no playbooks: none can run itself.
        without = Registry(self.named, self.tools)
        strategies = {
            step.name: without.made(step.strategy, step.parameters, place)
            for step in book.steps
            if isinstance(step, StrategyStep)
        }
        return Play(book, validated(PlaybookParameters, dict(parameters), place), strategies)

    def _inner(self, data: Any, place: Place, depth: int) -> Strategy:
        """What stands in `inner`: the name of a strategy, or a mapping with `strategy` and parameters."""

        def here(path: Location) -> str:
            return place(("inner", *path))

        if depth > MOST_INNER:
            raise ConfigError(
                f"{here(())}: more than {MOST_INNER} strategies inside one another.", param="inner"
            )
        parameters = dict(data) if isinstance(data, dict) else {"strategy": data}
        name = parameters.pop("strategy", None)
        if not isinstance(name, str):
            raise ConfigError(f"{here(())}: inner.strategy: name a strategy.", param="inner.strategy")
        try:
            return self.made(name, parameters, here, depth)
        except ConfigError as error:
            raise ConfigError(error.message, param=f"inner.{error.param or ''}".rstrip(".")) from None


def read_strategies(folder: Path) -> dict[str, Named]:
    """The strategies that the files of a folder describe, `NAME.yaml` each.

    Raises:
        ConfigError: A file is wrong; says file, line and field.
    """
    named = {path.stem: _read(path) for path in sorted(folder.glob("*.yaml"))}
    registry = Registry(named)
    for name, told in named.items():
        registry.made(name, {}, told.place)
    return named


def read_playbooks(folder: Path, strategies: Mapping[str, Named]) -> dict[str, Playbook]:
    """The playbooks that the files of a folder describe, `NAME.yaml` each.

    Args:
        folder: Where they are.
        strategies: Those that files describe: a playbook's steps may use them.

    Raises:
        ConfigError: A file is wrong; says file, line and field.
    """
    registry, books = Registry(strategies), {}
    for path in sorted(folder.glob("*.yaml")):
        _check_name(path)
        if path.stem in registry.described():
            raise ConfigError(f"{path}: a strategy is called '{path.stem}'; rename the playbook.")
        books[path.stem] = playbook_of(path.stem, read_document(path), registry.made)
    return books


def shipped_strategies() -> dict[str, Named]:
    """Those that come with this package. Raises: ConfigError."""
    return read_strategies(_shipped("strategies"))


def shipped_playbooks() -> dict[str, Playbook]:
    """Those that come with this package. Raises: ConfigError."""
    return read_playbooks(_shipped("playbooks"), shipped_strategies())


def strategy_of(name: str, parameters: Mapping[str, Any] | None = None) -> Strategy:
    """A strategy that is built in or shipped. Args and errors are those of `Registry.make`."""
    return Registry(shipped_strategies(), playbooks=shipped_playbooks()).make(name, parameters)


def _shipped(what: str) -> Path:
    house = Path(__file__).parents[1]
    # In a wheel, data lies in the package; in a checkout beside it.
    places = (house / "_data" / "configs" / what, house.parent / "configs" / what)
    return next((place for place in places if place.is_dir()), places[0])


def _check_name(path: Path) -> None:
    if not _NAME.fullmatch(path.stem):
        raise ConfigError(f"{path}: the file's name is the strategy's: small letters, digits and '-'.")


def _read(path: Path) -> Named:
    document = read_document(path)
    data = document.data if isinstance(document.data, dict) else {}
    head = validated(_Head, {key: data[key] for key in _Head.model_fields if key in data}, document.place)
    _check_name(path)
    if head.strategy not in KINDS:
        where, hint = document.place(("strategy",)), nearest(head.strategy[:64], list(KINDS))
        raise ConfigError(f"{where}: strategy: no such strategy; {hint}", param="strategy")
    if path.stem in KINDS and path.stem != head.strategy:
        where = document.place(("strategy",))
        raise ConfigError(f"{where}: strategy: a file named '{path.stem}' describes that strategy.")
    parameters = {key: value for key, value in data.items() if key not in _Head.model_fields}
    return Named(head.strategy, head.about, parameters, document.place)
