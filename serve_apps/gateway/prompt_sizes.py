"""How many tokens prompts have, by model, as engines have counted them. Knows bytes, no tokenizer.

Used to set tokens aside before a call. Until an engine has counted, a token is taken for a byte, which no
tokenizer undercuts.
"""

from collections import OrderedDict

MOST_MODELS = 1024
_ROOM = 1.15
_TEMPLATE_TOKENS = 16
_FORGET = 0.9
"""How much of a higher share stays after a lower one was seen."""


class PromptSizes:
    """What one gateway has seen. The models asked last are kept."""

    def __init__(self) -> None:
        self._shares: OrderedDict[str, float] = OrderedDict()

    def tokens(self, model: str, size_bytes: int) -> int:
        """About how many tokens a prompt of so many bytes has; at least 1."""
        return max(1, int(size_bytes * self._shares.get(model, 1.0)))

    def most_tokens(self, model: str, size_bytes: int) -> int:
        """Tokens that it will hardly exceed."""
        share = self._shares.get(model)
        if share is None:
            return size_bytes + _TEMPLATE_TOKENS
        return int(size_bytes * min(1.0, share * _ROOM)) + _TEMPLATE_TOKENS

    def saw(self, model: str, size_bytes: int, tokens: int) -> None:
        """A prompt had so many tokens. What is higher than before counts at once, what is lower slowly."""
        if size_bytes <= 0 or tokens <= 0:
            return
        share, before = min(1.0, tokens / size_bytes), self._shares.get(model, 0.0)
        self._shares[model] = max(share, before * _FORGET + share * (1 - _FORGET))
        self._shares.move_to_end(model)
        if len(self._shares) > MOST_MODELS:
            self._shares.popitem(last=False)
