"""The tool `search_files` over a real index."""

import asyncio
import time
from pathlib import Path

from zoran_ray.memory.embedder import HashedNgrams
from zoran_ray.rag import Folder, Index, SearchFiles
from zoran_ray.tools.toolbox import Toolbox


async def test_it_shows_passages_with_their_lines(tmp_path: Path) -> None:
    root = tmp_path / "files"
    root.mkdir()
    (root / "tea.md").write_text("\n# Tea\nGreen tea is brewed at seventy degrees.\n")
    (root / "rain.md").write_text("Rain falls in the plain.\n")
    folder = Folder(root)
    index = Index(tmp_path / "index", lambda made: HashedNgrams(64))
    index.update(folder.texts())
    box = Toolbox([SearchFiles(index, folder)], ["search_files"], {"memory"})

    async def ask(question: str) -> str:
        seen = await box.call("search_files", {"question": question}, deadline=time.monotonic() + 30)
        assert seen.ok
        return seen.text

    assert await ask("brewed tea") == "tea.md:2-3\n2| # Tea\n3| Green tea is brewed at seventy degrees."
    assert await ask("lasagna") == "Nothing in the files fits this."
    assert len(set(await asyncio.gather(*(ask("rain plain") for _ in range(8))))) == 1
    (root / "tea.md").write_text("changed")
    assert await ask("brewed tea") == "Nothing in the files fits this."
    index.close()
