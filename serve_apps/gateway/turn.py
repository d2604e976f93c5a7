"""Who goes first at an engine: interactive requests before those of batches.

With vLLM's policy `priority` an engine begins with interactive requests while any waits, and takes memory
from a batch's request first where it runs short. What runs is not stopped to make a place: those are kept
free by the bound on how many of a batch run (`zoran_ray.batch.seats`). Under any other policy that bound is
all there is, as engines then refuse requests that have a priority.
"""

from serve_apps.gateway.exchange import Exchange
from zoran_ray.engines.catalogue import Catalogue
from zoran_ray.engines.vllm.args import serves_by_priority
from zoran_ray.models_file import ModelSpec

LATER = 1000
"""Higher is later; 0 is what requests have that say nothing."""


def turn(exchange: Exchange, catalogue: Catalogue, name: str) -> dict[str, int]:
    """What a request to a model served here says of its turn; nothing for an interactive one."""
    if not exchange.from_batch or name not in catalogue:
        return {}
    spec = catalogue[name]
    return {"priority": LATER} if isinstance(spec, ModelSpec) and serves_by_priority(spec) else {}
