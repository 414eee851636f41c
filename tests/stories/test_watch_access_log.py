"""The guard reads what a real nginx writes by the documented `log_format`, and promises what ids let it promise."""

from __future__ import annotations

import http.client
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command_line import Cli
from tests.nginx import nginx
from tests.sides import sides

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs/how-to/platforms/nginx.md"
CONFIG = """\
service: shop
platform:
  kind: sides
  sides:
    blue: {{version_url: "http://127.0.0.1:{blue}/version", ready_url: "http://127.0.0.1:{blue}/ready"}}
    green: {{version_url: "http://127.0.0.1:{green}/version", ready_url: "http://127.0.0.1:{green}/ready"}}
router: {router}
guard:
  metrics:
    - {{kind: access-log, path: access.log, sides: {{blue: [shop-blue], green: [shop-green]}}}}
"""
HARM = 4


def ask(port: int, request_id: str | None) -> None:
    """Ask as a client does that tries a failed request three times."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for _ in range(3):
        connection.request("GET", "/", headers={"X-Request-ID": request_id} if request_id else {})
        answer = connection.getresponse()
        answer.read()
        if answer.status == 200:
            break
    connection.close()


def test_sides_are_told_apart_retries_count_once_and_the_chance_of_a_false_alarm_is_promised(
    tmp_path: Path, require_service: Callable[[str], None]
) -> None:
    require_service("nginx")
    (log_format,) = re.findall(r"log_format backout [^;]+;", PAGE.read_text())
    with sides("blue", "green") as running:
        running["blue"].version, running["green"].version = "v1", "v2"
        ports = {name: (one.port,) for name, one in running.items()}
        with nginx(tmp_path, ports, log_format) as proxy:
            told = {name: one.port for name, one in running.items()}
            router = json.dumps({"kind": "nginx", **proxy.told})
            path = tmp_path / "backout.yaml"
            path.write_text(CONFIG.format(router=router, **told))
            cli = Cli(tmp_path, {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"})
            cli("record", "--state", "good").ended(0)
            proxy.router().shift({"blue": 50, "green": 50})
            cli("record", "--version", "v2", "--state", "deploying").ended(0)
            running["green"].failing = True
            for number in range(120):
                ask(proxy.port, f"r{number}")
            done = cli("watch", "--once", "--json")
            assert done.code == HARM, done.everything
            verdict = json.loads(done.out)["verdict"]
            (finding,) = verdict["findings"]
            counted = finding["evidence"]["fields"]
            assert counted["requests"] + counted["control_requests"] == 120
            assert (counted["errors"], counted["control_errors"]) == (counted["requests"], 0)
            assert (verdict["promised"], verdict["not_promised"]) == (0.01, [])

            # A metric without ids takes the promise from all.
            alone = path.read_text()
            path.write_text(f"{alone}    - {{kind: probes}}\n")
            verdict = json.loads(cli("watch", "--once", "--json").out)["verdict"]
            assert (verdict["say"], verdict["promised"]) == ("back out", None)
            path.write_text(alone)

            # So does a request without one.
            ask(proxy.port, None)
            done = cli("watch", "--once", "--json")
            assert done.code == HARM, done.everything
            seen = json.loads(done.out)
            assert seen["verdict"]["promised"] is None
            assert "had no id" in str(seen["notes"])
