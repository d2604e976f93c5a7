"""What may be asked of the journal over HTTP, and by whom; a real journal behind it."""

import hashlib

import httpx
import pytest

from actors.journal import JournalWriter
from serve_apps.gateway.arms import Arms
from serve_apps.gateway.door import Door
from serve_apps.gateway.journal_pages import add_journal_pages
from serve_apps.gateway.pages import pages
from zoran_ray.engines.fleet import Fleet
from zoran_ray.errors import Unavailable
from zoran_ray.journal import Event, Kind, VerifierKey, evidence_holds
from zoran_ray.messages import KeyInfo, KeySnapshot

ACME = {"authorization": "Bearer zk-acme"}
OPERATOR = {"authorization": "Bearer zk-operator"}


class Desk:
    """A gateway's pages before a journal; a test may take the journal away."""

    def __init__(self, folder):
        self.writer = JournalWriter(folder)
        self.down = False
        self.door = Door(open_without_keys=True)
        self.door.update(KeySnapshot())
        app = pages(Fleet(), Arms({}), self.door, self.nothing)
        add_journal_pages(app, self.door, self.ask)
        transport = httpx.ASGITransport(app)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://zoran")

    async def nothing(self):
        return ""

    async def ask(self, method, *args):
        if self.down:
            raise Unavailable("The journal does not answer.", retry_after_s=2.0)
        return await getattr(self.writer, method)(*args)

    def lock(self):
        """Two keys, of the operator and of a tenant."""
        digests = {name: hashlib.sha256(f"zk-{name}".encode()).hexdigest() for name in ("operator", "acme")}
        keys = (
            KeyInfo("k1", "op", digests["operator"]),
            KeyInfo("k2", "a", digests["acme"], tenant="acme"),
        )
        self.door.update(KeySnapshot(1, keys))

    async def get(self, path, headers=None):
        return await self.client.get(f"/v1/journal{path}", headers=headers)


@pytest.fixture
async def desk(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    made = Desk(folder)
    await made.writer.append(
        (
            Event(Kind.MEMORY_WRITE, {"record": "r-0"}, "acme", "lovelace"),
            Event(Kind.MEMORY_WRITE, {"record": "r-1"}, "other", "bob"),
            Event(Kind.ROUTING_DECISION, {"arm": "local/m"}),
        )
    )
    yield made
    await made.client.aclose()
    await made.writer.stop()


async def test_the_operator_sees_all_and_can_check_it(desk):
    head = (await desk.get("/head")).json()
    assert (head["object"], head["size"]) == ("journal.head", 3)
    key = VerifierKey.parse(head["key"])
    listed = (await desk.get("/entries?limit=2")).json()
    assert listed["size"] == 3
    assert [entry["number"] for entry in listed["data"]] == [1, 2]
    assert [entry["number"] for entry in (await desk.get("/entries?before=2")).json()["data"]] == [0, 1]
    for index in range(3):
        assert evidence_holds((await desk.get(f"/entries/{index}/proof")).json(), key)
    await desk.writer.append((Event(Kind.ROUTING_DECISION),))
    shown = (await desk.get("/consistency?size=3")).json()
    assert evidence_holds(shown | {"old_checkpoint": head["note"]}, key)
    changed = head["note"].replace("\n3\n", "\n2\n")
    assert not evidence_holds(shown | {"old_checkpoint": changed}, key)


async def test_a_tenant_sees_hashes_and_its_own_entries(desk):
    desk.lock()
    head = await desk.get("/head", ACME)
    key = VerifierKey.parse(head.json()["key"])
    assert (await desk.get("/consistency?size=1", ACME)).status_code == 200
    own = await desk.get("/entries/0/proof", ACME)
    assert evidence_holds(own.json(), key)
    for path in ("/entries", "/entries?limit=1", "/entries/1/proof", "/entries/2/proof"):
        refused = await desk.get(path, ACME)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "permission_denied")
        assert "hmac" not in refused.text
        assert (await desk.get(path, OPERATOR)).status_code == 200


@pytest.mark.parametrize("path", ["/head", "/entries", "/entries/0/proof", "/consistency?size=1"])
async def test_nobody_comes_in_without_a_key_where_there_are_keys(desk, path):
    desk.lock()
    assert (await desk.get(path)).status_code == 401
    desk.down = True
    answer = await desk.get(path, OPERATOR)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/entries?limit=0", "limit"),
        ("/entries?limit=1001", "limit"),
        ("/entries?limit=x", "limit"),
        ("/entries?limit=", "limit"),
        ("/entries?before=-1", "before"),
        ("/entries?before=1e3", "before"),
        ("/entries?before=9999999999999999", "before"),
        ("/entries/x/proof", "index"),
        ("/entries/-1/proof", "index"),
        ("/entries/٣/proof", "index"),
        ("/entries/3/proof", None),
        ("/consistency", "size"),
        ("/consistency?size=4", None),
        ("/consistency?size=true", "size"),
    ],
)
async def test_questions_that_are_none(desk, path, param):
    answer = await desk.get(path)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_names_are_in_no_answer(desk):
    said = [(await desk.get(path)).text for path in ("/entries", "/entries/0/proof", "/entries/1/proof")]
    for name in ("acme", "lovelace", "other"):
        assert not any(name in text for text in said)
