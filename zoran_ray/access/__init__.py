"""API keys, rate limits and budgets: who may call, which models, how often, and for how much money.

`KeyStore` keeps keys on disk, `KeyRing` recognises them in a gateway, `Limits` admits their requests
and `Ledger` counts them for all gateways. `SpendLedger` keeps what was spent on disk, `SpendDesk` queues
for it; `Reserve` and `Settle` are what gateways tell it. Knows neither HTTP nor Ray.
"""

from zoran_ray.access.admission import Admission
from zoran_ray.access.budgets import EVERYBODY, UNLIMITED, Budget, Reserve, Settle, Spent
from zoran_ray.access.keyring import KeyRing
from zoran_ray.access.leases import LeaseCall
from zoran_ray.access.ledger import Ledger
from zoran_ray.access.limits import Limits
from zoran_ray.access.money import nano_usd, shown, usd
from zoran_ray.access.spend_desk import SpendDesk
from zoran_ray.access.spend_ledger import SPEND_FILE, SpendLedger
from zoran_ray.access.store import KeyRow, KeyStore

__all__ = [
    "EVERYBODY",
    "SPEND_FILE",
    "UNLIMITED",
    "Admission",
    "Budget",
    "KeyRing",
    "KeyRow",
    "KeyStore",
    "LeaseCall",
    "Ledger",
    "Limits",
    "Reserve",
    "Settle",
    "SpendDesk",
    "SpendLedger",
    "Spent",
    "nano_usd",
    "shown",
    "usd",
]
