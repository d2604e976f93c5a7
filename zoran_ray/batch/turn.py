"""How a request says that it can wait. Whoever says so only steps back, so anybody may."""

TURN_HEADER = "x-zoran-turn"
WAITS = "later"
"""Its value for a request that all others go before."""
