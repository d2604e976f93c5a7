from typing import Any

import pytest

from zoran_ray.errors import InvalidRequest
from zoran_ray.wire.media import NONE, Media, inspect_media

HOSTS = {"images.example.org"}
DATA = "data:image/png;base64,QUJD"


def message(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": "hello"}, {"role": "user", "content": list(parts)}]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "https://example.org/x.png",
        "file:///etc/passwd",
        "ftp://images.example.org/x",
        " http://127.0.0.1/",
        "HTTP://127.0.0.1/",
        "//127.0.0.1/",
        " data:image/png;base64,QUJD",
        "http://images.example.org@127.0.0.1/",
        "http://images.example.org\\@127.0.0.1/",
        "http://images.example.org:80@127.0.0.1/",
        "http://images.example.org/\\@127.0.0.1/",
        "http://images.example.org.evil.test/",
        "http://images.example.org\n.evil.test/",
        "",
    ],
)
def test_no_reference_gets_out(url: str) -> None:
    part = {"type": "image_url", "image_url": {"url": url}}
    with pytest.raises(InvalidRequest, match="data:") as raised:
        inspect_media(message(part), "messages", HOSTS)
    assert raised.value.param == "messages[1].content[0].image_url"


@pytest.mark.parametrize(
    ("part", "where"),
    [
        ({"type": "image_url", "image_url": "http://x/"}, ".image_url"),
        ({"image_url": "http://x/"}, ".image_url"),
        ({"image_url": "http://x/", "content": "text"}, ".image_url"),
        ({"type": "text", "text": "t", "uuid": "u", "image_url": {"url": "http://x/"}}, ".image_url"),
        ({"type": "video_url", "video_url": {"url": "http://x/"}}, ".video_url"),
        ({"type": "audio_url", "audio_url": {"url": "http://x/"}}, ".audio_url"),
        ({"type": "input_image", "image_url": "http://x/"}, ".image_url"),
        ({"type": "input_file", "file_url": "http://x/"}, ".file_url"),
        ({"type": "image", "source": {"type": "url", "url": "http://x/"}}, ".source"),
        (
            {
                "type": "tool_result",
                "content": [{"type": "image", "source": {"type": "url", "url": "http://x/"}}],
            },
            ".content[0].source",
        ),
        ({"type": "computer_call_output", "output": {"image_url": "http://x/"}}, ".output.image_url"),
    ],
)
def test_every_place_the_engine_reads_is_looked_at(part: dict[str, Any], where: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        inspect_media(message(part), "messages")
    assert raised.value.param == "messages[1].content[0]" + where


def test_hosts_on_the_list_pass() -> None:
    for url in ("https://images.example.org/x.png?a=b", "http://IMAGES.example.org:8080", DATA, "DATA:,x"):
        part = {"type": "image_url", "image_url": {"url": url}}
        assert inspect_media(message(part), "messages", HOSTS) == Media(1, len(url))


def test_what_is_not_media_is_left_alone() -> None:
    call = {"type": "tool_use", "id": "1", "name": "fetch", "input": {"image_url": "http://x/"}}
    named = {"role": "assistant", "content": None, "tool_calls": [{"function": {"arguments": "http://x/"}}]}
    assert inspect_media([*message(call, {"type": "text", "text": "http://x/"}), named], "messages") is NONE
    assert inspect_media("http://x/", "input") is NONE
    assert inspect_media([1, "x", None, [], {}], "messages") is NONE


def test_inline_sizes_are_added_up() -> None:
    parts = (
        {"type": "image_url", "image_url": {"url": DATA}},
        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
        {"type": "image", "source": {"type": "base64", "data": "QUJD"}},
        {"type": "image_url", "image_url": None, "uuid": "u"},
    )
    assert inspect_media(message(*parts), "messages") == Media(4, len(DATA) + 4 + 3 + 4 + 6)


def test_deep_nesting_needs_no_recursion() -> None:
    part: dict[str, Any] = {"image_url": "http://x/"}
    for _ in range(2_000):
        part = {"content": [part]}
    with pytest.raises(InvalidRequest):
        inspect_media([part], "m")
