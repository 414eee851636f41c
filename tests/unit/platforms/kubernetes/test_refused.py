"""A refusal of the API server is believed, unless it says itself that it has only just started."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from backout.clock import SystemClock
from backout.errors import CredentialsRefused
from backout.kubernetes.api import Api
from backout.kubernetes.kubeconfig import choose

POD = "/api/v1/namespaces/shop/pods/one"


class Server(ThreadingHTTPServer):
    """Answers the statuses that it is given, in their order; the last one again and again."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses: dict[str, list[int]] = {}
        self.asked: list[str] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(path)
        left = self.server.statuses[path]
        status = left.pop(0) if len(left) > 1 else left[0]
        body = json.dumps({"kind": "Status" if status >= 400 else "Pod", "metadata": {}}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def api(server: Server, tmp_path: Path) -> Api:
    file = tmp_path / "kubeconfig"
    context = {"cluster": "c", "user": "u", "namespace": "shop"}
    config = {
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": context}],
        "current-context": "x",
    }
    file.write_text(json.dumps(config))
    return Api(lambda: choose(file, None, {}), None, SystemClock())


def test_one_that_is_ready_is_believed_when_it_says_so_twice(server: Server, api: Api) -> None:
    server.statuses = {POD: [403], "/readyz": [200]}
    with pytest.raises(CredentialsRefused):
        api.get("Pod", "one")
    assert server.asked == [POD, "/readyz", POD]


def test_one_that_has_only_just_started_is_asked_until_it_knows_the_roles(server: Server, api: Api) -> None:
    server.statuses = {POD: [403, 403, 403, 200], "/readyz": [500]}
    assert api.get("Pod", "one") is not None
    assert server.asked == [POD, "/readyz", POD, POD, POD]


def test_one_that_got_ready_meanwhile_is_asked_again(server: Server, api: Api) -> None:
    server.statuses = {POD: [403, 200], "/readyz": [200]}
    assert api.get("Pod", "one") is not None
