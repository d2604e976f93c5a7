"""Answers appended to a plain file: taken up where it was, nothing lost, nothing twice."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.batch.conftest import answered, parsed, row, rows
from zoran_ray.batch.outcome import Failed
from zoran_ray.batch.output_file import OutputFile
from zoran_ray.batch.runner import Done
from zoran_ray.errors import AlreadyRunning, ConfigError, StateDamaged, StorageFull


@pytest.fixture
def paths(tmp_path):
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(rows("a", "b") + b"{\n" + rows("c", "a", "d"))
    return source, target


def finish(book, want=64):
    """Answer everything."""
    while lines := book.settle([], want):
        book.settle([Done(line, answered(line.custom_id)) for line in lines], 0)
        if len(lines) < want:
            return


def test_all_lines_and_their_faults(paths):
    with OutputFile(*paths) as book:
        assert (book.counts.total, book.counts.before, book.counts.faulty) == (6, 0, 2)
        assert [told[:7] for told in book.counts.faults] == ["Line 3 ", "Line 5:"]
        finish(book)
        assert (book.counts.done, book.counts.completed, book.counts.failed) == (6, 4, 2)
        assert (book.counts.prompt_tokens, book.counts.completion_tokens) == (12, 8)
    found = parsed(paths[1].read_bytes())
    assert {each["id"] for each in found} == {f"line-{n}" for n in range(1, 7)}
    assert [e["error"]["code"] for e in found if e["error"]] == ["invalid_json", "duplicate_custom_id"]
    good = {e["custom_id"]: e["response"] for e in found if e["response"]}
    assert good["c"] == {"status_code": 200, "request_id": "req-1", "body": {"said": "c"}}


def test_every_cut_of_the_output_is_taken_up(paths):
    with OutputFile(*paths) as book:
        finish(book)
    whole = paths[1].read_bytes()
    for cut in range(len(whole) + 1):
        paths[1].write_bytes(whole[:cut])
        with OutputFile(*paths) as book:
            assert book.counts.before == whole[:cut].count(b"\n")
            finish(book, 2)
        numbers = [each["id"] for each in parsed(paths[1].read_bytes())]
        assert sorted(numbers) == [f"line-{n}" for n in range(1, 7)]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=12), st.integers(0, 60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
def test_any_order_of_work_and_restarts(paths, steps, torn):
    paths[1].unlink(missing_ok=True)
    for want, answer in [*steps, (9, 9)]:
        with OutputFile(*paths) as book:
            lines = list(book.settle([], want))
            book.settle([Done(line, Failed("x", "y")) for line in reversed(lines[:answer])], 0)
        if answer < 9:
            with paths[1].open("ab") as file:
                file.write(b'{"id": "line-1", "custom_id": "torn'[:torn])
    numbers = [each["id"] for each in parsed(paths[1].read_bytes())]
    assert sorted(numbers) == [f"line-{n}" for n in range(1, 7)]


def test_a_model_for_all_lines(paths):
    with OutputFile(*paths, "zoran/cot") as book:
        (line,) = book.settle([], 1)
        assert line.model == book.request(line).body["model"] == "zoran/cot"


def test_only_one_run_writes(paths):
    with OutputFile(*paths), pytest.raises(AlreadyRunning):
        OutputFile(*paths)
    OutputFile(*paths).close()


@pytest.mark.parametrize(
    "content",
    [
        b"notes\n",
        b'{"id": 5}\n',
        b"[]\n",
        b'{"id": "line-x", "custom_id": null}\n',
    ],
)
def test_a_file_that_is_no_output_is_left_alone(paths, content):
    paths[1].write_bytes(content)
    with pytest.raises(StateDamaged, match="Name another output file"):
        OutputFile(*paths)
    assert paths[1].read_bytes() == content


@pytest.mark.parametrize(("number", "custom_id"), [(1, "b"), (99, "a"), (3, "a")])
def test_answers_to_other_requests_are_not_taken_for_these(paths, number, custom_id):
    row = {"id": f"line-{number}", "custom_id": custom_id, "response": None, "error": None}
    paths[1].write_text(json.dumps(row) + "\n")
    with pytest.raises(ConfigError, match="other requests"):
        OutputFile(*paths)


def test_what_cannot_be_opened(paths, tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        OutputFile(tmp_path / "missing", paths[1])
    with pytest.raises(ConfigError, match="cannot be written"):
        OutputFile(paths[0], tmp_path)


def test_a_full_disk_loses_nothing(paths, monkeypatch):
    paths[0].write_bytes(b"{\n" + row("a"))

    def full(handle):
        raise OSError(28, "No space left on device")

    with OutputFile(*paths) as book:
        with monkeypatch.context() as broken:
            broken.setattr("os.fsync", full)
            with pytest.raises(StorageFull, match="No space left"):
                book.settle([], 5)
        finish(book)
    assert [each["id"] for each in parsed(paths[1].read_bytes())] == ["line-1", "line-2"]
