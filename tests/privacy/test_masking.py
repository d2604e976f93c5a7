import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.errors import PermissionDenied
from zoran_ray.privacy import (
    Finding,
    Masker,
    Scanner,
    StreamUnmasker,
    choose_action,
    in_json,
    refuse_findings,
    unmask,
)
from zoran_ray.privacy.finding import NOTHING, without_overlaps
from zoran_ray.privacy.placeholder import FORM, MOST_CHARS, placeholder, unfinished
from zoran_ray.settings import PrivacyProfile

SCANNER = Scanner()
KEY = b"k" * 32
MASKER = Masker(SCANNER, KEY, "acme")
TEXT = "Jean (jean@example.fr, 06 12 34 56 78) paid with 4111 1111 1111 1111; jean@example.fr again."
KNOWN = {placeholder(KEY, "acme", "EMAIL", f"{n}@x.org"): f'{n} "é"\n[EMAIL_' for n in range(3)}

PII = st.sampled_from(
    ["a@example.org", "06 12 34 56 78", "4111 1111 1111 1111", "192.0.2.1", "536-90-4399", "552 008 443"]
)
NOISE = st.text("[]_AEMIL aq27@.:/-0123é\n\ud800", max_size=20)
PIECES = st.lists(st.one_of(st.sampled_from(sorted(KNOWN)), PII, NOISE), max_size=8)


def test_every_value_has_one_placeholder() -> None:
    masked = MASKER.mask(TEXT)
    assert "example" not in masked.text
    assert "4111" not in masked.text
    assert [each.kind for each in masked.findings] == ["EMAIL", "PHONE", "CARD", "EMAIL"]
    assert masked.placeholders[0] == masked.placeholders[3]
    assert len(masked.values) == 3
    assert all(FORM.fullmatch(name) and len(name) <= MOST_CHARS for name in masked.placeholders)
    assert "jean" not in repr(masked)
    assert unmask(masked.text, masked.values.get) == TEXT


def test_placeholders_are_stable_and_each_tenants_own() -> None:
    again = Masker(Scanner(), KEY, "acme").mask(TEXT)
    assert again.text == MASKER.mask(TEXT).text
    others = (Masker(SCANNER, KEY, "other"), Masker(SCANNER, b"j" * 32, "acme"))
    for other in others:
        assert not set(other.mask(TEXT).values) & set(again.values)
    parts = {placeholder(KEY, "a", "EMAIL", "bc"), placeholder(KEY, "ab", "EMAIL", "c")}
    assert len(parts) == 2


@given(st.lists(st.one_of(PII, NOISE), max_size=8).map(" ".join))
def test_unmasking_undoes_masking_once_or_twice(text: str) -> None:
    masked = MASKER.mask(text)
    assert unmask(masked.text, masked.values.get) == text
    again = MASKER.mask(masked.text)
    both = masked.values | again.values
    assert unmask(unmask(again.text, both.get), both.get) == text


def test_placeholders_are_left_as_they_are() -> None:
    masked = MASKER.mask(TEXT)
    assert MASKER.mask(masked.text).text == masked.text


@given(st.data())
def test_a_stream_is_unmasked_alike_however_it_is_cut(data: st.DataObject) -> None:
    text = "".join(data.draw(PIECES))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    for encode in (str, in_json):
        stream = StreamUnmasker(KNOWN.get, encode)
        said = "".join(map(stream.feed, pieces)) + stream.finish()
        assert said == unmask(text, KNOWN.get, encode)


@given(st.data())
def test_only_what_can_still_begin_a_placeholder_is_held_back(data: st.DataObject) -> None:
    text = "".join(data.draw(PIECES))
    text = text[: data.draw(st.integers(0, len(text)))]
    place = unfinished(text)
    assert len(text) - place < MOST_CHARS
    assert all(not could_begin(text[start:]) for start in range(place))
    assert place == len(text) or could_begin(text[place:])


def could_begin(text: str) -> bool:
    """Whether some continuation makes a placeholder, told by trying one that is as short as can be."""
    if not text.startswith("[") or FORM.match(text):
        return False
    endings = ("AA_", "A_", "_", "")
    return any(
        FORM.fullmatch(text + ending + "a" * count + "]") for ending in endings for count in range(17)
    )


@given(st.from_regex(FORM, fullmatch=True), st.integers(1, MOST_CHARS))
def test_every_beginning_of_a_placeholder_is_held_back(name: str, size: int) -> None:
    beginning = name[: min(size, len(name) - 1)]
    assert unfinished("x" + beginning) == 1
    assert unfinished("x" + name) == len(name) + 1


def test_tool_call_arguments_stay_json() -> None:
    (name, value), *_ = KNOWN.items()
    arguments = json.dumps({"to": name, "unknown": "[EMAIL_aaaaaaaaaaaaaaaa]"})
    stream = StreamUnmasker(KNOWN.get, in_json)
    said = "".join(map(stream.feed, arguments)) + stream.finish()
    assert json.loads(said) == {"to": value, "unknown": "[EMAIL_aaaaaaaaaaaaaaaa]"}


def test_what_a_value_contains_is_not_looked_at_again() -> None:
    first, second = list(KNOWN)[:2]
    assert unmask(first, {first: second, second: "x"}.get) == second


def test_a_key_that_contains_a_placeholder_is_masked_whole() -> None:
    pem = f"-----BEGIN PRIVATE KEY-----\n{'A1' * 30}\n-----END PRIVATE KEY-----"
    inner = MASKER.mask("https://u:[EMAIL_aaaaaaaaaaaaaaaa]@example.org/" + " " + pem)
    assert "BEGIN" not in inner.text
    assert "@example" not in inner.text


@given(
    st.lists(
        st.builds(
            lambda kind, start, size: Finding(kind, start, start + size),
            st.sampled_from(["EMAIL", "CARD", "OTHER", NOTHING]),
            st.integers(0, 30),
            st.integers(1, 10),
        ),
        max_size=12,
    )
)
def test_no_two_findings_overlap_and_the_longest_stay(findings: list[Finding]) -> None:
    kept = without_overlaps(findings, 40)
    assert kept == sorted(kept, key=lambda each: each.start)
    assert all(a.end <= b.start for a, b in pairwise(kept))
    assert kept == without_overlaps(reversed(findings), 40)
    if findings:
        longest = max(each.end - each.start for each in findings)
        by_size = {each.end - each.start for each in kept}
        is_nothing = any(each.kind == NOTHING for each in findings)
        assert is_nothing or longest in by_size


@pytest.mark.parametrize(
    ("mode", "remote", "here"),
    [
        ("off", "pass", "pass"),
        ("remote", "mask", "pass"),
        ("always", "mask", "mask"),
        ("reject", "refuse", "refuse"),
    ],
)
def test_policies(mode: str, remote: str, here: str) -> None:
    profile = PrivacyProfile(mode=mode)
    assert (choose_action(profile.mode, remote=True), choose_action(profile.mode, remote=False)) == (
        remote,
        here,
    )


def test_the_default_masks_before_remote_providers_only() -> None:
    assert PrivacyProfile().mode == "remote"


def test_a_refusal_tells_kinds_and_nothing_else() -> None:
    refuse_findings([])
    with pytest.raises(PermissionDenied) as refused:
        refuse_findings(SCANNER.scan(TEXT))
    assert "CARD × 1, EMAIL × 2, PHONE × 1" in refused.value.message
    assert "example" not in refused.value.message
