"""Edits of a models file while it is served, as the operator hears of them."""

import asyncio
import contextlib
import logging

import pytest

from serve_apps.edits import CatalogueEdits
from zoran_ray.engines.catalogue_file import CatalogueFile

ARM = """
- name: ollama/{name}
  provider: ollama
  upstream: {name}
  context_tokens: 9
  data_goes: local
  usd_per_million_input: {price}
"""


class Served:
    """A models file that is followed; what was followed and told."""

    def __init__(self, path):
        self.path = path
        self.write("models: [{name: a}]\narms:" + ARM.format(name="x", price=1))
        self.followed, self.told, self.left = [], asyncio.Queue(), ()
        self.file = CatalogueFile(path, path.parent)
        self.edits = CatalogueEdits(self.file, self._follow, lambda *told: self.told.put_nowait(told))

    def write(self, text):
        self.path.write_text(text)

    def _follow(self, file):
        self.followed.append(file)
        return self.left


@pytest.fixture
async def served(tmp_path, monkeypatch):
    monkeypatch.setattr(CatalogueFile.watch, "__defaults__", (0.001,))
    made = Served(tmp_path / "models.yaml")
    running = asyncio.create_task(made.edits.run())
    yield made
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


async def test_a_new_price_and_a_new_arm(served):
    assert served.edits.status()["version"] == 1
    served.write(
        "models: [{name: a}]\narms:" + ARM.format(name="x", price=2) + ARM.format(name="y", price=0)
    )
    assert await served.told.get() == ("models file", "new: ollama/y; changed: ollama/x")
    assert [arm.usd_per_million_input for arm in served.followed[-1].arms] == [2, 0]
    assert served.edits.status() == {
        "path": str(served.path), "version": 2, "rejected": 0, "error": None
    }  # fmt: skip


async def test_a_bad_edit_stays_outside_and_is_told_with_its_line(served, caplog):
    served.write("models: [{name: a}]\narms:" + ARM.format(name="x", price=-1))
    # The file is read in a thread: its error is there a moment before it is told.
    await until(lambda: served.edits.status()["error"] and caplog.records)
    status = served.edits.status()
    field = "models.yaml:8: arms[0].usd_per_million_input: found -1, expected greater than or equal to 0"
    assert field in status["error"]
    assert (status["version"], status["rejected"]) == (1, 1)
    assert not served.followed
    (line,) = [record for record in caplog.records if record.name == "zoran.models"]
    assert line.levelno == logging.WARNING
    assert "refused, what it said before stays" in line.getMessage()
    assert field in line.getMessage()
    # What it said before, once more, is right again.
    served.write("models: [{name: a}]\narms:" + ARM.format(name="x", price=1))
    assert await served.told.get() == ("models file", "as before")
    assert served.edits.status()["error"] is None


async def test_what_is_not_applied_is_said(served, caplog):
    served.left = ("a", "b")
    served.write("models: [{name: a, engine_args: {x: 1}}, {name: b}]")
    await served.told.get()
    assert "as before: a, b. `zoran models load NAME`" in caplog.text


async def test_one_failure_does_not_end_it(served, caplog):
    served.left = None
    told = served.edits._progress

    def broken(*anything):
        raise BrokenPipeError

    served.edits._progress = broken
    served.write("models: [{name: b}]")
    await until(lambda: "following the models file failed" in caplog.text)
    served.edits._progress = told
    served.write("models: [{name: c}]")
    assert await served.told.get() == ("models file", "new: local/c; gone: local/b")
