"""What a task's model was asked and said is kept once, without secrets, within bounds, by one worker."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.autopilot.pilot_bench import MESSAGE, PLAN, RIGHT, WRONG, Bench, bench_in, policy, say
from tests.autopilot.test_pilot_killed import MOST_WORKERS, MortalDatabase, worker
from zoran_ray.autopilot import Lease, Mode, State, Tasks, calls, task_database
from zoran_ray.autopilot.calls import Made, keep_call, kept_calls
from zoran_ray.errors import LeaseLost, UpstreamError
from zoran_ray.policy import PolicyEngine
from zoran_ray.reasoning.completion import Completion, Completions, Sampling, Used
from zoran_ray.reasoning.replay import calls_of
from zoran_ray.reasoning.trace import Call

TOKEN = "AKIA" + "QX7RT2LMNB4VZ9KD"
USED = Used(1, 10, 2, 3, 40)
REDACT = PolicyEngine(policy()).redact


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with bench_in(tmp_path) as bench:
        yield bench


@pytest.fixture
def tasks(tmp_path: Path) -> Iterator[Tasks]:
    tmp_path.chmod(0o700)
    found = Tasks(task_database(tmp_path), lambda: 1000.0)
    yield found
    found.db.close()


def begun(tasks: Tasks) -> Lease:
    tasks.create("acme", Mode.OPERATOR, {"message": MESSAGE})
    lease = tasks.claim(60)
    assert lease is not None
    return lease


def made(text: str, answer: str = "Done.") -> Made:
    messages = ({"role": "user", "content": text},)
    call = Call(messages, Sampling(max_tokens=9), Completions((Completion(answer),), USED))
    return Made(0, "plan", call, REDACT)


def texts(tasks: Tasks, lease: Lease) -> list[Any]:
    """The question of each call that is kept; None where it is left out."""
    found = kept_calls(tasks, lease.task.id)
    return [each.said["messages"][0]["content"] if each.said["messages"] else None for each in found]


# -- of a pilot -----------------------------------------------------------------------------------


def test_each_call_of_a_task_is_kept_with_what_it_was_for(bench: Bench) -> None:
    bench.say = lambda prompt, call: say(prompt, call, WRONG if call < 2 else RIGHT)
    bench.begin(Mode.OPERATOR)
    task = bench.run()
    assert task.state is State.PUSHED, task.facts
    kept = kept_calls(bench.tasks, task.id)
    assert [(each.number, each.kind, each.repository, each.at) for each in kept] == [
        (1, "plan", 0, bench.now), (2, "edit", 0, bench.now), (3, "edit", 0, bench.now)
    ]  # fmt: skip
    replayed = calls_of({"calls": [each.said for each in kept]})
    assert [each.answer.choices[0].text for each in replayed] == [PLAN, WRONG, RIGHT]
    assert MESSAGE in str(replayed[0].messages)
    spent = task.facts["spent"]
    assert asdict(sum((each.answer.used for each in replayed), Used())) | {"seconds": 0} == spent | {
        "seconds": 0
    }


def test_a_call_is_kept_before_anybody_acts_on_it(bench: Bench) -> None:
    seen = []

    def watched(prompt: str, call: int) -> str:
        (task,) = bench.tasks.list("acme")[0]
        seen.append(len(kept_calls(bench.tasks, task.id)))
        if call == 1:
            raise UpstreamError("The model is away.")
        return say(prompt, call)

    bench.say = watched
    bench.begin(Mode.OPERATOR)
    task = bench.run()
    assert task.state is State.PUSHED, task.facts
    assert seen == [0, 1, 1]  # the second failed and was made again: there is nothing of it to keep
    assert len(kept_calls(bench.tasks, task.id)) == 2


def test_no_secret_of_an_answer_is_kept(bench: Bench) -> None:
    bench.say = lambda prompt, call: f"{say(prompt, call)}\n{TOKEN}\n"
    bench.begin(Mode.ADVISOR)
    task = bench.run()
    kept = kept_calls(bench.tasks, task.id)
    assert kept
    assert TOKEN not in repr([each.said for each in kept])


def test_a_worker_that_ends_before_any_write_loses_one_call_and_none_is_kept_twice(bench: Bench) -> None:
    bench.say = lambda prompt, call: f"{say(prompt, call)}\nAnswer {call}.\n"
    bench.begin(Mode.OPERATOR)
    database = MortalDatabase(bench.tasks.db)
    kills, nth, known = 0, 1, database.known()
    database.before = nth
    while (task := worker(bench, database)) is None:
        kills, before, known = kills + 1, known, database.known()
        database.before = nth = 1 if known != before else nth + 1
        assert kills < MOST_WORKERS
    assert task.state is State.PUSHED, task.facts
    kept = [each.said["answer"]["choices"][0]["text"] for each in kept_calls(bench.tasks, task.id)]
    asked = len(bench.model.prompts)
    assert len(set(kept)) == len(kept)
    assert {text.rpartition("Answer ")[2] for text in kept} <= {f"{call}.\n" for call in range(asked)}
    assert 2 < len(kept) < asked <= len(kept) + kills


# -- of the file ----------------------------------------------------------------------------------


def test_whoever_lost_the_task_keeps_nothing(tasks: Tasks) -> None:
    lease = begun(tasks)
    tasks.release(lease)
    after = tasks.claim(60)
    assert after is not None
    with pytest.raises(LeaseLost):
        keep_call(tasks, lease, made("old"))
    keep_call(tasks, after, made("new"))
    assert texts(tasks, lease) == ["new"]


def test_of_a_long_text_the_middle_is_left_out_and_no_secret_is_halved(tasks: Tasks) -> None:
    lease = begun(tasks)
    half = calls.MOST_TEXT_CHARS // 2
    keep_call(tasks, lease, made("x" * (half - 12) + f" {TOKEN} " + "y" * 2 * half))
    (text,) = texts(tasks, lease)
    assert "AKIA" not in text
    assert "characters are left out]" in text
    assert len(text) < calls.MOST_TEXT_CHARS + 60


def test_what_has_no_room_is_kept_without_its_texts_and_at_last_not_at_all(
    tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = begun(tasks)
    monkeypatch.setattr(calls, "MOST_CALL_BYTES", 2_000)
    monkeypatch.setattr(calls, "MOST_TASK_BYTES", 2_000)
    monkeypatch.setattr(calls, "MOST_CALLS", 4)
    for text in ("one " * 100, "two " * 1_000, "three " * 200, "four", "five"):
        keep_call(tasks, lease, made(text))
    assert texts(tasks, lease) == ["one " * 100, None, None, "four"]
    kept = kept_calls(tasks, lease.task.id)
    assert [each.said.get("left_out") for each in kept] == [None, True, True, None]
    assert [Used(**each.said["answer"]["used"]) for each in kept] == [USED] * 4


@settings(max_examples=25)  # each is a file of its own
@given(
    text=st.text(st.characters(codec=None), max_size=200),
    answer=st.text(st.characters(codec=None), max_size=200),
)
def test_whatever_is_said_can_be_kept_and_read(text: str, answer: str) -> None:
    with TemporaryDirectory() as folder:
        tasks = Tasks(task_database(Path(folder)), lambda: 1000.0)
        lease = begun(tasks)
        keep_call(tasks, lease, made(text, answer))
        (kept,) = kept_calls(tasks, lease.task.id)
        (call,) = calls_of({"calls": [kept.said]})
        tasks.db.close()
    assert call.sampling == Sampling(max_tokens=9)
    assert call.answer.used == USED
    if text.isascii() and REDACT(text) == text:
        assert call.messages[0]["content"] == text


def test_nothing_is_made_where_nothing_is(tmp_path: Path) -> None:
    assert kept_calls(Tasks(task_database(tmp_path / "none"), lambda: 0.0), "task_1") == ()
    assert list(tmp_path.iterdir()) == []
