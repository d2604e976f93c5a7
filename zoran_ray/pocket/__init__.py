"""The embedded model `pocket`: where it is and what it was measured to know. No torch here.

A byte-level Llama of about a million parameters, trained from nothing by
`python -m zoran_ray.pocket.train`. It answers sums and differences of numbers up to 999, and one honest
sentence to everything else.

Give vLLM `dtype="float32"`, in which it was examined. The chat template reads the last 100 characters of
the last three messages, and no system messages or tools.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

__all__ = ["MODEL_DIR", "Card", "card"]

MODEL_DIR: Path = Path(__file__).parent / "model"
"""Folder in the Hugging Face layout, to be given to vLLM as `model`."""


class Card(BaseModel):
    """What is known about the weights in `MODEL_DIR`; written by the training, never by hand."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """Model name, `pocket`."""
    licence: str
    """SPDX identifier of weights and script."""
    knows: str
    """One sentence: what it answers."""
    other_answer: str
    """The sentence it gives to everything else."""
    parameters: int
    """Number of trained weights (tied embeddings counted once)."""
    accuracy: dict[str, float]
    """Share of exact answers (0..1) per task, greedy, on held-out questions."""
    exam_questions: int
    """Questions per task behind each `accuracy` of a sum or difference."""
    training_cpu_seconds: float
    """CPU seconds of the training over all threads, exam excluded; wall seconds on one idle core."""
    training_threads: int
    """CPU threads of the training."""
    training_questions: int
    """Questions seen, repetitions counted."""
    command: str
    """The command line that makes these files again."""
    sha256: dict[str, str]
    """Hex digest of each model file."""


@lru_cache(maxsize=1)
def card() -> Card:
    """The card of the shipped model."""
    return Card.model_validate_json((MODEL_DIR / "card.json").read_bytes())
