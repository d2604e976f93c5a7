"""The index of a folder's texts: a shard of the memory, kept by itself. Hybrid search, as in memory.

The passages live in the layer `long`, by rules of their own, and not in quarantine with what comes from
outside. Quarantine keeps what strangers said out of conversations that did not ask for it, and forgets it
after a week. Here nobody but the question to these very files ever reads the shard, and whoever made the
index chose the files. They are still data for a model and no instruction, since a repository holds what
many people wrote: see `zoran_ray.rag.prompt`.

For each file there is one record with its digest, written together with its passages: an index that was
broken off anywhere is whole for the files it has.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import orjson

from zoran_ray.memory.bounds import Bounds
from zoran_ray.memory.consent import PurposeRule
from zoran_ray.memory.embedder import Embedder, EmbedderId, check_same
from zoran_ray.memory.generations import latest
from zoran_ray.memory.record import Layer, Record, Vector
from zoran_ray.memory.rules import LayerRule, MemoryRules
from zoran_ray.memory.search import MOST_HITS, Filter, Query
from zoran_ray.memory.shard import MemoryShard
from zoran_ray.memory.store import Durability
from zoran_ray.memory.wal import Fsync
from zoran_ray.rag.files import TextFile
from zoran_ray.rag.passages import MOST_PASSAGES, Passage, passages
from zoran_ray.rag.question import Asked

TENANT = "rag"
FILES = "files"
"""Subject of the records that stand for files."""
AT_ONCE = 256
"""Passages embedded and written together, about."""
_PASSAGE, _FILE = "passage", "file"
_KEPT = PurposeRule(consent="not_needed", fields=("text", "embedding", "source"))
_RULES = MemoryRules(
    layers={layer: LayerRule(merge=False) for layer in Layer},
    outside=(),
    purposes={_PASSAGE: _KEPT, _FILE: _KEPT},
)
_FOUND = Filter(purposes=(_PASSAGE,), layers=frozenset({Layer.LONG}))
LEAST_COSINE = 0.35
"""Nearer passages fit a question even if they share no words with it."""


def index_folder(state_dir: Path, root: Path) -> Path:
    """Where the index of a folder is."""
    whole = str(root.resolve())
    name = re.sub(r"[^a-z0-9]+", "-", root.resolve().name.lower()).strip("-")[:40] or "root"
    return (
        state_dir
        / "rag"
        / f"{name}-{blake2b(whole.encode(errors='surrogateescape'), digest_size=8).hexdigest()}"
    )


@dataclass(frozen=True, slots=True)
class Updated:
    """What an update did.

    Attributes:
        added: Files that are new.
        changed: Files whose content is another.
        unchanged: Files that were left as they were.
        vanished: Files that are gone, and forgotten.
        passages: Passages that were embedded.
    """

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    vanished: int = 0
    passages: int = 0


class Index:
    """The index of one folder. One process has it at a time; close it.

    Args:
        folder: Where it is kept; made if there is none.
        choose: Gives the embedder, told the one that made the index; None where there is none yet. With
            another than before, `update` makes all vectors anew.

    Raises:
        AlreadyRunning: Another process has it.
        StateDamaged: It cannot be read; forget it and make it anew.
    """

    def __init__(self, folder: Path, choose: Callable[[EmbedderId | None], Embedder]) -> None:
        if not exists(folder):
            self._embedder = choose(None)
            self._shard = _shard(folder, self._embedder)
            return
        self._shard = _shard(folder, None)
        try:
            self._embedder = choose(self._shard.embedder)
        except BaseException:
            self._shard.close()
            raise

    def close(self) -> None:
        """Lets another process have it."""
        self._shard.close()

    def update(
        self, files: Iterable[TextFile], progress: Callable[[int, int], None] | None = None
    ) -> Updated:
        """Makes it the index of these files: what did not change is not embedded again.

        Args:
            files: All files there are.
            progress: Told how many passages of how many so far are done.

        Raises:
            StorageFull, Unavailable: What is done until then stays.
        """
        if self._shard.embedder != EmbedderId.of(self._embedder):
            self._shard.reindex(self._embedder, progress)
        known = self._known()
        done = _Round(known)
        for group in _groups(file for file in files if done.differs(file)):
            self._write(group, known)
            done.wrote(group)
            if progress:
                progress(done.passages, done.passages)
        gone = [path for path in known if path not in done.seen]
        for path in gone:
            self._forget(path, known[path][1])
        self._tidy()
        return done.told(len(gone))

    def search(self, question: str, limit: int = 8) -> list[Passage]:
        """Passages that fit a question, best first; none where none does.

        Raises:
            EmbedderMismatch: The embedder is another; `update` first.
        """
        check_same(self._shard.embedder, EmbedderId.of(self._embedder))
        vector = self._embedder.embed([question], TENANT)[0]
        asked = Asked.of(question)
        # Twice as many, because those that do not fit go.
        query = Query(TENANT, asked.text, vector.astype("<f4").tobytes(), min(2 * limit, MOST_HITS), _FOUND)
        fitting = [
            hit.record
            for hit in self._shard.search(query)
            if (hit.cosine or 0.0) >= LEAST_COSINE or asked.shared_by(hit.record.text)
        ]
        return [_passage(record) for record in fitting[:limit]]

    def digest(self, path: str) -> str | None:
        """Of the file as it was when it was indexed; None where it was not."""
        known = self._shard.records(TENANT, [_key(path)]).get(_key(path))
        return None if known is None else str(orjson.loads(known.text)["digest"])

    def _known(self) -> dict[str, tuple[str, int]]:
        """Digest and number of passages of each file, by its path."""
        told = [orjson.loads(row["text"]) for row in self._shard.export(TENANT, FILES)["records"]]
        return {each["path"]: (each["digest"], each["passages"]) for each in told}

    def _write(self, group: "Sequence[_Cut]", known: dict[str, tuple[str, int]]) -> None:
        texts = [_told(each) for cut in group for each in cut.passages]
        vectors: Iterator[Vector] = iter(self._embedder.embed(texts, TENANT) if texts else ())
        records = []
        for cut in group:
            if cut.file.path in known:
                self._forget(cut.file.path, known[cut.file.path][1])
            records.append(_file_record(cut))
            for number, each in enumerate(cut.passages):
                records.append(_record(each, number, next(vectors)))
        self._shard.put(records)

    def _forget(self, path: str, count: int) -> None:
        """Forgets a file and its passages at once."""
        key = _key(path)
        self._shard.forget(TENANT, [key, *(f"{key}.{number}" for number in range(count))])

    def _tidy(self) -> None:
        self._shard.sync()
        told = self._shard.stats()
        if told.dropped * 10 > told.records:
            self._shard.compact()


def exists(folder: Path) -> bool:
    """Whether there is an index."""
    return folder.is_dir() and latest(folder) is not None


def _shard(folder: Path, embedder: Embedder | None) -> MemoryShard:
    return MemoryShard(
        folder,
        embedder,
        _RULES,
        bounds=Bounds(records=5_000_000, batch=AT_ONCE + MOST_PASSAGES + 2, tenants=1),
        # What a power cut takes away is embedded again; every other end costs nothing.
        durability=Durability(fsync=Fsync.NEVER),
    )


@dataclass(frozen=True, slots=True)
class _Cut:
    file: TextFile
    passages: tuple[Passage, ...]


class _Round:
    """What an update has seen so far."""

    def __init__(self, known: dict[str, tuple[str, int]]) -> None:
        self._known = known
        self.seen: set[str] = set()
        self._added = self._changed = self._unchanged = 0
        self.passages = 0

    def differs(self, file: TextFile) -> bool:
        self.seen.add(file.path)
        if self._known.get(file.path, ("",))[0] == file.digest:
            self._unchanged += 1
            return False
        return True

    def wrote(self, group: Sequence[_Cut]) -> None:
        new = sum(cut.file.path not in self._known for cut in group)
        self._added, self._changed = self._added + new, self._changed + len(group) - new
        self.passages += sum(len(cut.passages) for cut in group)

    def told(self, vanished: int) -> Updated:
        return Updated(self._added, self._changed, self._unchanged, vanished, self.passages)


def _groups(files: Iterable[TextFile]) -> "Iterable[list[_Cut]]":
    """Files with about `AT_ONCE` passages together."""
    group: list[_Cut] = []
    count = 0
    for file in files:
        cut = _Cut(file, tuple(passages(file.path, file.text)))
        if group and count + len(cut.passages) + len(group) >= AT_ONCE:
            yield group
            group, count = [], 0
        group.append(cut)
        count += len(cut.passages)
    if group:
        yield group


def _key(path: str) -> str:
    return blake2b(path.encode(), digest_size=16).hexdigest()


def _told(passage: Passage) -> str:
    """The text of a record: its place in the first line, which is found by its words too."""
    return f"{passage.path}:{passage.first}:{passage.last}\n{passage.text}"


def _passage(record: Record) -> Passage:
    place, _, text = record.text.partition("\n")
    path, first, last = place.rsplit(":", 2)
    return Passage(path, int(first), int(last), text)


def _record(passage: Passage, number: int, vector: Vector) -> Record:
    key, embedding = _key(passage.path), vector.astype("<f4").tobytes()
    name = f"{key}.{number}"
    return Record(name, TENANT, key, _told(passage), _PASSAGE, 0.0, Layer.LONG, embedding)


def _file_record(cut: _Cut) -> Record:
    told = {"path": cut.file.path, "digest": cut.file.digest, "passages": len(cut.passages)}
    return Record(_key(cut.file.path), TENANT, FILES, orjson.dumps(told).decode(), _FILE, 0.0, Layer.LONG)
