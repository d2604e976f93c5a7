"""What a request costs, or can cost at most, exactly. Knows prices and token counts, no provider."""

from dataclasses import dataclass

from zoran_ray.access.money import nano_usd
from zoran_ray.errors import InvalidRequest, UpstreamError
from zoran_ray.offers import Offer
from zoran_ray.wire import Usage

MILLION = 1_000_000
MOST_TOKENS = 10**10
"""No request has more; a count above it is a mistake."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of one model, in nano-USD for a million tokens.

    Attributes:
        input: Prompt tokens that no cache had.
        output: Tokens of the answer, reasoning included.
        cached_input: Prompt tokens read from a cache.
    """

    input: int = 0
    output: int = 0
    cached_input: int = 0

    @classmethod
    def of(cls, offer: Offer) -> "Prices":
        """The prices of a catalogue entry; finer than a nano-USD for a million tokens is rounded up."""
        cached = offer.usd_per_million_cached_input
        per_input = nano_usd(offer.usd_per_million_input, "usd_per_million_input")
        return cls(
            input=per_input,
            output=nano_usd(offer.usd_per_million_output, "usd_per_million_output"),
            cached_input=per_input if cached is None else nano_usd(cached, "usd_per_million_cached_input"),
        )

    @property
    def free(self) -> bool:
        """Whether nothing here costs anything."""
        return not (self.input or self.output or self.cached_input)

    def cost(self, usage: Usage) -> int:
        """What a request did cost, in nano-USD, rounded up once.

        Raises:
            UpstreamError: The provider counted tokens in a way that makes no sense.
        """
        counts = (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)
        if not all(_is_count(n) for n in counts):
            raise UpstreamError("The provider's count of tokens makes no sense; its cost is unknown.")
        cached = min(usage.cached_tokens, usage.prompt_tokens)
        return _rounded_up(
            (usage.prompt_tokens - cached) * self.input
            + cached * self.cached_input
            + usage.completion_tokens * self.output
        )

    def most(self, prompt_tokens: int, completion_tokens: int) -> int:
        """The most a request with up to so many tokens can cost, in nano-USD.

        Args:
            completion_tokens: Of all choices together.

        Raises:
            InvalidRequest: A count is negative or larger than any request.
        """
        if not _is_count(prompt_tokens) or not _is_count(completion_tokens):
            raise InvalidRequest(
                f"Token counts are whole numbers from 0 to {MOST_TOKENS}.", param="max_tokens"
            )
        # A cache can be dearer than none.
        dearest = max(self.input, self.cached_input)
        return _rounded_up(prompt_tokens * dearest + completion_tokens * self.output)


def _is_count(tokens: int) -> bool:
    return type(tokens) is int and 0 <= tokens <= MOST_TOKENS


def _rounded_up(nano_millions: int) -> int:
    return -(-nano_millions // MILLION)
