"""Best of n, Reflexion and chain of thought: who judges, and what a model is never told."""

import asyncio

import pytest
from reasoning_scripted import Scripted, asking, question, run

from zoran_ray.errors import InvalidRequest
from zoran_ray.reasoning.best_of_n import BestOfN
from zoran_ray.reasoning.budget import Budget
from zoran_ray.reasoning.cot import ChainOfThought
from zoran_ray.reasoning.judging import bounded
from zoran_ray.reasoning.reflexion import Reflexion
from zoran_ray.reasoning.self_consistency import SelfConsistency
from zoran_ray.reasoning.strategy import Strategy
from zoran_ray.reasoning.verifier import Verdict
from zoran_ray.reasoning.verifiers import Exact, UserSupplied

NEEDY: list[Strategy] = [BestOfN(), Reflexion()]


class Throws:
    name = "throws"

    async def __call__(self, answer: str) -> Verdict:
        raise ValueError("secret")


class Hangs:
    name = "hangs"

    async def __call__(self, answer: str) -> Verdict:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.05)  # takes its time to go
            raise
        raise AssertionError


class Nonsense:
    name = "nonsense"

    async def __call__(self, answer: str) -> Verdict:
        return "yes"  # type: ignore[return-value]


class Scores:
    name = "scores"

    async def __call__(self, answer: str) -> Verdict:
        return Verdict(False, "not yet", float(answer))


def test_the_answer_is_what_stands_behind_the_marker_and_the_thought_is_in_the_trace() -> None:
    model = Scripted(lambda prompt, call: "Six times seven.\n**Answer:** 42\n")

    async def asked() -> None:
        ask = asking(model)
        answer = await ChainOfThought().answer(question("6*7?"), ask, Exact("42"))
        assert (answer.text, answer.ended, answer.verified) == ("42", "done", True)
        thought, said, verdict = ask.trace.steps
        assert (thought.text, said.text, verdict.detail["ok"]) == ("Six times seven.", "42", True)
        assert (said.parent, verdict.parent) == (thought.id, said.id)
        assert thought.used == ask.purse.used
        assert model.prompts[0].startswith("user: 6*7?\n\nThink step by step.")

    run(asked())


def test_the_first_answer_that_is_right_ends_the_search_and_the_others_are_cancelled() -> None:
    model = Scripted(lambda prompt, call: f"Answer: {call}", lambda call: 5 + 20 * call)

    async def asked() -> None:
        ask = asking(model)
        answer = await BestOfN(samples=8).answer(question("?"), ask, Exact("2"))
        assert (answer.text, answer.ended, answer.verified) == ("2", "verified", True)
        assert (model.ended, model.cancelled) == (3, 5)
        assert ask.purse.used.calls == 8  # nobody knows what those used that were cancelled

    run(asked())


def test_of_wrong_answers_the_one_with_the_best_score_is_told_as_wrong() -> None:
    model = Scripted(lambda prompt, call: f"Answer: 0.{call}")

    async def asked() -> None:
        answer = await BestOfN(samples=4).answer(question("?"), asking(model), Scores())
        assert (answer.text, answer.ended, answer.verified) == ("0.3", "done", False)

    run(asked())


@pytest.mark.parametrize("strategy", NEEDY, ids=lambda strategy: strategy.name)
def test_nobody_to_judge_is_an_error_before_anything_is_asked(strategy: Strategy) -> None:
    model = Scripted(lambda prompt, call: "Answer: 1")

    async def asked() -> None:
        with pytest.raises(InvalidRequest, match="needs a verifier"):
            await strategy.answer(question("?"), asking(model))
        assert model.prompts == []

    run(asked())


def test_what_the_model_judges_itself_is_labelled() -> None:
    def say(prompt: str, call: int) -> str:
        if "Score:" not in prompt:
            return f"Answer: {call}"
        return "Fine. Score: 9" if "---\n1\n---" in prompt else "Bad.\nScore: 2/10"

    async def asked() -> None:
        ask = asking(Scripted(say))
        answer = await BestOfN(samples=3, judge="model").answer(question("?"), ask)
        assert (answer.text, answer.verified, answer.detail["judged_by"]) == ("1", None, "model")
        verdicts = [step for step in ask.trace.steps if step.kind == "verdict"]
        assert [step.detail["judged_by"] for step in verdicts] == ["model"] * 3
        answer = await Reflexion(judge="model").answer(question("?"), asking(Scripted(say)))
        assert (answer.verified, answer.detail["judged_by"]) == (None, "model")

    run(asked())


@pytest.mark.parametrize("verifier", [Throws(), Hangs(), Nonsense(), UserSupplied(lambda answer: 1)])  # type: ignore[arg-type,return-value]
def test_a_verifier_that_throws_hangs_or_talks_nonsense_has_not_judged(verifier: Throws) -> None:
    async def asked() -> None:
        assert await bounded(verifier, 0.02)("x") is None
        model = Scripted(lambda prompt, call: "Answer: 1")
        for strategy in (ChainOfThought(), SelfConsistency(samples=2), BestOfN(samples=2), Reflexion()):
            ask = asking(model, wall_s=0.1 if isinstance(verifier, Hangs) else 60)
            answer = await strategy.answer(question("?"), ask, verifier)
            assert (answer.text, answer.verified) == ("1", None)
            assert answer.ended in ("done", "unjudged")
            assert all(step.detail["ok"] is None for step in ask.trace.steps if step.kind == "verdict")
        await asyncio.sleep(0.1)

    run(asked())


def test_a_verifier_that_will_not_go_is_left_behind() -> None:
    class Immortal:
        name = "immortal"
        freed = False

        async def __call__(self, answer: str) -> Verdict:
            while not self.freed:
                try:
                    await asyncio.sleep(0.01)
                except asyncio.CancelledError:
                    continue
            return Verdict(True)

    async def asked() -> None:
        verifier = Immortal()
        assert await bounded(verifier, 0.01)("x") is None
        verifier.freed = True
        await asyncio.sleep(0.05)

    run(asked())


def test_reflection_comes_only_after_a_failure_and_the_right_answer_is_never_in_a_prompt() -> None:
    gold = "xyzzy-4711"

    def say(prompt: str, call: int) -> str:
        if "what went wrong" in prompt:
            return "I was careless."
        return f"Answer: {gold}" if "I was careless." in prompt else "Answer: plugh"

    model = Scripted(say)

    async def asked() -> None:
        ask = asking(model)
        answer = await Reflexion().answer(question("The word?"), ask, Exact(gold))
        assert (answer.text, answer.ended, answer.verified) == (gold, "verified", True)
        assert answer.detail["attempts"] == 2
        kinds = [step.kind for step in ask.trace.steps]
        assert kinds == ["answer", "verdict", "reflection", "answer", "verdict"]
        assert not any(gold in prompt for prompt in model.prompts)
        assert gold not in repr(Exact(gold))

    run(asked())


def test_a_right_first_attempt_is_not_reflected_on() -> None:
    model = Scripted(lambda prompt, call: "Answer: 1")

    async def asked() -> None:
        answer = await Reflexion().answer(question("?"), asking(model), Exact("1"))
        assert (answer.detail["attempts"], len(model.prompts)) == (1, 1)

    run(asked())


def test_attempts_end_and_only_the_latest_reflections_are_shown() -> None:
    model = Scripted(lambda prompt, call: f"lesson {call}" if "went wrong" in prompt else "Answer: 0")

    async def asked() -> None:
        strategy = Reflexion(attempts=4, remembered=2)
        answer = await strategy.answer(question("?"), asking(model), Exact("1"))
        assert (answer.ended, answer.verified, answer.detail["attempts"]) == ("attempts", False, 4)
        assert "lesson 1" not in model.prompts[-1]
        assert "lesson 3" in model.prompts[-1]
        assert "lesson 5" in model.prompts[-1]

    run(asked())


def test_a_budget_that_ends_gives_the_last_attempt() -> None:
    model = Scripted(lambda prompt, call: f"Answer: {call}")

    async def asked() -> None:
        answer = await Reflexion().answer(question("?"), asking(model, Budget(calls=2)), Exact("1"))
        assert (answer.text, answer.ended, answer.verified) == ("0", "budget:calls", False)

    run(asked())


def test_parts_of_a_message_are_kept() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    model = Scripted(lambda prompt, call: "Answer: a cat")

    async def asked() -> None:
        ask = asking(model)
        messages = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, image]}]
        await ChainOfThought().answer(messages, ask)
        content = ask.trace.calls[0].messages[-1]["content"]
        assert content[1] == image
        assert content[2]["text"].startswith("Think")
        assert len(messages[0]["content"]) == 2

    run(asked())
