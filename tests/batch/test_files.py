"""Files of owners: whose they are, how large, and that names are never paths."""

import pytest

from zoran_ray.batch import files as module
from zoran_ray.batch import uploads as uploads_module
from zoran_ray.batch.uploads import Uploads
from zoran_ray.errors import BodyTooLarge, InvalidRequest, Overloaded, RecordNotFound, StorageFull


def names(found):
    return [each.filename for each in found[0]]


def listed(files, owner="t", purpose=None, after=None, limit=100, order="desc"):
    return files.list(owner, purpose=purpose, after=after, limit=limit, order=order)


def test_what_is_kept_is_found_by_its_owner_alone(files):
    kept = files.write("t", "batch", "../../etc/passwd", [b"ab", b"", b"cd"])
    assert (kept.bytes, kept.filename, files.get("t", kept.id)) == (4, "../../etc/passwd", kept)
    with files.open("t", kept.id) as file:
        assert file.read() == b"abcd"
    assert (files.read("t", kept.id, 1, 2), files.read("t", kept.id, 9, 2)) == (b"bc", b"")
    for owner, file_id in [("u", kept.id), ("", kept.id), ("t", "file-../../x"), ("t", kept.id + "\n")]:
        with pytest.raises(RecordNotFound):
            files.open(owner, file_id)
    assert listed(files, "u") == ((), False)


def test_lists_in_both_orders_page_by_page(files):
    kept = [files.write("t", "batch" if n % 2 else "vision", str(n), [b"x"]) for n in range(5)]
    assert names(listed(files)) == list("43210")
    assert names(listed(files, order="asc")) == list("01234")
    assert names(listed(files, purpose="batch")) == list("31")
    page = listed(files, limit=2)
    assert (names(page), page[1]) == (list("43"), True)
    assert names(listed(files, after=page[0][-1].id, limit=2)) == list("21")
    assert names(listed(files, after=kept[3].id, order="asc")) == ["4"]
    with pytest.raises(RecordNotFound):
        listed(files, after="file-000000000000000000000000")


def test_a_file_that_a_batch_reads_stays(files, jobs):
    kept = files.write("t", "batch", "in", [b"x"])
    job = jobs.create("t", "k", endpoint="/v1/embeddings", input_file_id=kept.id, window="24h")
    with pytest.raises(InvalidRequest, match="Cancel the batch first"):
        files.delete("t", kept.id)
    jobs.cancel("t", job.id)
    jobs.finish(jobs.ending(job.id, "completed", "", ""), output=False, errors=False)
    files.delete("t", kept.id)
    assert listed(files) == ((), False)
    with pytest.raises(RecordNotFound):
        files.delete("t", kept.id)


def test_expired_files_are_gone_at_once_and_from_the_disk_later(files, clock, tmp_path):
    kept = files.write("t", "batch", "in", [b"x"], expires_s=10)
    stays = files.write("t", "batch", "other", [b"x"])
    clock.now += 11
    with pytest.raises(RecordNotFound):
        files.get("t", kept.id)
    assert names(listed(files)) == ["other"]
    files.sweep()
    assert [path.name for path in (tmp_path / "batch" / "files").iterdir()] == [stays.id]


def test_what_was_left_half_made_is_swept(files, tmp_path):
    kept = files.write("t", "batch", "in", [b"x"])
    folder = tmp_path / "batch" / "files"
    for name in (".draft-aa", "file-" + "0" * 24):
        (folder / name).write_bytes(b"x")
    files.sweep_drafts()
    assert [path.name for path in folder.iterdir()] == [kept.id]
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / kept.id).stat().st_mode & 0o077 == 0


def test_uploads_piece_by_piece(files):
    uploads = Uploads(files)
    name = uploads.begin("t")
    for piece in (b"a", b"", b"bc"):
        uploads.add(name, piece)
    kept = uploads.finish(name, "batch", "n", None)
    assert (kept.id, kept.bytes, files.read("t", name, 0, 9)) == (name, 3, b"abc")
    with pytest.raises(RecordNotFound, match="given up"):
        uploads.add(name, b"x")


def test_bounds_of_uploads(files, monkeypatch, clock, tmp_path):
    monkeypatch.setattr(uploads_module, "MAX_FILE_BYTES", 3)
    monkeypatch.setattr(uploads_module, "MOST", 2)
    uploads = Uploads(files, clock)
    first, second = uploads.begin("t"), uploads.begin("t")
    with pytest.raises(Overloaded):
        uploads.begin("t")
    with pytest.raises(BodyTooLarge):
        uploads.add(first, b"abcd")
    clock.now += uploads_module.IDLE_S + 1
    uploads.begin("t")
    with pytest.raises(RecordNotFound):
        uploads.add(second, b"x")
    uploads.close()
    assert list((tmp_path / "batch" / "files").iterdir()) == []


def test_an_owner_with_too_much_is_refused_and_others_are_not(files, monkeypatch):
    monkeypatch.setattr(module, "MAX_OWNER_FILES", 1)
    files.write("t", "batch", "n", [b"x"])
    with pytest.raises(StorageFull, match="Delete some"):
        Uploads(files).begin("t")
    files.check_room("u")
    monkeypatch.setattr(module, "MAX_OWNER_FILES", 9)
    monkeypatch.setattr(module, "MAX_OWNER_BYTES", 3)
    uploads = Uploads(files)
    name = uploads.begin("t")
    uploads.add(name, b"abc")
    with pytest.raises(StorageFull):
        uploads.finish(name, "batch", "n", None)
    assert len(listed(files)[0]) == 1
