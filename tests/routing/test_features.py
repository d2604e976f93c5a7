import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.routing import Features, Prompt
from zoran_ray.routing.features import CUES


@given(st.text(max_size=3000), st.integers(1, 50), st.booleans())
def test_every_text_has_a_finite_bounded_vector(text: str, turns: int, structured: bool) -> None:
    vector = Features(64)(Prompt(text, turns, structured))
    assert vector.shape == (64,)
    assert np.isfinite(vector).all()
    assert np.abs(vector).max() <= 1.0
    assert vector[0] == 1.0


def test_the_same_text_has_the_same_vector_everywhere() -> None:
    first = Features(32)(Prompt("Solve 3x + 4 = 10 for x."))
    assert (first == Features(32)(Prompt("Solve 3x + 4 = 10 for x."))).all()
    # Frozen: another hash would make every stored model worthless.
    assert np.flatnonzero(first[len(CUES) :]).size > 0


@pytest.mark.parametrize(
    ("text", "cue"),
    [
        ("Write a python function to reverse a list.", "code"),
        ("Solve the equation x + 2 = 5", "maths"),
        ("Which is right?\n(A) one\n(B) two", "choices"),
        ("Explain how a heap works", "asks to explain"),
        ("Draft a letter", "asks to write"),
        ("Où est la bibliothèque ?", "not ascii"),
    ],
)
def test_cues(text: str, cue: str) -> None:
    assert Features(32)(Prompt(text))[CUES.index(cue)] == 1.0
    assert Features(32)(Prompt("hello"))[CUES.index(cue)] == 0.0


def test_an_embedder_takes_the_place_of_the_words() -> None:
    vector = Features(20, embed=lambda text: np.arange(1, 4, dtype=np.float32))(Prompt("anything at all"))
    assert vector[len(CUES) :].tolist() == [1, 2, 3, 0, 0, 0, 0, 0]


def test_names_say_what_an_entry_stands_for() -> None:
    names = Features(64).names(Prompt("sharp knives"))
    assert names[0] == "one"
    assert any("sharp knives" in name for name in names[len(CUES) :])


def test_too_small() -> None:
    with pytest.raises(ValueError, match="size"):
        Features(len(CUES))
