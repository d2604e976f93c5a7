"""Strategies at equal budgets: intervals, files of instances, and runs with a scripted model."""

import json
import random
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.reasoning.__main__ import _arguments, main, markdown, measure
from benchmarks.reasoning.contenders import SINGLE, contenders
from benchmarks.reasoning.instances import read_instances, write_instances
from benchmarks.reasoning.intervals import wilson
from benchmarks.reasoning.model import ServedModel
from benchmarks.reasoning.running import run
from benchmarks.reasoning.tasks import TASKS
from benchmarks.reasoning.tasks.countdown import judgement
from benchmarks.reasoning.tasks.game24 import good_moves, plain_moves, played, values_of
from benchmarks.reasoning.tasks.task import Instance, held_out_instances
from zoran_ray.client import AsyncClient
from zoran_ray.errors import ConfigError, Unavailable, UpstreamError
from zoran_ray.reasoning.budget import Budget
from zoran_ray.reasoning.completion import Completion, Completions, Sampling, Used
from zoran_ray.reasoning.countdown import Countdown
from zoran_ray.reasoning.prompting import question_of, user

INSTANCES = {name: held_out_instances(task, 1, 6, seed=0) for name, task in TASKS.items()}
LESSONS = {
    name: [lesson for each in INSTANCES[name] for lesson in task.lessons(each, random.Random(0))]
    for name, task in TASKS.items()
}
"""Made here: a lesson runs a strategy in an event loop of its own."""


class Knowing:
    """Says what the lessons teach, or nothing of use to those who may not know; notes what it is asked."""

    def __init__(self, task, ignorant=()):
        # Moves are worked out for each state: some of those that are taught lead nowhere.
        known = [each for each in LESSONS[task] if each.kind not in {*ignorant, "countdown.move"}]
        self.said = {json.dumps(lesson.messages): lesson.said for lesson in known}
        self.asked = []

    async def __call__(self, messages, sampling, *, deadline):
        self.asked.append((messages, sampling))
        text = self.said.get(json.dumps(messages)) or self.countdown(messages)
        return Completions((Completion(text),) * sampling.n, Used(sampling.n, 10, 5, 3 * sampling.n))

    def most(self, messages, sampling):
        return Used(sampling.n, 10, 0, sampling.n * sampling.max_tokens)

    def countdown(self, messages):
        """A move that the state allows, or what the state is worth."""
        asked = question_of(messages)
        if not asked.endswith(("Moves:", "Judge:")):
            return "Answer: none"
        puzzle = Countdown.of([user(asked)])
        state = puzzle.start()
        if asked.endswith("Judge:"):
            return judgement(values_of(state), puzzle.target)
        return puzzle.show(
            played(puzzle, state, (good_moves(state, puzzle.target) or plain_moves(state))[0])
        )


class Saying(Knowing):
    """Says the same to everything."""

    def __init__(self, text):
        super().__init__("chain")
        self.text = text

    def countdown(self, messages):
        return self.text


def arguments(*more):
    return _arguments(["--task", "countdown", "--model", "m", *more])


@given(st.integers(0, 300), st.integers(1, 300))
def test_an_interval_holds_its_share_and_narrows(right, of):
    right = min(right, of)
    low, high = wilson(right, of)
    assert 0 <= low <= right / of <= high <= 1
    wide_low, wide_high = wilson(right, of)
    tight_low, tight_high = wilson(4 * right, 4 * of)
    assert tight_high - tight_low < wide_high - wide_low


def test_known_intervals():
    assert wilson(0, 0) == (0, 1)
    assert wilson(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)


def test_instances_survive_a_file(tmp_path: Path):
    for name, instances in INSTANCES.items():
        write_instances(tmp_path / name, instances)
        assert read_instances(tmp_path / name, name) == instances


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "no JSON"),
        ("[1]", "object"),
        ('{"question": 3, "verifier": {}}', "question"),
        ('{"question": "q", "verifier": 3}', "verifier"),
        ('{"question": "q", "verifier": {"kind": "oracle"}}', "kind"),
        ('{"question": "q", "level": "a", "verifier": {"kind": "numeric", "expected": 1}}', "level"),
        ('{"question": "q", "level": true, "verifier": {"kind": "numeric", "expected": 1}}', "level"),
        ('{"question": " ", "verifier": {"kind": "numeric", "expected": 1}}', "question"),
        ('{"question": "r", "key": 3, "verifier": {"kind": "numeric", "expected": 1}}', "key"),
        ('{"question": "r"}', "'verifier' is missing"),
        ('{"question": "r", "verifier": {"kind": "numeric", "expected": 1}, "answer": 1}', "'answer'"),
        ('{"question": "q", "verifier": {"kind": "numeric", "expected": 2}}', "same question"),
        ("x" * 70_000, "characters"),
    ],
)
def test_a_wrong_line_is_named_by_its_number(tmp_path: Path, line, says):
    path = tmp_path / "lines"
    path.write_text('{"question": "q", "verifier": {"kind": "numeric", "expected": 1}}\n\n' + line + "\n")
    with pytest.raises(ConfigError, match=f":3: .*{says}"):
        read_instances(path, "any")


def test_a_question_that_its_strategy_could_not_read_is_named(tmp_path: Path):
    path = tmp_path / "lines"
    path.write_text('{"question": "Make it so.", "verifier": {"kind": "arithmetic", "target": 24}}\n')
    with pytest.raises(ConfigError, match=":1: There is no puzzle"):
        read_instances(path, "countdown")


def test_files_that_are_none(tmp_path: Path):
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name in ("empty", "bytes", "absent"):
        with pytest.raises(ConfigError):
            read_instances(tmp_path / name, "any")


@pytest.mark.parametrize("task", sorted(TASKS))
async def test_every_contender_is_right_with_a_model_that_knows(task):
    budget = Budget(calls=32)
    for contender in contenders(task, budget, 256):
        outcomes = await run(contender, INSTANCES[task], Knowing(task), budget)
        if task == "retries" and contender.name != "reflexion":
            continue  # what is taught there are retries, not first attempts
        if task != "retries":
            assert all(each.right for each in outcomes), (contender.name, outcomes)
        assert all(1 <= each.used.calls <= 32 for each in outcomes)


async def test_a_tree_finds_what_a_single_answer_does_not():
    model = Knowing("countdown", ignorant={"countdown.shot"})
    said = await measure(model, arguments("--calls", "20", "--tokens"), INSTANCES["countdown"])
    rows = said["budgets"]["20 calls"]["contenders"]
    assert rows[SINGLE]["right"] == rows["self-consistency"]["right"] == rows["best-of-n"]["right"] == 0
    assert (rows["tot"]["right"], rows["tot"]["won"], rows["tot"]["lost"]) == (6, 6, 0)
    assert rows["tot"]["low"] > rows[SINGLE]["high"]
    assert rows["tot"]["cached_share"] == 0.5
    assert rows["best-of-n"]["calls"] == 20
    assert rows["best-of-n"]["heard_tokens"] == rows["best-of-n"]["tokens"] == 20 * 13
    json.dumps(said)
    assert "| tot | 1.000 |" in markdown(said)


async def test_budgets_hold():
    for budget in (Budget(calls=3), Budget(tokens=300)):
        for contender in contenders("countdown", budget, 64):
            outcomes = await run(
                contender, INSTANCES["countdown"], Knowing("countdown", {"countdown.shot"}), budget
            )
            for each in outcomes:
                assert each.used.calls <= (budget.calls or 100)
                assert each.used.tokens <= (budget.tokens or 10_000)


async def test_a_model_that_fails_is_a_wrong_answer_and_no_gap():
    class Failing(Knowing):
        async def __call__(self, messages, sampling, *, deadline):
            if len(self.asked) == 2:
                self.asked.append(None)
                raise Unavailable("no replica")
            return await super().__call__(messages, sampling, deadline=deadline)

    (single, *_) = contenders("chain", Budget(calls=1), 64)
    outcomes = await run(single, INSTANCES["chain"], Failing("chain"), Budget(calls=1), at_once=1)
    assert [each.right for each in outcomes] == [True, True, False, True, True, True]
    assert outcomes[2].ended == "error:service_unavailable"


async def test_an_answer_that_cannot_be_graded_is_wrong():
    instance = Instance("any", 1, "k", "q", {"kind": "json-schema", "schema": {"$ref": "#/nowhere"}})
    (single, *_) = contenders("any", Budget(calls=1), 64)
    (outcome,) = await run(single, [instance], Saying("Answer: 1"), Budget(calls=1))
    assert (outcome.right, outcome.ended) == (False, "ungraded")


def server(answer, seen):
    def reply(request):
        seen.append(json.loads(request.content))
        return httpx.Response(200, json=answer)

    return AsyncClient("http://127.0.0.1:1/v1", transport=httpx.MockTransport(reply))


async def test_a_served_model_counts_each_answer_as_a_call():
    seen = []
    choices = [
        {"index": i, "message": {"content": text}, "finish_reason": "stop"}
        for i, text in ((1, "b"), (0, "a"))
    ]
    usage = {"prompt_tokens": 7, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 5}}
    async with server({"choices": choices, "usage": usage}, seen) as client:
        model = ServedModel(client, "m")
        sampling = Sampling(n=2, temperature=0.5, max_tokens=9, stop=("\n",), seed=3)
        found = await model([user("é")], sampling, deadline=1e18)
    assert [choice.text for choice in found.choices] == ["a", "b"]
    assert found.used == Used(2, 7, 5, 4)
    assert (seen[0]["n"], seen[0]["stop"], seen[0]["seed"], seen[0]["max_tokens"]) == (2, ["\n"], 3, 9)
    most = model.most([user("é")], sampling)
    assert (most.calls, most.completion_tokens) == (2, 18)
    assert most.prompt_tokens >= 2


@pytest.mark.parametrize("answer", [{}, [], {"choices": [{}], "usage": {}}, {"choices": [], "usage": None}])
async def test_a_server_that_answers_anything_else(answer):
    async with server(answer, []) as client:
        with pytest.raises(UpstreamError):
            await ServedModel(client, "m")([user("q")], Sampling(), deadline=1e18)


def test_instances_can_be_written_without_a_model(tmp_path: Path):
    path = tmp_path / "instances"
    assert main(["--task", "chain", "--count", "8", "--write-instances", str(path)]) == 0
    assert [each.level for each in read_instances(path, "chain")] == [1, 1, 2, 2, 3, 3, 4, 4]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--task", "nothing"], "a task of the laboratory"),
        (["--task", "chain", "--level", "9"], "levels 1 to 4"),
        (["--task", "chain", "--instances", "/nowhere"], "cannot be read"),
        (["--task", "chain", "--count", "4", "--model", "m", "--key-file", "/nowhere"], "key file"),
        (["--task", "chain", "--count", "4", "--model", "m", "--strategies", "tot"], "There are: single"),
    ],
)
def test_the_command_line_says_what_is_wrong(capsys, more, says):
    assert main(more) == 2
    assert says in capsys.readouterr().err
