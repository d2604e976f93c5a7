"""The sources of settings, weakest first: each one a layer of plain values that knows where they came from.

Knows how files, variables and flags are spelled; not what the values mean.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from zoran_ray.config.document import Location, parse_document, read_document, scalar
from zoran_ray.config.validation import Place, annotation_at, fields_at, nearest
from zoran_ray.errors import ConfigError
from zoran_ray.settings import Settings

PREFIX = "ZORAN_"
NOT_SETTINGS = re.compile(r"ZORAN_(API_KEY|BASE_URL|HAPROXY_.+)")
"""Variables of the chat client, and of our own processes among themselves."""
PATH_FIELDS = ("state_dir", "models_file", "memory_file")

_SERVICE_LINK = re.compile(
    r"ZORAN_((?!.*__).*_)?(SERVICE_HOST=.*|SERVICE_PORT.*|PORT_\d+_(TCP|UDP).*|PORT=[a-z]+://.*)"
)
"""What Kubernetes sets in every pod beside a Service named zoran or zoran-something; none is ours."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Values from one source.

    Attributes:
        data: Nested plain values.
        place: Where the value at a path came from, for people.
    """

    data: Any
    place: Place


def default_layer(env: Mapping[str, str], home: Path) -> Layer:
    """What the machine's own conventions say, weaker than every file."""
    state = xdg(env, "XDG_STATE_HOME", home / ".local/state")
    given = str(state) == env.get("XDG_STATE_HOME")
    return Layer(
        {"state_dir": str(state / "zoran")}, lambda _: "variable XDG_STATE_HOME" if given else "default"
    )


def file_layer(path: Path, home: Path) -> Layer:
    """One configuration file; relative paths in it start at its own folder."""
    document = read_document(path)
    return Layer(_with_paths(document.data, path.parent, home), document.place)


def variable_layer(env: Mapping[str, str], cwd: Path, home: Path) -> Layer:
    """`ZORAN_SERVER__PORT=8080` and its like; an empty variable counts as unset.

    Raises:
        ConfigError: A variable begins with `ZORAN_` and names no field.
    """
    data: dict[str, Any] = {}
    origins: dict[Location, str] = {}
    if endpoint := env.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        data["otlp_endpoint"] = endpoint
        origins["otlp_endpoint",] = "variable OTEL_EXPORTER_OTLP_ENDPOINT"
    fields = {PREFIX + "__".join(path).upper(): path for path in leaves()}
    for name in sorted(key for key in env if key.startswith(PREFIX) and env[key]):
        if path := fields.get(name):
            _put(data, path, _read(path, name, env[name]))
            origins[path] = f"variable {name}"
        elif not NOT_SETTINGS.fullmatch(name) and not _SERVICE_LINK.fullmatch(f"{name}={env[name]}"):
            raise ConfigError(
                f"variable {name}: no such setting; {nearest(name, list(fields))}", param=name
            )
    return Layer(_with_paths(data, cwd, home), _lookup(origins, "the environment"))


def flag_layer(flags: Mapping[str, Any], cwd: Path, home: Path) -> Layer:
    """Values of flags by dotted field name; None means that the flag was not given."""
    data: dict[str, Any] = {}
    origins: dict[Location, str] = {}
    for name, value in flags.items():
        if value is not None:
            path = tuple(name.split("."))
            _put(data, path, str(value) if isinstance(value, Path) else value)
            origins[path] = "flag " + flag_name(path)
    return Layer(_with_paths(data, cwd, home), _lookup(origins, "the flags"))


def flag_name(path: Location) -> str:
    """`("server", "port")` as a flag: `--port`."""
    return "--" + "-".join(str(key).replace("_", "-") for key in path if key != "server")


def leaves(path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Path of every field of `Settings` that holds a value."""
    for name in fields_at(Settings, path):
        if fields_at(Settings, (*path, name)):
            yield from leaves((*path, name))
        else:
            yield (*path, name)


def xdg(env: Mapping[str, str], name: str, default: Path) -> Path:
    """A base directory; a relative one is ignored, as the XDG specification says."""
    value = Path(env.get(name) or default)
    return value if value.is_absolute() else default


def absolute(text: str, base: Path, home: Path) -> Path:
    """`text` as an absolute path: `~` is `home`, anything relative starts at `base`."""
    if text == "~" or text.startswith("~/"):
        return home / text[2:]
    return base / text


def _read(path: tuple[str, ...], name: str, text: str) -> Any:
    """What a variable says: lists and mappings as YAML writes them in one line, all else as it is."""
    if get_origin(annotation_at(Settings, path)) in (dict, tuple):
        return parse_document(text, f"variable {name}").data
    return text if _takes_text(path) else scalar(text)


def _takes_text(path: tuple[str, ...]) -> bool:
    """Whether a field is text, so that a variable's value is not read as a number."""
    kind = annotation_at(Settings, path)
    # In a union a type with its checks stands whole.
    kinds = (
        get_args(each)[0] if get_origin(each) is Annotated else each for each in get_args(kind) or (kind,)
    )
    return not {str, Path}.isdisjoint(kinds)


def _with_paths(data: Any, base: Path, home: Path) -> Any:
    """`data` with its path fields made absolute."""
    if not isinstance(data, dict):
        return data
    found = {key: data[key] for key in PATH_FIELDS if isinstance(data.get(key), str)}
    return {**data, **{key: str(absolute(text, base, home)) for key, text in found.items()}}


def _put(data: dict[str, Any], path: Location, value: Any) -> None:
    for key in path[:-1]:
        data = data.setdefault(str(key), {})
    data[str(path[-1])] = value


def _lookup(origins: Mapping[Location, str], otherwise: str) -> Callable[[Location], str]:
    return lambda path: origins.get(path, otherwise)
