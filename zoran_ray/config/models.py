"""Which models and arms there are: from flags, from a models file, or the embedded model alone."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoran_ray.config.document import read_document, scalar
from zoran_ray.config.layers import absolute
from zoran_ray.config.validation import validated
from zoran_ray.errors import ConfigError
from zoran_ray.models_file import ModelsFile, ModelSpec

EMBEDDED = "embedded"
POCKET = "pocket"
"""Name of the embedded model."""


def read_models_file(path: Path, home: Path) -> ModelsFile:
    """What a models file says; relative paths in it start at its own folder.

    Args:
        home: What `~` stands for.

    Raises:
        ConfigError: The file cannot be read or a field is wrong; says file, line and field.
    """
    document = read_document(path)
    file = validated(ModelsFile, document.data, document.place)
    models = tuple(
        model.model_copy(update={"source": resolve_source(model.source, path.parent, home)})
        for model in file.models
    )
    arms = tuple(
        arm.model_copy(update={"api_key_file": str(absolute(arm.api_key_file, path.parent, home))})
        if arm.api_key_file
        else arm
        for arm in file.arms
    )
    return file.model_copy(update={"models": models, "arms": arms})


def models_from_flags(
    sources: Sequence[str], engine_args: Mapping[str, Any], cwd: Path, home: Path
) -> ModelsFile:
    """One model for each `--model`, all with the same engine arguments.

    Raises:
        ConfigError: Two of them would have the same name.
    """
    models = tuple(model_from_source(source, engine_args, cwd, home) for source in sources)
    names = [model.name for model in models]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(
            f"flag --model: two models would be called '{twice[0]}'; name them in a models file instead."
        )
    return ModelsFile(models=models)


def model_from_source(source: str, engine_args: Mapping[str, Any], cwd: Path, home: Path) -> ModelSpec:
    """The model that `--model SOURCE` or `zoran models load SOURCE` asks for.

    Args:
        source: `pocket` or `embedded`, a folder (the model is called after it), or a hub id (its name too).
        engine_args: vLLM's own argument names.
        cwd: Where a relative folder starts.
        home: What `~` stands for.

    Raises:
        ConfigError: No name can be made of it.
    """
    if source in (EMBEDDED, POCKET):
        return ModelSpec(name=POCKET, source=EMBEDDED, engine_args=dict(engine_args))
    found = resolve_source(source, cwd, home)
    name = re.sub(r"[^A-Za-z0-9._:-]+", "-", Path(found).name).strip("-") if is_folder(found) else found
    return validated(
        ModelSpec,
        {"name": name, "source": found, "engine_args": dict(engine_args)},
        lambda _: f"model {source!r}",
    )


def resolve_source(source: str, base: Path, home: Path) -> str:
    """A folder as an absolute path; a hub id as it is. What exists as a folder under `base` is one."""
    if source == EMBEDDED:
        return source
    path = absolute(source, base, home)
    looks_like_folder = source.startswith(("/", "./", "../", "~/")) or source in (".", "..", "~")
    return str(path.resolve()) if looks_like_folder or path.exists() else source


def is_folder(source: str) -> bool:
    """Whether a resolved source is a path on this machine, rather than a hub id."""
    return source.startswith("/")


def parse_engine_args(pairs: Sequence[str]) -> dict[str, Any]:
    """`max-model-len=4096` and its like as vLLM's argument names and YAML scalars.

    Raises:
        ConfigError: One is not `key=value`, or one comes twice.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        key = key.strip().lstrip("-").replace("-", "_")
        if not equals or not key.isidentifier():
            raise ConfigError(
                f"flag --engine-arg: found {pair!r}, expected key=value, for example max_model_len=4096.",
                param="engine_arg",
            )
        if key in found:
            raise ConfigError(f"flag --engine-arg: '{key}' is given twice; keep one.", param="engine_arg")
        found[key] = scalar(value)
    return found
