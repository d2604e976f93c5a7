"""How names and addresses are found, if at all: by a model that somebody plugs in. None comes with us."""

import re
from collections.abc import Collection, Iterable, Iterator
from importlib import import_module
from typing import Protocol

from zoran_ray.errors import ConfigError
from zoran_ray.privacy.finding import Finding

KIND = re.compile(r"[A-Z][A-Z_]{0,22}[A-Z]")
"""What a plug-in may call its kinds, so that they fit into a placeholder."""


class EntityFinder(Protocol):
    """Finds what no checksum can tell, such as `NAME` and `ADDRESS`."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds that `find` may report."""
        ...

    def find(self, text: str) -> Iterable[Finding]:
        """Findings of one text, in any order; they may overlap."""
        ...


def checked(finder: EntityFinder) -> EntityFinder:
    """The same finder. Raises: ConfigError: One of its kinds does not fit into a placeholder."""
    for kind in finder.kinds:
        if not KIND.fullmatch(kind):
            raise ConfigError(
                f"{type(finder).__name__} reports the kind {kind[:64]!r}: use 2 to 24 capitals and _."
            )
    return finder


def found_by(finder: EntityFinder, text: str) -> Iterator[Finding]:
    """What a plug-in found. Raises: ConfigError: A finding is outside the text or of an undeclared kind."""
    kinds = frozenset(finder.kinds)
    for finding in finder.find(text):
        if finding.kind not in kinds or not 0 <= finding.start < finding.end <= len(text):
            raise ConfigError(
                f"{type(finder).__name__} reported a finding outside the text or of an undeclared kind."
                " Mend it or take it out of the configuration."
            )
        yield finding


class Chosen:
    """A plug-in of which only some kinds are wanted.

    Args:
        finder: The plug-in.
        wanted: Kinds; those that it does not have are nobody's business here.
    """

    def __init__(self, finder: EntityFinder, wanted: Collection[str]) -> None:
        self._finder = finder
        self.kinds = tuple(kind for kind in finder.kinds if kind in wanted)

    def find(self, text: str) -> Iterator[Finding]:
        """The findings of these kinds. Raises: ConfigError: As `found_by`."""
        return (finding for finding in found_by(self._finder, text) if finding.kind in self.kinds)


def load_plugins(names: Iterable[str]) -> tuple[EntityFinder, ...]:
    """Makes the plug-ins of these names, `module:Class`, in order.

    Raises:
        ConfigError: One cannot be imported or made, or is none.
    """
    return tuple(map(_loaded, names))


def _loaded(name: str) -> EntityFinder:
    module, _, kind = name.partition(":")
    try:
        finder = getattr(import_module(module), kind)()
    except Exception as error:
        raise ConfigError(
            f"The privacy plug-in {name[:128]!r} cannot be loaded: {type(error).__name__}:"
            f" {str(error)[:256]}. Install it, or correct privacy.plugins (module:Class).",
            param="privacy.plugins",
        ) from error
    kinds = getattr(finder, "kinds", None)
    is_one = isinstance(kinds, tuple) and all(isinstance(each, str) for each in kinds)
    if not is_one or not callable(getattr(finder, "find", None)):
        raise ConfigError(
            f"{name[:128]!r} is no privacy plug-in: it needs `kinds`, a tuple of names, and `find(text)`.",
            param="privacy.plugins",
        )
    return checked(finder)
