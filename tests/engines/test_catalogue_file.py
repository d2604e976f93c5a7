"""An edited models file is taken over whole or not at all."""

import asyncio
import os

import pytest

from zoran_ray.engines.catalogue_file import RACY_S, CatalogueFile
from zoran_ray.errors import ConfigError
from zoran_ray.wire import Usage

ARMS = """
arms:
- name: openai/mini
  provider: openai
  upstream: gpt-mini
  context_tokens: 1000
  usd_per_million_input: {price}
  usd_per_million_output: 1
  data_goes: us
"""


class Disk:
    """A models file whose times are ours: every write is long past when it is looked at."""

    def __init__(self, folder):
        self.path = folder / "models.yaml"
        self.now = 1_700_000_000.0
        self.write(ARMS.format(price=1))
        self.file = CatalogueFile(self.path, folder, lambda: self.now)

    def write(self, text, age_s=10.0):
        self.path.write_text(text)
        self.now += 100
        os.utime(self.path, (self.now - age_s, self.now - age_s))

    def price(self):
        return self.file.current.cost_nano_usd("openai/mini", Usage(1))


@pytest.fixture
def disk(tmp_path):
    return Disk(tmp_path)


def test_starts_only_with_a_good_file(tmp_path):
    (tmp_path / "m.yaml").write_text("arms: [{name: x}]")
    with pytest.raises(ConfigError, match=r"m\.yaml:1"):
        CatalogueFile(tmp_path / "m.yaml", tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        CatalogueFile(tmp_path / "none.yaml", tmp_path)


def test_a_new_price_is_taken_over(disk):
    assert disk.price() == 1000
    assert not disk.file.refresh()
    disk.write(ARMS.format(price=2))
    assert disk.file.refresh()
    assert disk.price() == 2000
    assert (disk.file.version, disk.file.rejected, disk.file.error) == (2, 0, None)
    assert not disk.file.refresh()


@pytest.mark.parametrize(
    "bad",
    [
        ARMS.format(price=-1),
        ARMS.format(price=".nan"),
        ARMS.format(price=2) + "- {name: openai/other}\n",
        ARMS.format(price=2) + "  fallbacks: [x/y]\n",
        "arms: [",
        "",
        "\x00",
        "a: " + "x" * 300_000,
    ],
)
def test_a_bad_edit_changes_nothing_and_is_told(disk, bad):
    before = disk.file.current
    disk.write(bad)
    assert disk.file.refresh()
    assert disk.file.current is before
    assert (disk.file.version, disk.file.rejected) == (1, 1)
    assert str(disk.path) in disk.file.error.message
    disk.write(bad + "\n")
    disk.file.refresh()
    assert disk.file.current is before
    disk.write(ARMS.format(price=3))
    assert disk.file.refresh()
    assert disk.file.error is None
    assert disk.price() == 3000


def test_back_to_what_it_was_clears_the_error_and_keeps_the_catalogue(disk):
    before = disk.file.current
    disk.write("arms: [")
    disk.file.refresh()
    disk.write(ARMS.format(price=1))
    assert disk.file.refresh()
    assert disk.file.error is None
    assert disk.file.current is before
    assert disk.file.version == 1


def test_a_file_that_has_gone_is_told_once(disk):
    disk.path.unlink()
    assert disk.file.refresh()
    assert "cannot be read" in disk.file.error.message
    assert not disk.file.refresh()
    assert disk.file.rejected == 1
    assert disk.price() == 1000


def test_a_file_put_in_its_place_is_noticed(disk, tmp_path):
    """As editors save and as Kubernetes mounts change, with the size and time of the old one."""
    other = tmp_path / "other"
    other.write_text(ARMS.format(price=5))
    status = disk.path.stat()
    os.utime(other, ns=(status.st_mtime_ns, status.st_mtime_ns))
    other.replace(disk.path)
    assert disk.file.refresh()
    assert disk.price() == 5000


def test_two_edits_within_one_tick_of_the_clock_are_both_noticed(disk):
    disk.write(ARMS.format(price=2), age_s=0)
    tick = disk.path.stat().st_mtime_ns
    assert disk.file.refresh()
    disk.path.write_text(ARMS.format(price=3))
    os.utime(disk.path, ns=(tick, tick))
    assert disk.file.refresh()
    assert disk.price() == 3000
    disk.now += RACY_S + 1
    assert not disk.file.refresh()


def test_a_comment_is_no_news(disk):
    disk.write(ARMS.format(price=1) + "# cheap\n")
    assert not disk.file.refresh()
    assert disk.file.version == 1


async def test_watching_tells_of_every_change(disk):
    told = asyncio.Queue()
    watcher = asyncio.create_task(disk.file.watch(told.put_nowait, every_s=0))
    disk.write(ARMS.format(price=2))
    assert (await told.get()).version == 2
    disk.write("arms: [")
    assert (await told.get()).error is not None
    watcher.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watcher
