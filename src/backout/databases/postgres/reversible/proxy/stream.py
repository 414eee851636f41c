"""One end of a conversation: whole messages over a socket, and no writer that waits while the other end writes."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl

from backout.databases.postgres.reversible.proxy.wire import Message

_CHUNK_BYTES = 1 << 18
_AHEAD_BYTES = 1 << 20
"""How much of what the other end has sent may lie here unread before no more is taken."""


class Closed(Exception):
    """The other end has ended the conversation.

    Attributes:
        stream: Whose other end.
    """

    def __init__(self, stream: Stream, words: str) -> None:
        super().__init__(words)
        self.stream = stream


class Stream:
    """Reads and writes messages.

    Hazard: a server that is sent rows may at the same time be stuck telling notices. So whoever waits here until it
    may write takes in meanwhile what comes.

    Args:
        sock: Connected, over TLS or not; it is made non-blocking.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._in, self._at = bytearray(), 0
        self._out = bytearray()
        self._ended = False

    def fileno(self) -> int:
        """Return the socket's number, for polling."""
        return self._socket.fileno()

    @property
    def takes_more(self) -> bool:
        """Whether it is worth asking for more of what the other end sends."""
        return not self._ended and len(self._in) - self._at < _AHEAD_BYTES

    def message(self) -> Message | None:
        """Return the next message that is here in full; None: it is not here yet."""
        size = self._size(self._at)
        if not size:
            return None
        raw = bytes(self._in[self._at : self._at + size])
        self._at += size
        return Message(raw[:1], raw)

    def run(self, kind: int) -> bytes:
        """Return all messages of one kind that are here in full, up to the first of another: rows, relayed unread."""
        end = self._at
        while len(self._in) > end and self._in[end] == kind and (size := self._size(end)):
            end += size
        raw = bytes(self._in[self._at : end])
        self._at = end
        return raw

    def fill(self) -> None:
        """Take what has come; returns at once.

        Raises:
            Closed: Nothing more will come.
        """
        if self._at:
            del self._in[: self._at]
            self._at = 0
        try:
            found = self._socket.recv(_CHUNK_BYTES)
            while isinstance(self._socket, ssl.SSLSocket) and found and self._socket.pending():
                self._in += found
                found = self._socket.recv(_CHUNK_BYTES)
        except (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except (OSError, ValueError) as error:
            self._ended = True
            raise Closed(self, str(error)) from None
        if not found:
            self._ended = True
            raise Closed(self, "end of the stream")
        self._in += found

    def put(self, raw: bytes) -> None:
        """Have this sent with the next flush, or sooner when it is much."""
        self._out += raw
        if len(self._out) >= _CHUNK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send all that was put.

        Raises:
            Closed: The other end does not take it.
        """
        while self._out:
            try:
                sent = self._socket.send(self._out)
            except (BlockingIOError, InterruptedError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                self._until_writable()
            except (OSError, ValueError) as error:
                self._out.clear()
                raise Closed(self, str(error)) from None
            else:
                del self._out[:sent]

    def close(self) -> None:
        """End the conversation; idempotent."""
        close(self._socket)

    def _size(self, at: int) -> int:
        """Return a message's size, 0 when it is not here in full."""
        if len(self._in) - at < 5:
            return 0
        size = 1 + int.from_bytes(self._in[at + 1 : at + 5])
        if size < 5:
            raise Closed(self, "a message that is shorter than its own length")
        return size if len(self._in) - at >= size else 0

    def _until_writable(self) -> None:
        poller = select.poll()
        poller.register(self, select.POLLOUT | (0 if self._ended else select.POLLIN))
        ((_, event),) = poller.poll() or [(0, 0)]
        if event & select.POLLIN and not self._ended:
            # The end of what comes in does not mean that nobody reads.
            try:
                self.fill()
            except Closed:
                self._ended = True


def close(sock: socket.socket) -> None:
    """Close a socket; over TLS, say first that this is the end, which clients miss otherwise. Idempotent."""
    if isinstance(sock, ssl.SSLSocket) and sock.fileno() >= 0:
        with contextlib.suppress(OSError, ValueError):
            sock.setblocking(False)
            sock.unwrap()  # Sends it, and does not wait for the other end's.
    sock.close()


def wait(*streams: Stream) -> list[Stream]:
    """Wait until one of them has something to take; return those."""
    poller = select.poll()
    by_number = {stream.fileno(): stream for stream in streams}
    for stream in streams:
        poller.register(stream, select.POLLIN)
    return [by_number[number] for number, _ in poller.poll()]
