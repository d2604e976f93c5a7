from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reasoning_scripted import Scripted, asking, question, run

from zoran_ray.errors import UpstreamError
from zoran_ray.reasoning.budget import Budget
from zoran_ray.reasoning.self_consistency import SelfConsistency, decided, winner
from zoran_ray.reasoning.verifiers import Exact

votes = st.lists(st.sampled_from(["1", "2", "3", "four"]), min_size=1, max_size=12)


@given(votes, st.integers(1, 12), st.randoms(use_true_random=False))
def test_the_answer_is_that_of_a_full_vote_whatever_the_order_of_arrival(
    said: list[str], at_once: int, random: Random
) -> None:
    ranks = random.sample(range(len(said)), len(said))
    model = Scripted(lambda prompt, call: f"Because.\nAnswer: {said[call]}", lambda call: 20 * ranks[call])
    strategy = SelfConsistency(samples=len(said), at_once=at_once)

    async def asked() -> None:
        answer = await strategy.answer(question("?"), asking(model))
        assert answer.text == winner(Counter(said))
        assert answer.ended in ("majority", "done")
        assert model.ended + model.cancelled == len(model.prompts) <= len(said)

    run(asked())


@given(st.dictionaries(st.sampled_from("abcde"), st.integers(1, 6)), st.integers(0, 8), st.data())
def test_decided_means_that_no_votes_to_come_can_change_it(
    counts: dict[str, int], left: int, data: st.DataObject
) -> None:
    if not decided(counts, left):
        return
    more = data.draw(st.lists(st.sampled_from("abcdefg"), min_size=left, max_size=left))
    assert winner(Counter(counts) + Counter(more)) == winner(counts)


def test_it_ends_as_soon_as_the_vote_is_decided_and_nothing_is_asked_afterwards() -> None:
    model = Scripted(lambda prompt, call: "Answer: 7", lambda call: 10 * call)

    async def asked() -> None:
        ask = asking(model)
        answer = await SelfConsistency(samples=10, at_once=4).answer(question("?"), ask)
        assert (answer.text, answer.ended) == ("7", "majority")
        assert answer.detail["votes"] == {"7": 6}
        assert len(model.prompts) <= 6 + 3
        assert ask.purse.used.calls == len(model.prompts)

    run(asked())


def test_answers_are_equal_as_numbers() -> None:
    said = ["$1,000", "1000.00", "999", "1e3"]
    model = Scripted(lambda prompt, call: f"Answer: {said[call]}")

    async def asked() -> None:
        answer = await SelfConsistency(samples=4).answer(question("?"), asking(model))
        assert answer.detail["votes"] == {"1000": 3, "999": 1} or answer.ended == "majority"
        assert answer.text == "$1,000"

    run(asked())


@pytest.mark.parametrize(
    ("budget", "reason"),
    [(Budget(calls=3), "calls"), (Budget(tokens=90), "tokens"), (Budget(nano_usd=280), "usd")],
)
def test_a_spent_budget_gives_the_leader_so_far_with_the_reason(budget: Budget, reason: str) -> None:
    model = Scripted(lambda prompt, call: f"Answer: {call}")

    async def asked() -> None:
        ask = asking(model, budget)
        answer = await SelfConsistency(samples=8, max_tokens=20).answer(question("?"), ask)
        assert answer.ended == f"budget:{reason}"
        assert answer.text in {str(call) for call in range(8)}
        assert 0 < answer.detail["samples"] < 8

    run(asked())


def test_a_budget_too_small_for_one_call_gives_no_answer_and_says_so() -> None:
    model = Scripted(lambda prompt, call: "Answer: 1")

    async def asked() -> None:
        answer = await SelfConsistency().answer(question("?"), asking(model, Budget(tokens=5)))
        assert (answer.text, answer.ended, model.prompts) == ("", "budget:tokens", [])

    run(asked())


def test_samples_that_fail_do_not_vote_and_a_model_that_only_fails_is_an_error() -> None:
    def fail(prompt: str, call: int) -> str:
        if call != 3:
            raise UpstreamError("broke off")
        return "Answer: 5"

    async def asked() -> None:
        answer = await SelfConsistency(samples=5).answer(question("?"), asking(Scripted(fail)))
        assert (answer.text, answer.ended) == ("5", "error:upstream_error")
        with pytest.raises(UpstreamError):
            await SelfConsistency(samples=3).answer(question("?"), asking(Scripted(fail)))

    run(asked())


def test_an_answer_that_was_cut_off_does_not_vote_and_a_verifier_judges_the_winner() -> None:
    said = ["well, well", "Answer: 5", "Answer: 5"]
    model = Scripted(lambda prompt, call: said[call])

    async def asked() -> None:
        ask = asking(model)
        answer = await SelfConsistency(samples=3).answer(question("?"), ask, Exact("5"))
        assert (answer.text, answer.verified) == ("5", True)
        assert [step.kind for step in ask.trace.steps].count("verdict") == 1

    run(asked())


def test_each_sample_has_a_seed_of_its_own() -> None:
    model = Scripted(lambda prompt, call: f"Answer: {call}")

    async def asked() -> None:
        await SelfConsistency(samples=3, seed=7).answer(question("?"), asking(model))
        assert [sampling.seed for sampling in model.samplings] == [7, 8, 9]

    run(asked())
