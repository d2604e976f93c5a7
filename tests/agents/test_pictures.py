"""Pictures of a conversation: what is fetched, what is refused, and that nothing but data goes on."""

import asyncio
import base64

import pytest

from zoran_ray.agents.pictures import MOST_PICTURES, Pictures
from zoran_ray.errors import InvalidRequest, PermissionDenied, UpstreamError
from zoran_ray.tools.picture import Picture, kind_of_picture

BYTES = b"\x89PNG\r\n\x1a\n" + b"x" * 20
PNG = "data:image/png;base64," + base64.b64encode(BYTES).decode()


def talk(*urls):
    parts = [{"type": "image_url", "image_url": {"url": url, "detail": "low"}} for url in urls]
    return [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "?"}, *parts]},
    ]


def inside(messages, fetch=None, **fields):
    return asyncio.run(Pictures(fetch, **fields).inside(messages))


def test_a_picture_behind_a_url_is_fetched_and_goes_on_as_data():
    asked = []

    async def fetch(url):
        asked.append(url)
        return Picture("image/png", BYTES)

    made = inside(talk("https://example.org/cat", PNG), fetch)
    assert asked == ["https://example.org/cat"]
    assert [part["image_url"] for part in made[1]["content"][1:]] == [{"url": PNG, "detail": "low"}] * 2
    assert made[0] == {"role": "system", "content": "Be brief."}


def test_nothing_is_fetched_where_nothing_may_be():
    with pytest.raises(PermissionDenied, match=r"tools\.permissions") as caught:
        inside(talk("https://example.org/cat"))
    assert caught.value.param == "messages[1].content[1]"


def test_what_the_fetcher_says_is_what_the_caller_hears():
    async def fetch(url):
        raise UpstreamError("The site did not answer.")

    with pytest.raises(UpstreamError, match="did not answer"):
        inside(talk("https://example.org/cat", "https://example.org/dog"), fetch)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("data:image/png;base64,iVBORw0KGgo", "base64"),
        ("data:image/png;base64,%%%%", "base64"),
        ("data:text/html;base64,PGI+", "data:image"),
        ("data:image/png,plain", "data:image"),
        ("data:image/png;base64," + base64.b64encode(b"<html>").decode(), "no picture"),
        ("data:image/png;base64," + base64.b64encode(BYTES * 9).decode(), "bytes"),
    ],
)
def test_a_picture_inside_that_is_none_is_refused_with_its_place(url, says):
    with pytest.raises(InvalidRequest, match=says) as caught:
        inside(talk(url), most_bytes=100)
    assert caught.value.param == "messages[1].content[1]"
    assert "%%" not in caught.value.message


def test_too_many_are_refused():
    with pytest.raises(InvalidRequest, match=str(MOST_PICTURES)):
        inside(talk(*[PNG] * (MOST_PICTURES + 1)))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (BYTES, "image/png"),
        (b"\xff\xd8\xff\xe0rest", "image/jpeg"),
        (b"GIF89a rest", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPrest", "image/webp"),
    ],
)
def test_a_kind_is_told_by_the_first_bytes(data, kind):
    assert kind_of_picture(data, "url") == kind
