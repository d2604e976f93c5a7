"""`python -m benchmarks.memory.pii`: what the detectors find, what they miss, and how fast they are.

On made-up texts in French and English (`pii_corpus`), beside presidio-analyzer where it is installed
(`benchmarks/memory/peers.sh`). Both are timed in one process, in turns, on the same documents.
"""

import json
import random
import string
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from statistics import median
from typing import Any

from benchmarks.memory.pii_corpus import VALIDATED, Document, make_documents
from benchmarks.memory.presidio import KINDS, Presidio, presidio
from zoran_ray.privacy import Masker, Scanner

MEGABYTE = 1_000_000

Scan = Callable[[str], set[tuple[str, int, int]]]


def measure(documents: int = 2000, timed: int = 100, rounds: int = 5, seed: int = 0) -> dict[str, Any]:
    """All figures, fit for JSON.

    Args:
        documents: Texts whose findings are counted.
        timed: Texts that are timed, the same for us and for the peer.
        rounds: Times that they are; the median counts.
        seed: Of the corpus.

    Returns:
        `quality` (recall and precision by kind), `bytes_per_s` of ours by kind of text, `false_alarms` on
        random digits, and `peer`, which is None where it is not installed.
    """
    corpus = list(make_documents(documents, seed))
    scanner = Scanner()
    ours = score(corpus, _spans_of(scanner))
    worst = min(min(ours[kind]["recall"], ours[kind]["precision"]) for kind in VALIDATED)
    return {
        "documents": documents,
        "labels": sum(len(document.labels) for document in corpus),
        "quality": ours,
        "worst_validated": worst,
        "bytes_per_s": _speeds(scanner, corpus, rounds),
        "false_alarms": _false_alarms(scanner, seed),
        "peer": _against(presidio(), corpus, timed, rounds),
    }


def score(corpus: Iterable[Document], scan: Scan) -> dict[str, dict[str, float]]:
    """Recall and precision by kind; a finding counts only with exact kind, start and end."""
    right: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for document in corpus:
        labels, spans = set(document.labels), scan(document.text)
        wanted.update(kind for kind, _, _ in labels)
        found.update(kind for kind, _, _ in spans)
        right.update(kind for kind, _, _ in labels & spans)
    return {
        kind: {
            "recall": right[kind] / wanted[kind] if wanted[kind] else 1.0,
            "precision": right[kind] / found[kind] if found[kind] else 1.0,
            "labels": wanted[kind],
        }
        for kind in sorted(wanted | found)
    }


def _spans_of(scanner: Scanner) -> Scan:
    return lambda text: {(each.kind, each.start, each.end) for each in scanner.scan(text)}


def _speeds(scanner: Scanner, corpus: list[Document], rounds: int) -> dict[str, float]:
    """Bytes a second on one document of a megabyte of each sort."""
    dense = _megabyte("".join(document.text for document in corpus))
    prose = _megabyte("The quick brown fox jumps over the lazy dog, and nobody pays for it. ")
    code = _megabyte("    for index in range(len(items)):  # see https://example.org/a?b=1\n")
    masker = Masker(scanner, b"k" * 32, "bench")
    sorts: dict[str, tuple[Callable[[str], object], str]] = {
        "scan corpus": (scanner.scan, dense),
        "mask corpus": (masker.mask, dense),
        "scan prose": (scanner.scan, prose),
        "scan code": (scanner.scan, code),
    }
    return {name: len(text.encode()) / _seconds(run, [text], rounds) for name, (run, text) in sorts.items()}


def _megabyte(text: str) -> str:
    return (text * (MEGABYTE // len(text) + 1))[:MEGABYTE]


def _false_alarms(scanner: Scanner, seed: int) -> dict[str, float]:
    """Share of bare random numbers, unlabelled, taken for something: what checksums let through."""
    draw = random.Random(seed)

    def share(count: int) -> float:
        numbers = ["".join(draw.choices(string.digits, k=count)) for _ in range(5000)]
        return sum(bool(scanner.scan(f"order {number} shipped")) for number in numbers) / len(numbers)

    return {f"{count} digits": share(count) for count in (6, 8, 9, 10, 12, 13, 14, 15, 16)}


def _against(
    peer: Presidio | None, corpus: list[Document], timed: int, rounds: int
) -> dict[str, Any] | None:
    """The peer's quality and speed, and ours on the same entity types and documents."""
    if peer is None:
        return None
    english = [document for number, document in enumerate(corpus) if number % 2][:timed]
    shared = set(KINDS.values())
    labelled = [
        Document(each.text, tuple(label for label in each.labels if label[0] in shared)) for each in english
    ]
    scanner = Scanner(kinds=sorted(shared))
    texts = [document.text for document in english]
    size = sum(len(text.encode()) for text in texts)
    mine, theirs = [], []
    peer.scan(texts[0])  # its first call reads files
    for _ in range(rounds):  # in turns: what else the machine does falls on both
        mine.append(_seconds(scanner.scan, texts, 1))
        theirs.append(_seconds(peer.scan, texts, 1))
    return {
        "name": f"presidio-analyzer {peer.version}, blank spaCy pipeline",
        "kinds": sorted(shared),
        "bytes": size,
        "bytes_per_s": size / median(theirs),
        "ours_bytes_per_s": size / median(mine),
        "ratio": median(theirs) / median(mine),
        "quality": score(labelled, peer.scan),
        "ours_quality": score(labelled, _spans_of(scanner)),
    }


def _seconds(run: Callable[[str], object], texts: list[str], rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        for text in texts:
            run(text)
        taken.append(time.perf_counter() - began)
    return median(taken)


if __name__ == "__main__":
    json.dump(measure(), sys.stdout, indent=1)
    print()
