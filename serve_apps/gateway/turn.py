"""Who goes first at an engine: interactive requests before those that can wait.

With vLLM's policy `priority`, which is what engines get here, one begins with interactive requests while
any waits, and takes memory from a batch's request first where it runs short. What runs is not stopped to
make a place: the Batch API keeps some free by its bound on how many run (`zoran_ray.batch.seats`). Under
any other policy that bound is all there is, as engines then refuse requests that have a priority.
"""

from serve_apps.gateway.exchange import Exchange
from zoran_ray.engines.catalogue import Catalogue
from zoran_ray.engines.vllm.args import serves_by_priority
from zoran_ray.models_file import ModelSpec
from zoran_ray.offers import ArmSpec
from zoran_ray.wire import Endpoint

LATER = 1000
"""Higher is later; 0 is what requests have that say nothing."""


_HEADER = "x-vllm-priority"
"""Source: vLLM 0.32, `GenerateBaseServing._get_priority`: it counts before what the body says."""


def turn(exchange: Exchange, catalogue: Catalogue, name: str) -> dict[str, int]:
    """What the body of a request to a model served here says of its turn, beside what the caller wrote.

    Nothing for an ordinary interactive one. A caller may step back by a `priority` of their own, and may
    not push forward.
    """
    priority = _priority(exchange, catalogue, name)
    return {} if priority in (None, _asked(exchange)) else {"priority": priority or 0}


def turn_headers(exchange: Exchange, catalogue: Catalogue, name: str) -> dict[str, str]:
    """The same once more for Anthropic's messages, of which vLLM reads no `priority` in the body."""
    priority = _priority(exchange, catalogue, name)
    return {_HEADER: str(priority)} if priority and exchange.body.endpoint is Endpoint.MESSAGES else {}


def _priority(exchange: Exchange, catalogue: Catalogue, name: str) -> int | None:
    """None where the engine knows no priorities."""
    if name not in catalogue or not _knows_priority(catalogue[name]):
        return None
    return max(_asked(exchange), LATER if exchange.can_wait else 0)


def _asked(exchange: Exchange) -> int:
    return int(exchange.body.document.get("priority") or 0)


def _knows_priority(offer: ModelSpec | ArmSpec) -> bool:
    return isinstance(offer, ModelSpec) and serves_by_priority(offer)
