import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.errors import ConfigError
from zoran_ray.routing.checkpoint import decoded, encoded

trees = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)


@given(trees)
def test_what_goes_in_comes_out(tree: object) -> None:
    assert decoded(encoded(tree)) == tree


@given(st.integers(0, 1000), st.sampled_from(["<f8", "<f4", "<i8"]))
def test_arrays_too(seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    one, two = (rng.normal(size=rng.integers(0, 4, rng.integers(0, 4))).astype(kind) for _ in range(2))
    got = decoded(encoded({"a": [one, {"b": two}], "n": np.float64(0.5)}))
    for sent, received in ((one, got["a"][0]), (two, got["a"][1]["b"])):
        assert received.dtype == sent.dtype
        assert received.shape == sent.shape
        assert (received == sent).all()
    assert got["n"] == 0.5


@given(st.data())
def test_any_damage_is_noticed(data: st.DataObject) -> None:
    whole = bytearray(encoded({"a": np.arange(10.0), "b": "text"}))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ConfigError, match="checkpoint"):
        decoded(bytes(whole))
    with pytest.raises(ConfigError, match="checkpoint"):
        decoded(bytes(whole[:at]))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ConfigError):
        decoded(data)


@pytest.mark.parametrize(
    "wrong", [math.nan, {1: 2}, {"#array": 1}, object(), np.array(["text"]), np.array([object()]), 1j]
)
def test_what_cannot_be_kept(wrong: object) -> None:
    with pytest.raises(ConfigError):
        encoded([wrong])
