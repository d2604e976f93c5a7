"""One running server with both models: `zoran/auto` asked in earnest, a verifier's verdict given back.

The replay of recorded answers (`auto`) says how much is won, over many seeds; this shows that the same
happens through HTTP, gateway, replicas and the Resonator, once.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from benchmarks.reasoning.engine import ENGINE_ARGS
from benchmarks.reasoning.tasks.task import Instance
from benchmarks.serving.children import Child, free_port
from benchmarks.serving.contender import START_DEADLINE_S, Endpoint, started
from benchmarks.serving.first_token import wait_for_first_token
from benchmarks.serving.stack import QUIET
from zoran_ray.offers import AUTO
from zoran_ray.reasoning.answers import final_answer
from zoran_ray.reasoning.cot import ChainOfThought
from zoran_ray.reasoning.judging import bounded
from zoran_ray.reasoning.verifiers import verifier_of

_GRADING_S, _TIMEOUT_S = 30.0, 120.0


@dataclass(frozen=True, slots=True)
class Arm:
    """A model of the server: its folder, and USD for a million tokens."""

    name: str
    folder: Path
    usd_per_million: float


async def measured(
    arms: Sequence[Arm], instances: Sequence[Instance], budget_usd: float, max_tokens: int
) -> list[dict[str, Any]]:
    """Who answered each instance, whether it was right, and what it cost.

    Args:
        budget_usd: Of an average request.
    """
    with (
        tempfile.TemporaryDirectory(prefix="zr-", dir="/tmp") as folder,
        _served(Path(folder), arms, budget_usd) as endpoint,
    ):
        async with httpx.AsyncClient(base_url=endpoint.base_url, timeout=_TIMEOUT_S) as client:
            return [await _asked(client, each, max_tokens) for each in instances]


async def _asked(client: httpx.AsyncClient, instance: Instance, max_tokens: int) -> dict[str, Any]:
    strategy = ChainOfThought(max_tokens=max_tokens)
    body = {
        "model": AUTO, "messages": list(strategy.prompt(instance.messages)), "temperature": 0,
        "max_tokens": max_tokens,
    }  # fmt: skip
    answer = (await client.post("/v1/chat/completions", json=body)).raise_for_status()
    said = str(answer.json()["choices"][0]["message"]["content"] or "")
    _, final, _ = final_answer(said, strategy.marker)
    verdict = await bounded(verifier_of(instance.verifier), _GRADING_S)(final) if final else None
    right = verdict is not None and verdict.ok
    score = {"request_id": answer.headers["x-request-id"], "score": float(right)}
    (await client.post("/v1/feedback", json=score)).raise_for_status()
    return {
        "arm": answer.headers["x-zoran-model"].removeprefix("local/"),
        "right": int(right),
        "usd": float(answer.headers.get("x-zoran-cost-usd", 0.0)),
        "ms": round(1_000 * answer.elapsed.total_seconds(), 2),
    }


@contextmanager
def _served(folder: Path, arms: Sequence[Arm], budget_usd: float) -> Iterator[Endpoint]:
    """A server with these models, both loaded."""
    port, state = free_port(), folder / "state"
    models_file = folder / "models.yaml"
    models_file.write_text(yaml.safe_dump({"models": [_model(arm) for arm in arms]}))
    env = {
        **QUIET, "ZORAN_STATE_DIR": str(state), "ZORAN_SERVER__PORT": str(port),
        "ZORAN_MODELS_FILE": str(models_file),
        "ZORAN_ROUTING__BUDGET_USD_PER_REQUEST": f"{budget_usd:.12f}",
        # One key gives all the scores here, and can be trusted.
        "ZORAN_ROUTING__SCORES_PER_KEY": "1000000", "ZORAN_ROUTING__MOST_MOVED": "1.0",
    }  # fmt: skip
    command = str(Path(sys.executable).with_name("zoran"))
    child = Child("zoran-auto", [command, "serve"], env, folder)
    endpoint = Endpoint("zoran", f"http://127.0.0.1:{port}", f"local/{arms[0].name}")
    with started(child, endpoint):
        for arm in arms[1:]:
            wait_for_first_token(child, endpoint.chat, f"local/{arm.name}", {}, START_DEADLINE_S)
        yield endpoint


def _model(arm: Arm) -> dict[str, Any]:
    price = arm.usd_per_million
    return {
        "name": arm.name, "source": str(arm.folder.resolve()), "engine_args": dict(ENGINE_ARGS),
        "env": QUIET, "context_tokens": ENGINE_ARGS["max_model_len"],
        "usd_per_million_input": price, "usd_per_million_output": price,
    }  # fmt: skip
