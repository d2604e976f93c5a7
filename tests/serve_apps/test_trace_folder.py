"""Traces on the disk: whose they are, how many, how old."""

import os

import pytest

from serve_apps.gateway.trace_folder import TraceFolder, forgotten, traces_folder


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
    path = folder._find(name(number), tenant)
    if path is not None:
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
    assert folder._find(name(1), "a").exists()
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


def about(folder, number, tenant, now, *subjects, began=None):
    kept = folder.write(name(number), tenant, b"{}", subjects=subjects, began=began)
    path = folder._find(name(number), tenant)
    if path is not None:
        os.utime(path, (now[0], now[0]))
    return kept


def test_who_is_forgotten_takes_what_is_about_them_along(folder, now):
    about(folder, 1, "a", now, "anna", "user-7")
    about(folder, 2, "a", now, "ben")
    about(folder, 3, "b", now, "anna")
    assert folder.read(name(1), "a") == b"{}"
    assert folder.forget(forgotten("a", "anna")) == 1
    assert [folder.read(name(n), t) for n, t in ((1, "a"), (2, "a"), (3, "b"))] == [None, b"{}", b"{}"]
    assert folder.forget(forgotten("a", "nobody")) == 0
    assert folder.forget(forgotten("b", None)) == 1
    assert folder.forget(forgotten("c", None)) == 0


@pytest.mark.parametrize("everything", [False, True])
def test_a_request_that_began_before_leaves_no_trace(folder, now, everything):
    began = now[0]
    now[0] += 1
    folder.forget(forgotten("a", None if everything else "anna"))
    now[0] += 1
    assert not about(folder, 1, "a", now, "anna", began=began)
    assert folder.read(name(1), "a") is None
    assert about(folder, 2, "a", now, "anna", began=now[0])
    assert about(folder, 3, "a", now, "ben", began=began) is not everything
    assert about(folder, 4, "b", now, "anna", began=began)


def test_the_mark_goes_when_no_such_request_can_be_left(folder, now, tmp_path):
    folder.forget(forgotten("a", "anna"))
    now[0] += 99
    folder.sweep()
    assert list(traces_folder(tmp_path).iterdir())
    now[0] += 2
    folder.sweep()
    assert not list(traces_folder(tmp_path).iterdir())


def test_marks_are_not_counted_among_traces(folder, now):
    for subject in "uvwxyz":
        folder.forget(forgotten("a", subject))
    for number in range(3):
        written(folder, number, "a", now)
    assert all(folder.read(name(number), "a") for number in range(3))
    (page, more) = folder.page("a", 9, None)
    assert ([each.id for each in page], more) == ([name(2), name(1), name(0)], False)


def test_pages_begin_with_the_newest(folder, now):
    for number in range(3):
        written(folder, number, "a", now)
    written(folder, 7, "b", now)
    first, more = folder.page("a", 2, None)
    assert ([each.id for each in first], more) == ([name(2), name(1)], True)
    second, more = folder.page("a", 2, name(1))
    assert ([each.id for each in second], more) == ([name(0)], False)
    assert folder.page("a", 2, name(7)) is None
    assert folder.page("nobody", 2, None) == ([], False)
    now[0] += 97.5
    assert [each.id for each in folder.page("a", 9, None)[0]] == [name(2)]
