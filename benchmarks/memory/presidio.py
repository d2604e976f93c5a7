"""The peer: `presidio-analyzer` from PyPI, in this process, its patterns over a blank spaCy pipeline.

Its language models find names, which we do not look for; so neither does it here. Asked for the entity
types that both have, with its recognisers as they come.
"""

import importlib.util
import logging
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / ".peers" / "presidio"
"""Where `peers.sh` puts it."""

KINDS = {
    "CREDIT_CARD": "CARD",
    "EMAIL_ADDRESS": "EMAIL",
    "IBAN_CODE": "IBAN",
    "IP_ADDRESS": "IP",
    "PHONE_NUMBER": "PHONE",
    "US_SSN": "US_SSN",
}
"""Its entity types that we have too, and our names for them."""


def presidio() -> "Presidio | None":
    """The peer, or None where it is not installed."""
    if FOLDER.is_dir() and str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    return Presidio() if importlib.util.find_spec("presidio_analyzer") else None


class Presidio:
    """`AnalyzerEngine` for English, which is what its recognisers are registered for."""

    def __init__(self) -> None:
        analyzer = import_module("presidio_analyzer")
        logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
        self.version = version("presidio-analyzer")
        nlp = import_module("presidio_analyzer.nlp_engine").SpacyNlpEngine(
            models=[{"lang_code": "en", "model_name": "blank"}]
        )
        nlp.nlp = {"en": import_module("spacy").blank("en")}
        # Else its e-mail recogniser asks the network for the list of top-level domains; it brings one.
        tld: Any = import_module("tldextract.tldextract")
        tld.TLD_EXTRACTOR = tld.TLDExtract(suffix_list_urls=(), cache_dir=None)
        registry = analyzer.RecognizerRegistry()
        registry.load_predefined_recognizers(languages=["en"], nlp_engine=nlp)
        self._engine: Any = analyzer.AnalyzerEngine(
            registry=registry, nlp_engine=nlp, supported_languages=["en"]
        )

    def scan(self, text: str) -> set[tuple[str, int, int]]:
        """Kind, start and end of what it finds."""
        found = self._engine.analyze(text, language="en", entities=list(KINDS))
        return {(KINDS[each.entity_type], each.start, each.end) for each in found}
