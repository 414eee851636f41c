"""A real proxy in front of the API server that answers some requests itself, as a busy or failing server would."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

_PASSED_ON = ("authorization", "content-type", "accept")


@dataclass
class Fault:
    """What is answered to some requests, so many times.

    Attributes:
        path: Regular expression that is looked for in the path.
        done: Whether the request reaches the server all the same, and only its answer is lost.
    """

    method: str
    path: str
    status: int
    times: int
    done: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    met: int = 0

    def fits(self, method: str, path: str) -> bool:
        return self.met < self.times and method == self.method and re.search(self.path, path) is not None


class FaultyProxy:
    """Speaks plain HTTP on 127.0.0.1, and TLS with the server.

    Attributes:
        down: Whether it hangs up instead of answering, as while the server is restarted.
        hung_up: How often it did.
        asked: How many requests came.
    """

    def __init__(self, kubeconfig: Path, to: Path) -> None:
        config = json.loads(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        self.server, self.faults = urlsplit(cluster["server"]), list[Fault]()
        self.tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
        self._lock = threading.Lock()
        self.down, self.hung_up, self.asked = False, 0, 0
        self._http = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self} | _VERBS)
        )
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        config["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{self._http.server_port}"}
        to.write_text(json.dumps(config))

    def met(self, method: str, path: str) -> Fault | None:
        with self._lock:
            self.asked += 1
            found = next((f for f in self.faults if f.fits(method, path)), None)
            if found is not None:
                found.met += 1
            return found

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    proxy: FaultyProxy
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.proxy.down:
            self.proxy.hung_up += 1
            self.close_connection = True
            return
        fault = self.proxy.met(self.command, self.path)
        if fault is None or fault.done:
            status, answer = self._pass_on(body)
        if fault is not None:
            status = fault.status
            told = {
                "kind": "Status",
                "status": "Failure",
                "code": status,
                "message": "made to fail by a test",
            }
            answer = json.dumps(told).encode()
        self.send_response(status)
        for name, value in (fault.headers if fault is not None else {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _pass_on(self, body: bytes) -> tuple[int, bytes]:
        server = self.proxy.server
        assert server.hostname is not None
        connection = http.client.HTTPSConnection(
            server.hostname, server.port, context=self.proxy.tls, timeout=30
        )
        try:
            headers = {k: v for k, v in self.headers.items() if k.lower() in _PASSED_ON}
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


_VERBS = {f"do_{verb}": _Handler.answer for verb in ("GET", "PUT", "POST", "PATCH", "DELETE")}
