"""A tiny strategy, and replicas that answer what it asks."""

import asyncio
import json

from serve_apps.gateway.strategies import Strategies
from zoran_ray.errors import InvalidRequest
from zoran_ray.reasoning.budget import BudgetSpent
from zoran_ray.reasoning.completion import Sampling
from zoran_ray.reasoning.strategy import Answer, spent
from zoran_ray.reasoning.verifier import Verdict

PROMPT = "What is 2+2?"


class Fork:
    """One thought, then branches from it at the same time; the answer is what the first branch says."""

    name = "fork"

    def __init__(self, width=3, max_tokens=8):
        self.width, self.sampling = width, Sampling(temperature=0.5, max_tokens=max_tokens, stop=("#",))

    async def answer(self, messages, ask, verifier=None):
        try:
            root, used = await ask.one(messages, self.sampling)
        except BudgetSpent as error:
            return Answer("", spent(error))
        first = ask.trace.step(self.name, "thought", root.text, used=used)
        try:
            said = await asyncio.gather(
                *(self._branch(messages, ask, first, place) for place in range(self.width))
            )
        except BudgetSpent as error:
            return Answer(root.text, spent(error))
        verdict = await verifier(said[0]) if verifier else None
        return Answer(
            said[0], "done", None if verdict is None else verdict.ok, {"votes": dict.fromkeys(said, 1)}
        )

    async def _branch(self, messages, ask, parent, place):
        asked = [*messages, {"role": "user", "content": f"branch {place}"}]
        said, used = await ask.one(asked, self.sampling)
        ask.trace.step(self.name, "answer", said.text, parent=parent, used=used, place=place)
        return said.text


class Broken:
    """Raises what no strategy may."""

    name = "broken"

    async def answer(self, messages, ask, verifier=None):
        raise ZeroDivisionError(PROMPT)


class Many:
    """One call for several answers."""

    name = "many"

    async def answer(self, messages, ask, verifier=None):
        said = await ask(messages, Sampling(n=3, max_tokens=8))
        for choice in said.choices:
            ask.trace.step(self.name, "thought", choice.text)
        return Answer(" ".join(choice.text for choice in said.choices))


class Stubborn:
    """Does not end when it is told to, and asks again and again."""

    name = "stubborn"

    async def answer(self, messages, ask, verifier=None):
        while True:
            try:
                await ask.one(messages, Sampling())
                return Answer("4")
            except asyncio.CancelledError:
                continue


class Is:
    """Whether an answer is this text."""

    name = "is"

    def __init__(self, text):
        self.text = text

    async def __call__(self, answer):
        return Verdict(answer == self.text)


def make(name, parameters):
    kinds = {"fork": Fork, "broken": Broken, "many": Many, "stubborn": Stubborn}
    for field in parameters:
        if field not in ("width", "max_tokens"):
            raise InvalidRequest(f"'{field}' is no parameter of {name}.", param=field)
    return kinds[name](**parameters)


def judge(wanted):
    fields = dict(wanted)
    if fields.pop("kind", None) != "is":
        raise InvalidRequest("No such verifier.", param="kind")
    return Is(**fields)


STRATEGIES = Strategies(
    {"fork": "Three branches.", "broken": "Fails.", "many": "Three answers.", "stubborn": "Stays."},
    make,
    judge,
)


def answer(*texts, prompt=20, cached=0, made=2):
    """A chat completion with one choice for each text."""
    choices = [
        {"index": place, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for place, text in enumerate(texts)
    ]
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": made,
        "total_tokens": prompt + made,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    head = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    return {**head, "choices": choices, "usage": usage}


def in_pieces(document, size=3):
    """A whole chat completion as the events of its stream, as OpenAI and vLLM cut calls of tools."""
    head = {name: document[name] for name in ("id", "created", "model")} | {
        "object": "chat.completion.chunk"
    }
    (choice,) = document["choices"]
    message = choice["message"]

    def event(delta, reason=None, usage=None):
        told = [{"index": 0, "delta": delta, "finish_reason": reason}] if usage is None else []
        return b"data: " + json.dumps({**head, "choices": told, "usage": usage}).encode() + b"\n\n"

    yield event({"role": "assistant", "content": ""})
    for text in _cut(message.get("content") or "", size):
        yield event({"content": text})
    for place, call in enumerate(message.get("tool_calls") or ()):
        function = call["function"]
        yield event({"tool_calls": [{**call, "index": place, "function": {**function, "arguments": ""}}]})
        for text in _cut(function["arguments"], size):
            yield event({"tool_calls": [{"index": place, "function": {"arguments": text}}]})
    yield event({}, choice["finish_reason"])
    yield event({}, usage=document["usage"])
    yield b"data: [DONE]\n\n"


def _cut(text, size):
    return [text[start : start + size] for start in range(0, len(text), size)]


def last_said(request):
    return request.json["messages"][-1]["content"]


def thinks(replica, say=None, waits=None, cached=12):
    """Answers with what `say(last message)` says; branches wait for `waits` where there is one."""

    async def step(reader, writer):
        request = replica.requests[-1]
        said = last_said(request)
        branch = isinstance(said, str) and said.startswith("branch")
        if waits is not None and branch:
            await waits.wait()
        text = say(said) if say else (f"leaf {said[-1]}" if branch else "root")
        n = request.json.get("n", 1)
        document = answer(*[text] * n, cached=cached if branch else 0, made=2 * n)
        return await replica.whole(document)(reader, writer)

    return step


def holds_branches(replica):
    """Answers the first call; the others hang until the gateway hangs up. Returns: Step, open branches."""
    state = {"open": 0, "cut": 0}

    async def step(reader, writer):
        if not last_said(replica.requests[-1]).startswith("branch"):
            return await replica.whole(answer("root"))(reader, writer)
        state["open"] += 1
        await reader.read(1)
        state["cut"] += 1
        return False

    return step, state


def events_of(body):
    """The documents of an event stream; `[DONE]` is left out."""
    found = []
    for event in body.decode().split("\n\n"):
        data = "".join(line[5:] for line in event.split("\n") if line.startswith("data:")).strip()
        if data and data != "[DONE]":
            found.append(json.loads(data))
    return found
