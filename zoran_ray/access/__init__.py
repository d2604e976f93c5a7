"""API keys and rate limits: who may call, which models, how often.

`KeyStore` keeps keys on disk, `KeyRing` recognises them in a gateway, `Limits` admits their requests
and `Ledger` counts them for all gateways. Knows neither HTTP nor Ray.
"""

from zoran_ray.access.admission import Admission
from zoran_ray.access.keyring import KeyRing
from zoran_ray.access.leases import LeaseCall
from zoran_ray.access.ledger import Ledger
from zoran_ray.access.limits import Limits
from zoran_ray.access.store import KeyRow, KeyStore

__all__ = ["Admission", "KeyRing", "KeyRow", "KeyStore", "LeaseCall", "Ledger", "Limits"]
