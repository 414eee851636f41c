"""The front port of the demo: a reverse proxy that can let requests wait while a release is switched.

Run as ``python -m backout.demo.front --listen PORT --admin PORT --upstream HOST:PORT --state FILE``.
The admin port is open to everybody on this machine: good for a demo, not for production.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import select
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from backout.demo.gate import Gate, Mode
from backout.demo.http1 import (
    MAX_HEAD_BYTES,
    Closed,
    Head,
    Header,
    Malformed,
    TooLarge,
    body_chunks,
    json_answer,
    read_body,
    read_head,
    write_head,
)

_ANSWER_TIMEOUT_S = 60.0
_CONNECT_TIMEOUT_S = 3.0
_IDEMPOTENT = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"))


class UpstreamFailed(Exception):
    """The service gave no answer; `status` is what the client is told."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(slots=True)
class Link:
    """One connection to the service."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used: bool = False

    def stale(self) -> bool:
        """Whether the service closed it meanwhile (or sent what nobody asked for)."""
        if self.reader.at_eof() or self.writer.is_closing():
            return True
        poll = select.poll()
        poll.register(self.writer.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))


class Upstream:
    """Keep-alive connections to the service, the last used first."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self._free: list[Link] = []

    async def exchange(self, request: bytes, method: bytes) -> tuple[Link, Head]:
        """Send a request and read the head of its answer; raises `UpstreamFailed`.

        A request is sent a second time only if it is idempotent and a kept connection turned out to be
        closed (RFC 9112, 9.3.1). A kept connection is looked at just before it is used, so this is rare.
        """
        while True:
            link = await self._take()
            try:
                link.writer.write(request)
                async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                    await link.writer.drain()
                    return link, await self._answer_head(link)
            except TimeoutError:
                link.writer.close()
                raise UpstreamFailed(504, "the service did not answer in time") from None
            except Malformed as error:
                link.writer.close()
                raise UpstreamFailed(502, f"the service's answer is malformed: {error}") from None
            except (Closed, ConnectionError, OSError) as error:
                link.writer.close()
                if not (link.used and method in _IDEMPOTENT):
                    raise UpstreamFailed(502, "the service closed the connection") from error
                self.forget()

    def give_back(self, link: Link) -> None:
        """Keep a connection for the next request."""
        link.used = True
        self._free.append(link)

    def forget(self) -> None:
        """Close the connections that are kept."""
        for link in self._free:
            link.writer.close()
        self._free.clear()

    async def _take(self) -> Link:
        while self._free:
            link = self._free.pop()
            if not link.stale():
                return link
            link.writer.close()
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                return Link(*await asyncio.open_connection(self.host, self.port, limit=MAX_HEAD_BYTES))
        except (OSError, TimeoutError) as error:
            raise UpstreamFailed(502, "the service does not take connections") from error

    @staticmethod
    async def _answer_head(link: Link) -> Head:
        while True:
            head = await read_head(link.reader)
            if not head.first[1].isdigit():
                raise Malformed("status")
            if head.first[1][:1] != b"1":
                return head


class Front:
    """The front port: one `client` call for each connection."""

    def __init__(self, gate: Gate, upstream: Upstream) -> None:
        self.gate, self.upstream = gate, upstream
        self.stopping = False

    async def client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it or we close the connection."""
        try:
            while await self._serve_one(reader, writer):
                pass
        except (Closed, ConnectionError):
            pass
        except Malformed as error:
            status = 413 if isinstance(error, TooLarge) else 400
            writer.write(self._own_answer(status, f"malformed request: {error}", close=True))
        finally:
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await read_head(reader)
        if not head.first[2].startswith(b"HTTP/1."):
            raise Malformed("version")
        if b"100-continue" in head.all(b"expect"):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # The body is read before the gate: a request that waits can then be sent in one go, or again.
        body = await read_body(reader, head)
        keep = head.keeps_alive(head.first[2])
        if not await self.gate.enter():
            writer.write(self._own_answer(503, "down for maintenance", close=not keep, retry_after=True))
        else:
            try:
                if reader.at_eof():
                    return False  # The client is gone; doing its work now would surprise it.
                keep = await self._forward(head, body, writer, keep)
            finally:
                await self.gate.leave()
        await writer.drain()
        return keep and not self.stopping

    async def _forward(self, head: Head, body: bytes, writer: asyncio.StreamWriter, keep: bool) -> bool:
        """Pass one request on and its answer back; returns whether the client's connection stays open."""
        headers = [item for item in head.end_to_end() if item[0].lower() != b"expect"]
        if body or head.length is not None or head.chunked:
            headers.append((b"Content-Length", str(len(body)).encode()))
        request = write_head(head.first[0] + b" " + head.first[1] + b" HTTP/1.1", headers) + body
        try:
            link, answer = await self.upstream.exchange(request, head.first[0])
        except UpstreamFailed as error:
            writer.write(self._own_answer(error.status, str(error), close=not keep))
            return keep
        reusable = False
        try:
            reusable, keep = await self._send_back(head, link, answer, writer, keep)
        finally:
            if reusable:
                self.upstream.give_back(link)
            else:
                link.writer.close()
        return keep

    async def _send_back(
        self, head: Head, link: Link, answer: Head, writer: asyncio.StreamWriter, keep: bool
    ) -> tuple[bool, bool]:
        status = answer.first[1]
        self.gate.answers[status.decode()] += 1
        bodiless = head.first[0] == b"HEAD" or status in (b"204", b"304")
        length = answer.length
        delimited = bodiless or answer.chunked or length is not None
        chunked = not bodiless and length is None and head.first[2] == b"HTTP/1.1"
        keep = keep and (bodiless or chunked or length is not None)
        framing: list[Header] = [] if length is None else [(b"Content-Length", str(length).encode())]
        framing += [(b"Transfer-Encoding", b"chunked")] if chunked else []
        framing += [] if keep else [(b"Connection", b"close")]
        out = write_head(b"HTTP/1.1 " + status + b" " + answer.first[2], answer.end_to_end() + framing)
        if not bodiless:
            async for data in body_chunks(link.reader, answer, until_close=True):
                out += b"%x\r\n%b\r\n" % (len(data), data) if chunked else data
                if len(out) >= 32768:
                    writer.write(out)
                    out = b""
                    await writer.drain()
        writer.write(out + (b"0\r\n\r\n" if chunked else b""))
        return delimited and answer.keeps_alive(answer.first[0]), keep

    def _own_answer(self, status: int, why: str, *, close: bool, retry_after: bool = False) -> bytes:
        self.gate.answers[f"{status} front"] += 1
        headers: list[Header] = [(b"X-Front", self.gate.mode.encode())]
        headers += [(b"Retry-After", b"5")] if retry_after else []
        headers += [(b"Connection", b"close")] if close else []
        return json_answer(status, {"error": why, "from": "front"}, headers)


class Admin:
    """The admin port: ``GET /state`` and ``PUT /mode``; one request for each connection."""

    def __init__(self, front: Front) -> None:
        self._front, self._gate = front, front.gate

    async def client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        try:
            head = await read_head(reader)
            status, body = await self._answer(head, await read_body(reader, head))
            writer.write(json_answer(status, body, [(b"Connection", b"close")]))
            await writer.drain()
        except (Closed, ConnectionError):
            pass
        except Malformed as error:
            writer.write(json_answer(400, {"error": str(error)}, [(b"Connection", b"close")]))
        finally:
            writer.close()

    def state(self) -> dict[str, object]:
        """Return what `GET /state` answers."""
        gate = self._gate
        return {
            "mode": gate.mode,
            "reason": gate.reason,
            "in_flight": gate.inside,
            "waiting": gate.waiting,
            "upstream": f"{self._front.upstream.host}:{self._front.upstream.port}",
            "answers": dict(gate.answers),
        }

    async def _answer(self, head: Head, body: bytes) -> tuple[int, object]:
        method, path = head.first[:2]
        if (method, path) == (b"GET", b"/state"):
            return 200, self.state()
        if (method, path) != (b"PUT", b"/mode"):
            return 404, {"error": "there are GET /state and PUT /mode"}
        try:
            wanted = json.loads(body)
            mode, reason = Mode(wanted["mode"]), str(wanted.get("reason", ""))
            drain_s = float(wanted.get("drain_s", 30))
        except (ValueError, KeyError, TypeError, AttributeError):
            return 400, {"error": "expected mode (pass, queue, maintenance), reason, drain_s (seconds)"}
        return await self._set(mode, reason, drain_s)

    async def _set(self, mode: Mode, reason: str, drain_s: float) -> tuple[int, object]:
        try:
            await self._gate.set_mode(mode, reason)
        except OSError as error:
            return 500, {"error": f"the mode could not be kept on disk: {error}", **self.state()}
        if mode == Mode.PASS:
            return 200, self.state()
        drained = await self._gate.drained(mode, drain_s)
        if drained is None:
            return 409, {"error": "the mode was changed meanwhile", **self.state()}
        if not drained:
            return 504, {"error": "requests are still inside the service", **self.state()}
        self._front.upstream.forget()
        return 200, self.state()


async def serve(listen: int, admin: int, upstream: str, state: Path) -> None:
    """Serve until SIGTERM or SIGINT; then finish the requests that are inside, for 10 s at most."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    host, _, port = upstream.rpartition(":")
    front = Front(Gate(state), Upstream(host, int(port)))
    servers = [
        await asyncio.start_server(Admin(front).client, "127.0.0.1", admin, limit=MAX_HEAD_BYTES),
        await asyncio.start_server(front.client, "127.0.0.1", listen, limit=MAX_HEAD_BYTES, backlog=512),
    ]
    logging.info("front listens on %d, admin on %d, mode %s", listen, admin, front.gate.mode)
    await stop.wait()
    front.stopping = True
    for server in servers:
        server.close()
    await front.gate.drained(front.gate.mode, timeout_s=10)


def main() -> int:
    """Run the front port."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", type=int, required=True)
    parser.add_argument("--admin", type=int, required=True)
    parser.add_argument("--upstream", required=True, help="HOST:PORT")
    parser.add_argument("--state", type=Path, required=True, help="file that keeps the mode")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        asyncio.run(serve(given.listen, given.admin, given.upstream, given.state))
    except (ValueError, KeyError, TypeError) as error:
        logging.error("the mode kept in %s cannot be read, and is not guessed: %s", given.state, error)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
