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

LATER = 1000
"""Higher is later; 0 is what requests have that say nothing."""


def turn(exchange: Exchange, catalogue: Catalogue, name: str) -> dict[str, int]:
    """What a request to a model served here says of its turn; nothing for an ordinary interactive one.

    A caller may step back by a `priority` of their own, and may not push forward.
    """
    if name not in catalogue or not _knows_priority(catalogue[name]):
        return {}
    asked = exchange.body.document.get("priority") or 0
    least = LATER if exchange.can_wait else 0
    return {"priority": least} if asked < least else {}


def _knows_priority(offer: ModelSpec | ArmSpec) -> bool:
    return isinstance(offer, ModelSpec) and serves_by_priority(offer)
