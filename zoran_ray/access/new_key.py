"""What may be asked of a new API key. Knows nothing of where keys are kept."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StringConstraints, ValidationError

from zoran_ray.access.money import MOST_NANO_USD, NANO_PER_USD
from zoran_ray.errors import ConfigError

KEY_ID_PREFIX = "key-"
MOST_USD = MOST_NANO_USD // NANO_PER_USD
"""Largest budget, in USD."""

Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
Glob = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,160}$")]
PerMinute = Annotated[int, Field(ge=1, le=10**12, strict=True)]
Usd = Annotated[float, Field(ge=0, le=MOST_USD, strict=True, allow_inf_nan=False)]


class NewKey(BaseModel):
    """Name and scope of a key; the fields mean what they mean in `messages.KeyInfo`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Label
    models: tuple[Glob, ...] = Field(max_length=64)
    requests_per_min: PerMinute | None
    tokens_per_min: PerMinute | None
    expires: FiniteFloat | None
    usd_per_day: Usd | None
    usd_per_request: Usd | None
    tenant: Label | Annotated[str, StringConstraints(max_length=0)]


def new_key(now: float, **fields: Any) -> NewKey:
    """Checks what was asked for.

    Args:
        now: Unix time in seconds.
        fields: Those of `NewKey`.

    Raises:
        ConfigError: Says which field is wrong and what is expected there.
    """
    try:
        new = NewKey(**fields)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = str(first["loc"][0])
        raise ConfigError(f"{field} of a new key is wrong: {first['msg']}.", param=field) from None
    if new.name.startswith(KEY_ID_PREFIX):
        raise ConfigError(f"A key's name may not begin with {KEY_ID_PREFIX!r}: ids do.", param="name")
    if new.expires is not None and new.expires <= now:
        raise ConfigError("expires of a new key is in the past: choose a later time.", param="expires")
    return new
