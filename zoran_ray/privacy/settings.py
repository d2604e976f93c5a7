"""What a profile does about personal data. Frozen values like those of `zoran_ray.settings`."""

from typing import Literal

from pydantic import Field

from zoran_ray.offers import Frozen
from zoran_ray.privacy.finding import KINDS, Kind

Mode = Literal["off", "remote", "always", "reject"]


class PrivacySettings(Frozen):
    """When texts are masked, and what is looked for."""

    mode: Mode = "remote"
    """`off`; `remote`: mask what goes to another's server; `always`: mask for local models too; `reject`:
    refuse a request in which something is found."""
    kinds: tuple[Kind, ...] = KINDS
    """What is looked for. Names and addresses need a plug-in."""
    phone_regions: tuple[str, ...] = Field(default=("FR", "US", "GB"), max_length=32)
    """Whose national phone numbers are recognised; those with a `+` all are."""
    vault_ttl_s: float = Field(default=30 * 86400.0, gt=0, le=10 * 365 * 86400, allow_inf_nan=False)
    """How long a masked value can be put back after it was last seen, in seconds."""
    vault_values_per_tenant: int = Field(default=100_000, ge=1, le=10_000_000)
    """Values kept for one tenant; beyond, those that expire first go."""
