"""Trains a model of the laboratory from nothing, on a CPU or on CUDA, and takes its exam.

python -m benchmarks.reasoning.pocket.train --size small --out DIR
python -m benchmarks.reasoning.pocket.train --size large --device cuda --workers 12 \\
    --batch-tokens 16384 --steps 6000 --out DIR

A second of CPU time on one core of an AMD EPYC is worth 10,000 tokens of the small model and 2,900 of the
large one; a process makes lessons of 120,000 tokens a second. The usual 12,000 steps are 98 million tokens.
The same seed, steps and batches give the same lessons on any machine.
"""

import argparse
import logging
import time
from collections.abc import Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from benchmarks.reasoning.pocket.exam import examine
from benchmarks.reasoning.pocket.mixture import SHARES, Rows, pools
from benchmarks.reasoning.pocket.words import PHRASES, TEMPLATE, VOCABULARY
from zoran_ray.pocket.lessons import Batch
from zoran_ray.pocket.save import round_weights, save_model, write_json
from zoran_ray.pocket.train import POCKET, Shape, build_model, loss_of, optimizers_of, schedule

SIZES = {"small": POCKET, "large": Shape(hidden=256, layers=5, heads=8)}
"""0.89 M and 4.3 M parameters: 1.8 and 8.7 MB as they are stored."""
RATES = {"small": (0.02, 0.004), "large": (0.015, 0.003)}
"""Of Muon and of AdamW."""

_log = logging.getLogger(__name__)


def train(
    model: LlamaForCausalLM,
    batches: Iterator[Rows],
    rates: tuple[float, float],
    steps: int,
    limit_s: float | None = None,
    parts: int = 1,
) -> dict[str, Any]:
    """Trains with one rise and fall of the learning rates and rounds the weights.

    Args:
        rates: Of Muon and of AdamW.
        steps: Moves of the weights.
        limit_s: Ends sooner, in seconds; then the result depends on the machine.
        parts: Batches that are learned from together. One alone has lessons of one length, and so of one
            kind: the weights would be moved for one task after the other.

    Returns:
        Steps, tokens, seconds and the course of the loss.
    """
    device = next(model.parameters()).device
    optimizers = optimizers_of(model, *rates)
    started, tokens, average, course = time.monotonic(), 0, 0.0, []
    for step in count():
        seconds = time.monotonic() - started
        done = max(step / steps, seconds / limit_s if limit_s else 0.0)
        if done >= 1:
            break
        step_rows = list(islice(batches, parts))
        loss = _learn(model, [_on(device, rows) for rows in step_rows])
        for optimizer, rate in zip(optimizers, rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * schedule(done)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        tokens += sum(rows.tokens.size for rows in step_rows)
        if step % 10 == 0:  # to read the loss is to wait for the device
            average += (0.1 if step else 1.0) * (loss.item() - average)
        if step % 100 == 99:
            course.append([step + 1, round(average, 4)])
            _log.info("%6d %7.1f s  loss %.4f  %d tokens", step + 1, seconds, average, tokens)
    round_weights(model)
    return {"steps": step, "tokens": tokens, "seconds": round(seconds, 1), "loss": course}


def _learn(model: LlamaForCausalLM, batches: Sequence[Batch]) -> Tensor:
    """Adds up the gradients of batches; returns their mean loss, each answer token counted alike."""
    answers = sum(len(batch.targets) for batch in batches)
    losses = []
    for batch in batches:
        loss = loss_of(model, model.model, batch) * (len(batch.targets) / answers)
        loss.backward()
        losses.append(loss.detach())
    return torch.stack(losses).sum()


def _on(device: torch.device, rows: Rows) -> Batch:
    tokens, where, targets = (
        torch.from_numpy(each).to(device) for each in (rows.tokens, rows.where, rows.targets)
    )
    return Batch(tokens, where, targets, len(rows.tokens))


def main() -> None:
    """Command line."""
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(arguments.threads)
    model = build_model(arguments.seed, SIZES[arguments.size], VOCABULARY).to(arguments.device)
    if arguments.device != "cpu":
        model.config._attn_implementation = "sdpa"
    batches = pools(arguments.seed, arguments.batch_tokens, arguments.workers)
    limit_s = arguments.minutes * 60 if arguments.minutes else None
    course = train(model, batches, RATES[arguments.size], arguments.steps, limit_s, arguments.parts)
    model.config._attn_implementation = "sdpa"
    save_model(model.cpu(), arguments.out, TEMPLATE, PHRASES)
    facts = {
        "name": arguments.out.name,
        "licence": "MIT",
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "training": course,
        "arguments": {name: value for name, value in vars(arguments).items() if name != "out"},
        "shares": {f"{task} {level}": share for (task, level), share in SHARES.items()},
    }
    write_json(arguments.out / "laboratory.json", facts)
    exam = examine(model.to(arguments.device), arguments.exam)
    write_json(arguments.out / "laboratory.json", {**facts, "exam": exam})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--minutes", type=float, help="end sooner; then the result depends on the machine")
    parser.add_argument("--batch-tokens", type=int, default=2_048, help="most tokens of a batch")
    parser.add_argument("--parts", type=int, default=4, help="batches to one step")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="processes that make lessons")
    parser.add_argument("--exam", type=int, default=200, help="questions of each kind and level")
    return parser.parse_args()


if __name__ == "__main__":
    main()
