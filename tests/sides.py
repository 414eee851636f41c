"""Services that play the sides behind a router: each says its name, slowly or through a tunnel if it is asked to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Side(ThreadingHTTPServer):
    """One side on a free loopback port."""

    daemon_threads = True

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.name, self.version, self.ready, self.failing = name, name, True, False
        self.off: Path | None = None
        """While this file is there, it does as if it were stopped."""

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is none of a side's errors."""

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Side

    def do_GET(self) -> None:
        if self.server.off is not None and self.server.off.exists():
            self.close_connection = True
            return None
        if self.path == "/tunnel":
            return self._tunnel()
        if self.path == "/slow":
            time.sleep(0.5)
        ready = self.server.ready if self.path == "/ready" else not (self.server.failing and self.path == "/")
        said = {"/version": self.server.version, "/health": json.dumps({"version": self.server.version})}
        body = said.get(self.path, self.server.name).encode()
        self.send_response(200 if ready else 503)
        self.send_header("Content-Type", "application/json" if self.path == "/health" else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return None

    def _tunnel(self) -> None:
        self.wfile.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        )
        while self.rfile.read(1):
            self.wfile.write(self.server.name.encode())
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def sides(*names: str) -> Iterator[dict[str, Side]]:
    """Give running sides by name."""
    found = {name: Side(name) for name in names}
    threads = [threading.Thread(target=one.serve_forever, args=(0.01,)) for one in found.values()]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        for one in found.values():
            one.shutdown()
            one.server_close()
        for thread in threads:
            thread.join()
