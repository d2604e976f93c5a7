"""A gateway's own ways to ask a model, and what they know of one. Asks nothing."""

from dataclasses import dataclass

from serve_apps.gateway.arms import Arms
from serve_apps.gateway.prompt_sizes import PromptSizes
from serve_apps.gateway.upstream import Upstream
from serve_apps.gateway.waiting import WaitingRoom
from zoran_ray.engines.fleet import Fleet
from zoran_ray.offers import ArmSpec


@dataclass(frozen=True, slots=True)
class Reach:
    """What every request of a gateway shares."""

    fleet: Fleet
    upstream: Upstream
    waiting: WaitingRoom
    arms: Arms
    sizes: PromptSizes

    def limits(self, name: str, asked: int | None) -> tuple[int, int]:
        """Longest answer and context of a model, in tokens; 0 where nobody knows the context.

        Args:
            asked: What the request bounds an answer to.
        """
        catalogue = self.arms.catalogue
        entry = None
        if name in catalogue:
            entry = catalogue[name]
        context = (entry.context_tokens if entry else None) or self.fleet.context_tokens(name)
        most = entry.max_output_tokens if entry else None
        known = [limit for limit in (asked, most, context) if limit]
        return min(known, default=2**31), context

    def provider(self, name: str) -> str:
        """Which provider a model that is not served here belongs to; "" for none."""
        entry = self.arms.catalogue[name]
        return entry.provider if isinstance(entry, ArmSpec) else ""
