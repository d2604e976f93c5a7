"""What the benchmark asks of the detectors, on fewer texts; and that its texts are what they claim."""

from functools import partial

import pytest
from stdnum import iban, luhn
from stdnum.fr import nir, siret

from benchmarks.memory.pii import score
from benchmarks.memory.pii_corpus import VALIDATED, make_documents
from zoran_ray.privacy import Scanner

CORPUS = list(make_documents(400, seed=7))


def test_the_same_seed_makes_the_same_texts() -> None:
    assert list(make_documents(20, seed=7)) == CORPUS[:20]
    assert list(make_documents(20, seed=8)) != CORPUS[:20]


def test_labels_are_where_the_values_are() -> None:
    checks = {
        "CARD": luhn.is_valid,
        "IBAN": partial(iban.is_valid, check_country=False),
        "FR_NIR": nir.is_valid,
        "FR_SIRET": siret.is_valid,
    }
    seen = set()
    for document in CORPUS:
        for kind, start, end in document.labels:
            value = document.text[start:end]
            seen.add(kind)
            assert value == value.strip()
            if kind == "EMAIL":
                assert value.count("@") == 1
            elif kind in checks:
                assert checks[kind](value.replace(" ", "").replace("-", ""))
    assert seen == set(VALIDATED)


@pytest.mark.parametrize("language", ["fr", "en"])
def test_recall_and_precision_of_validated_kinds(language: str) -> None:
    scanner = Scanner()
    texts = CORPUS[("fr", "en").index(language) :: 2]
    found = score(texts, lambda text: {(each.kind, each.start, each.end) for each in scanner.scan(text)})
    for kind, figures in found.items():
        assert figures["recall"] >= 0.99, kind
        assert figures["precision"] >= 0.99, kind
