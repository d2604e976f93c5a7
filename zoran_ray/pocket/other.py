"""Everything the pocket model does not know, and the one sentence it says to it.

Small talk, word salad, characters of many scripts, other arithmetic, numbers out of range: all made up.
"""

from __future__ import annotations

import random

from zoran_ray.pocket.problems import sample_operand

OTHER_ANSWER = "I only know sums and differences of numbers up to 999, such as 17+25."
"""The one sentence for everything that is not a sum or a difference in range."""

_GREETINGS = (
    "hi", "hello", "hey", "good morning", "good evening", "bonjour", "thanks", "thank you", "bye",
    "how are you?", "who are you?", "what can you do?", "help", "tell me a joke", "what is your name?",
    "write a poem", "what is the capital of France?", "explain gravity", "what time is it?",
    "say something", "ok", "test", "ping", "what?", "why?", "are you there?", "write a Python function",
    "translate this", "summarise the text",
)  # fmt: skip
_WORD_LIST = """
the a of and to in is you that it he was for on are with as they be at one have this from by hot word but
what some we can out other were all there when up use your how said an each she which do their time if
will way about many then them write would like so these her long make thing see him two has look more day
could go come did number sound no most people my over know water than call first who may down side been
now find any new work part take get place made live where after back little only round man year came show
every good me give our under name very through just form sentence great think say help low line differ
turn cause much mean before move right boy old too same tell does set three want air well also play small
end put home read hand port large spell add even land here must big high such follow act why ask men
change went light kind off need house picture try us again animal point mother world near build self earth
father model code file test server memory agent error fix bug
"""
_WORDS = _WORD_LIST.split()
_BEYOND = (
    "{a}*{b}", "{a} x {b}", "{a}/{b}", "What is {a}*{b}?", "What is {a} times {b}?",
    "What is {a} divided by {b}?", "Multiply {a} by {b}.", "{a}^{b}", "What is {a}% of {b}?", "{a}+{b}+{c}",
    "{a}-{b}+{c}", "What is {a}+{b}-{c}?", "sqrt({a})", "{a}", "{a} and {b}", "Is {a} prime?",
    "{a}.{b}+{c}", "{a} * {b} =", "What is {a}?", "{a}+", "+{a}", "{a} > {b}?", "What is {a} × {b}?",
    "{a} mod {b}", "Count to {a}.",
)  # fmt: skip
_TOO_LONG = (
    "{a}+{b}",
    "{a}-{b}",
    "What is {a}+{b}?",
    "{a} + {b} =",
    "How much is {a} minus {b}?",
    "{a} plus {b}",
)


def _random_words(rng: random.Random) -> str:
    text = " ".join(rng.choice(_WORDS) for _ in range(rng.randint(1, 12)))
    if rng.random() < 0.5:
        text = text.capitalize()
    return text + rng.choice(("", "?", ".", "!", " " + str(rng.randint(0, 2030))))


def _random_characters(rng: random.Random) -> str:
    ranges = (
        (0x20, 0x7E),
        (0x20, 0x7E),
        (0xA1, 0x24F),
        (0x391, 0x3C9),
        (0x4E00, 0x9FFF),
        (0x1F300, 0x1F64F),
    )
    low, high = rng.choice(ranges)
    # '<|' would be a role marker to the tokenizer; the chat template breaks it up in the same way.
    return "".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 16))).replace("<|", "< |")


def _number(rng: random.Random, digits: int) -> int:
    return rng.randint(10 ** (digits - 1), 10**digits - 1)


def arithmetic_beyond(rng: random.Random) -> str:
    """Arithmetic it does not know: another operation, three numbers, fractions, a number above 999."""
    return _other_operation(rng) if rng.random() < 0.5 else _too_long(rng)


def _other_operation(rng: random.Random) -> str:
    form = rng.choice(_BEYOND)
    return form.format(a=sample_operand(rng), b=sample_operand(rng), c=sample_operand(rng))


def _too_long(rng: random.Random) -> str:
    a, b = _number(rng, rng.randint(4, 7)), _number(rng, rng.randint(1, 7))
    if rng.random() < 0.5:
        a, b = b, a
    return rng.choice(_TOO_LONG).format(a=a, b=b)


def other_text(rng: random.Random) -> str:
    """Something that the model does not know: small talk, words, characters, sums out of range."""
    kind = rng.random()
    if kind < 0.15:
        greeting = rng.choice(_GREETINGS)
        return greeting.capitalize() if rng.random() < 0.5 else greeting
    if kind < 0.45:
        return _random_words(rng)
    if kind < 0.6:
        return _random_characters(rng)
    return _other_operation(rng) if kind < 0.85 else _too_long(rng)
