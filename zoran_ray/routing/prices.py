"""What a request is expected to cost at each arm. Knows prices; tokens are guessed elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

_MOST_LOG_TOKENS = 16.0
"""e^16 are nine million tokens; no answer has more, and no guess may overflow."""


@dataclass(frozen=True, slots=True)
class ArmPrice:
    """USD for one token.

    Attributes:
        input_usd: For each token of the prompt.
        output_usd: For each token of the answer.
        request_usd: For each request.
    """

    input_usd: float = 0.0
    output_usd: float = 0.0
    request_usd: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class PriceList:
    """Prices of K arms.

    Attributes:
        input_usd: float64[K], for each token of the prompt.
        output_usd: float64[K], for each token of the answer.
        request_usd: float64[K], for each request.
    """

    input_usd: Vector
    output_usd: Vector
    request_usd: Vector

    @classmethod
    def of(cls, prices: Sequence[ArmPrice]) -> "PriceList":
        """The prices of arms, in their order."""
        return cls(
            np.array([price.input_usd for price in prices]),
            np.array([price.output_usd for price in prices]),
            np.array([price.request_usd for price in prices]),
        )

    def usd(self, log_tokens: Vector, log_var: Vector, input_tokens: float | Vector) -> Vector:
        """float64[K]: expected cost of one request; or of N of them, where arguments are [N, K] and [N, 1].

        Args:
            log_tokens: float64[K], expected logarithm of the answer's tokens.
            log_var: float64[K], variance of it.
            input_tokens: Tokens of the prompt.
        """
        # E[e^z] of a normal z is e^(mean + var/2).
        tokens = np.exp(np.minimum(log_tokens + 0.5 * log_var, _MOST_LOG_TOKENS))
        usd: Vector = self.output_usd * tokens + self.request_usd
        if isinstance(input_tokens, float | int) and not input_tokens:
            return usd
        return usd + self.input_usd * input_tokens
