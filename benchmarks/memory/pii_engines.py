"""`python -m benchmarks.memory.pii_engines`: would another pattern engine pay?

Times only the first stage of a scan, which reads every character: where could something begin. Once as the
detectors do it (`re` behind literal searches), then the same anchors as one pattern in `re`, google-re2 and
hyperscan. What follows, the checks of candidates, is Python with every engine. Absent engines are left out;
`benchmarks/memory/peers.sh engines` installs them.
"""

import importlib.util
import json
import re
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from statistics import median

from benchmarks.memory.pii_corpus import make_documents
from zoran_ray.privacy import Scanner
from zoran_ray.privacy.digit_runs import runs

FOLDER = Path(__file__).parents[1] / ".peers" / "pattern-engines"
SIZE = 1_000_000
KEYS = ("sk-", "sk_live_", "ghp_", "github_pat_", "glpat-", "xoxb-", "AKIA", "AIza", "hf_", "npm_")
WORDS = (*KEYS, "pypi-", "@", "://", "-----BEGIN ", "key", "secret", "token", "passw", "Bearer", "eyJ")
RUN = r"[0-9][0-9 ./()-]*[0-9]"
ANCHORS = "|".join([RUN, ":[0-9A-Fa-f]{0,4}:", *map(re.escape, WORDS)])


def measure(rounds: int = 5) -> dict[str, dict[str, float]]:
    """Seconds for a megabyte by sort of text and way of searching, the median of `rounds`."""
    if FOLDER.is_dir() and str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    ways = _ways()
    return {
        name: {way: _median(search, text, rounds) for way, search in ways.items()}
        for name, text in _texts().items()
    }


def _texts() -> dict[str, str]:
    sorts = {
        "corpus": "".join(document.text for document in make_documents(1500, 0)),
        "prose": "The quick brown fox jumps over the lazy dog, and nobody pays for it. ",
    }
    return {name: (text * (SIZE // len(text) + 1))[:SIZE] for name, text in sorts.items()}


def _ways() -> dict[str, Callable[[str], object]]:
    one = re.compile(ANCHORS)
    ways: dict[str, Callable[[str], object]] = {
        "whole scan": Scanner().scan,
        "anchors, as in the detectors": _as_we_do,
        "anchors, one re": lambda text: sum(1 for _ in one.finditer(text)),
    }
    if importlib.util.find_spec("re2"):
        other = import_module("re2").compile(ANCHORS)
        ways["anchors, google-re2"] = lambda text: sum(1 for _ in other.finditer(text))
    if importlib.util.find_spec("hyperscan"):
        ways["anchors, hyperscan"] = _with_hyperscan()
    return ways


def _as_we_do(text: str) -> int:
    count = sum(1 for _ in runs(text))
    for word in WORDS:
        place = text.find(word)
        while place >= 0:
            count += 1
            place = text.find(word, place + 1)
    return count


def _with_hyperscan() -> Callable[[str], object]:
    engine = import_module("hyperscan")
    database = engine.Database()
    patterns = [each.encode() for each in (r"[0-9]{2}", ":[0-9A-Fa-f]{0,4}:", *map(re.escape, WORDS))]
    database.compile(expressions=patterns, ids=list(range(len(patterns))))

    def search(text: str) -> int:
        ends: list[int] = []
        # Offsets are those of bytes and would have to be turned into those of characters on top.
        database.scan(text.encode(), match_event_handler=lambda _i, _s, end, _f, _c: ends.append(end))
        return len(ends)

    return search


def _median(search: Callable[[str], object], text: str, rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        search(text)
        taken.append(time.perf_counter() - began)
    return median(taken)


if __name__ == "__main__":
    json.dump(measure(), sys.stdout, indent=1)
    print()
