"""Runs all detectors over a text and lets the longest valid span win. Knows nothing of masking."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial

from zoran_ray.errors import ConfigError
from zoran_ray.privacy.digit_runs import runs
from zoran_ray.privacy.finding import KINDS, Finding, without_overlaps
from zoran_ray.privacy.iban import find_iban
from zoran_ray.privacy.network import find_emails, find_ipv6, find_url_credentials
from zoran_ray.privacy.numbers import SHAPES, find_numbers
from zoran_ray.privacy.phones import PhoneFinder
from zoran_ray.privacy.plugin import EntityFinder, checked, found_by
from zoran_ray.privacy.secrets import find_api_keys, find_private_keys

Detector = Callable[[str], Iterable[Finding]]
RunDetector = Callable[[str, int, int], Iterable[Finding]]

REGIONS = ("FR", "US", "GB")
"""Whose national phone numbers are found unless others are named."""

_LEAST_RUN = 7
"""Characters of the shortest number that is looked for."""

_WHOLE_TEXT: dict[str, Detector] = {
    "PRIVATE_KEY": find_private_keys,
    "URL_CREDENTIALS": find_url_credentials,
    "API_KEY": find_api_keys,
    "EMAIL": find_emails,
    "IP": find_ipv6,
}


class Scanner:
    """Finds personal data and secrets. Safe to share between threads.

    Args:
        kinds: Which kinds to look for.
        regions: Whose national phone numbers are recognised.
        plugins: What finds names, addresses and the like.

    Raises:
        ConfigError: A kind or a region is unknown.
    """

    def __init__(
        self,
        kinds: Collection[str] = KINDS,
        regions: Collection[str] = REGIONS,
        plugins: Sequence[EntityFinder] = (),
    ) -> None:
        if unknown := sorted(set(kinds) - set(KINDS)):
            raise ConfigError(f"Unknown kind {unknown[0][:64]!r}: choose from {', '.join(KINDS)}.")
        self._detectors = [detector for kind, detector in _WHOLE_TEXT.items() if kind in kinds]
        self._detectors += [partial(found_by, checked(plugin)) for plugin in plugins]
        self._ibans = "IBAN" in kinds
        self._run_detectors = _run_detectors(kinds, regions)
        if self._ibans or self._run_detectors:
            self._detectors.append(self._find_in_runs)

    def scan(self, text: str) -> list[Finding]:
        """All findings in order of place; no two overlap."""
        findings = [finding for detector in self._detectors for finding in detector(text)]
        return without_overlaps(findings, len(text)) if findings else []

    def _find_in_runs(self, text: str) -> Iterator[Finding]:
        for start, end in runs(text):
            if self._ibans and text[start - 1 : start].isalpha():
                yield from find_iban(text, start, end)
            if end - start >= _LEAST_RUN:
                for detector in self._run_detectors:
                    yield from detector(text, start, end)


def _run_detectors(kinds: Collection[str], regions: Collection[str]) -> list[RunDetector]:
    found: list[RunDetector] = []
    if shapes := tuple(shape for shape in SHAPES if shape.kind in kinds):
        found.append(partial(find_numbers, shapes=shapes))
    if "PHONE" in kinds:
        found.append(PhoneFinder(regions))
    return found
