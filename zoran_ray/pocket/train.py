"""Trains the pocket model from nothing on one CPU core: `python -m zoran_ray.pocket.train --out DIR`.

First bare sums (short rows, many answers a second), then every phrasing and other talk in longer chats.
Matrices are moved by Muon, embeddings and norms by AdamW; both rates rise, stay, fall linearly to zero.
"""

from __future__ import annotations

import argparse
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface, LlamaConfig, LlamaForCausalLM

from zoran_ray.pocket.evaluate import evaluate
from zoran_ray.pocket.lessons import COURSES, Batch, Course, make_batch
from zoran_ray.pocket.muon import Muon
from zoran_ray.pocket.other import OTHER_ANSWER
from zoran_ray.pocket.save import round_weights, save_card, save_model
from zoran_ray.pocket.tokens import END, PAD, VOCABULARY_SIZE

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a model is."""

    hidden: int
    """Width of the residual stream."""
    layers: int
    heads: int
    head_dim: int = 32
    mlp: int = 3
    """How many times as wide as the stream an MLP is."""


POCKET = Shape(hidden=128, layers=4, heads=4)
"""0.89 M parameters with the vocabulary of bytes."""


def build_model(seed: int, shape: Shape = POCKET, vocabulary: int = VOCABULARY_SIZE) -> LlamaForCausalLM:
    """A small Llama with tied embeddings.

    Args:
        vocabulary: Number of token ids.
    """
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.mlp * shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        head_dim=shape.head_dim,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=END,
        pad_token_id=PAD,
        attn_implementation="attention_in_float32",
    )
    return LlamaForCausalLM(config)


def _attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: object,
    scaling: float,
    **_: object,
) -> tuple[Tensor, None]:
    """Causal attention in float32: its bfloat16 backward pass is ten times slower on CPU (torch 2.13)."""
    with torch.autocast(query.device.type, enabled=False):
        heads = functional.scaled_dot_product_attention(
            query.float(), key.float(), value.float(), is_causal=True, scale=scaling
        )
    return heads.transpose(1, 2).contiguous(), None


AttentionInterface.register("attention_in_float32", _attention)


def schedule(done: float) -> float:
    """Factor on the learning rates when a part `done` (0..1) is over: up in 2 %, flat, down from half."""
    return min(1.0, done / 0.02, (1.0 - done) / 0.5)


def loss_of(model: LlamaForCausalLM, body: Callable[..., Any], batch: Batch) -> Tensor:
    """Mean cross entropy (nats) of the answer tokens; the multiplications run in bfloat16.

    Args:
        body: `model.model`, compiled or not.
    """
    with torch.autocast(batch.tokens.device.type, torch.bfloat16):
        hidden = body(input_ids=batch.tokens, use_cache=False).last_hidden_state
        logits = hidden.flatten(0, 1)[batch.where] @ model.lm_head.weight.T
    return functional.cross_entropy(logits.float(), batch.targets)


def optimizers_of(
    model: LlamaForCausalLM, muon_rate: float, adam_rate: float
) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for embeddings and norms."""
    named = list(model.named_parameters())
    hidden = [weight for name, weight in named if weight.ndim == 2 and "embed" not in name]
    others = [weight for name, weight in named if weight.ndim < 2 or "embed" in name]
    return [
        Muon(hidden, lr=muon_rate, weight_decay=0.01),
        torch.optim.AdamW(others, lr=adam_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def train(model: LlamaForCausalLM, body: Callable[..., Any], course: Course, seed: int) -> int:
    """Run the lessons of a course and round the weights; returns the number of questions seen."""
    optimizers = optimizers_of(model, course.muon_rate, course.adam_rate)
    rates = [optimizer.param_groups[0]["lr"] for optimizer in optimizers]
    rng = random.Random(seed)
    started, questions, average = time.monotonic(), 0, 0.0
    for step in range(course.steps):
        done = step / course.steps
        lesson = next(lesson for lesson in course.lessons if done < lesson.until)
        batch = make_batch(rng, lesson)
        loss = loss_of(model, body, batch)
        loss.backward()
        for optimizer, rate in zip(optimizers, rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * schedule(done)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        questions += batch.turns
        average += 0.02 * (loss.item() - average)
        if step % 100 == 99:
            seconds = time.monotonic() - started
            _log.info("%6d %7.1f s  loss %.5f  %d questions", step + 1, seconds, average, questions)
    round_weights(model)
    return questions


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-compile", dest="compile", action="store_false", help="without a C++ compiler")
    parser.add_argument("--exam", type=int, default=2500, help="exam questions per task")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(arguments.threads)
    model = build_model(arguments.seed)
    body = torch.compile(model.model, dynamic=False) if arguments.compile else model.model
    started = time.process_time()  # of this process, all threads: other work on the machine does not count
    questions = sum(
        train(model, body, course, arguments.seed + 1_000_000 * index)
        for index, course in enumerate(COURSES)
    )
    seconds = time.process_time() - started
    model.config._attn_implementation = "sdpa"
    save_model(model, arguments.out)
    save_card(
        arguments.out,
        name="pocket",
        licence="MIT",
        knows="Sums and differences of two whole numbers from 0 to 999.",
        other_answer=OTHER_ANSWER,
        parameters=sum(weight.numel() for weight in model.parameters()),
        accuracy=evaluate(model, arguments.exam),
        exam_questions=arguments.exam,
        training_cpu_seconds=round(seconds, 1),
        training_threads=arguments.threads,
        training_questions=questions,
        command=f"python -m zoran_ray.pocket.train --seed {arguments.seed} --out DIR",
    )


if __name__ == "__main__":
    main()
