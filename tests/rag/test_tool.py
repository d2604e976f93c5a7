"""The tool `search_files` over a real index, and where there is none."""

import asyncio
import logging
import time
from pathlib import Path

import pytest

from zoran_ray.agents.folder_search import FolderSearch
from zoran_ray.memory.embedder import HashedNgrams
from zoran_ray.rag import Folder, Index, SearchFiles
from zoran_ray.tools.tool import Observation
from zoran_ray.tools.toolbox import Toolbox


def toolbox(place: Path, root: Path, most_chars: int = 8000) -> Toolbox:
    search = FolderSearch(place, root, lambda made: HashedNgrams(64))
    return Toolbox([SearchFiles(search, most_chars=most_chars)], ["search_files"], {"local"})


def indexed(place: Path, root: Path) -> None:
    index = Index(place, lambda made: HashedNgrams(64))
    index.update(Folder(root).texts())
    index.close()


async def asked(box: Toolbox, question: str, **arguments: object) -> Observation:
    given = {"question": question, **arguments}
    return await box.call("search_files", given, deadline=time.monotonic() + 30)


async def test_it_shows_passages_with_their_lines(tmp_path: Path) -> None:
    root, place = tmp_path / "files", tmp_path / "index"
    root.mkdir()
    (root / "tea.md").write_text("\n# Tea\nGreen tea is brewed at seventy degrees.\n")
    (root / "rain.md").write_text("Rain falls in the plain.\n")
    indexed(place, root)
    box = toolbox(place, root)
    seen = await asked(box, "brewed tea")
    assert seen == Observation("tea.md:2-3\n2| # Tea\n3| Green tea is brewed at seventy degrees.")
    assert (await asked(box, "lasagna")).text == "Nothing in the files fits this."
    assert len({each.text for each in await asyncio.gather(*(asked(box, "rain") for _ in range(8)))}) == 1
    assert (await asked(toolbox(place, root, most_chars=5), "brewed tea")).truncated
    (root / "tea.md").write_text("changed")
    assert (await asked(box, "brewed tea")).text == "Nothing in the files fits this."


async def test_without_an_index_the_operator_is_told_and_the_model_hears_no_path(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "zoran.rag"):
        seen = await asked(toolbox(tmp_path / "index", tmp_path), "tea")
    assert not seen.ok
    assert "operator" in seen.text
    assert str(tmp_path) not in seen.text
    assert f"zoran rag index {tmp_path}" in caplog.text


@pytest.mark.parametrize("arguments", [{"limit": 0}, {"limit": 1000}, {"path": "/etc"}, {"question": ""}])
async def test_arguments_that_do_not_fit(tmp_path: Path, arguments: dict[str, object]) -> None:
    seen = await asked(toolbox(tmp_path, tmp_path), **{"question": "tea", **arguments})
    assert not seen.ok
    assert "Wrong arguments" in seen.text
