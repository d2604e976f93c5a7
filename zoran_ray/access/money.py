"""Amounts of money as integers, so that ledgers add up exactly. Knows no price, budget or currency but USD.

The unit is the nano-USD, a billionth of a dollar: a token costs between 10 and 100,000 of them.
"""

from decimal import ROUND_CEILING, Decimal

from zoran_ray.errors import ConfigError

NANO_PER_USD = 1_000_000_000
MOST_NANO_USD = 10**17
"""Largest single amount, a hundred million dollars: sums of them still fit 64 bits."""


def nano_usd(usd: float, what: str) -> int:
    """An amount in USD as a whole number of nano-USD, rounded up.

    Args:
        usd: Taken as it is written: 0.1 is a tenth.
        what: What the amount is, for the message.

    Raises:
        ConfigError: Not a number, negative, infinite or too large.
    """
    number = isinstance(usd, int | float) and not isinstance(usd, bool)
    if not number or not 0 <= usd <= MOST_NANO_USD // NANO_PER_USD:  # false for NaN
        raise ConfigError(f"{what} must be an amount in USD from 0 to 100,000,000.", param=what)
    return int((Decimal(str(usd)) * NANO_PER_USD).to_integral_value(ROUND_CEILING))


def usd(nano: int) -> float:
    """Nano-USD as USD, for people, headers and metrics; never to calculate on with."""
    return nano / NANO_PER_USD


def shown(nano: int) -> str:
    """An amount for a message: `$1.50`, `$0.000023`; exact, at least two decimals."""
    whole, rest = divmod(abs(nano), NANO_PER_USD)
    decimals = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{'-' if nano < 0 else ''}${whole}.{decimals}"
