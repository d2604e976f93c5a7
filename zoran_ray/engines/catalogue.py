"""All models by name, local ones and those of providers, with prices and fallbacks. Immutable.

Knows the file it comes from, not what is running, healthy or allowed for a key.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zoran_ray.access.money import usd
from zoran_ray.config import read_models_file
from zoran_ray.engines.prices import Prices
from zoran_ray.errors import InvalidRequest, ModelNotFound
from zoran_ray.models_file import ModelsFile, ModelSpec
from zoran_ray.offers import ArmSpec, Use
from zoran_ray.wire import Usage

_NAMED = 20
"""Most names in a message."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Who is asked for one request, in order.

    Attributes:
        names: The arm that was chosen, then its fallbacks and theirs.
        auto: Whether the router's own next best come after them.
    """

    names: tuple[str, ...]
    auto: bool = False


class Catalogue:
    """What a models file says, by public name.

    Args:
        file: Names differ and licences allow the use; a fallback that is not there any more, as of a model
            that was unloaded, is passed over.
    """

    __slots__ = ("_chains", "_entries", "_prices", "file")

    def __init__(self, file: ModelsFile) -> None:
        self.file = file
        self._entries = {entry.public_name: entry for entry in file.offers}
        self._prices = {name: Prices.of(entry) for name, entry in self._entries.items()}
        self._chains = {name: self._chain(name) for name in self._entries}

    @property
    def use(self) -> Use:
        """What this deployment is declared to be used for."""
        return self.file.use

    @property
    def models(self) -> tuple[ModelSpec, ...]:
        """Models served here."""
        return self.file.models

    @property
    def arms(self) -> tuple[ArmSpec, ...]:
        """Models served by others."""
        return self.file.arms

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __getitem__(self, name: str) -> ModelSpec | ArmSpec:
        """The entry of one public name. Raises: ModelNotFound, which says what there is."""
        if found := self._entries.get(name):
            return found
        raise self._unknown(name)

    def prices(self, name: str) -> Prices:
        """Prices in nano-USD. Raises: ModelNotFound."""
        if found := self._prices.get(name):
            return found
        raise self._unknown(name)

    def chain(self, name: str) -> Chain:
        """Who is asked when this arm was chosen. Raises: ModelNotFound."""
        if found := self._chains.get(name):
            return found
        raise self._unknown(name)

    def cost_nano_usd(self, name: str, usage: Usage) -> int:
        """What a request did cost, exactly, for the ledger.

        Raises:
            ModelNotFound: No such arm.
            UpstreamError: The count makes no sense.
        """
        return self.prices(name).cost(usage)

    def most_nano_usd(self, name: str, prompt_tokens: int, max_tokens: int | None, n: int = 1) -> int:
        """The most a request can cost, exactly, for a reservation.

        Args:
            prompt_tokens: Counted, or estimated from above.
            max_tokens: Of one answer, as the caller asks; None if it does not say.
            n: Answers asked for.

        Raises:
            ModelNotFound: No such arm.
            InvalidRequest: A count is negative or larger than any request.
        """
        entry, prices = self[name], self.prices(name)
        limits = (max_tokens, entry.max_output_tokens, entry.context_tokens)
        # All unknown only where output is free, which `Offer` sees to.
        longest = min((limit for limit in limits if limit is not None), default=0)
        if n < 1:
            raise InvalidRequest("n must be at least 1.", param="n")
        return prices.most(prompt_tokens, longest * n)

    def cost_usd(self, name: str, usage: Usage) -> float:
        """`cost_nano_usd` in USD, for routing, headers and metrics."""
        return usd(self.cost_nano_usd(name, usage))

    def most_usd(self, name: str, prompt_tokens: int, max_tokens: int | None, n: int = 1) -> float:
        """`most_nano_usd` in USD, for routing."""
        return usd(self.most_nano_usd(name, prompt_tokens, max_tokens, n))

    def _chain(self, name: str) -> Chain:
        """Depth first, each name once, where it is first met."""
        names: dict[str, None] = {}
        auto = False
        ahead = [name]
        while ahead:
            if (current := ahead.pop()) in names or current not in self._entries:
                continue
            names[current] = None
            entry = self._entries[current]
            fallbacks = entry.fallbacks if isinstance(entry, ArmSpec) else ()
            if fallbacks == "auto":
                auto = True
            else:
                ahead += reversed(fallbacks)
        return Chain(tuple(names), auto)

    def _unknown(self, name: str) -> ModelNotFound:
        known = ", ".join(sorted(self._entries)[:_NAMED])
        more = f" and {len(self) - _NAMED} more" if len(self) > _NAMED else ""
        return ModelNotFound(
            f"The model '{name[:128]}' is not in the catalogue. Models here: {known}{more}.", param="model"
        )


def read_catalogue(path: Path, home: Path) -> Catalogue:
    """The catalogue a models file makes; relative paths in it start at its own folder.

    Args:
        home: What `~` stands for.

    Raises:
        ConfigError: The file cannot be read or a field is wrong; says file, line and field.
    """
    return Catalogue(read_models_file(path, home))
