"""Search in a repository by words and by meaning: nothing is lost, no secret leaves, nobody waits long."""

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.autopilot.pilot_bench import bench_in
from zoran_ray.autopilot import Mode, State, Task
from zoran_ray.autopilot.context import Embed, FileVectors, Ranking, Texts, readable
from zoran_ray.autopilot.context.pieces import MOST_PIECE_CHARS, pieces
from zoran_ray.autopilot.context.vectors import AT_ONCE, MOST_SAID_CHARS
from zoran_ray.autopilot.git import Tree
from zoran_ray.autopilot.pilot import Pilot
from zoran_ray.autopilot.testing import Harness
from zoran_ray.errors import Unavailable
from zoran_ray.memory.embedder import HashedNgrams
from zoran_ray.memory.lexical import words
from zoran_ray.memory.record import Vector
from zoran_ray.policy import PolicyEngine, read_policy, shipped_policy_file

ENGINE = PolicyEngine(read_policy(shipped_policy_file()))
KEY = "sk-proj-" + "aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3xY5zA7bC9dE1fG3"
FILES = {
    "a.py": "def invoice(price):\n    return price\n",
    "b.py": "def send_letter(to):\n    return to\n",
    "c.py": "class Cart:\n    def add(self, item): ...\n\n    def drop(self, item):\n        ...\n",
}
ALIKE = (("letter", "post", "envelope"), ("price", "money", "invoice"), ("cart", "basket", "item"))


class Thesaurus:
    """An embedder that knows which words mean the same: a number for each meaning. Keeps its texts."""

    def __init__(self) -> None:
        self.texts = list[str]()

    def __call__(self, texts: Sequence[str]) -> Vector:
        assert all(texts)
        self.texts += texts
        found = [[0.1, *(sum(word in same for word in words(text)) for same in ALIKE)] for text in texts]
        return np.asarray(found, np.float32)


def texts_of(files: Mapping[str, str]) -> Texts:
    """The texts of a commit with these files."""
    return readable(Tree({path: text.encode() for path, text in files.items()}, frozenset(), {}), ENGINE)


def alike(files: Mapping[str, str], said: str, embed: Embed | None, longest_s: float = 60.0) -> list[str]:
    """What a ranking finds; without an embedder by words alone."""
    texts = texts_of(files)
    vectors = None if embed is None else FileVectors(embed, texts, longest_s)
    return Ranking(texts.files, Harness().holds, vectors).alike(said)


def test_what_means_the_same_is_found_without_a_shared_word() -> None:
    assert alike(FILES, "no envelope arrives", None) == []
    assert alike(FILES, "no envelope arrives", Thesaurus())[0] == "b.py"
    assert alike(FILES, "the basket is empty", Thesaurus())[0] == "c.py"


def test_a_name_that_was_said_comes_before_all_that_is_alike() -> None:
    said = "the envelope: invoice() is wrong"
    assert alike(FILES, said, Thesaurus())[0] == "a.py"


NAMES = st.sampled_from(["letter", "price", "cart", "mail", "post", "loop", "index", "money", "x1"])
TEXTS = st.lists(NAMES, max_size=8).map(" ".join)
REPOSITORIES = st.dictionaries(st.from_regex(r"[a-e]{1,3}\.(py|md)", fullmatch=True), TEXTS, max_size=8)


@settings(max_examples=25, deadline=None)
@given(REPOSITORIES, TEXTS, st.randoms(use_true_random=False))
def test_no_file_that_either_half_finds_is_lost_and_no_order_of_files_matters(
    files: dict[str, str], said: str, random: Random
) -> None:
    embed = HashedNgrams(64).embed
    both = alike(files, said, embed)
    texts = texts_of(files)
    near = FileVectors(embed, texts).cosines(said, sorted(files))
    found = {*alike(files, said, None), *(path for path, cosine in near.items() if cosine > 0)}
    assert set(both) == found
    assert len(both) == len(found)
    mixed = list(files)
    random.shuffle(mixed)
    assert alike({path: files[path] for path in mixed}, said, embed) == both


def failing(texts: Sequence[str]) -> Vector:
    """An embedder that is not there, and quotes what it was asked."""
    raise Unavailable(f"Nobody answers to {texts}.")


def senseless(texts: Sequence[str]) -> Vector:
    """An embedder whose vectors have no direction."""
    return np.full((len(texts), 4), np.nan, np.float32)


def empty(texts: Sequence[str]) -> Vector:
    """An embedder that gives nothing."""
    return np.zeros((0, 4), np.float32)


def changing(texts: Sequence[str]) -> Vector:
    """An embedder whose vectors have another dimension each time it is asked."""
    return np.ones((len(texts), len(texts)), np.float32)


@pytest.mark.parametrize("broken", [failing, senseless, empty, changing])
def test_an_embedder_that_fails_leaves_words_alone_and_is_asked_no_more(
    broken: Embed, caplog: pytest.LogCaptureFixture
) -> None:
    asked = list[int]()

    def counted(texts: Sequence[str]) -> Vector:
        asked.append(len(texts))
        return broken(texts)

    texts = texts_of(FILES)
    ranking = Ranking(texts.files, Harness().holds, FileVectors(counted, texts))
    with caplog.at_level(logging.WARNING):
        first = ranking.alike("the price of a letter")
        calls = len(asked)
        again = ranking.alike("the price of a cart")
    assert first == alike(FILES, "the price of a letter", None)
    assert again == alike(FILES, "the price of a cart", None)
    assert len(asked) == calls
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert not any(word in caplog.text for word in ("letter", "price", "def ", "a.py"))


def test_an_embedder_that_is_late_is_not_waited_for_and_stops(caplog: pytest.LogCaptureFixture) -> None:
    go, calls = threading.Event(), list[int]()

    def late(texts: Sequence[str]) -> Vector:
        calls.append(len(texts))
        go.wait(30)
        return np.ones((len(texts), 2), np.float32)

    many = {f"f{n:03}.py": f"def letter_{n}():\n    pass\n" for n in range(2 * AT_ONCE)}
    assert alike(many, "the letter", late, longest_s=0.05) == alike(many, "the letter", None)
    assert "TimeoutError" in caplog.text
    go.set()
    for thread in threading.enumerate():
        if thread.name == "file-vectors":
            thread.join(30)
    assert sum(calls) <= AT_ONCE  # what nobody waits for is not gone on with


def test_no_secret_and_nothing_forbidden_goes_to_an_embedder() -> None:
    embed = Thesaurus()
    files = {**FILES, ".env": "PRICE=1", "d.py": f"KEY = '{KEY}'\n\n\ndef pay(key='{KEY}'):\n    pass\n"}
    files |= {"cut.py": "x" * (MOST_PIECE_CHARS - 20) + f" = '{KEY}'\n", f"{KEY}.py": "price = 1\n"}
    alike(files, f"the price with {KEY} is wrong " * 60, embed)
    sent = "\n".join(embed.texts)
    assert "def pay(" in sent
    assert "the price with [" in sent
    assert KEY not in sent
    assert KEY[:20] not in sent
    assert "PRICE=1" not in sent


def test_vectors_of_files_are_made_once() -> None:
    embed, texts = Thesaurus(), texts_of(FILES)
    ranking = Ranking(texts.files, Harness().holds, FileVectors(embed, texts))
    first = ranking.alike("an envelope")
    made = len(embed.texts)
    assert ranking.alike("an envelope") == first
    assert len(embed.texts) == made
    ranking.alike("a basket")
    assert embed.texts[made:] == ["a basket"]


def test_of_a_long_text_the_beginning_and_the_end_are_asked() -> None:
    embed = Thesaurus()
    alike(FILES, f"first {'and ' * 5_000} last", embed)
    assert all(len(text) <= max(MOST_SAID_CHARS + 1, MOST_PIECE_CHARS + 100) for text in embed.texts)
    said = next(text for text in embed.texts if text.startswith("first"))
    assert said.endswith("last")


def test_a_file_is_cut_where_definitions_begin() -> None:
    source = f"import os\n\n{FILES['c.py']}\n\ndef last():\n    return os\n"
    about, *found = [piece.text for piece in pieces(["c.py"], lambda _: source, "")]
    assert [text.split("\n")[0].split()[1] for text in found] == [
        "Cart:",
        "add(self,",
        "drop(self,",
        "last():",
    ]
    assert about.split("\n") == [
        "import os", "", "class Cart", "def add(self, item): ...", "def drop(self, item)", "def last()"
    ]  # fmt: skip
    assert [piece.text for piece in pieces(["c.md"], lambda _: "One.\n\nTwo.\n", "")] == ["One.\n\nTwo."]
    assert pieces(["c.py"], lambda _: "", "") == []


def test_where_not_all_have_room_the_likely_definitions_are_taken() -> None:
    source = "".join(f"def f_{n}():\n    return '{'letter' if n == 77 else n}'\n\n\n" for n in range(100))
    found = pieces(["a.py", "b.py"], lambda path: source if path == "b.py" else "x = 1\n", "a letter", 4)
    assert [piece.path for piece in found] == ["a.py", "b.py", "b.py", "b.py"]
    assert found[2].text.startswith("def f_77")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(alphabet="ab\n :()def", max_size=60), max_size=6), TEXTS, st.integers(2, 12))
def test_pieces_keep_to_their_number_and_what_files_are_about_comes_first(
    sources: list[str], said: str, most: int
) -> None:
    files = {f"f{n}.py": text for n, text in enumerate(sources)}
    found = pieces(list(files), files.__getitem__, said, most)
    assert len(found) <= most
    assert all(len(piece.text) <= MOST_PIECE_CHARS and piece.text.strip() for piece in found)
    begun = [path for path in list(files)[:most] if files[path].strip()][: most // 2]
    assert [piece.path for piece in found][: len(begun)] == begun


@pytest.mark.parametrize("works", [True, False])
def test_a_task_searches_in_its_owners_name_and_goes_on_without(tmp_path: Path, works: bool) -> None:
    asked = list[tuple[str, str]]()

    def embed(task: Task) -> Embed:
        def made(texts: Sequence[str]) -> Vector:
            asked.extend((task.owner, text) for text in texts)
            return HashedNgrams(16).embed(texts) if works else failing(texts)

        return made

    with bench_in(tmp_path) as bench:
        bench.begin(Mode.OPERATOR)
        pilot = Pilot(bench.tasks, replace(bench.world(), embed=embed), bench.settings)
        task = asyncio.run(pilot.run(bench.claim()))
    assert task.state is State.PUSHED, task.facts
    assert {owner for owner, _ in asked} == {"acme"}
    assert any(text.startswith("calc.py\n") and "return a - b" in text for _, text in asked)
