import base64
import io
import json
import pickle
import threading
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.memory.z5 import measure
from zoran_ray.errors import (
    InvalidRequest,
    Z5Corrupt,
    Z5Error,
    Z5Malformed,
    Z5TooLarge,
    Z5Truncated,
    Z5UnknownVersion,
    Z5WrongDictionary,
)
from zoran_ray.memory import z5_samples
from zoran_ray.memory.z5 import SHORT_BYTES, Z5, _checksum, codec
from zoran_ray.memory.z5_dictionary import Dictionary, shipped, train

KIND = "conversation"
TEXT = b"The user prefers short answers, works with Marie on Tuesdays and is learning linear equations."
NUMBERS = train("numbers", (f'{{"n": {n}, "square": {n * n}}}'.encode() for n in range(3000)), 2048)

contents = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.builds(lambda part, times: part * times, st.binary(min_size=1, max_size=20), st.integers(0, 900)),
)
kinds = st.sampled_from([None, KIND])


def frame_of(zstd_frame: bytes) -> str:
    """A frame of version 2 around any zstd frame, with the right checksum."""
    body = base64.urlsafe_b64encode(zstd_frame[4:]).rstrip(b"=").decode()
    return f"Z5::2.0.{_checksum(None, zstd_frame[4:])}.{body}"


def version_1(content: bytes) -> str:
    return "Z5::" + base64.b64encode(zlib.compress(content, 9)).decode()


@given(contents, kinds)
def test_what_is_written_is_read(content, kind):
    assert codec().decode(codec().encode(content, kind)) == content


@given(contents)
def test_the_public_version_1_is_read(content):
    assert codec().decode(version_1(content)) == content


@pytest.mark.parametrize("size", [0, 1, SHORT_BYTES, SHORT_BYTES + 1, 300_000])
@pytest.mark.parametrize("kind", [None, KIND])
def test_around_the_sizes_that_matter(size, kind):
    content = (b"".join(z5_samples.conversations(3000)))[:size]
    frame = codec().encode(content, kind)
    assert codec().decode(frame) == content
    assert size < 100 or len(frame) < size


def test_a_frame_is_plain_ascii_of_four_parts():
    frame = codec().encode(TEXT * 9, KIND)
    prefix, name, checksum, body = frame.split(".")
    assert (prefix, name, len(checksum)) == ("Z5::2", shipped()[-1].id, 6)
    assert body.isascii()
    assert not set(body) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_any_zstd_reads_what_is_in_it():
    body = codec().encode(TEXT * 9).rpartition(".")[2]
    raw = b"\x28\xb5\x2f\xfd" + base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    assert zstandard.ZstdDecompressor().decompress(raw) == TEXT * 9


def test_frames_of_the_first_day_stay_readable():
    # Written with conversation.1 when it was made. If this fails, a dictionary was changed, not added.
    assert codec().decode("Z5::2.ca4.YH-Wj8.IAtZAABoZWxsbyB3b3JsZA") == b"hello world"
    assert [(each.kind, each.id) for each in shipped()] == [(KIND, "ca4")]


# What is wrong with a frame


@given(contents, kinds, st.data())
def test_every_bit_flip_is_an_error(content, kind, data):
    frame = codec().encode(content, kind).encode()
    place = data.draw(st.integers(0, len(frame) * 8 - 1))
    changed = bytearray(frame)
    changed[place // 8] ^= 1 << place % 8
    with pytest.raises(Z5Error):
        codec().decode(changed.decode("latin-1"))


@pytest.mark.parametrize("frame", [codec().encode(TEXT, KIND), codec().encode(TEXT), codec().encode(b"")])
def test_every_single_bit_of_a_frame_counts(frame):
    raw = frame.encode()
    for place in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(Z5Error):
            codec().decode(changed.decode("latin-1"))


def test_a_flipped_bit_never_changes_the_content_of_version_1():
    frame = version_1(TEXT)
    for place in range(len(frame) * 8):
        changed = bytearray(frame.encode())
        changed[place // 8] ^= 1 << place % 8
        try:
            content = codec().decode(changed.decode("latin-1"))
        except Z5Error:
            continue
        assert content == TEXT


@given(contents, kinds, st.data())
def test_every_cut_is_said_to_be_one(content, kind, data):
    frame = codec().encode(content, kind)
    with pytest.raises(Z5Truncated):
        codec().decode(frame[: data.draw(st.integers(4, len(frame) - 1))])


@given(contents, st.data())
def test_every_cut_of_version_1_too(content, data):
    frame = version_1(content)
    with pytest.raises(Z5Truncated):
        codec().decode(frame[: data.draw(st.integers(4, len(frame) - 1))])


@pytest.mark.parametrize("kind", [None, KIND])
def test_a_long_frame_that_is_cut_between_blocks(kind):
    frame = codec().encode(bytes(range(256)) * 4096, kind)
    for cut in range(20, len(frame), 7):
        with pytest.raises(Z5Truncated):
            codec().decode(frame[:cut])


@given(st.text(max_size=200), st.sampled_from(["", "Z5::", "Z5::2.", "Z5::2.0.", "Z5::2.0.AAAAAA."]))
def test_any_text_is_an_error_of_ours_or_a_frame(text, before):
    try:
        content = codec().decode(before + text)
    except Z5Error:
        return
    assert isinstance(content, bytes)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", Z5Malformed),
        ("Z5:", Z5Malformed),
        ("z5::2.0.AAAAAA.AA", Z5Malformed),
        (" Z5::2.0.AAAAAA.AA", Z5Malformed),
        ("Z5::", Z5Truncated),
        ("Z5::...", Z5Malformed),
        ("Z5::two.0.AAAAAA.AA", Z5Malformed),
        ("Z5::²......", Z5Malformed),
        ("Z5::3.0.AAAAAA.AA", Z5UnknownVersion),
        ("Z5::1.0.AAAAAA.AA", Z5UnknownVersion),
        ("Z5::2.0.AAAAA.AA", Z5Malformed),
        ("Z5::2.0000.AAAAAA.AA", Z5Malformed),
        ("Z5::2.0.AAAAAA.A A", Z5Malformed),
        ("Z5::2.0.AAAAAA.AA.AA", Z5Malformed),
        ("Z5::2.0.AAAAAA.\udc80AA", Z5Malformed),
        ("Z5::2.zzz.AAAAAA.AA", Z5WrongDictionary),
        ("Z5::eN\n", Z5Malformed),
        ("Z5::AAAA", Z5Corrupt),
    ],
)
def test_what_is_no_frame(text, error):
    with pytest.raises(error):
        codec().decode(text)


def test_one_spelling_for_each_frame():
    frame = codec().encode(TEXT)
    for other in (
        frame + "=",
        frame + "==",
        frame + "AAAA",
        frame.replace("-", "+").replace("_", "/") + "A",
    ):
        with pytest.raises(Z5Error):
            codec().decode(other)
    with pytest.raises(Z5Error):
        codec().decode(version_1(TEXT).rstrip("=") + "AAAA")


def test_errors_hold_nothing_of_the_content_and_survive_pickling():
    frame = codec().encode(TEXT * 20)
    with pytest.raises(Z5Corrupt) as caught:
        codec().decode(frame[:-9] + "A" * 9)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), again.message) == (Z5Corrupt, caught.value.message)
    assert frame[-30:-10] not in str(again)


# Bombs


def test_a_bomb_is_refused_by_what_it_says_of_itself():
    small = Z5(max_bytes=10_000)
    bomb = Z5(max_bytes=50_000_000).encode(bytes(50_000_000))
    assert len(bomb) < 10_000
    with pytest.raises(Z5TooLarge):
        small.decode(bomb)
    with pytest.raises(Z5TooLarge):
        small.decode(version_1(bytes(10_001)))
    assert small.decode(version_1(bytes(10_000))) == bytes(10_000)
    assert small.decode(small.encode(bytes(10_000))) == bytes(10_000)
    with pytest.raises(Z5TooLarge):
        small.encode(bytes(10_001))


def test_a_bomb_that_lies_about_its_length():
    honest = zstandard.ZstdCompressor().compress(bytes(1_000_000))
    size = zstandard.frame_content_size(honest)
    at = honest.index(size.to_bytes(4, "little"))
    lying = honest[:at] + (100).to_bytes(4, "little") + honest[at + 4 :]
    assert zstandard.frame_content_size(lying) == 100
    with pytest.raises(Z5Corrupt):
        Z5(max_bytes=10_000).decode(frame_of(lying))


def test_a_frame_that_does_not_say_its_length():
    stream = io.BytesIO()
    with zstandard.ZstdCompressor().stream_writer(stream, closefd=False) as writer:
        writer.write(bytes(1_000_000))
    with pytest.raises(Z5Malformed):
        codec().decode(frame_of(stream.getvalue()))


def test_a_text_longer_than_any_frame_of_the_permitted_content():
    for prefix in ("Z5::", "Z5::2.0.AAAAAA."):
        with pytest.raises(Z5TooLarge):
            Z5(max_bytes=1000).decode(prefix + "A" * 10_000)


def test_a_megabyte_of_empty_blocks():
    head = zstandard.ZstdCompressor().compress(b"x")[:6]
    with pytest.raises(Z5Corrupt):
        codec().decode(frame_of(head + bytes(1_000_000)))


# Dictionaries


def test_short_records_are_smaller_than_plain_with_the_dictionary():
    # Not those it was trained on: another seed.
    records = [each for each in z5_samples.conversations(400, seed=7) if 150 <= len(each) <= 512]
    assert len(records) > 50
    assert all(len(codec().encode(each, KIND)) < len(each) for each in records)
    plain = sum(len(codec().encode(each)) for each in records)
    assert sum(len(codec().encode(each, KIND)) for each in records) < 0.8 * plain


def test_training_again_gives_the_same():
    some = list(z5_samples.conversations(300))
    assert some == list(z5_samples.conversations(300))
    assert train(KIND, some, 4096) == train(KIND, some, 4096)


def test_a_dictionary_of_ones_own():
    ours = Z5([*shipped(), NUMBERS])
    assert ours.kinds == (KIND, "numbers")
    content = b'{"n": 3141, "square": 9865881}'
    frame = ours.encode(content, "numbers")
    assert ours.decode(frame) == content
    assert len(frame) < len(ours.encode(content))
    with pytest.raises(Z5WrongDictionary, match=NUMBERS.id):
        codec().decode(frame)


def test_the_newest_of_a_kind_is_written_with_and_all_are_read():
    newer = train("numbers", (f"{n:b}".encode() for n in range(100_000, 103_000)), 2048)
    old, both = Z5([NUMBERS]), Z5([NUMBERS, newer])
    frame = old.encode(TEXT, "numbers")
    assert both.decode(frame) == TEXT
    assert newer.id in both.encode(TEXT, "numbers")


def test_a_frame_read_with_the_wrong_dictionary():
    ours = Z5([*shipped(), NUMBERS])
    frame = ours.encode(TEXT, KIND).replace(shipped()[-1].id, NUMBERS.id)
    with pytest.raises(Z5Error):
        ours.decode(frame)


def test_two_dictionaries_with_one_id_are_told_apart():
    class Twin(Dictionary):
        id = NUMBERS.id

    other = Twin("other", shipped()[0].content)
    with pytest.raises(InvalidRequest, match="have the id"):
        Z5([NUMBERS, other])
    with pytest.raises(Z5Error):
        Z5([other]).decode(Z5([NUMBERS]).encode(TEXT, "numbers"))


def test_an_unknown_kind_and_a_dictionary_that_is_none():
    with pytest.raises(InvalidRequest, match=KIND):
        codec().encode(TEXT, "conversaton")
    with pytest.raises(InvalidRequest, match="zstd's format"):
        Z5([Dictionary("x", b"no dictionary")])
    with pytest.raises(InvalidRequest, match="100 records"):
        train("x", [b"a"] * 5)


def test_a_codec_is_shared_by_threads():
    records = list(z5_samples.conversations(200))
    failures = []

    def work(offset: int) -> None:
        for each in records[offset:] + records[:offset]:
            if codec().decode(codec().encode(each, KIND)) != each:
                failures.append(each)

    threads = [threading.Thread(target=work, args=(offset,)) for offset in range(0, 200, 25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert failures == []
    assert not any(thread.is_alive() for thread in threads)


def test_no_content_in_a_repr():
    assert "user" not in repr(shipped()[0])


def test_the_benchmark_runs_on_data_of_ones_own(tmp_path):
    file = tmp_path / "prompts.jsonl"
    prompts = [each.decode() for each in z5_samples.conversations(40, seed=3)]
    file.write_text("".join(json.dumps({"prompt": each}) + "\n" for each in prompts))
    found = json.loads(json.dumps(measure(file, rounds=1)))
    assert found["data"] == "prompts.jsonl"
    for group in found["groups"].values():
        contenders = group["contenders"]
        assert contenders["Z5, dictionary"]["ratio_as_text"] > contenders["Z5"]["ratio_as_text"]
    assert sum(each["records"] for each in found["by_length"]) == 40
