"""The index of a folder: what is found, what is embedded again, what is forgotten, what a crash leaves."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoran_ray.errors import AlreadyRunning, EmbedderMismatch, InvalidRequest, UpstreamError
from zoran_ray.memory.embedder import EmbedderId, HashedNgrams
from zoran_ray.memory.record import Vector
from zoran_ray.rag import Index, ModelEmbedder, TextFile, Updated, embedder_of, index_folder
from zoran_ray.rag.passages import passages
from zoran_ray.rag.question import Asked


class Counted(HashedNgrams):
    """Hashed n-grams that count what they embed."""

    def __init__(self, dimension: int = 64) -> None:
        super().__init__(dimension)
        self.count = 0
        self.fails_after = 10**9

    def embed(self, texts: Sequence[str], tenant: str = "") -> Vector:
        self.count += len(texts)
        if self.count > self.fails_after:
            raise UpstreamError("no more")
        return super().embed(texts, tenant)


def same(embedder: HashedNgrams) -> Callable[[EmbedderId | None], HashedNgrams]:
    return lambda made: embedder


def files(**texts: str) -> list[TextFile]:
    return [TextFile(f"{name}.md", text, str(hash(text))) for name, text in texts.items()]


def test_what_is_asked_is_found_with_its_lines(tmp_path: Path) -> None:
    index = Index(tmp_path / "i", same(HashedNgrams(128)))
    tea = "\n" * 4 + "Green tea is brewed at seventy degrees.\nNever boil it."
    done = index.update(
        files(tea=tea, rain="Rain falls mainly in the plain.", snow="Snow is cold and white.")
    )
    assert done == Updated(added=3, passages=3)
    found = index.search("At how many degrees is tea brewed?")
    assert [each.place for each in found] == ["tea.md:5-6"]
    assert found[0].text == tea.strip()
    assert index.search("quantum chromodynamics of lasagna") == []
    assert index.search("the of and") == []
    assert index.digest("tea.md") == str(hash(tea))
    assert index.digest("none.md") is None
    index.close()


def test_only_what_changed_is_embedded_and_what_vanished_is_forgotten(tmp_path: Path) -> None:
    embedder = Counted()
    index = Index(tmp_path, same(embedder))
    index.update(files(a="apples are red", b="bananas are yellow", c="cherries are dark"))
    assert embedder.count == 3
    done = index.update(files(a="apples are red", b="bananas are green", d="dates are brown"))
    assert done == Updated(added=1, changed=1, unchanged=1, vanished=1, passages=2)
    assert embedder.count == 5
    assert index.search("cherries") == []
    assert [each.text for each in index.search("bananas")] == ["bananas are green"]
    index.close()
    index = Index(tmp_path, same(embedder))
    done = index.update(files(a="apples are red", b="bananas are green", d="dates are brown"))
    assert done == Updated(unchanged=3)
    assert [each.text for each in index.search("dates")] == ["dates are brown"]
    index.close()
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"cherries" not in path.read_bytes()


@settings(max_examples=25)
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from("abcde"), st.sampled_from(["one", "two", "three\n" * 200]), max_size=5
        ),
        min_size=1,
        max_size=5,
    )
)
def test_after_any_updates_it_is_the_index_of_the_last(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[dict[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("index")
    for texts in rounds:
        index = Index(folder, same(HashedNgrams(16)))
        index.update(files(**texts))
        held = index._shard.stats().records
        assert {path for path in ("a.md", "b.md", "c.md", "d.md", "e.md") if index.digest(path)} == {
            f"{name}.md" for name in texts
        }
        index.close()
    cuts = sum(len(passages("p", text)) for text in rounds[-1].values())
    assert held == len(rounds[-1]) + cuts


def test_an_update_that_breaks_off_is_gone_on_with(tmp_path: Path) -> None:
    many = [TextFile(f"{i}.md", f"word{i} " * 20, "d") for i in range(600)]
    embedder = Counted()
    embedder.fails_after = 300
    index = Index(tmp_path, same(embedder))
    with pytest.raises(UpstreamError):
        index.update(many)
    index.close()
    copied = tmp_path.with_name("copied")
    shutil.copytree(tmp_path, copied)  # as it is on the disk, without a good end
    embedder.fails_after = 10**9
    index = Index(copied, same(embedder))
    done = index.update(many)
    assert done.added + done.unchanged == 600
    assert 0 < done.unchanged < 600
    assert all(index.search(f"word{i}")[0].path == f"{i}.md" for i in (0, 299, 599))
    index.close()


def test_another_embedder_makes_all_vectors_anew(tmp_path: Path) -> None:
    index = Index(tmp_path, same(HashedNgrams(64)))
    index.update(files(a="apples are red"))
    index.close()
    index = Index(tmp_path, same(HashedNgrams(32)))
    with pytest.raises(EmbedderMismatch):
        index.search("apples")
    assert index.update(files(a="apples are red")).unchanged == 1
    assert index.search("apples")
    index.close()
    asked = []

    def choose(made: EmbedderId | None) -> HashedNgrams:
        asked.append(made)
        raise UpstreamError("no server")

    for _ in range(2):  # it lets go of the folder
        with pytest.raises(UpstreamError):
            Index(tmp_path, choose)
    assert asked[0] == EmbedderId("hashed-ngrams-1-32", 32)


def test_one_process_has_it_at_a_time(tmp_path: Path) -> None:
    index = Index(tmp_path, same(HashedNgrams(16)))
    with pytest.raises(AlreadyRunning):
        Index(tmp_path, same(HashedNgrams(16)))
    index.close()


def test_large_files_and_many_small_ones(tmp_path: Path) -> None:
    embedder = Counted(16)
    index = Index(tmp_path, same(embedder))
    large = "\n\n".join(f"Paragraph {i}. " + "word " * 200 for i in range(3000))
    small = [TextFile(f"s{i}", "", "d") for i in range(1000)]
    done = index.update([TextFile("large", large, "d"), *small])
    assert done.added == 1001
    assert done.passages == 2000
    assert index.update(small).vanished == 1
    assert index._shard.stats().records == 1000
    index.close()


def test_where_an_index_is(tmp_path: Path) -> None:
    (tmp_path / "A b\u00e9").mkdir()
    place = index_folder(tmp_path, tmp_path / "A b\u00e9")
    assert place.parent == tmp_path / "rag"
    assert place.name.startswith("a-b-")
    assert place == index_folder(tmp_path, tmp_path / "A b\u00e9" / ".." / "A b\u00e9")


def test_telling_words() -> None:
    assert Asked.of("How does the Guard treat NAT64?").text == "guard treat nat64"
    assert Asked.of("o\u00f9 est le budget").words == {"budget"}
    assert Asked.of("what is it").text == "what is it"
    asked = Asked.of("best holiday destinations portugal")
    assert not asked.shared_by("the best")
    assert asked.shared_by("the best holiday")


def embeddings(method: str, path: str, body: Mapping[str, Any]) -> Any:
    assert (method, path, body["model"]) == ("POST", "embeddings", "local/mini")
    rows = [{"index": i, "embedding": [1.0, float(len(text))]} for i, text in enumerate(body["input"])]
    return {"data": rows[::-1]}


def test_a_servers_embedding_model() -> None:
    embedder = ModelEmbedder(embeddings, "local/mini")
    assert (embedder.id, embedder.dimension) == ("local/mini", 2)
    vectors = embedder.embed(["x" * i for i in range(1, 131)])
    assert vectors.shape == (130, 2)
    assert [int(row[1]) for row in vectors] == list(range(1, 131))
    assert embedder_of(EmbedderId("local/mini", 2), embeddings).dimension == 2
    assert embedder_of(EmbedderId("hashed-ngrams-1-64", 64), embeddings).id == "hashed-ngrams-1-64"
    with pytest.raises(InvalidRequest):
        embedder_of(EmbedderId("hashed-ngrams-9-64", 64), embeddings)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {},
        {"data": []},
        {"data": [{"index": 0}]},
        {"data": [{"index": 0, "embedding": ["x"]}]},
        {"data": 1},
    ],
)
def test_a_server_that_answers_with_something_else(answer: Any) -> None:
    with pytest.raises(UpstreamError):
        ModelEmbedder(lambda *asked: answer, "m")
    with pytest.raises(UpstreamError):
        ModelEmbedder(embeddings, "local/mini", 3).embed(["x"])
