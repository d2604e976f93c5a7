"""Takes the laboratory's exam: lessons about held-out instances, answered by plain sampling in torch.

`python -m benchmarks.reasoning.pocket.exam --model DIR` prints shares with their 95 % intervals as JSON.
"""

import argparse
import json
import random
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from benchmarks.reasoning.intervals import wilson
from benchmarks.reasoning.pocket.words import decode, encode_prompt
from benchmarks.reasoning.tasks import TASKS
from benchmarks.reasoning.tasks.task import Lesson, Task, held_out_instances
from zoran_ray.pocket.tokens import END, PAD

MAX_ANSWER_TOKENS = 320
"""Longer than any answer that is taught."""
EXAM_SEED = 1
_BATCH = 128
_ROUNDS = 4
"""Ways through each instance: not every one meets enough states that are held out too."""


def questions(task: Task, level: int, count: int) -> dict[str, list[Lesson]]:
    """Lessons about held-out instances of a level, by kind; at most `count` of each."""
    rng = random.Random(f"exam {task.name} {level} {EXAM_SEED}")
    found: dict[str, dict[str, Lesson]] = defaultdict(dict)
    instances = held_out_instances(task, level, count, EXAM_SEED)
    for instance in instances * _ROUNDS:
        for lesson in task.lessons(instance, rng):
            kind = found[lesson.kind]
            if len(kind) < count:
                kind.setdefault(json.dumps(lesson.messages), lesson)
    return {kind: list(lessons.values()) for kind, lessons in found.items()}


@torch.no_grad()  # type: ignore[untyped-decorator, unused-ignore]
def sample(
    model: LlamaForCausalLM, prompts: Sequence[list[int]], max_tokens: int, temperature: float, seed: int
) -> list[str]:
    """What the model says to prompts given as ids.

    Args:
        temperature: 0 for the likeliest.
    """
    torch.manual_seed(seed)
    said = [""] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
    for start in range(0, len(order), _BATCH):
        places = order[start : start + _BATCH]
        ids = _written(model, [prompts[place] for place in places], max_tokens, temperature)
        for place, row in zip(places, ids.tolist(), strict=True):
            said[place] = decode(row)
    return said


def _written(
    model: LlamaForCausalLM, prompts: Sequence[list[int]], max_tokens: int, temperature: float
) -> Tensor:
    """The next tokens, `int64[prompts, <= max_tokens]`, until every row has ended."""
    longest = max(map(len, prompts))
    # Padded on the left: every row's next token is the last one.
    rows = [[PAD] * (longest - len(prompt)) + prompt for prompt in prompts]
    step = torch.tensor(rows, device=model.device)
    mask = (step != PAD).long()
    cache = None
    written: list[Tensor] = []
    ended = torch.zeros(len(rows), dtype=torch.bool, device=model.device)
    while len(written) < max_tokens and not bool(ended.all()):
        places = (mask.cumsum(-1) - 1).clamp(min=0)[:, -step.size(1) :]
        output = model(
            input_ids=step, attention_mask=mask, position_ids=places, past_key_values=cache,
            use_cache=True, logits_to_keep=1,
        )  # fmt: skip
        cache, step = output.past_key_values, _next(output.logits[:, -1].float(), temperature)
        mask = torch.cat([mask, torch.ones_like(step)], dim=1)
        written.append(step)
        ended |= step[:, 0] == END
    return torch.cat(written, dim=1)


def _next(logits: Tensor, temperature: float) -> Tensor:
    """One token of each row, `int64[rows, 1]`."""
    if temperature > 0:
        return torch.multinomial((logits / temperature).softmax(-1), 1)
    return logits.argmax(-1, keepdim=True)


def examine(
    model: LlamaForCausalLM, count: int, temperature: float = 0.0, max_tokens: int = MAX_ANSWER_TOKENS
) -> dict[str, Any]:
    """Shares of right answers with their 95 % intervals, by kind of lesson, level and what was checked."""
    model.eval()
    found: dict[str, Any] = {}
    for task in TASKS.values():
        for level in range(1, task.levels + 1):
            for kind, asked in questions(task, level, count).items():
                prompts = [encode_prompt(lesson.messages) for lesson in asked]
                said = sample(model, prompts, max_tokens, temperature, EXAM_SEED)
                found |= _shares(f"{kind}, level {level}", asked, said)
    return found


def _shares(name: str, asked: Sequence[Lesson], said: Sequence[str]) -> dict[str, Any]:
    outcomes: dict[str, list[bool]] = defaultdict(list)
    for lesson, text in zip(asked, said, strict=True):
        for what, check in lesson.checks.items():
            outcomes[what].append(check(text))
    return {
        f"{name}, {what}": share(sum(each), len(each)) for what, each in outcomes.items()
    }  # fmt: skip


def share(right: int, of: int) -> dict[str, Any]:
    """A share as it is written down."""
    low, high = wilson(right, of)
    return {
        "share": round(right / of, 4) if of else None,
        "low": round(low, 4),
        "high": round(high, 4),
        "of": of,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder that the training wrote")
    parser.add_argument("--count", type=int, default=200, help="questions of each kind and level")
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    model = LlamaForCausalLM.from_pretrained(arguments.model, dtype=torch.float32)
    found = examine(model.to(arguments.device), arguments.count, arguments.temperature)
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
