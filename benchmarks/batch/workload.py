"""The prompts of a run, as a list for `LLM.generate` and as lines of a batch file: the same for all."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Workload:
    """So many prompts, answered at equal length.

    Attributes:
        name: For tables.
        prompts: How many.
        tokens: Of each answer: neither an end token nor a stop text ends it sooner.
    """

    name: str
    prompts: int
    tokens: int

    def texts(self, turn: int) -> list[str]:
        """The prompts. Each turn has its own, so that no cache of prefixes answers for an engine."""
        return [
            f"{turn}.{number}: what is {number * 37 % 997}+{number * 61 % 991}? And then?"
            for number in range(self.prompts)
        ]

    def sampling(self) -> dict[str, Any]:
        """As the HTTP API and `SamplingParams` both have it; greedy, so that texts can be compared."""
        return {"temperature": 0.0, "max_tokens": self.tokens, "ignore_eos": True}

    def write(self, path: Path, model: str, turn: int) -> None:
        """Writes the batch file."""
        rows = (
            {"custom_id": str(number), "method": "POST", "url": "/v1/completions", "body": body}
            for number, text in enumerate(self.texts(turn))
            for body in ({"model": model, "prompt": text, **self.sampling()},)
        )
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def digest(texts: list[str]) -> list[str]:
    """A short hash of each answer, in the order of the prompts."""
    return [hashlib.blake2b(text.encode(), digest_size=6).hexdigest() for text in texts]


def answers(path: Path) -> tuple[int, list[str]]:
    """Tokens made and the texts' hashes, from a batch's output file.

    Raises:
        ValueError: A line has no good answer.
    """
    texts: dict[int, str] = {}
    tokens = 0
    for raw in path.read_text().splitlines():
        row = json.loads(raw)
        response: Mapping[str, Any] | None = row["response"]
        if response is None or response["status_code"] != 200:
            raise ValueError(f"line {row['custom_id']} was not answered: {str(row)[:300]}")
        texts[int(row["custom_id"])] = response["body"]["choices"][0]["text"]
        tokens += response["body"]["usage"]["completion_tokens"]
    return tokens, digest([texts[number] for number in sorted(texts)])
