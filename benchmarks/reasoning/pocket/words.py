"""How the laboratory's models read and write: bytes, and one id for each sentence that strategies repeat.

What a strategy says in every call (how to think, how tools are used, what logic looks like) would be a
thousand bytes; as a phrase with an id of its own it is one token. The phrases are the strategies' own.
No torch here.
"""

import re
from collections.abc import Iterable, Sequence

from benchmarks.reasoning.tasks.calculator import toolbox
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
    return [part for part in _BLANK.split(template) if re.search(r"\w\s\w", part)]


PHRASES: tuple[str, ...] = (
    "\n\n" + INSTRUCTION.replace("{marker}", MARKER),
    "\n\n" + EXTRACT,
    "\n\n" + introduction(toolbox().offers),
    "\n\n" + LAST_WORD,
    *_parts(DERIVED),
    *_parts(reflexion._REFLECT),
    *_parts(reflexion._REMEMBER),
    '\nAction: calculator\nAction Input: {"expression": "',
    "\nFinal Answer: ",
    '{"propositions": {"A": "',
    '"}, "rules": [{"if": ["',
    '"], "then": ["',
    '"]}, {"if": ["',
    '"]}], "facts": ["',
    "\n- It is not the case that ",
)
"""In the order of their ids. The last ones are what models write: the frames of actions and of JSON."""

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

# Longest first: of phrases that begin at one place the tokenizer takes the longest.
_PHRASE = re.compile("|".join(re.escape(text) for text in sorted(PHRASES, key=len, reverse=True)))
_ID = {text: VOCABULARY_SIZE + place for place, text in enumerate(PHRASES)}


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
