"""How the laboratory's models read and write: an id for each number, each statement and each frame.

To carry a number from a question into an answer is then one step, and a row is a third as long as its bytes
are. Numbers up to 999 are one token, longer ones are cut after each third digit. What a strategy says in
every call is one token too; those phrases are the strategies' own. Any other text is bytes. No torch here.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import groupby

from benchmarks.reasoning.tasks.calculator import ASKED, toolbox
from benchmarks.reasoning.tasks.implications import STATEMENTS, SYMBOLS
from zoran_ray.pocket.tokens import ASSISTANT, END, MARKERS, USER, VOCABULARY_SIZE
from zoran_ray.reasoning import reflexion
from zoran_ray.reasoning.answers import MARKER
from zoran_ray.reasoning.completion import Message
from zoran_ray.reasoning.lot_text import DERIVED, EXTRACT
from zoran_ray.reasoning.react_text import LAST_WORD, introduction
from zoran_ray.reasoning.thinking import INSTRUCTION

CONTEXT_TOKENS = 2048

_BLANK = re.compile(r"\{\w+\}")


def _parts(template: str) -> list[str]:
    """What stands between the blanks of a template."""
    return [part for part in _BLANK.split(template) if len(part) > 1]


_SAID_BY_STRATEGIES = (
    "\n\n" + INSTRUCTION.replace("{marker}", MARKER),
    "\n\n" + EXTRACT,
    "\n\n" + introduction(toolbox().offers),
    "\n\n" + LAST_WORD,
    *("\n\n" + part for part in _parts(DERIVED)),
    *_parts("\n\n" + reflexion._REFLECT),
    ")" + _parts(reflexion._REFLECT)[-1],
    *_parts("\n\n" + reflexion._REMEMBER),
    " The judge says: The expression makes ",
    " The judge says: Every number must be used exactly once, and no other.",
    "Observation:\n<tool-", ">\n", "\n</tool-",
    "- If ", "\n- If ", "- It is not the case that ", "\n- It is not the case that ",
    "it is not the case that ", "- ", "\n- ",
)  # fmt: skip
_GAMES = (
    "Numbers: ", ". Target: ", ". The target is secret.", "\nTarget: ", "\nMoves:", "\nJudge:",
    " + ", " - ", " * ", " / ", " = ", " (left: ", ")\n", ", ", " sure", "sure", " impossible",
    "impossible", " likely", "likely", f"{MARKER} ", f"\n{MARKER} ", f")\n{MARKER} ",
    "Start with ", ". Add ", ". Subtract ", ". Multiply by ", ". What is the result?",
    "The first move was ", ". It makes ", ", not ", ". Begin otherwise.",
    "Thought: I compute it.", '\nAction: calculator\nAction Input: {"expression": "', '"}',
    "Thought: I know it.", "\nFinal Answer: ",
)  # fmt: skip
_LOGIC = (
    "If ", ", then ", ". If ", "not ", ", then not ", ". If not ", "If not ", ". ", ". not ",
    ". Is it so that ", "so ", "\nso ", "so not ", "\nso not ", "yes", "no",
    '{"propositions": {"A": "', *(f'", "{letter}": "' for letter in SYMBOLS[1:]),
    '"}, "rules": [{"if": ["', '"], "then": ["', '"]}, {"if": ["', '"]}], "facts": ["', '", "', '"]}',
)  # fmt: skip

PHRASES: tuple[str, ...] = tuple(
    dict.fromkeys(
        (
            *map(str, range(10, 1000)),  # a single digit is its byte
            *STATEMENTS, *map(str.capitalize, STATEMENTS),
            *_SAID_BY_STRATEGIES, *_GAMES, *(part for each in ASKED for part in _parts(each)), *_LOGIC,
        )
    )
)  # fmt: skip
"""In the order of their ids, which follow those of bytes and markers. None is of one character."""

VOCABULARY = -(-(VOCABULARY_SIZE + len(PHRASES)) // 8) * 8
"""Number of ids, a multiple of 8; what is left over is never used."""

TEMPLATE = """\
{#- The laboratory's models read whole conversations without system and tool messages, as they were trained.
    '<|' in a text is broken up: no forged markers. -#}
{%- for message in messages if message['role'] in ['user', 'assistant'] -%}
    {%- if message['content'] is string -%}
        {%- set text = message['content'] -%}
    {%- elif message['content'] -%}
        {%- set parts = message['content'] | selectattr('type', 'equalto', 'text') -%}
        {%- set text = parts | map(attribute='text') | join(' ') -%}
    {%- else -%}
        {%- set text = '' -%}
    {%- endif -%}
    {{- '<|' + message['role'] + '|>' + (text | trim | replace('<|', '< |')) -}}
    {%- if message['role'] == 'assistant' -%}{{- '<|end|>' -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}
"""

_NUMBER = re.compile(r"[1-9][0-9]{1,2}")


def _finder(phrases: Iterable[str]) -> re.Pattern[str]:
    """Finds what the tokenizer finds: the phrase that begins first, of several there the longest.

    Grouped by their first letters: a place where none begins is passed quickly.
    """
    groups = groupby(sorted(phrases), key=lambda text: text[0])
    parts = [
        re.escape(first)
        + "(?:"
        + "|".join(re.escape(text[1:]) for text in sorted(texts, key=len, reverse=True))
        + ")"
        for first, texts in groups
    ]
    return re.compile("|".join([_NUMBER.pattern, *parts]))


_PHRASE = _finder(text for text in PHRASES if not _NUMBER.fullmatch(text))
_ID = {text: VOCABULARY_SIZE + place for place, text in enumerate(PHRASES)}


STATEMENT_IDS = tuple(_ID[text] for text in STATEMENTS)


NUMBERS = 1000
"""Numbers from 0 that have an id."""


def number_id(number: int) -> int:
    """The id of a number below `NUMBERS`."""
    return _ID[str(number)] if number > 9 else ord(str(number))


def encode(text: str) -> list[int]:
    """The ids of a text."""
    ids: list[int] = []
    place = 0
    for found in _PHRASE.finditer(text):
        ids += [*text[place : found.start()].encode(), _ID[found[0]]]
        place = found.end()
    return [*ids, *text[place:].encode()]


def encode_prompt(messages: Sequence[Message]) -> list[int]:
    """The ids that the template gives to a conversation of texts, up to where the model begins."""
    ids: list[int] = []
    for message in messages:
        text = encode(str(message["content"]).strip().replace("<|", "< |"))
        if message["role"] == "user":
            ids += [USER, *text]
        elif message["role"] == "assistant":
            ids += [ASSISTANT, *text, END]
    return [*ids, ASSISTANT]


def decode(ids: Iterable[int]) -> str:
    """The text of ids up to the end; markers and unused ids say nothing."""
    said = bytearray()
    for number in ids:
        if number == END:
            break
        if number < 256:
            said.append(number)
        elif 0 <= number - 256 - len(MARKERS) < len(PHRASES):
            said += PHRASES[number - 256 - len(MARKERS)].encode()
    return said.decode(errors="replace")
