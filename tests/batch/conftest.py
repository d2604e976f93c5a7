import asyncio
import io
import json

import pytest

from tests.clock import Clock
from zoran_ray.batch.database import batch_database
from zoran_ray.batch.files import Files
from zoran_ray.batch.jobs import Jobs
from zoran_ray.batch.outcome import Answered
from zoran_ray.batch.runner import Patience
from zoran_ray.wire import Usage

AT_ONCE = Patience(busy_tries=8, first_s=0.0, most_s=0.0)
CHAT = "/v1/chat/completions"


def row(custom_id, **body):
    """One line of an input file."""
    body = {"model": "m", "messages": [{"role": "user", "content": f"say {custom_id}"}], **body}
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body}).encode()


def rows(*custom_ids):
    return b"".join(row(each) + b"\n" for each in custom_ids)


def answered(text="ok", status=200, **fields):
    body = json.dumps({"said": text}).encode()
    return Answered(status, "req-1", body, usage=Usage(3, 2, 1), **fields)


def parsed(data):
    return [json.loads(line) for line in data.splitlines()]


async def until(check, timeout_s=20.0):
    async with asyncio.timeout(timeout_s):
        while not (found := await check()):
            await asyncio.sleep(0.005)
    return found


@pytest.fixture
def clock():
    return Clock(1_000_000.0)


@pytest.fixture
def db(tmp_path):
    folder = tmp_path / "batch"
    made = batch_database(folder)
    with made.write():
        pass
    yield made
    made.close()


@pytest.fixture
def files(tmp_path, db, clock):
    return Files(tmp_path / "batch" / "files", db, clock)


@pytest.fixture
def jobs(db, clock):
    return Jobs(db, clock)


@pytest.fixture
def as_file():
    return io.BytesIO
