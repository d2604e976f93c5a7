"""All providers' models of one gateway, as the catalogue has them now. Local models are elsewhere.

Everything here is this gateway's own: another one has its own places and finds out itself who fails.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from serve_apps.gateway.arm import Arm, Asked
from zoran_ray.engines.breaker import DEFAULT_POLICY, BreakerPolicy
from zoran_ray.engines.catalogue import Catalogue
from zoran_ray.engines.providers.build import Engines
from zoran_ray.errors import ModelNotFound, Unavailable, ZoranError
from zoran_ray.models_file import ModelsFile


class Arms:
    """Arms by name.

    Args:
        environ: Where keys are.
        clock: Monotonic seconds, those of the deadlines.
        policy: When a failing arm is taken out of the choice.

    Attributes:
        catalogue: What there is now; nothing at first.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
        policy: BreakerPolicy = DEFAULT_POLICY,
    ) -> None:
        self._engines = Engines(environ)
        self._clock = clock
        self._policy = policy
        self._arms: dict[str, Arm] = {}
        # A file without entries is refused where one is read.
        self.catalogue = Catalogue(ModelsFile.model_construct())

    def update(self, catalogue: Catalogue) -> None:
        """Takes over a catalogue, also the one there is: keys are read again.

        What has not changed goes on as it was. Engines of arms that have gone or changed are closed when
        their last answer has ended. Needs the event loop from the second time on.
        """
        kept: dict[str, Arm] = {}
        for spec in catalogue.arms:
            if arm := self._arms.get(spec.name):
                arm.update(spec)
            else:
                arm = Arm(spec, self._engines, self._clock, self._policy)
            kept[spec.name] = arm
        for name in self._arms.keys() - kept.keys():
            self._arms[name].leave()
        self._arms = kept
        self.catalogue = catalogue

    def is_remote(self, name: str) -> bool:
        """Whether a provider serves this model."""
        return name in self._arms

    def usable(self, name: str) -> bool:
        """Whether a request for this model would be let through; true for what is not remote."""
        arm = self._arms.get(name)
        return arm is None or arm.usable

    def why_not(self, name: str) -> str | None:
        """Why it is not usable, for the operator; None if it is."""
        arm = self._arms.get(name)
        return None if arm is None else arm.why_not()

    def refusal(self, names: Iterable[str]) -> ZoranError:
        """The error for a request that only these models could answer, none of them usable."""
        errors = [error for name in names if (arm := self._arms.get(name)) and (error := arm.refusal())]
        soon = [error for error in errors if isinstance(error, Unavailable)]
        if soon:
            return min(soon, key=lambda error: error.retry_after_s or 0.0)
        if errors:
            return errors[0]
        return Unavailable("No model can answer this request now; try again.", retry_after_s=1.0)

    def asking(self, name: str, deadline: float) -> AbstractAsyncContextManager[Asked]:
        """A place at an arm for one request, from its beginning to the end of its answer.

        Use: `async with arms.asking(name, deadline) as engine: reply = await engine.open(request)`. How the
        block ends says how the arm did: an error of the provider's speaks against it, also in the middle of
        an answer; one of the caller's or a cancellation does not.

        Args:
            deadline: When the whole request must be over, in seconds of the clock.

        Raises:
            ModelNotFound: No such arm, any more.
            ProviderRefused, Unavailable, Overloaded, DeadlineExceeded: As `Arm.asking`, on entering.
        """
        if arm := self._arms.get(name):
            return arm.asking(deadline)
        raise ModelNotFound(f"The model '{name[:128]}' is not in the catalogue any more.", param="model")

    def rows(self) -> list[dict[str, Any]]:
        """The state of each arm, for people and metrics."""
        return [arm.row() for arm in self._arms.values()]

    async def close(self) -> None:
        """Close all connections, those in use too."""
        for arm in self._arms.values():
            arm.leave()
        self._arms = {}
        await self._engines.close()
