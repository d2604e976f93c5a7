"""One YAML document read safely, with the line of every value. Knows YAML, not our fields.

Nothing is constructed but plain values: the node graph is walked by hand, so that tags cannot name Python
objects, a key given twice is an error, aliases cannot multiply into a bomb, and every value keeps its line.

Source: plain scalars mean what the core schema of YAML 1.2.2, section 10.3.2, says (`off` and `no` are
text); `.inf` and `.nan` stay text because no field takes them.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from zoran_ray.errors import ConfigError

MAX_BYTES = 256 * 1024
MAX_VALUES = 20_000
"""Values in one document, aliases counted each time they are used."""
MAX_DEPTH = 40

Key = str | int
Location = tuple[Key, ...]

_TAG = "tag:yaml.org,2002:"


class CoreLoader(yaml.SafeLoader):
    """Composes nodes by the YAML 1.2 core schema; never used to construct values."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own class attribute


for _name, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", list("-+0123456789")),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", list("-+.0123456789")),
):
    CoreLoader.add_implicit_resolver(_TAG + _name, re.compile(_pattern), _first)


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says.

    Attributes:
        name: The file as an error message should call it.
        data: Plain values: dict, list, str, int, float, bool, None.
        lines: Line, from 1, of the value at each path.
    """

    name: str
    data: Any
    lines: Mapping[Location, int] = field(default_factory=dict)

    def place(self, path: Location) -> str:
        """`file:line` of the value at `path`, or of the nearest value around it."""
        while path not in self.lines and path:
            path = path[:-1]
        return f"{self.name}:{self.lines.get(path, 1)}"


def read_document(path: Path) -> Document:
    """Read one YAML file.

    Raises:
        ConfigError: It cannot be read, is too large, or is not the YAML we accept; says where.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read: {error.strerror}. Check the path and its permissions."
        ) from None
    return parse_bytes(raw, str(path))


def parse_bytes(raw: bytes, name: str) -> Document:
    """Parse YAML as a file holds it; `name` is what error messages call it.

    Raises:
        ConfigError: It is too large, or not the YAML we accept; says where.
    """
    if len(raw) > MAX_BYTES:
        raise ConfigError(
            f"{name}: larger than {MAX_BYTES // 1024} KiB; is this really a configuration file?"
        )
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(f"{name}:{line}: not UTF-8 text; save the file as UTF-8.") from None
    return parse_document(text, name)


def parse_document(text: str, name: str) -> Document:
    """Parse YAML text; `name` is what error messages call it. An empty document is an empty mapping.

    Raises:
        ConfigError: It is not the YAML we accept; says where.
    """
    try:
        root = yaml.compose(text, Loader=CoreLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ConfigError(f"{name}:{line}: not valid YAML: {error.problem}.") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: not valid YAML: {str(error).splitlines()[0]}.") from None
    except RecursionError:
        raise ConfigError(f"{name}: nested too deeply; at most {MAX_DEPTH} levels.") from None
    if root is None:
        return Document(name, {})
    walk = _Walk(name)
    return Document(name, walk.value(root, ()), walk.lines)


def scalar(text: str) -> Any:
    """The value of `text` as one plain YAML scalar, as flags and variables write values."""
    resolve: Callable[..., str] = CoreLoader("").resolve
    try:
        return _constructed(resolve(yaml.ScalarNode, text, (True, False)), text)
    except ValueError:
        return text


class _Walk:
    """Turns nodes into plain values and notes their lines."""

    def __init__(self, name: str) -> None:
        self.lines: dict[Location, int] = {}
        self._name = name

    def value(self, node: yaml.Node, path: Location) -> Any:
        line = node.start_mark.line + 1
        self.lines[path] = line
        if len(self.lines) > MAX_VALUES:
            raise ConfigError(f"{self._name}:{line}: more than {MAX_VALUES} values, aliases included.")
        if len(path) > MAX_DEPTH:
            raise ConfigError(f"{self._name}:{line}: nested too deeply; at most {MAX_DEPTH} levels.")
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: Location) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigError(f"{self._name}:{line}: a key must be a word, not a list or a mapping.")
            key = str(key_node.value)
            if key in found:
                first = self.lines[(*path, key)]
                raise ConfigError(
                    f"{self._name}:{line}: '{key}' is here twice (first in line {first}); keep one."
                )
            found[key] = self.value(value_node, (*path, key))
            self.lines[(*path, key)] = line
        return found

    def _scalar(self, node: yaml.Node) -> Any:
        line = node.start_mark.line + 1
        if not isinstance(node, yaml.ScalarNode) or node.tag not in _PLAIN_TAGS:
            raise ConfigError(
                f"{self._name}:{line}: the tag {node.tag!r} is not allowed here; write plain values."
            )
        try:
            return _constructed(node.tag, node.value)
        except ValueError:
            raise ConfigError(
                f"{self._name}:{line}: not a value of type {node.tag[len(_TAG) :]}."
            ) from None


_PLAIN_TAGS = frozenset(_TAG + name for name in ("null", "bool", "int", "float", "str"))


def _constructed(tag: str, text: str) -> Any:
    """The Python value of a scalar whose tag is known."""
    match tag.removeprefix(_TAG):
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            return (
                int(text, 16)
                if text.startswith("0x")
                else int(text[2:], 8)
                if text.startswith("0o")
                else int(text)
            )
        case "float":
            return _finite(text)
        case _:
            return text


def _finite(text: str) -> float:
    """`text` as a number; 1e999 is none."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value
