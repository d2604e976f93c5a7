"""Headers by which an answer says who gave it, why, and at what cost."""

from serve_apps.gateway.exchange import Exchange
from serve_apps.gateway.outgoing import Header
from serve_apps.gateway.price_tag import cost_nano_usd
from zoran_ray.access import usd
from zoran_ray.engines.catalogue import Catalogue
from zoran_ray.routing import Snapshot


def told(exchange: Exchange, catalogue: Catalogue, snapshot: Snapshot | None) -> list[Header]:
    """What is known when the answer begins. The cost of a stream is not: its header is left out."""
    account = exchange.account
    headers: list[Header] = [
        (b"x-zoran-route-reason", exchange.plan.reason.replace(" ", "-").encode()),
        (b"x-zoran-attempts", b"%d" % account.tries),
    ]
    if account.model:
        headers.append((b"x-zoran-model", account.model.encode()))
    wish = exchange.plan.wish
    if wish is not None and wish.role:
        headers.append((b"x-zoran-agent", wish.role.encode()))
    if account.overhead_s is not None:
        headers.append((b"x-zoran-overhead-ms", b"%.2f" % (1000 * account.overhead_s)))
    if account.usage is not None:
        nano = exchange.tab.spent_nano + cost_nano_usd(catalogue, account.model, account.usage)
        headers.append((b"x-zoran-cost-usd", f"{usd(nano):.9f}".encode()))
    if snapshot is not None and snapshot.guard:
        headers.append((b"x-zoran-guard", snapshot.guard.encode()))
    return headers
