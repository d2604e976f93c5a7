"""A real Prometheus on a running server: after a little of every load, no panel and no rule is empty."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.watching.panels import DASHBOARDS, shown
from benchmarks.watching.plot import plot
from tests.cluster.watching import rules
from tests.integration.prometheus import Prometheus, prometheus_of
from tests.integration.stack import Stack, until
from tests.integration.traffic import traffic
from zoran_ray.autopilot.demo import demo_repository

pytestmark = [pytest.mark.integration, pytest.mark.engine, pytest.mark.release]

SUM = [{"role": "user", "content": "What is 17+25?"}]
ENDED = {"completed", "failed", "expired", "cancelled"}
SETTLED_S = 120.0


@pytest.fixture(scope="module")
def watched(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus, which has seen the server before, during and after the load."""
    with prometheus_of(stack.port, tmp_path_factory.mktemp("prometheus")) as prometheus:
        until("the server is seen", lambda: prometheus.values('up{job="zoran"}') == [1.0])
        with traffic(f"{stack.base_url}/v1", askers=1, listeners=1) as running:
            # Twice: Prometheus cannot see that something began with the first of its kind.
            for _ in range(2):
                some_of_everything(stack, tmp_path_factory.mktemp("load"))
                seen = scrapes(prometheus)
                until("it was seen", lambda seen=seen: scrapes(prometheus) > seen + 2)
        assert running.answered > 2
        yield prometheus


def scrapes(prometheus: Prometheus) -> float:
    return prometheus.values("count_over_time(up[1h])")[0]


def some_of_everything(stack: Stack, folder: Path) -> None:
    """Chats of all kinds, texts, a refusal, memory, masking, a batch, a task."""
    with httpx.Client(base_url=f"{stack.base_url}/v1", timeout=120) as http:
        chats(http)
        asked(http, "memory", subject="heron", text="A heron.", purpose="knowledge", layer="long")
        asked(http, "memory/search", text="heron")
        asked(http, "privacy/mask", text="Write to anna@example.org")
        batch(http)
    task(stack, folder / "shop")


def chats(http: httpx.Client) -> None:
    for model in ("local/pocket", "zoran/auto", "zoran/self-consistency:local/pocket"):
        asked(http, "chat/completions", model=model, messages=SUM, max_tokens=8)
    for path in ("messages", "chat/completions"):
        body = {"model": "local/pocket", "messages": SUM, "max_tokens": 8, "stream": True}
        assert http.post(path, json=body).status_code == 200
    asked(http, "completions", model="local/pocket", prompt="once", max_tokens=8)
    unknown = {"model": "local/none", "messages": SUM}
    assert http.post("chat/completions", json=unknown).status_code == 404


def asked(http: httpx.Client, path: str, **body: Any) -> Any:
    answer = http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def batch(http: httpx.Client) -> None:
    """Five lines, until they are answered."""
    body = {"model": "local/pocket", "messages": SUM, "max_tokens": 8}
    row = {"method": "POST", "url": "/v1/chat/completions", "body": body}
    lines = "\n".join(json.dumps({"custom_id": f"c{number}", **row}) for number in range(5))
    sent = http.post("files", files={"file": ("in.jsonl", lines)}, data={"purpose": "batch"})
    assert sent.status_code == 200, sent.text
    made = asked(
        http,
        "batches",
        input_file_id=sent.json()["id"],
        endpoint="/v1/chat/completions",
        completion_window="24h",
    )
    state = lambda: http.get(f"batches/{made['id']}").json()["status"]  # noqa: E731
    until("the batch is over", lambda: state() in ENDED, SETTLED_S)
    assert state() == "completed"


def task(stack: Stack, shop: Path) -> None:
    """A task, until it stands still; the small model cannot do it, which is counted like success."""
    demo_repository(shop)
    words = ("task", "start", "A discount is wrong.", "--repo", str(shop), "--mode", "advisor")
    done = stack.zoran(*words, "--model", "local/pocket", "--watch", "--json")
    assert done.stdout, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["state"] in ("edited", "failed", "awaiting_human")


def test_every_expression_of_every_dashboard_returns_data(watched: Prometheus) -> None:
    empty = [f"{where}: {expression}" for where, expression in shown() if not watched.values(expression)]
    assert empty == []


def test_dashboards_can_be_plotted(watched: Prometheus, tmp_path: Path) -> None:
    drawn = [plot(dashboard, watched.client, 60.0, tmp_path) for dashboard in DASHBOARDS]
    assert all(picture.stat().st_size > 20_000 for picture in drawn)


def test_every_rule_is_evaluated_and_everything_recorded_has_data(watched: Prometheus) -> None:
    assert {rule["name"]: rule.get("lastError") for rule in watched.rules() if rule["health"] != "ok"} == {}
    assert [rule["record"] for rule in rules("record") if not watched.values(rule["record"])] == []


def test_no_part_of_the_page_is_silent(watched: Prometheus) -> None:
    # What a test before this one took away may still be on its way out.
    until("all parts tell", lambda: watched.values("min(zoran_exposition_part_up)") == [1.0], SETTLED_S)
    took = watched.values("max_over_time(scrape_duration_seconds[5m])")
    size = watched.values("max_over_time(scrape_samples_scraped[5m])")
    print(f"the page: {size[0]:.0f} samples, at most {took[0]:.2f} s")


def test_what_is_well_alerts_nobody(watched: Prometheus) -> None:
    down = 'ALERTS{alertstate="firing", alertname=~"ZoranDown|ZoranMetricsMissing|ZoranJournalFails"}'
    assert watched.values(down) == []
