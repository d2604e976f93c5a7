"""What a strategy may search in one request: the memory of whom the request is about, and nobody else's."""

from collections.abc import Sequence

from serve_apps.gateway.exchange import Exchange
from serve_apps.gateway.memory_chat import is_near
from serve_apps.gateway.memory_desk import MemoryDesk
from serve_apps.gateway.memory_fields import Search as Asked
from serve_apps.gateway.privacy_desk import PrivacyDesk
from serve_apps.gateway.strategies import Wish
from zoran_ray.privacy import unmask
from zoran_ray.reasoning.searching import Found, Search


class MemorySearch:
    """Makes searches for requests.

    Args:
        desk: Asks the memory.
        privacy: What a model may see of what is found.
    """

    def __init__(self, desk: MemoryDesk, privacy: PrivacyDesk) -> None:
        self._desk = desk
        self._privacy = privacy

    def of(self, exchange: Exchange, wish: Wish, *, remote: bool) -> Search | None:
        """The search of a request; None where it does not say whose memory.

        Args:
            exchange: The request as its model may see it.
            wish: What it says to its strategy.
            remote: Whether what the model sees leaves this deployment.
        """
        subject = exchange.outgoing.subject or (wish.tools.memory.subject if wish.tools.memory else "")
        if not subject:
            return None

        async def search(query: str, *, limit: int, deadline: float) -> Sequence[Found]:
            # Whoever calls bounds the time. The memory holds what was said, and not what stands for it.
            for shown in exchange.shown:
                query = unmask(query, shown.known.get)
            asked = Asked(text=query, subjects=(subject,), limit=limit)
            hits = await self._desk.search(exchange.key, asked)
            return [
                Found(
                    f"memory {hit.record.id}",
                    await self._privacy.joins(exchange, hit.record.text, remote=remote),
                )
                for hit in hits
                if is_near(hit)
            ]

        return search
