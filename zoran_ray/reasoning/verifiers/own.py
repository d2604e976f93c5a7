"""The operator's own verifiers: functions that `reasoning.verifiers` names. Who may edit it is trusted."""

from collections.abc import Mapping
from importlib import import_module

from zoran_ray.errors import ConfigError
from zoran_ray.reasoning.verifiers.user import UserSupplied

MOST_THREADS = 64
"""Answers that one of them judges at a time in one gateway, and so how many may hang."""


def load_verifiers(named: Mapping[str, str]) -> dict[str, UserSupplied]:
    """Finds functions.

    Args:
        named: `module:function` by the name that requests say.

    Raises:
        ConfigError: One cannot be imported, or is no function.
    """
    return {name: _loaded(name, place) for name, place in named.items()}


def _loaded(name: str, place: str) -> UserSupplied:
    module, _, function = place.partition(":")
    param = f"reasoning.verifiers.{name}"
    try:
        found = getattr(import_module(module), function)
    except Exception as error:
        raise ConfigError(
            f"The verifier {place[:128]!r} cannot be loaded: {type(error).__name__}: {str(error)[:256]}."
            f" Install it, or correct {param} (module:function).",
            param=param,
        ) from error
    if not callable(found):
        raise ConfigError(
            f"{param}: {place[:128]!r} is no function that takes an answer and says whether it is right.",
            param=param,
        )
    return UserSupplied(found, name, MOST_THREADS)
