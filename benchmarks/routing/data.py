"""Recorded rewards and costs of several models for the same prompts. Knows one file format, no policy."""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoran_ray.routing import Features, Prompt

Array = NDArray[np.float64]


class BadData(Exception):
    """The file is not what this benchmark replays; says where and why."""


@dataclass(frozen=True, slots=True)
class Record:
    """N prompts at K arms.

    Attributes:
        arms: K names, from cheapest to dearest on average.
        x: float64[N, size], the prompts' vectors.
        reward: float64[N, K] within 0..1.
        usd: float64[N, K], above 0.
    """

    arms: tuple[str, ...]
    x: Array
    reward: Array
    usd: Array

    def __len__(self) -> int:
        return len(self.x)

    def list_prices(self) -> Array:
        """float64[K]: mean USD of a request, to one significant figure, as a price list would say."""
        mean = self.usd.mean(axis=0)
        digits = 10.0 ** np.floor(np.log10(mean))
        rounded: Array = np.round(mean / digits) * digits
        return rounded


def load(path: Path, size: int) -> Record:
    """Read a `.jsonl` or `.jsonl.gz` with `prompt` and `arms.{name}.{reward,cost}` in each line.

    Raises:
        BadData: A line is not such an object, arms differ between lines, or a number is out of range.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        rows = [
            _row(json.loads(line), f"{path.name}:{n}") for n, line in enumerate(lines, 1) if line.strip()
        ]
    if not rows:
        raise BadData(f"{path.name}: no rows")
    names = sorted(rows[0][1])
    if odd := [n for n, row in enumerate(rows, 1) if sorted(row[1]) != names]:
        raise BadData(f"{path.name}:{odd[0]}: other arms than in line 1")
    usd = np.array([[arms[name][1] for name in names] for _, arms in rows])
    order = usd.mean(axis=0).argsort()
    reward = np.array([[arms[name][0] for name in names] for _, arms in rows])
    features = Features(size)
    x = np.array([features(Prompt(prompt)) for prompt, _ in rows])
    return Record(tuple(names[k] for k in order), x, reward[:, order], usd[:, order])


def _row(row: object, where: str) -> tuple[str, dict[str, tuple[float, float]]]:
    try:
        prompt, arms = row["prompt"], row["arms"]  # type: ignore[index]
        made = {str(name): (float(arm["reward"]), float(arm["cost"])) for name, arm in arms.items()}
    except (KeyError, TypeError, ValueError, AttributeError) as wrong:
        raise BadData(
            f"{where}: needs `prompt` and `arms.<name>.reward` and `.cost` ({wrong!r})"
        ) from wrong
    for name, (reward, usd) in made.items():
        if not (0.0 <= reward <= 1.0 and 0.0 < usd < float("inf")):
            raise BadData(f"{where}: {name}: reward must be within 0..1 and cost above 0")
    return str(prompt), made
