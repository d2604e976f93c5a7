"""Reads flags, variables and files into frozen settings, once, at a composition root.

Strongest first: flags, `ZORAN_*` variables, `./zoran.yaml`, `$XDG_CONFIG_HOME/zoran/config.yaml`, defaults.
Every source is checked on its own before they are laid over one another, so a mistake is reported at the
place where it was made even if a stronger source hides it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from zoran_ray.config.document import Location
from zoran_ray.config.layers import (
    Layer,
    default_layer,
    file_layer,
    flag_layer,
    leaves,
    variable_layer,
    xdg,
)
from zoran_ray.config.models import (
    EMBEDDED,
    model_from_source,
    models_from_flags,
    parse_engine_args,
    read_models_file,
    resolve_source,
)
from zoran_ray.config.validation import validated
from zoran_ray.errors import ConfigError
from zoran_ray.models_file import ModelsFile, ModelSpec
from zoran_ray.offers import ArmSpec
from zoran_ray.settings import Settings

__all__ = [
    "EMBEDDED",
    "Loaded",
    "config_files",
    "home_dir",
    "load",
    "load_settings",
    "model_from_source",
    "parse_engine_args",
    "read_models_file",
    "resolve_source",
]

NOT_FIELDS = frozenset({"config", "model", "engine_arg"})
"""Flags that are no field of `Settings`."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What to run with.

    Attributes:
        settings: All settings.
        catalogue: The models to serve at start, and the arms.
        origins: Where the value of each field (by dotted name) came from: a flag, a variable, `file:line`
            or `default`.
        catalogue_path: The models file that `catalogue` was read from; None if from no file.
    """

    settings: Settings
    catalogue: ModelsFile
    origins: Mapping[str, str]
    catalogue_path: Path | None = None

    @property
    def models(self) -> tuple[ModelSpec, ...]:
        """Models served here."""
        return self.catalogue.models

    @property
    def arms(self) -> tuple[ArmSpec, ...]:
        """Models served by others."""
        return self.catalogue.arms


def load(flags: Mapping[str, Any], env: Mapping[str, str], cwd: Path) -> Loaded:
    """Read the configuration.

    Args:
        flags: Dotted field names (`server.port`) to values, None where a flag was not given; besides
            `config` (a file to read instead of the two usual ones), `model` (a sequence of sources) and
            `engine_arg` (a sequence of `key=value`).
        env: The environment.
        cwd: Where `zoran.yaml` is looked for and relative paths of flags and variables start.

    Raises:
        ConfigError: Something is wrong; says where, which field, what was found and what was expected.
    """
    settings, origins = load_settings(flags, env, cwd)
    catalogue, path = _catalogue(flags, settings, cwd, home_dir(env))
    return Loaded(settings, catalogue, origins, path)


def load_settings(
    flags: Mapping[str, Any], env: Mapping[str, str], cwd: Path
) -> tuple[Settings, dict[str, str]]:
    """Settings and their origins without the models: for commands that ask a running server.

    Args and errors are those of `load`.
    """
    home = home_dir(env)
    files = [
        path for path in config_files(flags.get("config"), env, cwd) if path.exists() or flags.get("config")
    ]
    layers = [
        default_layer(env, home),
        *(file_layer(path, home) for path in reversed(files)),
        variable_layer(env, cwd, home),
        flag_layer({name: value for name, value in flags.items() if name not in NOT_FIELDS}, cwd, home),
    ]
    return _merged(layers)


def config_files(given: Path | None, env: Mapping[str, str], cwd: Path) -> tuple[Path, ...]:
    """The files that are read if they exist, strongest first; a file asked for by name is read alone."""
    if given is not None:
        return (cwd / given,)
    return cwd / "zoran.yaml", xdg(
        env, "XDG_CONFIG_HOME", home_dir(env) / ".config"
    ) / "zoran" / "config.yaml"


def _merged(layers: list[Layer]) -> tuple[Settings, dict[str, str]]:
    """All layers laid over one another, weakest first."""
    data: dict[str, Any] = {}
    origins = {".".join(path): "default" for path in leaves()}
    for layer in layers:
        validated(Settings, layer.data, layer.place, partial=True)
        for path in leaves():
            value = _leaf(layer.data, path)
            if value is not _UNSET:
                _section(data, path)[path[-1]] = value
                origins[".".join(path)] = layer.place(path)
    return validated(Settings, data, partial(_origin, origins)), origins


def _origin(origins: Mapping[str, str], path: Location) -> str:
    """Where the value at a path came from, or the field that it is a part of."""
    ways = (".".join(map(str, path[:size])) for size in range(len(path), 0, -1))
    return next((origins[way] for way in ways if way in origins), "settings")


_UNSET = object()


def _leaf(data: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(data, dict) or key not in data:
            return _UNSET
        data = data[key]
    return data


def _section(data: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    for key in path[:-1]:
        data = data.setdefault(key, {})
    return data


def _catalogue(
    flags: Mapping[str, Any], settings: Settings, cwd: Path, home: Path
) -> tuple[ModelsFile, Path | None]:
    """Models and arms, and the file they come from if they do."""
    sources = tuple(flags.get("model") or ())
    engine_args = parse_engine_args(flags.get("engine_arg") or ())
    if sources or settings.models_file is None:
        return models_from_flags(sources or (EMBEDDED,), engine_args, cwd, home), None
    if engine_args:
        raise ConfigError(
            f"flag --engine-arg: needs --model; for {settings.models_file}, write engine_args there.",
            param="engine_arg",
        )
    return read_models_file(settings.models_file, home), settings.models_file


def home_dir(env: Mapping[str, str]) -> Path:
    """What `~` stands for."""
    return Path(env["HOME"]) if env.get("HOME") else Path.home()
