"""One request on its way through the gateway: what came, what goes out, and what is known of it so far."""

from dataclasses import dataclass, field

from serve_apps.gateway.account import Account
from serve_apps.gateway.outgoing import Outgoing
from serve_apps.gateway.privacy_shown import Shown
from serve_apps.gateway.router import Plan
from serve_apps.gateway.spending import Tab
from zoran_ray.messages import KeyInfo
from zoran_ray.wire import RequestBody


@dataclass(frozen=True, slots=True)
class Exchange:
    """Everything a try needs.

    Attributes:
        plan: Who is asked.
        headers: Sent along to a replica: the request's id and trace.
        deadline: When it must be over, in seconds of `time.monotonic`.
        tab: The money of its tries.
        can_wait: Whether it can wait: interactive requests go first.
        shown: What its tries get to see; empty until that was found out.
    """

    request_id: str
    key: KeyInfo
    body: RequestBody
    plan: Plan
    headers: dict[str, str]
    deadline: float
    tab: Tab
    outgoing: Outgoing
    account: Account
    can_wait: bool = False
    shown: list[Shown] = field(default_factory=list, repr=False)
