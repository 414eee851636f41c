"""Real servers for the checks."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import TypeAdapter

from backout.checks import CheckOptions, make_check

from .support import HEALTHY, Service


@pytest.fixture
def serve() -> Iterator[Callable[..., Service]]:
    started: list[Service] = []

    def start(answer: Any = None) -> Service:
        if not callable(answer):
            fixed = (200, json.dumps(HEALTHY if answer is None else answer).encode(), {"X-Version": "v1"})
            service = Service(lambda _n: fixed)
        else:
            service = Service(answer)
        threading.Thread(target=service.serve_forever, args=(0.02,), daemon=True).start()
        started.append(service)
        return service

    yield start
    for service in started:
        service.stopping.set()
        service.shutdown()
        service.server_close()


@pytest.fixture
def check(make_site: Any, tmp_path: Path) -> Callable[..., Any]:
    def make(kind: str, **options: Any) -> Any:
        return make_check(
            TypeAdapter(CheckOptions).validate_python({"kind": kind, **options}), make_site(tmp_path)
        )

    return make


class Exporter:
    """Counters that the test moves, in Prometheus's text format."""

    def __init__(self) -> None:
        self.values = {"requests_total": 0.0, "errors_total": 0.0, "slow_ms": 20.0, "odd": 0.0}
        self.pushed_at_ms = int((time.time() - 30) * 1000)
        self.up = True

    def answer(self, _n: int) -> tuple[int, bytes, dict[str, str]]:
        self.values["requests_total"] += 100
        text = "".join(f"{k} {v}\n" for k, v in self.values.items())
        # A sample with a time of its own is never marked stale.
        text += f"pushed 7 {self.pushed_at_ms}\n"
        return (200 if self.up else 500, text.encode(), {"Content-Type": "text/plain"})


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, free_port: Any) -> Iterator[tuple[str, Exporter]]:
    exporter = Exporter()
    service = Service(exporter.answer)
    threading.Thread(target=service.serve_forever, args=(0.02,), daemon=True).start()
    home, port = tmp_path_factory.mktemp("prometheus"), free_port()
    target = f"127.0.0.1:{service.server_address[1]}"
    (home / "config.yml").write_text(
        "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
        f"scrape_configs: [{{job_name: t, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            ["/usr/bin/prometheus", f"--config.file={home}/config.yml", f"--storage.tsdb.path={home}/data",
             f"--web.listen-address=127.0.0.1:{port}"],
            stdout=log, stderr=log,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for_samples(url, 12, home / "log")
        yield url, exporter
    finally:
        process.kill()
        process.wait(10)
        service.shutdown()
        service.server_close()


def wait_for_samples(url: str, count: int, log: Path) -> None:
    ends_s = time.monotonic() + 30
    while time.monotonic() < ends_s:
        try:
            answer = httpx2.get(
                f"{url}/api/v1/query", params={"query": "count_over_time(requests_total[1h])"}
            ).json()
            if answer["data"]["result"] and int(answer["data"]["result"][0]["value"][1]) >= count:
                return
        except (httpx2.HTTPError, ValueError, KeyError):
            pass
        time.sleep(0.1)
    raise AssertionError(log.read_text())
