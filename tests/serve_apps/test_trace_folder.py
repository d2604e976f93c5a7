"""Traces on the disk: whose they are, how many, how old."""

import os

import pytest

from serve_apps.gateway.trace_folder import TraceFolder, traces_folder


def name(number):
    return f"trace-{number:032x}"


@pytest.fixture
def now():
    return [1_000_000.0]


@pytest.fixture
def folder(tmp_path, now):
    return TraceFolder(traces_folder(tmp_path), lambda: now[0], ttl_s=100, most=3)


def written(folder, number, tenant, now, data=b"{}"):
    folder.write(name(number), tenant, data)
    path = folder._place(name(number), tenant)
    if path.exists():
        os.utime(path, (now[0], now[0]))
    now[0] += 1


def test_tenants_do_not_find_each_others(folder, now):
    written(folder, 1, "a", now, b"mine")
    assert folder.read(name(1), "a") == b"mine"
    assert folder.read(name(1), "b") is None
    assert not folder.delete(name(1), "b")
    assert folder.delete(name(1), "a")
    assert folder.read(name(1), "a") is None


def test_the_oldest_of_a_tenant_go_first_and_no_others(folder, now):
    written(folder, 9, "b", now)
    for number in range(5):
        written(folder, number, "a", now)
    assert [number for number in range(5) if folder.read(name(number), "a")] == [2, 3, 4]
    assert folder.read(name(9), "b")


def test_old_ones_are_not_read_and_then_deleted(folder, now, tmp_path):
    written(folder, 1, "a", now)
    half = next(traces_folder(tmp_path).iterdir()) / ".new-x"
    half.write_bytes(b"{")
    os.utime(half, (now[0], now[0]))
    now[0] += 99.5
    assert folder.read(name(1), "a") is None
    assert folder._place(name(1), "a").exists()
    now[0] += 1000
    folder.sweep()
    assert not list(traces_folder(tmp_path).iterdir())


@pytest.mark.parametrize("bad", ["", "trace-1", "../keys", f"{name(1)}/x", name(1).upper()])
def test_names_that_are_none(folder, bad):
    with pytest.raises(ValueError, match="no trace's name"):
        folder.write(bad, "a", b"{}")
    assert folder.read(bad, "a") is None
    assert not folder.delete(bad, "a")


def test_sweeping_where_nothing_was_written(folder):
    folder.sweep()


def test_all_together_are_bounded(folder, now, monkeypatch):
    monkeypatch.setattr("serve_apps.gateway.trace_folder.MOST_BYTES", 10)
    for number, tenant in enumerate("abc"):
        written(folder, number, tenant, now, b"12345")
    folder.sweep()
    assert [folder.read(name(n), t) for n, t in enumerate("abc")] == [None, b"12345", b"12345"]
