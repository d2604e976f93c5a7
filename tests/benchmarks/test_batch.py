"""The batch benchmark: equal prompts for all, and a page that says what was measured."""

import json
from pathlib import Path

import pytest

from benchmarks.batch.report import API, COMMAND, OFFLINE, compared, markdown
from benchmarks.batch.workload import Workload, answers, digest
from zoran_ray.batch.lines import Line, read_lines

WORK = Workload("w", 8, 4)


def test_lines_ask_what_the_list_has(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    WORK.write(path, "local/m", 3)
    with path.open("rb") as file:
        assert all(isinstance(line, Line) for line in read_lines(file))
    bodies = [json.loads(raw)["body"] for raw in path.read_text().splitlines()]
    assert [body["prompt"] for body in bodies] == WORK.texts(3)
    assert bodies[0] == {"model": "local/m", "prompt": WORK.texts(3)[0], **WORK.sampling()}
    assert not set(WORK.texts(3)) & set(WORK.texts(4))


def test_answers_are_read_in_the_order_of_prompts_and_a_bad_one_is_told(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"

    def row(number: int, status: int = 200) -> str:
        body = {"choices": [{"text": f"t{number}"}], "usage": {"completion_tokens": 4}}
        return json.dumps({"custom_id": str(number), "response": {"status_code": status, "body": body}})

    path.write_text("\n".join(map(row, (10, 2, 0))))
    assert answers(path) == (12, digest(["t0", "t2", "t10"]))
    path.write_text(row(1, 500))
    with pytest.raises(ValueError, match="line 1 was not answered"):
        answers(path)


def test_ratios_are_taken_within_a_round() -> None:
    def sample(who: str, round_: int, rate: float, texts: str) -> dict[str, object]:
        return {"workload": "w", "who": who, "round": round_, "tokens_per_s": rate, "digest": list(texts)}

    samples = [sample(OFFLINE, 0, 100, "ab"), sample(COMMAND, 0, 90, "ab")]
    samples += [sample(OFFLINE, 1, 10, "ab"), sample(COMMAND, 1, 10, "ax"), sample(API, 7, 5, "ab")]
    timing = {"p50": 5.0, "p99": 9.0}
    row = {"workload": "w", "condition": "no batch", "ttft_ms": timing, "latency_ms": timing}
    machine = {"cores": 2, "cpu": "c", "versions": {"ray": "2"}}
    results = {"started": "2026-01-01T", "machine": machine, "samples": samples, "interactive": [row]}
    kept = compared(results)
    assert not any("digest" in each for each in kept["samples"])
    text = markdown(kept, "f.json")
    assert "| w | `zoran batch run` | 50 (10–90) | 0.95 (0.9–1) | 75.0% |" in text
    assert "| w | `/v1/batches` | 5 | – | – |" in text
    assert "| w | no batch | 5 / 9 | 5 |" in text


def test_the_random_model_says_letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What begins no character would be no first token that anybody could see."""
    import torch
    from transformers import LlamaForCausalLM

    from benchmarks.batch import random_model

    for name, value in (("LAYERS", 2), ("WIDTH", 128), ("INNER", 256)):
        monkeypatch.setattr(random_model, name, value)
    random_model.make_random_model(tmp_path)
    model = LlamaForCausalLM.from_pretrained(tmp_path)
    with torch.no_grad():
        for text in WORK.texts(0):
            said = model(torch.tensor([list(text.encode())])).logits[0].argmax(-1)
            assert bytes(said.tolist()).isalpha()
