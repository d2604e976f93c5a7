"""How names and addresses are found, if at all: by a model that somebody plugs in. None comes with us."""

import re
from collections.abc import Iterable, Iterator
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
