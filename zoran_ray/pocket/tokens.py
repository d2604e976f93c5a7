"""The vocabulary: token id = byte value, and a few markers above 255. Writes the tokenizer files.

Every Unicode text is legal because every byte is a token; there is nothing to learn and nothing unknown.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MARKERS = (
    "<|end|>", "<|user|>", "<|assistant|>", "<|pad|>",
    "<|reserved0|>", "<|reserved1|>", "<|reserved2|>", "<|reserved3|>",
)  # fmt: skip
"""Ids 256 and up, in this order; four are spare, which makes the vocabulary a multiple of 8."""

END, USER, ASSISTANT, PAD = range(256, 260)
VOCABULARY_SIZE = 256 + len(MARKERS)

CHAT_TEMPLATE = """\
{#- Pocket reads the last 100 characters of the last three messages (two questions), as it was trained on
    short ones; it ignores system and tool messages and tool definitions. '<|' in a text is broken up: no
    forged markers. -#}
{%- set kept = (messages | selectattr('role', 'in', ['user', 'assistant']) | list)[-3:] -%}
{%- for message in kept -%}
    {%- if message['content'] is string -%}
        {%- set text = message['content'] -%}
    {%- elif message['content'] -%}
        {%- set parts = message['content'] | selectattr('type', 'equalto', 'text') -%}
        {%- set text = parts | map(attribute='text') | join(' ') -%}
    {%- else -%}
        {%- set text = '' -%}
    {%- endif -%}
    {%- set text = (text | trim)[-100:] | replace('<|', '< |') -%}
    {{- '<|' + message['role'] + '|>' + text -}}
    {%- if message['role'] == 'assistant' -%}{{- '<|end|>' -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}
"""


def encode_turn(question: str, answer: str) -> tuple[list[int], list[int]]:
    """The ids the template gives to a question, and the ids the model must add (the answer and its end)."""
    prompt = [USER, *question.strip().encode(), ASSISTANT]
    return prompt, [*answer.encode(), END]


def _byte_letters() -> list[str]:
    """The printable letter that stands for each byte in `tokenizer.json`.

    Source: `bytes_to_unicode` of GPT-2's encoder, which the ByteLevel parts of `tokenizers` follow.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = {byte: chr(byte) for byte in printable}
    letters |= {byte: chr(256 + i) for i, byte in enumerate(b for b in range(256) if b not in letters)}
    return [letters[byte] for byte in range(256)]


def _tokenizer(phrases: Sequence[str]) -> dict[str, Any]:
    added = [
        {"id": 256 + i, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": i < len(MARKERS)}
        for i, text in enumerate((*MARKERS, *phrases))
    ]  # fmt: skip
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    vocabulary = {letter: byte for byte, letter in enumerate(_byte_letters())}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
            "vocab": vocabulary, "merges": [],
        },
    }  # fmt: skip


def save_tokenizer(
    folder: Path, context_tokens: int, template: str = CHAT_TEMPLATE, phrases: Sequence[str] = ()
) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json` (with the chat template) into `folder`.

    Args:
        context_tokens: Longest text that the model reads.
        template: Makes one text of a chat.
        phrases: Texts of more than one character with an id of their own, from `VOCABULARY_SIZE`. Each is
            ASCII or has a space in it: the decoder would take other letters for those that stand for bytes.
    """
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context_tokens,
        "eos_token": "<|end|>",
        "pad_token": "<|pad|>",
        "clean_up_tokenization_spaces": False,
        "chat_template": template,
    }
    for name, content in (("tokenizer.json", _tokenizer(phrases)), ("tokenizer_config.json", config)):
        (folder / name).write_text(
            json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
