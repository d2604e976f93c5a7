"""A real Prometheus for tests: it reads one server's page, with the rules that are shipped."""

import json
import math
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.cluster.watching import RULES, binary
from tests.integration.stack import free_port, until

EVERY_S = 5
"""Between two looks at the page, and how long one may take: Ray's own pages are large."""
_START_S = 60.0
_STOP_S = 30.0


class Prometheus:
    """One that runs.

    Attributes:
        client: Asks its API.

    Args:
        base_url: Where it is.
    """

    def __init__(self, base_url: str) -> None:
        self.client = httpx.Client(base_url=base_url, timeout=30)

    def ready(self) -> bool:
        try:
            return self.client.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def values(self, expression: str) -> list[float]:
        """What an expression gives now, without what is no number. It must be right."""
        answer = self.client.post("/api/v1/query", data={"query": expression})
        assert answer.status_code == 200, f"{expression}: {answer.text}"
        found = [float(row["value"][1]) for row in answer.json()["data"]["result"]]
        return [value for value in found if math.isfinite(value)]

    def rules(self) -> list[dict[str, Any]]:
        """All rules and how they are."""
        groups = self.client.get("/api/v1/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def close(self) -> None:
        self.client.close()


@contextmanager
def prometheus_of(server_port: int, folder: Path) -> Iterator[Prometheus]:
    """Starts one in `folder`; it ends with the block. Skips where there is none."""
    program, port = binary("prometheus"), free_port()
    shutil.copy(RULES, folder)
    often = {"scrape_interval": f"{EVERY_S}s", "evaluation_interval": f"{EVERY_S}s"}
    job = {"job_name": "zoran", "static_configs": [{"targets": [f"127.0.0.1:{server_port}"]}]}
    # JSON is YAML.
    config = {"global": often | {"scrape_timeout": f"{EVERY_S}s"}, "rule_files": ["rules.yml"]}
    (folder / "prometheus.yml").write_text(json.dumps(config | {"scrape_configs": [job]}))
    command = [program, f"--web.listen-address=127.0.0.1:{port}", "--config.file=prometheus.yml"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--storage.tsdb.path=data"], cwd=folder, stdout=log, stderr=subprocess.STDOUT
        )
    made = Prometheus(f"http://127.0.0.1:{port}")
    try:
        until("Prometheus is ready", made.ready, _START_S)
        yield made
    finally:
        made.close()
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_STOP_S)
