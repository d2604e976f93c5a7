"""Incidents through the gateway, beside an office whose pilot goes the straight way."""

import asyncio
import hashlib
import hmac
import json

import pytest

from serve_apps.gateway.incident_pages import add_incident_pages
from tests.autopilot.pilots import Course, Journal
from tests.autopilot.test_sentry import alert, issue
from zoran_ray.autopilot.office import Rules, TaskOffice
from zoran_ray.autopilot.remote import Whereabouts
from zoran_ray.messages import KeyInfo, KeySnapshot
from zoran_ray.policy import Policy
from zoran_ray.sentry_projects import SentrySettings
from zoran_ray.settings import ServerSettings

SECRET = "client-secret-of-nobody"
URL = "https://github.com/acme/shop"


class Incidents:
    """A gateway that takes incidents of one project, and who keeps the tasks."""

    def __init__(self, stack, folder):
        self.stack, self.secret_file = stack, folder / "secret"
        self.secret_file.write_text(SECRET + "\n")
        rules = Rules(lambda: Policy(mode_max="sovereign"), lambda key_id: Whereabouts(), "local/m")
        self.office = TaskOffice(folder, rules, Course, Journal())
        projects = {"shop": {"repo_url": URL, "key_id": "k-ann"}}
        sentry = SentrySettings(secret_file=self.secret_file, projects=projects)
        add_incident_pages(stack.gateway._pages, stack.door, self.call, sentry, ServerSettings())
        self.keys("ann")

    def keys(self, *names):
        self.stack.door.update(
            KeySnapshot(1, tuple(KeyInfo(f"k-{name}", name, name * 8, tenant="t") for name in names))
        )

    async def call(self, method, *args):
        return await getattr(self.office, method)(*args)

    async def post(self, said, resource="event_alert", secret=SECRET):
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"sentry-hook-signature": signature, "Sentry-Hook-Resource": resource}
        return await self.stack.post("/v1/incidents/sentry", body, headers)

    async def begun(self):
        return (await self.office.tasks("t", None, None, 100))[0]


@pytest.fixture
async def incidents(stack, tmp_path):
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    made = Incidents(stack, folder)
    await made.office.begin()
    yield made
    await made.office.stop()


async def test_an_incident_opens_a_task_that_advises(incidents):
    answer = await incidents.post(alert())
    assert answer.status == 200, answer.json
    (task,) = await incidents.begun()
    assert answer.json == {"object": "incident", "task_id": task.id}
    assert (task.owner, task.mode) == ("t", "advisor")
    request = task.request
    assert (request["key_id"], request["repositories"]) == ("k-ann", [{"remote": URL, "branch": None}])
    assert "KeyError" in request["message"]
    assert '"shop/cards.py", line 40' in request["known"]


async def test_the_same_incident_opens_one_task_however_often_it_comes(incidents):
    many = [incidents.post(alert()) for _ in range(8)] + [
        incidents.post(issue(), "issue") for _ in range(8)
    ]
    answers = await asyncio.gather(*many)
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["task_id"] for answer in answers}) == len(await incidents.begun()) == 1
    other = await incidents.post(alert(issue_id="4712"))
    assert other.json["task_id"] not in {answers[0].json["task_id"], None}


@pytest.mark.parametrize(
    ("said", "resource"),
    [
        (issue("resolved"), "issue"),
        ({"action": "created"}, "installation"),
        (issue(project={"slug": "x"}), "issue"),
    ],
)
async def test_what_concerns_nobody_opens_none(incidents, said, resource):
    answer = await incidents.post(said, resource)
    assert (answer.status, answer.json["task_id"]) == (200, None)
    assert await incidents.begun() == ()


async def test_a_forged_one_opens_none(incidents):
    assert (await incidents.post(alert(), secret="another")).status == 401
    unsigned = await incidents.stack.post("/v1/incidents/sentry", alert())
    assert unsigned.status == 401
    with_a_key = await incidents.stack.post(
        "/v1/incidents/sentry", alert(), {"authorization": "Bearer zk-ann"}
    )
    assert with_a_key.status == 401
    assert await incidents.begun() == ()
    assert SECRET.encode() not in unsigned.body + with_a_key.body


async def test_what_is_no_webhook_opens_none(incidents):
    assert (await incidents.post(b"{")).status == 400
    assert (await incidents.post(alert(issue_id=7))).status == 400
    assert (await incidents.post(b" " * (3 << 20))).status == 413
    assert await incidents.begun() == ()


async def test_a_key_that_was_revoked_opens_none(incidents):
    incidents.keys("ben")
    assert (await incidents.post(alert())).status == 401
    assert await incidents.begun() == ()


async def test_another_secret_counts_at_once(incidents):
    incidents.secret_file.write_text("new")
    assert (await incidents.post(alert())).status == 401
    assert (await incidents.post(alert(), secret="new")).status == 200


async def test_without_settings_there_is_no_such_page(stack):
    add_incident_pages(stack.gateway._pages, stack.door, None, SentrySettings(), ServerSettings())
    assert (await stack.post("/v1/incidents/sentry", alert())).status == 404
