"""Merges Prometheus text expositions into one, adding labels. Pure text in, text out.

Any gateway's `/metrics` can so show the whole deployment. Every part is all or nothing: one that is silent
or does not parse adds no sample, and `zoran_exposition_part_up` says 0 for its labels.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4)
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from zoran_ray.telemetry import names

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*\s*=\s*"(?:[^"\\]|\\.)*+"'
# Possessive quantifiers, so that a hostile line cannot make matching quadratic.
_SAMPLE = re.compile(
    rf"({_NAME})(?:\s*+\{{\s*+((?:{_LABEL}\s*+(?:,\s*+|(?=\}})))*+)\}}\s*+|\s++)([0-9A-Za-z.+-]+)(\s+-?\d+)?",
    re.ASCII,
)
_PAIR = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)(\s*=\s*"(?:[^"\\]|\\.)*")')
_META = re.compile(rf"#\s*(HELP|TYPE)\s+({_NAME})(?:\s+(.*))?", re.ASCII)
_TYPES = ("counter", "gauge", "histogram", "summary", "untyped")
_HISTOGRAM_SUFFIXES = ("_bucket", "_sum", "_count")

_Sample = tuple[str, str, str]
"""Name, series (name and labels), value with its timestamp if it has one."""


@dataclass(slots=True)
class _Family:
    """HELP, TYPE and samples of one metric. The first part that names one decides."""

    help: str | None = None
    type: str | None = None
    samples: dict[str, str] = field(default_factory=dict)

    def render(self, name: str) -> Iterator[str]:
        if self.help is not None:
            yield f"# HELP {name} {self.help}"
        if self.type is not None:
            yield f"# TYPE {name} {self.type}"
        yield from (f"{series} {value}" for series, value in self.samples.items())


class _Labels:
    """Labels to add, rendered once."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._text = ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items())
        self._names = frozenset(labels)

    def put_into(self, name: str, own: str) -> str:
        """The series `name{own}` with our labels."""
        if any(name in own for name in self._names):
            own = self._set_aside(own)
        pairs = f"{own},{self._text}" if own and self._text else own or self._text
        return f"{name}{{{pairs}}}" if pairs else name

    def _set_aside(self, own: str) -> str:
        taken = self._names | {pair[1] for pair in _PAIR.finditer(own)}

        def renamed(pair: re.Match[str]) -> str:
            name = pair[1]
            while pair[1] in self._names and name in taken:
                name = f"exported_{name}"
            return name + pair[2]

        return _PAIR.sub(renamed, own)


def merge(parts: Iterable[tuple[Mapping[str, str], str | None]]) -> str:
    """One exposition out of many.

    A label a sample already has under a name we add is kept as `exported_<name>`. A series that
    appears twice is kept once, the first time: Prometheus refuses a scrape that repeats one.

    Args:
        parts: Labels to add to every sample, and the text of the exposition; None of what was silent.

    Returns:
        Text format 0.0.4: one HELP and TYPE a family, its samples together, and one
        `zoran_exposition_part_up` a part.
    """
    families: dict[str, _Family] = {}
    up = _Family(help="Whether this part of the exposition could be read.", type="gauge")
    for labels, text in parts:
        added = _Labels(labels)
        try:
            metas, samples = _parse(text, added)
        except ValueError:
            metas, samples, value = [], [], "0"
        else:
            value = "1"
        up.samples.setdefault(added.put_into(names.PART_UP, ""), value)
        _absorb(families, metas, samples)
    families[names.PART_UP] = up
    lines = [line for name, family in families.items() if family.samples for line in family.render(name)]
    return "\n".join(lines) + "\n"


def _parse(text: str | None, added: _Labels) -> tuple[list[tuple[str, str, str]], list[_Sample]]:
    """Metas as `(HELP or TYPE, family, text)`, and samples with our labels.

    Raises:
        ValueError: If any line is neither a comment nor a sample, or there is no text.
    """
    if text is None:
        raise ValueError("silent")
    metas: list[tuple[str, str, str]] = []
    samples: list[_Sample] = []
    for raw in text.split("\n"):
        line = raw.strip()
        if line.startswith("#"):
            if meta := _META.fullmatch(line):
                metas.append(_meta(meta[1], meta[2], meta[3] or ""))
        elif line:
            samples.append(_sample(line, added))
    return metas, samples


def _meta(what: str, name: str, text: str) -> tuple[str, str, str]:
    if what == "TYPE" and text not in _TYPES:
        raise ValueError("not a type")
    return what, name, text


def _sample(line: str, added: _Labels) -> _Sample:
    match = _SAMPLE.fullmatch(line)
    if match is None:
        raise ValueError("not a sample")
    name, pairs, value, timestamp = match.groups()
    float(value)
    own = (pairs or "").rstrip(", \t")
    return name, added.put_into(name, own), value + (timestamp or "")


def _absorb(
    families: dict[str, _Family], metas: list[tuple[str, str, str]], samples: list[_Sample]
) -> None:
    for what, name, text in metas:
        family = families.setdefault(name, _Family())
        if what == "HELP" and family.help is None:
            family.help = text
        elif what == "TYPE" and family.type is None:
            family.type = text
    for name, series, value in samples:
        owner = _family_of(name, families)
        family = families.get(owner) or families.setdefault(owner, _Family())
        family.samples.setdefault(series, value)


def _family_of(name: str, families: Mapping[str, _Family]) -> str:
    """Histograms and summaries keep several sample names under one family."""
    if name in families:
        return name
    for suffix in _HISTOGRAM_SUFFIXES:
        base = name.removesuffix(suffix)
        if base != name and base in families and families[base].type in ("histogram", "summary"):
            return base
    return name


def escaped(value: str) -> str:
    """A label's value as the text format wants it."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
