"""How many tokens prompts are taken to have."""

from hypothesis import given
from hypothesis import strategies as st

from serve_apps.gateway import prompt_sizes
from serve_apps.gateway.prompt_sizes import PromptSizes

SEEN = st.tuples(st.integers(1, 100_000), st.integers(1, 100_000))


@given(st.lists(SEEN, max_size=20), st.integers(1, 10_000))
def test_the_bound_is_above_the_estimate_and_near_the_bytes_at_most(seen, size):
    sizes = PromptSizes()
    for size_bytes, tokens in seen:
        sizes.saw("m", size_bytes, tokens)
    assert 1 <= sizes.tokens("m", size) <= size
    assert sizes.tokens("m", size) <= sizes.most_tokens("m", size) <= size + 16


@given(st.integers(100, 10_000), st.floats(0.01, 1))
def test_what_was_counted_once_is_bounded_the_next_time(size, share):
    sizes = PromptSizes()
    sizes.saw("m", size, max(1, int(size * share)))
    assert sizes.most_tokens("m", size) >= int(size * share)


def test_models_are_bounded_and_apart(monkeypatch):
    monkeypatch.setattr(prompt_sizes, "MOST_MODELS", 2)
    sizes = PromptSizes()
    for name in ("a", "b", "c"):
        sizes.saw(name, 100, 10)
    sizes.saw("c", 0, 10)
    assert sizes.tokens("a", 100) == 100
    assert sizes.tokens("c", 100) == 10
