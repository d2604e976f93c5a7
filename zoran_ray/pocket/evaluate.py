"""Takes the exam: greedy answers to held-out questions, compared as exact strings.

`python -m zoran_ray.pocket.evaluate --model DIR` prints the accuracy per task as JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from zoran_ray.pocket.exam import TASKS, exam, other_exam
from zoran_ray.pocket.tokens import END, encode_turn
from zoran_ray.pocket.turns import Mixture, Turn, sample_turn

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

MAX_ANSWER_TOKENS = 80
"""Longer than the longest answer (the honest sentence)."""

EXAM_SEED = 1
"""Which questions are drawn; the split itself does not depend on it."""


@torch.no_grad()  # type: ignore[untyped-decorator, unused-ignore]
def answers(
    model: LlamaForCausalLM, conversations: list[list[int]], max_tokens: int, batch: int = 256
) -> list[bytes]:
    """Greedy answers to prompts given as token ids, prompts of the same length batched together."""
    by_length: dict[int, list[int]] = defaultdict(list)
    for index, prompt in enumerate(conversations):
        by_length[len(prompt)].append(index)
    found: list[bytes] = [b""] * len(conversations)
    for indices in by_length.values():
        for start in range(0, len(indices), batch):
            chunk = indices[start : start + batch]
            rows = torch.tensor([conversations[index] for index in chunk])
            written = _greedy(model, rows, max_tokens)
            for index, ids in zip(chunk, written.tolist(), strict=True):
                text = ids[: ids.index(END)] if END in ids else ids
                found[index] = bytes(token for token in text if token < END)
    return found


def _greedy(model: LlamaForCausalLM, rows: torch.Tensor, max_tokens: int) -> torch.Tensor:
    """The most likely next tokens, int64[rows, <= max_tokens], until every row has ended."""
    cache = None
    step = rows
    written: list[torch.Tensor] = []
    ended = torch.zeros(len(rows), dtype=torch.bool)
    while len(written) < max_tokens and not bool(ended.all()):
        output = model(input_ids=step, past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        step = output.logits[:, -1].argmax(-1, keepdim=True)
        written.append(step)
        ended |= step[:, 0] == END
    return torch.cat(written, dim=1)


def _share_right(given: list[bytes], turns: list[Turn]) -> float:
    right = sum(text == turn.answer.encode() for text, turn in zip(given, turns, strict=True))
    return right / len(turns)


def accuracy(model: LlamaForCausalLM, turns: list[Turn], max_tokens: int = MAX_ANSWER_TOKENS) -> float:
    """Share of single-turn questions that are answered exactly (0..1)."""
    prompts = [encode_turn(turn.question, turn.answer)[0] for turn in turns]
    given = answers(model, prompts, max_tokens)
    return _share_right(given, turns)


def chat_accuracy(model: LlamaForCausalLM, turns: list[Turn]) -> float:
    """Share answered exactly at the end of a chat of three earlier turns (0..1)."""
    rng = random.Random("chat exam")
    prompts = []
    for turn in turns:
        history: list[int] = []
        for _ in range(3):
            earlier = sample_turn(rng, Mixture(bare_share=0.0, other_share=0.1))
            prompt, answer = encode_turn(earlier.question, earlier.answer)
            history += prompt + answer
        prompts.append(history + encode_turn(turn.question, turn.answer)[0])
    given = answers(model, prompts, MAX_ANSWER_TOKENS, batch=64)
    return _share_right(given, turns)


def evaluate(model: LlamaForCausalLM, count: int) -> dict[str, float]:
    """Accuracy (0..1) per task on `count` held-out questions each, plus `chat` and `other`."""
    model.eval()
    found = {task.name: accuracy(model, exam(task, count, EXAM_SEED)) for task in TASKS}
    mixed = [turn for task in TASKS for turn in exam(task, max(1, count // 8), EXAM_SEED + 1)]
    found["chat"] = chat_accuracy(model, mixed)
    found["other"] = accuracy(model, other_exam(max(1, count // 4), EXAM_SEED))
    return {name: round(value, 5) for name, value in found.items()}


def main() -> None:
    """Command line."""
    from transformers import LlamaForCausalLM

    from zoran_ray.pocket import MODEL_DIR

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL_DIR)
    parser.add_argument("--count", type=int, default=2500, help="questions per task")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = LlamaForCausalLM.from_pretrained(arguments.model, dtype=torch.float32)
    sys.stdout.write(json.dumps(evaluate(model, arguments.count), indent=1) + "\n")


if __name__ == "__main__":
    main()
