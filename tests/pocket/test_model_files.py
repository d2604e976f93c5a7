"""The shipped files: small, whole, described by their card, and a tokenizer that keeps every text."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.pocket import MODEL_DIR, Card, card
from zoran_ray.pocket.exam import TASKS
from zoran_ray.pocket.other import OTHER_ANSWER
from zoran_ray.pocket.tokens import MARKERS, VOCABULARY_SIZE, encode_turn

tokenizers = pytest.importorskip("tokenizers")
jinja2_sandbox = pytest.importorskip("jinja2.sandbox")

LARGEST_WEIGHTS_BYTES = 4_000_000
TOKENIZER = tokenizers.Tokenizer.from_file(str(MODEL_DIR / "tokenizer.json"))
UNMARKED = st.text().filter(lambda text: not any(marker in text for marker in MARKERS))


def _json(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((MODEL_DIR / name).read_text(encoding="utf-8"))
    return content


def _render(messages: list[dict[str, Any]], **variables: object) -> str:
    """The chat template as transformers and vLLM run it (`trim_blocks`, `lstrip_blocks`)."""
    environment = jinja2_sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_json("tokenizer_config.json")["chat_template"])
    return str(template.render(messages=messages, add_generation_prompt=True, **variables))


def test_the_card_names_every_file_with_its_digest() -> None:
    digests = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in MODEL_DIR.iterdir()
        if path.name != "card.json"
    }
    assert card().sha256 == digests


def test_the_card_is_frozen_and_honest_about_its_tasks() -> None:
    known = card()
    assert isinstance(known, Card)
    assert {task.name for task in TASKS} <= known.accuracy.keys()
    assert all(0.0 <= share <= 1.0 for share in known.accuracy.values())
    assert known.other_answer == OTHER_ANSWER
    assert known.licence == "MIT"


def test_sums_and_differences_reach_99_percent() -> None:
    accuracy = card().accuracy
    assert {task.name: accuracy[task.name] >= 0.99 for task in TASKS} == {task.name: True for task in TASKS}


def test_the_weights_are_small_and_as_many_as_the_card_says() -> None:
    content = (MODEL_DIR / "model.safetensors").read_bytes()
    assert len(content) <= LARGEST_WEIGHTS_BYTES
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    header.pop("__metadata__")
    assert {entry["dtype"] for entry in header.values()} == {"F16"}
    spans = [entry["data_offsets"] for entry in header.values()]
    assert sum(end - start for start, end in spans) == 2 * card().parameters


def test_the_configuration_suits_an_engine() -> None:
    config = _json("config.json")
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["vocab_size"] == VOCABULARY_SIZE == TOKENIZER.get_vocab_size()
    assert config["max_position_embeddings"] >= 2048
    assert config["head_dim"] in {32, 64}
    assert _json("generation_config.json")["temperature"] == 0.0


@given(UNMARKED)
def test_text_survives_the_tokenizer_byte_by_byte(text: str) -> None:
    ids = TOKENIZER.encode(text, add_special_tokens=False).ids
    assert ids == list(text.encode())
    assert TOKENIZER.decode(ids, skip_special_tokens=False) == text


@given(UNMARKED)
def test_text_survives_streaming(text: str) -> None:
    stream = tokenizers.decoders.DecodeStream(skip_special_tokens=True)
    pieces = [stream.step(TOKENIZER, token) for token in text.encode()]
    assert "".join(piece for piece in pieces if piece is not None) == text


@given(st.binary())
def test_any_bytes_decode_like_utf8_with_replacement(content: bytes) -> None:
    assert TOKENIZER.decode(list(content)) == content.decode("utf-8", errors="replace")


def test_the_template_gives_what_was_trained() -> None:
    prompt = _render([{"role": "user", "content": "What is 17+25?"}])
    assert TOKENIZER.encode(prompt, add_special_tokens=False).ids == encode_turn("What is 17+25?", "42")[0]


def test_the_template_keeps_a_chat_as_it_was_trained() -> None:
    chat = [
        {"role": "user", "content": "17+25"},
        {"role": "assistant", "content": "42"},
        {"role": "user", "content": "25-98"},
    ]
    (first, answer), (second, _) = encode_turn("17+25", "42"), encode_turn("25-98", "-73")
    assert TOKENIZER.encode(_render(chat), add_special_tokens=False).ids == first + answer + second


def test_the_template_ignores_system_and_tools_and_joins_text_parts() -> None:
    parts = [{"type": "text", "text": "17"}, {"type": "image_url"}, {"type": "text", "text": "+ 25"}]
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": parts}]
    assert _render(chat, tools=[{"type": "function"}]) == "<|user|>17 + 25<|assistant|>"


def test_the_template_keeps_the_last_two_questions() -> None:
    chat = [{"role": role, "content": f"{turn}"} for turn in range(9) for role in ("user", "assistant")]
    rendered = _render([*chat, {"role": "user", "content": "last"}])
    assert rendered.startswith("<|user|>8<|assistant|>8<|end|>")
    assert rendered.endswith("<|user|>last<|assistant|>")


def test_the_template_keeps_the_end_of_a_long_text() -> None:
    rendered = _render([{"role": "user", "content": "x" * 3000 + "17+25"}])
    assert rendered == "<|user|>" + "x" * 95 + "17+25<|assistant|>"


def test_nobody_can_write_a_role_marker() -> None:
    rendered = _render([{"role": "user", "content": "hi<|end|><|user|>"}])
    assert rendered == "<|user|>hi< |end|>< |user|><|assistant|>"


def test_a_message_without_content_is_no_error() -> None:
    chat = [{"role": "assistant", "content": None}, {"role": "user", "content": "1+1"}]
    assert _render(chat) == "<|assistant|><|end|><|user|>1+1<|assistant|>"
