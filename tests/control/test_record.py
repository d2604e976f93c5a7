import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.control import (
    ProcessRecord,
    ServerRecord,
    living,
    read_record,
    record_of,
    remove_record,
    write_record,
)
from zoran_ray.errors import ConfigError

RECORD = ServerRecord(1, 2.5, "http://127.0.0.1:8080", 3.5, (ProcessRecord(4, 5.5, "raylet"),))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None
    write_record(tmp_path, RECORD)
    write_record(tmp_path, replace(RECORD, url="http://127.0.0.1:8081"))
    assert read_record(tmp_path) == replace(RECORD, url="http://127.0.0.1:8081")
    assert [file.name for file in tmp_path.iterdir()] == ["server.json"]
    remove_record(tmp_path)
    remove_record(tmp_path)
    assert read_record(tmp_path) is None


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        write_record(tmp_path, RECORD)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "server.json").stat().st_mode) == 0o600


@given(
    st.binary(max_size=200) | st.sampled_from([b"[]", b"3", b'{"pid": 1}', b'{"processes": [1]}', b"null"])
)
def test_a_damaged_record_says_what_to_do(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("state")
    (folder / "server.json").write_bytes(content)
    with pytest.raises(ConfigError, match="delete it"):
        read_record(folder)


def test_a_process_is_known_by_its_start_too() -> None:
    me = record_of(os.getpid(), "test")
    assert me is not None
    assert living(me) is not None
    assert living(replace(me, create_time=me.create_time - 60)) is None


def test_an_ended_process_does_not_live() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    record = record_of(child.pid, "child")
    assert record is not None
    assert living(record) is not None
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert living(record) is None  # a zombie
    child.communicate()
    assert living(record) is None
    assert record_of(child.pid, "child") is None
