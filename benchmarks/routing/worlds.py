"""Made-up records: prompts of some topics, and arms with scores and costs, drawn from a seed.

For choosing hyper-parameters without looking at any real data, and for running this benchmark where there
is none. The worlds differ in everything that matters to a router: how many arms, how far apart their prices
and skills are, how much the prompt says about which arm is better, how noisy and how skewed scores are.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.routing.data import Record
from zoran_ray.routing import Features, Prompt

Array = NDArray[np.float64]

_SYLLABLES = (
    "ka",
    "lo",
    "mi",
    "ne",
    "ru",
    "ta",
    "vo",
    "si",
    "du",
    "pe",
    "za",
    "fi",
    "go",
    "ho",
    "bu",
    "ye",
)
_SHARED_WORDS = 200
_TOPIC_WORDS = 40
_FLAVOURS = (
    "\ndef f(x):\n    return x;\n",
    " 12 + 35 = 47, solve the equation.",
    "\n(A) yes\n(B) no\n",
    " Write a text on it.",
    " Explain why.",
    "",
    "",
    "",
)
"""What sets some topics apart for the cues: code, maths, choices, and nothing."""


@dataclass(frozen=True, slots=True)
class World:
    """How prompts and arms are related.

    Attributes:
        arms: How many.
        price_ratio: Dearest divided by cheapest.
        gap: How much better than the cheapest the best arm is on average.
        signal: Standard deviation over topics of an arm's own score.
        difficulty: Standard deviation over topics of what all arms' scores have in common.
        noise: Standard deviation of a score around what its prompt's topic says.
        binary: Scores are 0 or 1.
        topics: How many kinds of prompts.
    """

    arms: int
    price_ratio: float
    gap: float
    signal: float
    difficulty: float
    noise: float
    binary: bool
    topics: int


def draw_world(seed: int) -> World:
    """One of endless worlds."""
    rng = np.random.default_rng(seed)
    return World(
        arms=int(rng.integers(2, 7)),
        price_ratio=float(np.exp(rng.uniform(np.log(5), np.log(600)))),
        gap=float(rng.uniform(0.02, 0.25)),
        signal=float(rng.choice([0.0, 0.02, 0.05, 0.1, 0.2])),
        difficulty=float(rng.choice([0.0, 0.05, 0.15])),
        noise=float(rng.uniform(0.05, 0.3)),
        binary=bool(rng.random() < 0.3),
        topics=int(rng.integers(3, 13)),
    )


def make_record(world: World, prompts: int, size: int, seed: int) -> Record:
    """Prompts, scores and costs of one world."""
    rng = np.random.default_rng(seed)
    topic = rng.choice(world.topics, size=prompts, p=rng.dirichlet(np.full(world.topics, 2.0)))
    texts = _texts(world, topic, rng)
    features = Features(size)
    x = np.array([features(Prompt(text)) for text in texts])
    order = np.linspace(0.0, 1.0, world.arms)
    # The dearer the better, with falling returns, but not strictly so.
    skill = 0.9 - world.gap * (1.0 - order) ** 2 + rng.normal(0, 0.15 * world.gap, world.arms)
    own = rng.normal(0, world.signal, (world.topics, world.arms))
    common = rng.normal(0, world.difficulty, (world.topics, 1)) - 0.5 * world.difficulty
    hard = rng.normal(0, 0.5 * world.noise, (prompts, 1))
    mean = skill - (skill.max() - 0.93) + (own - own.mean(0) + common)[topic] + hard
    if world.binary:
        reward = (rng.random(mean.shape) < np.clip(mean, 0.02, 0.98)).astype(float)
    else:
        # Skewed as judged scores are: mostly near the top, with a tail below.
        shape = mean + world.noise * (1.0 - rng.gamma(1.0, 1.0, mean.shape))
        reward = np.round(np.clip(shape, 0.0, 1.0), 2)
    length = np.array([len(text) for text in texts], dtype=float)[:, None]
    price = 3e-5 * world.price_ratio**order
    usd = price * (length / length.mean()) ** 0.4 * rng.lognormal(-0.2, 0.6, mean.shape)
    usd = usd * np.exp(rng.normal(0, 0.3, (world.topics, world.arms)))[topic]
    by_cost = usd.mean(axis=0).argsort()
    names = tuple(f"arm-{k}" for k in range(world.arms))
    return Record(names, x, reward[:, by_cost], usd[:, by_cost])


def budgets_of(record: Record, count: int) -> tuple[float, ...]:
    """From a little above the cheapest arm to a little below the dearest, in equal ratios."""
    usd = record.usd.mean(axis=0)
    return tuple(float(b) for b in np.geomspace(1.5 * usd[0], 0.9 * usd[-1], count))


def _texts(world: World, topic: NDArray[np.int64], rng: np.random.Generator) -> list[str]:
    words = ["".join(rng.choice(_SYLLABLES, size=rng.integers(2, 5))) for _ in range(1200)]
    shared = words[:_SHARED_WORDS]
    own = [rng.choice(words[_SHARED_WORDS:], size=_TOPIC_WORDS, replace=False) for _ in range(world.topics)]
    flavour = rng.integers(len(_FLAVOURS), size=world.topics)
    texts = []
    for t in topic:
        size = int(np.clip(rng.lognormal(3.2, 0.7), 5, 200))
        of_topic = rng.random(size) < 0.35
        picked = np.where(of_topic, rng.choice(own[t], size=size), rng.choice(shared, size=size))
        tail = _FLAVOURS[flavour[t]] if rng.random() < 0.7 else ""
        texts.append(" ".join(picked) + tail)
    return texts
