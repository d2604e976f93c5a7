"""A role's mailbox, and one job in it: wants and replies, bounds, and that a stop stops everything."""

import asyncio
import pickle

import pytest

from zoran_ray.agents import desk as desks
from zoran_ray.agents.desk import Desk
from zoran_ray.agents.messages import Find, Heard, Job, Reply, Use, Want
from zoran_ray.errors import (
    DeadlineExceeded,
    InvalidRequest,
    Overloaded,
    Unavailable,
    UpstreamError,
    ZoranError,
)
from zoran_ray.reasoning.budget import BudgetSpent
from zoran_ray.reasoning.completion import Completion, Completions, Sampling, Used
from zoran_ray.reasoning.searching import Found
from zoran_ray.reasoning.strategy import Answer, spent
from zoran_ray.reasoning.verifier import Verdict
from zoran_ray.tools.tool import Observation
from zoran_ray.tools.toolbox import Offer

SAID = Completions((Completion("4"),), Used(1, 5, 0, 1, 10))


class Asks:
    """One call, then the verifier where there is one."""

    name = "asks"

    def __init__(self):
        self.stopped = False

    async def answer(self, messages, ask, verifier=None):
        try:
            said, used = await ask.one(messages, Sampling())
        except BudgetSpent as error:
            return Answer("", spent(error))
        except asyncio.CancelledError:
            self.stopped = True
            raise
        ask.trace.step(self.name, "thought", said.text, used=used)
        verdict = await verifier(said.text) if verifier else None
        return Answer(said.text, verified=None if verdict is None else verdict.ok)


class Breaks:
    name = "breaks"

    async def answer(self, messages, ask, verifier=None):
        raise ZeroDivisionError("a secret prompt")


class Races:
    """Asks twice and drops the slower one."""

    name = "races"

    async def answer(self, messages, ask, verifier=None):
        tasks = [asyncio.create_task(ask.one(messages, Sampling(seed=n))) for n in range(2)]
        done, late = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in late:
            task.cancel()
        await asyncio.wait(late)
        return Answer(done.pop().result()[0].text)


class Uses:
    """Uses the first tool there is, then searches where it may."""

    name = "uses"

    async def answer(self, messages, ask, verifier=None):
        tools = await ask.tools()
        seen = await tools.call(tools.offers[0].name, {"a": 1}, deadline=ask.deadline)
        found = await ask.search("q", limit=3, deadline=ask.deadline) if ask.search else ()
        return Answer(f"{seen.ok} {seen.text} {[each.text for each in found]} {ask.calls_tools}")


def job(number=0, **fields):
    return Job(f"job-{number}", ({"role": "user", "content": "2+2"},), fields.pop("left_s", 30.0), **fields)


def made(role, **bounds):
    async def make(job):
        return role

    return Desk(make, **bounds)


async def news(desk, job_id="job-0"):
    """What happened, waiting for it."""
    heard = await desk.hear(job_id)
    while heard == Heard():
        heard = await desk.hear(job_id)
    return heard


async def test_a_call_goes_out_as_a_want_and_comes_back_as_a_reply():
    desk = made(Asks())
    await desk.begin(job())
    (want,) = (await news(desk)).wants
    assert want.messages[0]["content"] == "2+2"
    desk.reply("job-0", Reply(want.number, SAID))
    heard = await news(desk)
    while not heard.over:
        heard = await news(desk)
    assert heard.answer == Answer("4")
    assert len(desk) == 0


async def test_the_verifier_is_asked_at_the_other_end():
    desk = made(Asks())
    await desk.begin(job(judged=True))
    (want,) = (await news(desk)).wants
    desk.reply("job-0", Reply(want.number, SAID))
    heard = await news(desk)
    (judge,) = heard.wants or (await news(desk)).wants
    assert judge.judge == "4"
    desk.reply("job-0", Reply(judge.number, verdict=Verdict(True)))
    assert (await news(desk)).answer == Answer("4", verified=True)


async def replied(desk, **fields):
    """Replies to the one want there is, and returns it."""
    (want,) = (await news(desk)).wants
    desk.reply("job-0", Reply(want.number, **fields))
    return want


async def test_tools_and_passages_are_had_at_the_other_end():
    desk = made(Uses())
    await desk.begin(job(searches=True, calls_tools=True))
    assert (await replied(desk, offers=(Offer("add", "Adds.", {}),))).opens
    use = (await replied(desk, seen=Observation("4"))).use
    assert (use.name, use.arguments) == ("add", {"a": 1})
    assert 0 < use.left_s <= 30.0
    find = (await replied(desk, found=(Found("here", "a passage"),))).find
    assert (find.query, find.limit) == ("q", 3)
    assert (await news(desk)).answer == Answer("True 4 ['a passage'] True")


async def test_a_tool_that_cannot_be_reached_is_an_observation_and_tools_that_cannot_be_had_an_error():
    desk = made(Uses())
    await desk.begin(job())
    await replied(desk, offers=(Offer("add", "Adds.", {}),))
    await replied(desk, error=UpstreamError("broke off"))
    assert (await news(desk)).answer == Answer("False broke off [] False")
    await desk.begin(job())
    await replied(desk, error=Unavailable("no tools"))
    assert isinstance((await news(desk)).error, Unavailable)


@pytest.mark.parametrize(
    ("reply", "end"),
    [
        ({"spent": "tokens"}, Answer("", "budget:tokens")),
        ({"error": UpstreamError("broke off")}, UpstreamError),
    ],
)
async def test_why_a_call_failed_is_known_to_the_role(reply, end):
    desk = made(Asks())
    await desk.begin(job())
    (want,) = (await news(desk)).wants
    desk.reply("job-0", Reply(want.number, **reply))
    heard = await news(desk)
    assert heard.answer == end if isinstance(end, Answer) else isinstance(heard.error, end)


async def test_a_call_that_is_dropped_is_told():
    desk = made(Races())
    await desk.begin(job())
    wants = list((await news(desk)).wants)
    while len(wants) < 2:
        wants += (await news(desk)).wants
    desk.reply("job-0", Reply(wants[0].number, SAID))
    heard = await news(desk)
    dropped = heard.dropped
    while not heard.over:
        heard = await news(desk)
        dropped += heard.dropped
    assert dropped == (wants[1].number,)


async def test_so_many_run_so_many_wait_and_one_more_is_refused():
    desk = made(Asks(), running=2, waiting=3)
    for number in range(5):
        await desk.begin(job(number))
    with pytest.raises(Overloaded) as caught:
        await desk.begin(job(5))
    assert caught.value.retry_after_s
    assert len((await news(desk, "job-1")).wants) == 1
    assert await desk.hear("job-2", 0.01) == Heard(), "it waits for a place"
    desk.stop("job-0")
    assert len((await news(desk, "job-2")).wants) == 1
    await desk.begin(job(5))
    for number in range(6):
        desk.stop(f"job-{number}")
    assert len(desk) == 0


async def test_a_job_that_is_stopped_stops_its_role_at_once():
    role = Asks()
    desk = made(role)
    await desk.begin(job())
    await news(desk)
    desk.stop("job-0")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert role.stopped
    with pytest.raises(Unavailable):
        await desk.hear("job-0")


async def test_a_job_that_nobody_hears_of_is_stopped(monkeypatch):
    role = Asks()
    desk = made(role)
    await desk.begin(job())
    await news(desk)
    desk.sweep()
    assert len(desk) == 1
    monkeypatch.setattr(desks, "UNHEARD_S", -1.0)
    desk.sweep()
    await asyncio.sleep(0.01)
    assert role.stopped
    assert len(desk) == 0


async def test_time_ends_a_job_also_one_that_waits_for_its_place():
    desk = made(Asks(), running=1)
    await desk.begin(job())
    await desk.begin(job(1, left_s=0.01))
    assert isinstance((await news(desk, "job-1")).error, DeadlineExceeded)
    desk.stop("job-0")


async def test_a_bug_is_told_without_a_word_of_the_prompt(caplog):
    desk = made(Breaks())
    await desk.begin(job())
    error = (await news(desk)).error
    assert type(error) is ZoranError
    assert "secret" not in error.message + caplog.text


async def test_two_jobs_of_one_id_are_refused():
    desk = made(Asks())
    await desk.begin(job())
    with pytest.raises(InvalidRequest):
        await desk.begin(job())
    desk.stop("job-0")


def test_what_is_said_can_be_sent():
    told = (
        job(judged=True),
        Want(1, ({"role": "user"},), Sampling(n=2), use=Use("a", {}, 1.0), find=Find("q", 1, 1.0)),
        Reply(1, SAID, error=UpstreamError("x")),
        Heard(answer=Answer("4", detail={"a": 1})),
    )
    again = pickle.loads(pickle.dumps(told))
    assert again[0] == told[0]
    assert again[3] == told[3]
    assert again[2].error.message == "x"
