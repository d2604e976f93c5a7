"""Which model a strategy asks. Knows names and who may use them, no transport."""

from collections.abc import Callable

from serve_apps.gateway.arms import Arms
from serve_apps.gateway.door import Door
from serve_apps.gateway.model_rows import named
from serve_apps.gateway.strategies import Strategies
from zoran_ray.engines.fleet import Fleet
from zoran_ray.engines.providers.build import endpoints_of
from zoran_ray.errors import InvalidRequest, ModelNotFound
from zoran_ray.messages import KeyInfo
from zoran_ray.offers import AUTO, ArmSpec
from zoran_ray.routing.roles import role_of
from zoran_ray.wire import Endpoint

LOCAL_PATHS = frozenset(endpoint.path for endpoint in Endpoint)


class InnerName:
    """Finds the inner model of a request to a strategy.

    Args:
        fleet: Models and replicas served here.
        arms: Models of providers, and the catalogue of both.
        door: Which models a key may use.
        strategies: Those that are models; none of them can be asked by another.
    """

    def __init__(self, fleet: Fleet, arms: Arms, door: Door, strategies: Strategies) -> None:
        self._fleet = fleet
        self._arms = arms
        self._door = door
        self._strategies = strategies

    def __call__(
        self, name: str | None, key: KeyInfo, fits: Callable[[str], bool] = lambda name: True
    ) -> str:
        """Its public name.

        Args:
            name: As the caller named it; None for the first one here that this key may use and that talks.
            fits: Whether one that nobody named may be taken.

        Raises:
            ModelNotFound, PermissionDenied: There is none, or this key may not use it.
            InvalidRequest: It is none that a strategy can ask.
        """
        if name is None:
            return self._usual(key, fits)
        if name == AUTO or self._strategies.split(name) or role_of(name) is not None:
            raise InvalidRequest(
                "A strategy asks a model, and neither the router, an agent nor another strategy; name one.",
                param="model",
            )
        found = named(name, self._fleet, self._arms, self._strategies)
        self._door.authorize(key, found)
        if not self._chats(found):
            raise InvalidRequest(f"'{found}' does not chat; name another model.", param="model")
        return found

    def _usual(self, key: KeyInfo, fits: Callable[[str], bool]) -> str:
        names = [*self._fleet.snapshot.models, *(spec.name for spec in self._arms.catalogue.arms)]
        for name in names:
            if self._door.may(key, name) and self._chats(name) and fits(name):
                return name
        raise ModelNotFound(
            "There is no model here that this strategy and this key can ask; load one, or name another.",
            param="model",
        )

    def _chats(self, name: str) -> bool:
        if self._arms.is_remote(name):
            entry = self._arms.catalogue[name]
            return (
                isinstance(entry, ArmSpec)
                and Endpoint.CHAT_COMPLETIONS.path in endpoints_of(entry.provider)
                and "embeddings" not in entry.capabilities
            )
        replicas = self._fleet.snapshot.replicas
        return all("generate" in each.tasks for each in replicas if each.model == name)
