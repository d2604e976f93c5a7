import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.access.admission import UNLIMITED, Admission, duration, rate_limit_headers


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.02, "20ms"),
        (0.0001, "1ms"),
        (1, "1s"),
        (1.1, "1.1s"),
        (1.5, "1.5s"),
        (59.9999, "1m0s"),
        (61.25, "1m1.25s"),
        (360, "6m0s"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


@given(st.integers(0, 10_000_000))
def test_duration_keeps_every_millisecond(ms):
    text = duration(ms / 1000)
    if text.endswith("ms"):
        assert int(text[:-2]) == ms
    else:
        minutes, _, seconds = text[:-1].rpartition("m")
        assert round(int(minutes or 0) * 60_000 + float(seconds) * 1000) == ms


def test_headers():
    assert rate_limit_headers("requests", 60, 59, 1.0) == (
        (b"x-ratelimit-limit-requests", b"60"),
        (b"x-ratelimit-remaining-requests", b"59"),
        (b"x-ratelimit-reset-requests", b"1s"),
    )


def test_settles_once_and_never_below_zero():
    told = []
    admission = Admission(settle=told.append)
    admission.settle(-5)
    admission.settle(7)
    assert told == [0]
    UNLIMITED.settle(3)
