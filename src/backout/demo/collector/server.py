"""The HTTP half: HTTP/1.1 with keep-alive, one thread for each connection, a stop that drops no request."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from . import reports
from .pool import DatabaseUnreachable, Pool, WritesRefused

_MAX_BODY_BYTES = 1_000_000


class BadRequest(Exception):
    """The request cannot be understood; the text is for the caller."""


def _storable(value: object) -> bool:
    """Whether PostgreSQL can keep it as text: no NUL, no half of a surrogate pair."""
    return isinstance(value, str) and "\0" not in value and not any("\ud800" <= c <= "\udfff" for c in value)


class CollectorServer(ThreadingHTTPServer):
    """Listens at once when made; `drain` after `shutdown` lets the requests in flight finish."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], pool: Pool, version: str, *, health_shows_version: bool
    ) -> None:
        self.pool, self.version, self.health_shows_version = pool, version, health_shows_version
        self.stopping = False
        self._idle: dict[socket.socket, bool] = {}
        self._changed = threading.Condition()
        super().__init__(address, Handler)

    def server_bind(self) -> None:
        """Bind without the look-up of the host's name that http.server does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = self.socket.getsockname()[:2]

    def mark(self, connection: socket.socket, *, idle: bool | None) -> None:
        """Note that a connection waits for a request, works on one, or (None) is gone."""
        with self._changed:
            if idle is None:
                self._idle.pop(connection, None)
            else:
                self._idle[connection] = idle
                if idle and self.stopping:
                    _end_reading(connection)
            self._changed.notify_all()

    def drain(self, timeout_s: float) -> bool:
        """Refuse new connections, end idle ones, wait for the busy ones; returns whether all finished."""
        self.server_close()
        with self._changed:
            self.stopping = True
            for connection, idle in self._idle.items():
                if idle:
                    _end_reading(connection)
            return self._changed.wait_for(lambda: not self._idle, timeout_s)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Count the connection before its thread runs, so that a stop cannot overlook it."""
        self.mark(request, idle=True)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close the connection and forget it."""
        super().shutdown_request(request)
        self.mark(request, idle=None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what ended a connection, in one line; most often the client went away."""
        logging.info("connection from %s ended early", client_address)


def _end_reading(connection: socket.socket) -> None:
    # A request that is already in the socket's buffer is still read and answered; then comes the end.
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RD)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # Head and body leave in one packet.
    timeout = 120
    server: CollectorServer

    def parse_request(self) -> bool:
        """Mark the connection as busy from the request line on."""
        self.server.mark(self.connection, idle=False)
        return super().parse_request()

    def handle_one_request(self) -> None:
        """Answer one request, and end the connection when the service is stopping."""
        super().handle_one_request()
        if self.server.stopping:
            self.close_connection = True
        elif not self.close_connection:
            self.server.mark(self.connection, idle=True)

    def do_GET(self) -> None:
        """Answer `/health` and `/reports?tenant=`."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """Take a report at `/reports`."""
        self._answer(self._post)

    def log_message(self, format: str, *args: Any) -> None:
        """No line for each request."""

    def _answer(self, work: Any) -> None:
        started = time.monotonic()
        try:
            status, body = work()
        except BadRequest as error:
            status, body = 400, {"error": str(error)}
        except WritesRefused:
            status, body = 503, {"error": "the database refuses writes"}
        except DatabaseUnreachable as error:
            logging.warning("database: %s", error)
            status, body = 503, {"error": "the database is unreachable"}
        except Exception:
            taken_s = time.monotonic() - started
            logging.exception("%s %s failed after %.3f s", self.command, self.path, taken_s)
            status, body = 500, {"error": "internal error"}
        self._send(status, body)

    def _send(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Collector-Version", self.server.version)
        if self.server.stopping or self.close_connection:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def _get(self) -> tuple[int, dict[str, Any]]:
        url = urlsplit(self.path)
        if url.path == "/health":
            return self._health()
        if url.path == "/reports":
            query = parse_qs(url.query)
            tenant, limit = query.get("tenant", [""])[0], query.get("limit", ["20"])[0]
            if not tenant or not limit.isdecimal() or not 1 <= int(limit) <= 200:
                raise BadRequest("expected ?tenant=NAME and, if wanted, &limit=1..200")
            return 200, {"reports": reports.recent(self.server.pool.rows, tenant, int(limit))}
        return 404, {"error": "there are /health and /reports"}

    def _health(self) -> tuple[int, dict[str, Any]]:
        more = {"version": self.server.version} if self.server.health_shows_version else {}
        try:
            self.server.pool.rows("SELECT 1")
        except DatabaseUnreachable:
            return 503, {"status": "error", "service": "collector", "database": "unreachable", **more}
        return 200, {"status": "ok", "service": "collector", "database": "connected", **more}

    def _post(self) -> tuple[int, dict[str, Any]]:
        body = self._body()  # Read in any case: what is left unread would be taken for the next request.
        if urlsplit(self.path).path != "/reports":
            return 404, {"error": "there are /health and /reports"}
        try:
            report = json.loads(body)
            report_id, tenant, text = UUID(report["id"]), report["tenant"], report["body"]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise BadRequest('expected {"id": uuid, "tenant": text, "body": text}') from None
        if not (_storable(tenant) and _storable(text) and tenant):
            raise BadRequest("tenant and body have to be text without NUL, and tenant not empty")
        reports.insert(self.server.pool.rows, report_id, tenant, text)
        return 201, {"id": str(report_id)}

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _MAX_BODY_BYTES:
            self.close_connection = True
            raise BadRequest(f"expected a Content-Length of at most {_MAX_BODY_BYTES}")
        body = self.rfile.read(int(length))
        if len(body) != int(length):
            self.close_connection = True
            raise BadRequest("the body ended early")
        return body
