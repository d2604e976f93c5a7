"""From an entry of the catalogue to the adapter that asks it. Knows every adapter, none of their insides.

Keys are read here, from the environment that the composition root passes in or from a file. Arms with the
same provider, address and key share one pool of connections, which goes with the last of them.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from zoran_ray.api_key import ApiKey
from zoran_ray.engines.protocol import Engine
from zoran_ray.engines.providers import dialects
from zoran_ray.engines.providers.anthropic import BASE_URL as ANTHROPIC
from zoran_ray.engines.providers.anthropic import AnthropicEngine, anthropic_connection
from zoran_ray.engines.providers.anthropic_request import DEFAULT_MAX_TOKENS
from zoran_ray.engines.providers.compatible import Compatible
from zoran_ray.engines.providers.connection import Connection
from zoran_ray.engines.providers.dialects import Dialect, versioned
from zoran_ray.engines.providers.gemini import BASE_URL as GEMINI
from zoran_ray.engines.providers.gemini import GeminiEngine, gemini_connection
from zoran_ray.offers import ArmSpec, Provider
from zoran_ray.wire import Endpoint


@dataclass(frozen=True, slots=True)
class Adapter:
    """How one provider is asked.

    Attributes:
        endpoints: What it has.
        connect: Key and configured address → pool. Raises: ConfigError.
        engine: Pool and arm → adapter.
    """

    endpoints: frozenset[Endpoint]
    connect: Callable[[ApiKey | None, str | None], Connection]
    engine: Callable[[Connection, ArmSpec], Engine]


def _compatible(dialect: Dialect) -> Adapter:
    def connect(key: ApiKey | None, base_url: str | None) -> Connection:
        header = dialect.request_id_header
        return Connection(dialect.name, dialect.address(base_url), key=key, request_id_header=header)

    return Adapter(
        dialect.endpoints, connect, lambda connection, spec: Compatible(connection, dialect, spec.upstream)
    )


def _native(
    connect: Callable[[ApiKey | None, str], Connection],
    address: str,
    engine: Callable[[Connection, ArmSpec], Engine],
    *endpoints: Endpoint,
) -> Adapter:
    version = address.rpartition("/")[2]

    def connected(key: ApiKey | None, base_url: str | None) -> Connection:
        return connect(key, versioned(base_url or address, version))

    return Adapter(frozenset(endpoints), connected, engine)


def _anthropic(connection: Connection, spec: ArmSpec) -> Engine:
    longest = spec.max_output_tokens or min(DEFAULT_MAX_TOKENS, spec.context_tokens)
    return AnthropicEngine(connection, spec.upstream, default_max_tokens=longest)


def _gemini(connection: Connection, spec: ArmSpec) -> Engine:
    return GeminiEngine(connection, spec.upstream)


ADAPTERS: Mapping[Provider, Adapter] = MappingProxyType(
    {
        "openai": _compatible(dialects.OPENAI),
        "mistral": _compatible(dialects.MISTRAL),
        "ollama": _compatible(dialects.OLLAMA),
        "vllm": _compatible(dialects.VLLM),
        "openai_compatible": _compatible(dialects.COMPATIBLE),
        "anthropic": _native(anthropic_connection, ANTHROPIC, _anthropic, Endpoint.CHAT_COMPLETIONS),
        "gemini": _native(
            gemini_connection, GEMINI, _gemini, Endpoint.CHAT_COMPLETIONS, Endpoint.EMBEDDINGS
        ),
    }
)


def endpoints_of(provider: Provider) -> frozenset[str]:
    """Paths of the endpoints its adapter has, such as `/v1/chat/completions`."""
    return frozenset(endpoint.path for endpoint in ADAPTERS[provider].endpoints)


def key_of(spec: ArmSpec, environ: Mapping[str, str]) -> ApiKey | None:
    """The key an arm is asked with, None if it needs none.

    Raises:
        ConfigError: It is named and is not there.
    """
    if spec.api_key_file is not None:
        return ApiKey.from_file(Path(spec.api_key_file))
    variable = spec.key_variable
    return None if variable is None else ApiKey.from_variable(variable, environ)


@dataclass(slots=True, eq=False)
class _Pool:
    """Connections, and the engines that use them."""

    connection: Connection
    key: ApiKey | None
    engines: set[Engine] = field(default_factory=set)

    def has(self, key: ApiKey | None) -> bool:
        return self.key is None if key is None else key.same_as(self.key)


class Engines:
    """The engines of one process.

    Args:
        environ: Where keys are.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._pools: dict[tuple[str, ...], _Pool] = {}
        self._made: dict[Engine, tuple[ArmSpec, _Pool]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def build(self, spec: ArmSpec, old: Engine | None = None) -> Engine:
        """An engine for an arm; to be dropped in the end.

        Args:
            old: The arm's engine until now; given back if it still is what the arm and its key ask for.

        Raises:
            ConfigError: The key is not there, or an address is wrong; says what to do.
        """
        pool = self._pool(spec)
        made = self._made.get(old) if old is not None else None
        if old is not None and made and made[1] is pool and _asked_alike(made[0], spec):
            return old
        engine = ADAPTERS[spec.provider].engine(pool.connection, spec)
        pool.engines.add(engine)
        self._made[engine] = spec, pool
        return engine

    def drop(self, engine: Engine) -> None:
        """It will not be asked any more. Closes its connections, soon, if no other engine uses them."""
        _, pool = self._made.pop(engine, (None, None))
        if pool is None:
            return
        pool.engines.discard(engine)
        if not pool.engines:
            self._pools = {place: each for place, each in self._pools.items() if each is not pool}
            closing = asyncio.get_running_loop().create_task(pool.connection.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Drop all engines and wait until every connection is closed, those in use too."""
        for engine in list(self._made):
            self.drop(engine)
        await asyncio.gather(*self._closing)

    def _pool(self, spec: ArmSpec) -> _Pool:
        key = key_of(spec, self._environ)
        place = (spec.provider, spec.base_url or "", key.origin if key else "")
        pool = self._pools.get(place)
        if pool is None or not pool.has(key):
            # A key that was changed in its file: answers under way go on with the old one.
            pool = self._pools[place] = _Pool(ADAPTERS[spec.provider].connect(key, spec.base_url), key)
        return pool


def _asked_alike(one: ArmSpec, other: ArmSpec) -> bool:
    """Of two arms in one pool: whether an engine of the one does for the other."""
    return (one.upstream, one.max_output_tokens, one.context_tokens) == (
        other.upstream,
        other.max_output_tokens,
        other.context_tokens,
    )
