"""Writes a trained model as the folder that vLLM and transformers read, with its card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file

from zoran_ray.pocket import Card
from zoran_ray.pocket.tokens import CHAT_TEMPLATE, END, PAD, save_tokenizer

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
)


def round_weights(model: LlamaForCausalLM) -> None:
    """Round all weights to float16, in which they are stored; the exam is taken with the rounded ones."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(weight.half().float())


def save_model(
    model: LlamaForCausalLM, folder: Path, template: str = CHAT_TEMPLATE, phrases: Sequence[str] = ()
) -> None:
    """Write weights, configuration and tokenizer; `template` and `phrases` as in `save_tokenizer`.

    `config.json` says float16, as the file holds it: vLLM's "auto" turns a float32 into bfloat16, which is
    coarser than the rounding the exam was taken with. `dtype="float32"` is what was measured.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: weight.detach().half().contiguous() for name, weight in model.named_parameters()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)  # safetensors makes it private to the user
    model.config.dtype = torch.float16
    model.config.architectures = ["LlamaForCausalLM"]
    (folder / "config.json").write_text(model.config.to_json_string(use_diff=False), encoding="utf-8")
    # vLLM takes its default sampling from here: temperature 0 makes greedy the default.
    generation = {"temperature": 0.0, "eos_token_id": END, "pad_token_id": PAD}
    write_json(folder / "generation_config.json", generation)
    save_tokenizer(folder, model.config.max_position_embeddings, template, phrases)


def save_card(folder: Path, **facts: object) -> Card:
    """Write `card.json` with the digests of the files beside it."""
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
    written = Card.model_validate({**facts, "sha256": digests})
    write_json(folder / "card.json", written.model_dump())
    return written


def write_json(path: Path, content: object) -> None:
    """Write a JSON file of readable lines."""
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
