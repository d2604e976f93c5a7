import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.access.keyring import KeyRing
from zoran_ray.access.secret import digest_of, make_secret
from zoran_ray.errors import PermissionDenied, Unauthenticated
from zoran_ray.messages import KeyInfo, KeySnapshot

SECRET = make_secret()
OLD = make_secret()
KEY = KeyInfo("key-1", "ci", digest_of(SECRET), models=("local/*", "zoran/auto"))
EXPIRED = KeyInfo("key-2", "old", digest_of(OLD), expires=100.0)
RING = KeyRing(KeySnapshot(version=2, keys=(KEY, EXPIRED)), lambda: 100.0)


@pytest.mark.parametrize(
    "headers",
    [
        (f"Bearer {SECRET}", None),
        (f"Bearer {SECRET}".encode(), None),
        (f"bearer   {SECRET} ", None),
        (None, SECRET),
        (None, SECRET.encode()),
        (f"Bearer {SECRET}", "nonsense"),
    ],
)
def test_knows_a_key_however_it_is_sent(headers):
    assert RING.authenticate(*headers) is KEY


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "Bearer",
        "Bearer ",
        SECRET,
        f"Basic {SECRET}",
        f"Bearer {SECRET} x",
        f"Bearer {SECRET}\n",
        "Bearer é",
    ],
)
def test_malformed_is_refused_even_beside_a_good_x_api_key(value):
    with pytest.raises(Unauthenticated, match="not sent as expected"):
        RING.authenticate(value, SECRET)


def test_missing_says_how_to_send_one():
    with pytest.raises(Unauthenticated, match="Authorization: Bearer"):
        RING.authenticate(None)


def test_unknown_and_expired_are_told_alike():
    messages = set()
    for secret in (OLD, make_secret(), KEY.digest, "None"):
        with pytest.raises(Unauthenticated) as refused:
            RING.authenticate(f"Bearer {secret}")
        messages.add(refused.value.message)
    assert len(messages) == 1
    assert OLD not in messages.pop()


@given(st.one_of(st.binary(max_size=80), st.text(max_size=80), st.just(b"Bearer null")))
def test_a_fabricated_header_is_nobody(value):
    for ring in (RING, KeyRing(KeySnapshot(), lambda: 0.0)):
        with pytest.raises(Unauthenticated):
            ring.authenticate(value)
        with pytest.raises(Unauthenticated):
            ring.authenticate(None, value)


def test_open_only_when_no_key_was_ever_created():
    assert KeyRing(KeySnapshot(), lambda: 0.0).open
    assert not RING.open
    assert not KeyRing(KeySnapshot(version=0, keys=(KEY,)), lambda: 0.0).open
    assert not KeyRing(KeySnapshot(version=3), lambda: 0.0).open  # the last key was revoked


def test_scope_of_models():
    for model in ("local/pocket", "zoran/auto"):
        RING.authorize(KEY, model)
    for model in ("openai/gpt", "LOCAL/pocket", "zoran/autos", ""):
        with pytest.raises(PermissionDenied, match="local/\\*, zoran/auto"):
            RING.authorize(KEY, model)
    RING.authorize(EXPIRED, "anything")


def test_a_key_is_found_by_its_id_for_whoever_has_shown_it_before():
    now = [0.0]
    ends = KeyInfo("k1", "n", digest_of("zk-1"), expires=10.0)
    ring = KeyRing(KeySnapshot(1, (ends,)), lambda: now[0])
    assert ring.named("k1") is ends
    now[0] = 10.0
    for key_id in ("k1", "k2", "", "zk-1"):
        with pytest.raises(Unauthenticated, match="revoked or has expired"):
            ring.named(key_id)
