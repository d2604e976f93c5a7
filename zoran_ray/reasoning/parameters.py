"""What every strategy can be told. The fields of a strategy are its parameters: in a request, in a file."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from zoran_ray.reasoning.completion import Sampling

MOST_TOKENS = 131_072
"""Longest answer anybody may ask a model for, in tokens."""

Judge = Literal["model"]
"""Who judges where no verifier is there: the model itself, and only where it is asked for."""


class Parameters(BaseModel):
    """How the model is asked.

    A strategy is a frozen model of its parameters with a method `answer`: what can be set stands beside
    what uses it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    temperature: float = Field(default=0.0, ge=0, le=2, allow_inf_nan=False)
    """0 for the likeliest."""
    max_tokens: int = Field(default=512, ge=1, le=MOST_TOKENS)
    """Longest answer of one call, in tokens."""
    seed: int | None = Field(default=None, ge=0, le=2**31 - 1)
    """For the same answers again. Each sample gets one of its own."""

    def sampling(self, *, n: int = 1, index: int = 0) -> Sampling:
        """How to ask for `n` answers, the first of which is sample `index`."""
        # Engines give the answers of one call the seeds that follow.
        seed = None if self.seed is None else self.seed + index
        return Sampling(n=n, temperature=self.temperature, max_tokens=self.max_tokens, seed=seed)
