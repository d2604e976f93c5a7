"""The roles as plain classes over a scripted model."""

import pytest

from tests.reasoning.scripted import Scripted, asking, question, run
from zoran_ray.agents.coder import Coder
from zoran_ray.agents.outcome import worth
from zoran_ray.agents.pictures import Pictures
from zoran_ray.agents.reasoner import Reasoner
from zoran_ray.agents.retriever import Retriever
from zoran_ray.agents.vision import Vision
from zoran_ray.rag import Passage
from zoran_ray.rag.answer import NOTHING_FITS
from zoran_ray.reasoning.budget import Budget
from zoran_ray.reasoning.registry import strategy_of
from zoran_ray.reasoning.strategy import Answer
from zoran_ray.reasoning.verifier import Verdict
from zoran_ray.tools.tool import Observation
from zoran_ray.tools.toolbox import Toolbox

PNG = "data:image/png;base64,iVBORw0KGgo="


class Is:
    """Whether an answer holds this."""

    name = "is"

    def __init__(self, text):
        self.text = text

    async def __call__(self, answer):
        return Verdict(self.text in answer)


class Runs:
    """Stands in for the sandboxed tool: says what a program of one line prints."""

    name = "code"
    description = "Runs Python."
    permission = "code"
    timeout_s = 1.0
    parameters = {  # noqa: RUF012 - a tool's schema
        "type": "object",
        "properties": {"program": {"type": "string"}},
        "required": ["program"],
    }

    def __init__(self):
        self.ran = []

    async def call(self, arguments):
        self.ran.append(arguments["program"])
        return Observation("4")


def answered(role, say, messages=None, verifier=None, budget=None, tools=None):
    """The answer, the model and what was asked of it."""
    model = Scripted(say)

    async def work():
        ask = asking(model, budget)
        if tools is not None:
            ask.tools = tools
        return await role.answer(messages or question("What is 2+2?"), ask, verifier), ask

    answer, ask = run(work())
    return answer, model, ask


def test_the_reasoner_thinks_with_its_strategy():
    role = Reasoner(strategy_of("self-consistency", {"samples": 3}))
    answer, model, ask = answered(role, lambda prompt, call: "2 and 2.\nAnswer: 4")
    assert answer.text == "4"
    assert answer.detail["strategy"] == "self-consistency"
    assert ask.purse.used.completion_tokens > 0
    assert worth(answer) == 1.0
    assert model.ended >= 1


def test_a_coder_without_a_sandbox_runs_nothing_and_says_so():
    answer, model, _ = answered(Coder(), lambda prompt, call: "```python\nprint(4)\n```")
    assert answer.text == "```python\nprint(4)\n```"
    assert answer.detail["ran"] is False
    assert answer.verified is None
    assert "cannot run code" in model.prompts[0]


def test_a_coder_with_a_sandbox_runs_its_code_first():
    tool = Runs()

    async def tools():
        return Toolbox((tool,), ("code",), ("code",))

    said = ['Thought: run it\nAction: code\nAction Input: {"program": "print(2+2)"}', "Final Answer: 4"]
    answer, _, _ = answered(Coder(), lambda prompt, call: said[call], tools=tools)
    assert answer.detail["ran"] is True
    assert tool.ran == ["print(2+2)"]
    assert answer.text == "4"


def test_a_coder_tries_again_where_the_verifier_says_no():
    said = ["print(5)", "It must be 4.", "print(4)"]
    answer, _, _ = answered(Coder(), lambda prompt, call: said[call], verifier=Is("4"))
    assert answer.verified is True
    assert answer.text == "print(4)"
    assert worth(answer) == 1.0


PASSAGES = (Passage("docs/a.md", 3, 5, "The port is 8080.\nIt is on loopback.\nNothing else."),)


def retriever(passages=PASSAGES):
    asked = []

    async def search(text, limit):
        asked.append((text, limit))
        return passages

    return Retriever(search, lambda: b"s" * 16), asked


def test_the_retriever_cites_the_line_that_it_was_given():
    role, asked = retriever()
    answer, model, _ = answered(
        role, lambda prompt, call: "8080 [docs/a.md:3]", question("Which port is it?")
    )
    assert answer.text == "8080 [docs/a.md:3]"
    assert answer.detail["citations"] == [{"path": "docs/a.md", "first": 3, "last": 3}]
    assert asked == [("Which port is it?", 8)]
    assert "not instructions" in model.prompts[0]


def test_what_the_retriever_was_not_given_it_does_not_cite():
    role, _ = retriever()
    said = ["9090 [docs/b.md:1]", "It is 9090, says [docs/b.md:1]"]
    answer, model, _ = answered(role, lambda prompt, call: said[call])
    assert answer.text == NOTHING_FITS
    assert answer.detail == {"found": False, "citations": [], "invented": ["docs/b.md:1"]}
    assert len(model.prompts) == 2
    assert worth(answer) == 0.0


def test_without_passages_no_model_is_asked():
    role, _ = retriever(())
    answer, model, _ = answered(role, lambda prompt, call: "a guess")
    assert answer.text == NOTHING_FITS
    assert model.prompts == []


def test_a_budget_that_ends_before_the_answer_is_told():
    role, _ = retriever()
    answer, _, _ = answered(role, lambda prompt, call: "x", budget=Budget(tokens=1))
    assert answer.ended == "budget:tokens"
    assert worth(answer) == 0.0


def test_vision_gives_the_model_the_picture_and_the_question_as_it_is():
    content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": PNG}}]
    messages = [{"role": "user", "content": content}]
    answer, model, _ = answered(Vision(Pictures()), lambda prompt, call: "a cat", messages)
    assert answer.text == "a cat"
    assert PNG in model.prompts[0]
    assert "step by step" not in model.prompts[0]


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        (Answer("4"), 1.0),
        (Answer(" "), 0.0),
        (Answer("4", verified=False), 0.0),
        (Answer("4", "budget:tokens"), 0.5),
        (Answer("4", "budget:tokens", True), 1.0),
    ],
)
def test_what_an_answer_seems_worth(answer, score):
    assert worth(answer) == score
