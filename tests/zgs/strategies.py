"""Valid messages of every shape, for the laws."""

from hypothesis import strategies as st

from zoran_ray.zgs import Block, Field, Flags, Header, Message, Sync
from zoran_ray.zgs.grammar import CONDITION_WORD, KEY_WORD, PAYLOAD_WORD, VALUE_WORD, VERB_WORD
from zoran_ray.zgs.header import KEY

_any = st.characters(codec="utf-8")


def _words(pattern, least, most):
    return st.text(_any, min_size=least, max_size=most).filter(lambda text: pattern.fullmatch(text))


keys = st.one_of(st.sampled_from(["ΔM11.3", "src", "a"]), _words(KEY_WORD, 1, 8)).filter(lambda k: k != KEY)
values = st.one_of(st.sampled_from(["", "0.93", " two words ", "a:b", "Φ"]), _words(VALUE_WORD, 0, 12))
fields = st.builds(Field, keys, st.none() | values)
blocks = st.builds(lambda each: Block(tuple(each)), st.lists(fields, min_size=1, max_size=5))
conditions = st.one_of(st.sampled_from(["S>=0.70", "a:b"]), _words(CONDITION_WORD, 1, 12))
syncs = st.builds(Sync, st.none() | conditions)
headers = st.builds(
    Header,
    schema=st.integers(0, 255),
    flags=st.integers(0, 7).map(Flags),
    mode=st.sampled_from(["FULL", "DELTA"]),
    src=st.none() | keys,
    dst=st.none() | keys,
    seq=st.none() | st.integers(0, 2**63 - 1),
    ttl_s=st.none() | st.integers(0, 2**63 - 1),
)
payloads = st.from_regex(PAYLOAD_WORD, fullmatch=True)


@st.composite
def messages(draw):
    items = draw(st.lists(blocks | syncs, max_size=5))
    if draw(st.booleans()):
        items.insert(draw(st.integers(0, len(items))), draw(headers).block())
    return Message(
        draw(st.from_regex(VERB_WORD, fullmatch=True).filter(lambda verb: len(verb) <= 64)),
        tuple(items),
        draw(st.none() | payloads),
    )
