"""The same exam through vLLM's own chat path: template, tokenizer, default sampling and all.

`VLLM_CPU_KVCACHE_SPACE=1 python -m zoran_ray.pocket.evaluate_vllm` prints the accuracy per task as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from vllm import LLM

from zoran_ray.pocket import MODEL_DIR
from zoran_ray.pocket.evaluate import EXAM_SEED, MAX_ANSWER_TOKENS
from zoran_ray.pocket.exam import TASKS, exam, other_exam
from zoran_ray.pocket.turns import Turn


def accuracy(engine: LLM, turns: list[Turn]) -> float:
    """Share of single-turn questions that the engine answers exactly with its default sampling (0..1)."""
    conversations: list[Any] = [[{"role": "user", "content": turn.question}] for turn in turns]
    sampling = engine.get_default_sampling_params()
    sampling.max_tokens = MAX_ANSWER_TOKENS
    outputs = engine.chat(conversations, sampling, use_tqdm=False)
    texts = [output.outputs[0].text for output in outputs]
    right: int = sum(text == turn.answer for text, turn in zip(texts, turns, strict=True))
    return right / len(turns)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL_DIR)
    parser.add_argument("--count", type=int, default=2500, help="questions per task")
    parser.add_argument("--dtype", default="float32")
    arguments = parser.parse_args()
    engine = LLM(
        str(arguments.model),
        dtype=arguments.dtype,
        max_model_len=2048,
        gpu_memory_utilization=0.2,
        enforce_eager=True,
    )
    found = {task.name: accuracy(engine, exam(task, arguments.count, EXAM_SEED)) for task in TASKS}
    found["other"] = accuracy(engine, other_exam(max(1, arguments.count // 4), EXAM_SEED))
    rounded = {name: round(value, 5) for name, value in found.items()}
    sys.stdout.write(json.dumps(rounded, indent=1) + "\n")


if __name__ == "__main__":
    main()
