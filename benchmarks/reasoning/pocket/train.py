"""Trains a model of the laboratory on a CPU or on CUDA, and takes its exam.

python -m benchmarks.reasoning.pocket.train --size small --out SMALL --minutes 60
python -m benchmarks.reasoning.pocket.train --size small --out SMALL --resume
python -m benchmarks.reasoning.pocket.train --size large --grow SMALL --rate 0.4 --out LARGE

A training keeps itself in `training.pt` every few minutes and at its end. With `--resume` it goes on from
there; stopped anywhere and resumed it ends with the same weights as in one go. After `--minutes` it stops,
and what it has learned so far is saved as a model. More steps than before raise the learning rates again to
where the longer schedule has them. A model that is grown begins with what a smaller one of the same width
knows, and is not taught the first drills again; at lower rates (`--rate`) it forgets less of that.
The same seed, steps and batches give the same lessons on any machine.
"""

import argparse
import logging
from functools import partial
from pathlib import Path

import torch
from transformers import LlamaForCausalLM

from benchmarks.reasoning.pocket.checkpoint import Checkpoint
from benchmarks.reasoning.pocket.exam import examine
from benchmarks.reasoning.pocket.feed import Feed
from benchmarks.reasoning.pocket.mixture import FIRST_POOLS, SHARES, pools
from benchmarks.reasoning.pocket.model import SIZES, grown, untrained
from benchmarks.reasoning.pocket.training import Training
from benchmarks.reasoning.pocket.words import PHRASES, TEMPLATE
from zoran_ray.pocket.save import save_model, write_json

RATES = {"small": (0.02, 0.004), "large": (0.015, 0.003)}
"""Of Muon and of AdamW."""
STEPS = {"small": 20_000, "large": 12_000}
KEPT = "training.pt"
"""The checkpoint in a model's folder."""


def main() -> None:
    """Command line."""
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(arguments.threads)
    model = _begun(arguments).to(arguments.device)
    if arguments.device != "cpu":
        model.config._attn_implementation = "sdpa"
    feed = Feed(partial(pools, arguments.seed, arguments.batch_tokens, arguments.workers), arguments.parts)
    if arguments.grow:
        feed.go_to(FIRST_POOLS, 0)
    muon, adamw = RATES[arguments.size]
    rates = muon * arguments.rate, adamw * arguments.rate
    training = Training(model, feed, rates, arguments.steps or STEPS[arguments.size])
    same = {name: getattr(arguments, name) for name in ("size", "seed", "rate", "batch_tokens", "parts")}
    checkpoint = Checkpoint(arguments.out / KEPT, same)
    if arguments.resume:
        training.go_on(checkpoint.load())
    training.run(arguments.minutes * 60 if arguments.minutes else None, checkpoint)
    training.finish()
    model.config._attn_implementation = "sdpa"
    save_model(model.cpu(), arguments.out, TEMPLATE, PHRASES)
    _tell(arguments, training, model)


def _begun(arguments: argparse.Namespace) -> LlamaForCausalLM:
    """The model as its training begins."""
    if not arguments.grow or arguments.resume:
        return untrained(arguments.size, arguments.seed)
    small = untrained("small", arguments.seed)
    kept = Checkpoint(arguments.grow / KEPT).load()
    with torch.no_grad():
        for weight, learned in zip(small.parameters(), kept["weights"], strict=True):
            weight.copy_(learned)
    return grown(small, arguments.size, arguments.seed)


def _tell(arguments: argparse.Namespace, training: Training, model: LlamaForCausalLM) -> None:
    """Writes `laboratory.json`: how the model was made, and its exam."""
    progress = training.progress
    said = {name: value for name, value in vars(arguments).items() if name not in ("out", "grow")}
    facts = {
        "name": arguments.out.name,
        "licence": "MIT",
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "training": {
            "steps": progress.step, "tokens": progress.tokens, "seconds": round(progress.seconds, 1),
            "loss": progress.course,
        },
        "arguments": said | {"grown": bool(arguments.grow)},
        "shares": {f"{task} {level}": share for (task, level), share in SHARES.items()},
    }  # fmt: skip
    write_json(arguments.out / "laboratory.json", facts)
    exam = examine(model.to(arguments.device), arguments.exam)
    write_json(arguments.out / "laboratory.json", {**facts, "exam": exam})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--grow", type=Path, help="folder of the small model that it begins as")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help=f"of the whole schedule; usually {STEPS}")
    parser.add_argument("--rate", type=float, default=1.0, help="factor on the usual learning rates")
    parser.add_argument("--minutes", type=float, help="stop after so many; --resume goes on")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in the folder")
    parser.add_argument("--batch-tokens", type=int, default=1_024, help="most tokens of a batch")
    parser.add_argument("--parts", type=int, default=2, help="batches to one step")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="processes that make lessons")
    parser.add_argument("--exam", type=int, default=200, help="questions of each kind and level")
    return parser.parse_args()


if __name__ == "__main__":
    main()
