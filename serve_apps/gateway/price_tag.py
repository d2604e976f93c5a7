"""What one request can cost and did cost at one arm, in nano-USD. Knows bodies and the catalogue."""

from zoran_ray.engines.catalogue import Catalogue
from zoran_ray.wire import RequestBody, Usage

_TEMPLATE_TOKENS = 64
"""What a provider's own template adds to a prompt."""


def most_nano_usd(catalogue: Catalogue, name: str, body: RequestBody) -> int:
    """The most a request can cost; 0 for what is free, as a model is that the catalogue does not have.

    A token is at least a byte, so the body's bytes bound the prompt's tokens from above.

    Raises:
        InvalidRequest: It asks for more tokens than there are.
    """
    if name not in catalogue or catalogue.prices(name).free:
        return 0
    prompt = len(body.raw) + _TEMPLATE_TOKENS
    context = catalogue[name].context_tokens
    return catalogue.most_nano_usd(name, min(prompt, context or prompt), body.max_tokens, body.n)


def cost_nano_usd(catalogue: Catalogue, name: str, usage: Usage | None) -> int:
    """What a request did cost, as far as its tokens are known.

    Raises:
        UpstreamError: The count makes no sense.
    """
    return catalogue.cost_nano_usd(name, usage) if usage is not None and name in catalogue else 0
