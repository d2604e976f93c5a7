import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoran_ray.errors import ConfigError, InvalidRequest
from zoran_ray.journal import (
    SigningKey,
    consistency_evidence,
    evidence_holds,
    inclusion_evidence,
    open_journal,
    read_evidence,
)


def test_proofs_stand_alone(path: Path, key: SigningKey, make_entry: Any) -> None:
    journal = open_journal(path, key)
    journal.append([make_entry(number) for number in range(9)])
    old = journal.head()
    journal.append([make_entry(number) for number in range(9, 30)])
    inclusion = json.loads(json.dumps(inclusion_evidence(7, *journal.inclusion(7))))
    consistency = json.loads(json.dumps(consistency_evidence(old, *journal.consistency(old.size))))
    newer = journal.head()
    journal.close()
    other = SigningKey(key.name, bytes(32)).verifier
    for document in (inclusion, consistency):
        assert evidence_holds(read_evidence(json.dumps(document).encode()), key.verifier)
        assert not evidence_holds(document, other)
        assert not evidence_holds(document | {"path": document["path"][1:]}, key.verifier)
        assert not evidence_holds(
            document | {"checkpoint": old.note, "old_checkpoint": newer.note}, key.verifier
        )
        with pytest.raises(ConfigError):
            evidence_holds({name: document[name] for name in document if name != "path"}, key.verifier)
    assert not evidence_holds(inclusion | {"entry": make_entry(8).data.decode()}, key.verifier)
    assert not evidence_holds(inclusion | {"index": 8}, key.verifier)
    with pytest.raises(InvalidRequest):
        evidence_holds(consistency | {"shows": "absence"}, key.verifier)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3),
)
FIELDS = st.dictionaries(
    st.sampled_from(["shows", "index", "entry", "path", "checkpoint", "old_checkpoint"]), JSON
)


@given(FIELDS)
def test_nonsense_is_an_error(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        evidence_holds(fields, SigningKey("zoran-journal/x", bytes(32)).verifier)


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b"[" * 60_000, b'{"zoran_journal_proof":2}', b"\xff", b"9" * 70_000]
)
def test_what_is_no_proof(text: bytes) -> None:
    with pytest.raises(ConfigError, match="no proof"):
        read_evidence(text)
