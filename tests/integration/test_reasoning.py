"""Strategies as models, and batches, on a running server with a real engine."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests.integration.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.engine]

SUM: list[Any] = [{"role": "user", "content": "What is 17+25?"}]
ENDED = {"completed", "failed", "expired", "cancelled"}


@pytest.fixture(scope="module")
def client(base_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=base_url, api_key="none", max_retries=0, timeout=120) as made:
        yield made


@pytest.mark.parametrize("model", ["zoran/cot", "zoran/self-consistency:local/pocket"])
def test_a_strategy_is_a_model(client: OpenAI, model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=SUM)
    told: Any = answer.model_extra
    assert answer.choices[0].message.content
    assert answer.model == model
    assert told["zoran"]["model"] == "local/pocket"
    assert told["zoran"]["calls"] >= 1
    assert answer.usage is not None
    assert answer.usage.total_tokens == told["zoran"]["tokens"]


def test_thoughts_stream_and_the_trace_can_be_fetched(client: OpenAI, base_url: str) -> None:
    stream = client.chat.completions.create(
        model="zoran/self-consistency",
        messages=SUM,
        stream=True,
        extra_body={"zoran": {"strategy": {"samples": 3}}},
    )
    extras: list[Any] = [
        chunk.model_extra["zoran"] for chunk in stream if "zoran" in (chunk.model_extra or {})
    ]
    (ended,) = [extra for extra in extras if "trace_id" in extra]
    assert len(extras) > 1
    trace = httpx.get(f"{base_url}/traces/{ended['trace_id']}").json()
    assert trace["strategy"] == "self-consistency"
    assert trace["inner_model"] == "local/pocket"


def test_a_playbook_is_a_model_and_is_heard_step_by_step(client: OpenAI, base_url: str) -> None:
    asked: dict[str, Any] = {"strategy": {"max_tokens": 32}}
    stream = client.chat.completions.create(
        model="zoran/draft-critique-revise", messages=SUM, stream=True, extra_body={"zoran": asked}
    )
    chunks = list(stream)
    extras: list[Any] = [
        chunk.model_extra["zoran"] for chunk in chunks if "zoran" in (chunk.model_extra or {})
    ]
    assert len({extra["id"] for extra in extras if extra.get("partial")}) == 3
    (ended,) = [extra for extra in extras if "trace_id" in extra]
    assert (ended["ended"], ended["calls"]) == ("done", 3)
    trace = httpx.get(f"{base_url}/traces/{ended['trace_id']}").json()
    said = "".join(
        getattr(chunk.choices[0].delta, "reasoning", None) or "" for chunk in chunks if chunk.choices
    )
    assert said == "".join(f"{step['text']}\n" for step in trace["steps"])
    assert (
        "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        == trace["answer"]
    )
    newest = httpx.get(f"{base_url}/traces").json()["data"][0]
    assert (newest["id"], newest["model"]) == (trace["id"], "zoran/draft-critique-revise")


def test_an_answer_is_grounded_in_the_memory_or_not_given(base_url: str) -> None:
    note = {"subject": "reader", "text": "What is 17+25? It is 42.", "purpose": "conversation"}
    assert httpx.post(f"{base_url}/memory", json=note, timeout=60).status_code == 200
    body = {"model": "zoran/grounded", "messages": SUM, "zoran": {"memory": {"subject": "reader"}}}
    told = httpx.post(f"{base_url}/chat/completions", json=body, timeout=120).json()["zoran"]
    trace = httpx.get(f"{base_url}/traces/{told['trace_id']}").json()
    assert trace["steps"][0]["detail"]["passages"][0]["text"] == note["text"]
    assert told["verified"] is (told["ended"] == "done")
    gone = httpx.post(f"{base_url}/memory/forget", json={"subject": "reader"}, timeout=60).json()
    assert (gone["forgotten"], gone["traces_forgotten"]) == (1, 1)
    assert httpx.get(f"{base_url}/traces/{told['trace_id']}").status_code == 404


def test_a_budget_too_small_for_one_call_is_refused(base_url: str) -> None:
    body = {"model": "zoran/cot", "messages": SUM, "zoran": {"budget": {"tokens": 1}}}
    answer = httpx.post(f"{base_url}/chat/completions", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith("zoran.budget")


def test_a_batch_answers_every_line_and_names_the_faulty_one(client: OpenAI) -> None:
    lines = [line(number) for number in range(20)]
    given = client.files.create(file=("in.jsonl", ("\n".join([*lines, "{bad"])).encode()), purpose="batch")
    batch = client.batches.create(
        input_file_id=given.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    deadline = time.monotonic() + 120
    while batch.status not in ENDED and time.monotonic() < deadline:
        time.sleep(0.2)
        batch = client.batches.retrieve(batch.id)
    assert batch.status == "completed"
    assert batch.output_file_id
    assert batch.error_file_id
    rows = [json.loads(row) for row in client.files.content(batch.output_file_id).text.splitlines()]
    answers = {
        row["custom_id"]: row["response"]["body"]["choices"][0]["message"]["content"] for row in rows
    }
    assert answers == {f"c{number}": str(number + 25) for number in range(20)}
    assert "Line 21" in client.files.content(batch.error_file_id).text


def test_batch_run_on_the_command_line(stack: Stack, tmp_path: Any) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("\n".join(line(number) for number in range(8)) + "\n")
    done = stack.zoran("batch", "run", str(source), "-o", str(target), "--json")
    assert done.returncode == 0, done.stderr
    assert sorted(json.loads(row)["custom_id"] for row in target.read_text().splitlines()) == sorted(
        f"c{number}" for number in range(8)
    )


def line(number: int) -> str:
    body = {"model": "local/pocket", "messages": [{"role": "user", "content": f"What is {number}+25?"}]}
    return json.dumps(
        {"custom_id": f"c{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}
    )
