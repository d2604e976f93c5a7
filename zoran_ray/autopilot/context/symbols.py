"""What a file defines: classes, functions, types, by tree-sitter. Knows texts, no repository.

Python's own `ast` is not asked: it warns that a text made for it can end the process, and here every text
is somebody else's. Tree-sitter reads past errors too. Where it is not installed nothing is found, and files
are known by their names alone.

Source: https://tree-sitter.github.io; node types are those of each grammar's `node-types.json`.
"""

import importlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

MOST_BYTES = 256 * 1024
"""Of a file that is read for symbols; a larger one was written by a machine."""
LONGEST_S = 0.5
"""For one file, in seconds. Files take milliseconds; some that are none take longer than anyone waits."""
MOST_SYMBOLS = 400
"""Of one file."""
MOST_HEAD_CHARS = 120
_MOST_DEPTH = 8
_MOST_NODES = 50_000
_CHUNK_BYTES = 64 * 1024

_GRAMMARS = {
    "py": ("tree_sitter_python", "language"),
    "pyi": ("tree_sitter_python", "language"),
    "js": ("tree_sitter_javascript", "language"),
    "jsx": ("tree_sitter_javascript", "language"),
    "mjs": ("tree_sitter_javascript", "language"),
    "ts": ("tree_sitter_typescript", "language_typescript"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "go": ("tree_sitter_go", "language"),
    "rs": ("tree_sitter_rust", "language"),
    "java": ("tree_sitter_java", "language"),
    "c": ("tree_sitter_c", "language"),
    "h": ("tree_sitter_cpp", "language"),  # reads C too
    "cpp": ("tree_sitter_cpp", "language"),
    "cc": ("tree_sitter_cpp", "language"),
    "hpp": ("tree_sitter_cpp", "language"),
}
"""Module and function of the grammar, by the end of a file's name."""

_DEFINITIONS = frozenset({
    *("class_definition", "function_definition"),  # Python; C and C++ have the second too
    *("class_declaration", "abstract_class_declaration", "function_declaration", "method_definition"),
    *("generator_function_declaration", "interface_declaration", "type_alias_declaration"),
    *("enum_declaration", "record_declaration", "method_declaration", "constructor_declaration"),
    *("type_spec", "function_item", "struct_item", "enum_item", "trait_item", "mod_item", "impl_item"),
    *("class_specifier", "struct_specifier", "enum_specifier", "namespace_definition"),
})  # fmt: skip
_FUNCTIONS = frozenset({
    *("function_definition", "function_declaration", "method_definition", "method_declaration"),
    *("function_item", "constructor_declaration", "generator_function_declaration"),
})  # fmt: skip
_VALUES = frozenset({"arrow_function", "function_expression"})


@dataclass(frozen=True, slots=True)
class Symbol:
    """Something that a file defines.

    Attributes:
        name: With what it is in: `Account.close`.
        line: Where it begins, counted from 1.
        head: Its first line.
    """

    name: str
    line: int
    head: str

    @property
    def last(self) -> str:
        """Its name alone: `close`."""
        return self.name.rsplit(".", 1)[-1]


def symbols_of(path: str, text: str) -> tuple[Symbol, ...]:
    """What a file defines, in its order; nothing where nobody here reads its language."""
    language = _language(path.rsplit(".", 1)[-1])
    data = text.encode(errors="replace")
    root = None if language is None or len(data) > MOST_BYTES else _parsed(language, data)
    return () if root is None else tuple(islice(_within(root, "", data), MOST_SYMBOLS))


@cache
def _language(ending: str) -> Any:
    """A grammar; None where the language is not known or its grammar not installed."""
    if ending not in _GRAMMARS:
        return None
    module, name = _GRAMMARS[ending]
    try:
        tree_sitter, grammar = importlib.import_module("tree_sitter"), importlib.import_module(module)
    except ImportError:
        return None
    return tree_sitter.Language(getattr(grammar, name)())


def _parsed(language: Any, data: bytes) -> Any:
    """The root of a file's tree; None where it took too long."""
    parser = importlib.import_module("tree_sitter").Parser(language)
    ends = time.monotonic() + LONGEST_S
    try:
        tree = parser.parse(
            lambda offset, _: data[offset : offset + _CHUNK_BYTES],
            progress_callback=lambda *_: time.monotonic() > ends,
        )
    except ValueError:
        return None
    return tree.root_node


def _within(top: Any, outer: str, data: bytes) -> Iterator[Symbol]:
    """Definitions below a node, each before what is in it; functions are not looked into."""
    waiting = [(child, outer, 0) for child in reversed(top.named_children)]
    for _ in range(_MOST_NODES):
        if not waiting:
            return
        node, around, depth = waiting.pop()
        name = _name(node, data)
        if name:
            around = f"{around}.{name}" if around else name
            yield Symbol(around, node.start_point[0] + 1, _head(node, data))
            if node.type in _FUNCTIONS or node.type == "variable_declarator":
                continue
        if depth < _MOST_DEPTH and "string" not in node.type:
            waiting += [(child, around, depth + 1) for child in reversed(node.named_children)]


def _name(node: Any, data: bytes) -> str:
    """The name of a definition; empty for any other node."""
    if node.type == "variable_declarator":  # const f = () => …
        value = node.child_by_field_name("value")
        if value is None or value.type not in _VALUES:
            return ""
    elif node.type not in _DEFINITIONS:
        return ""
    elif node.type.endswith("_specifier") and node.child_by_field_name("body") is None:
        return ""  # a type that is used, not defined
    named = node.child_by_field_name("name") or node.child_by_field_name("type")
    declared = node.child_by_field_name("declarator")
    while declared is not None:  # C: the name is in the midst of pointers and parameters
        named, declared = declared, declared.child_by_field_name("declarator")
    return "" if named is None else data[named.start_byte : named.end_byte].decode(errors="replace")[:80]


def _head(node: Any, data: bytes) -> str:
    line = data[node.start_byte : node.end_byte].split(b"\n", 1)[0].decode(errors="replace")
    return line.strip().rstrip("{:").rstrip()[:MOST_HEAD_CHARS]
