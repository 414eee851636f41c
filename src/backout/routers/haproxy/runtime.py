"""HAProxy's runtime API: one command, one connection, one answer."""

from __future__ import annotations

import shlex
import socket
import time

from backout.errors import StepFailed, TargetUnreachable
from backout.message import Message, msg

_ANSWER_MOST = 16 * 1024 * 1024
_COMMANDS_MOST = 64


class Runtime:
    """The runtime API of one HAProxy.

    Args:
        address: Path of a UNIX socket, or HOST:PORT.
        timeout_s: Seconds to wait for an answer.
        look: What a person types to see the state.
    """

    def __init__(self, address: str, timeout_s: float, look: str) -> None:
        self._address, self._timeout_s, self._look = address, timeout_s, look

    def ask(self, command: str, deadline_s: float | None = None) -> str:
        """Return what a command prints.

        Args:
            command: Of the runtime API, one line.
            deadline_s: Seconds from now; None: the time that is configured.

        Raises:
            TargetUnreachable: There was no whole answer; whether the command was carried out is not known.
        """
        until = time.monotonic() + min(
            self._timeout_s, deadline_s if deadline_s is not None else self._timeout_s
        )
        try:
            connected = self._connected(until)
        except OSError as error:
            raise self._unreachable(
                error,
                msg("It was not reached, so this changed nothing. Does it run, and is that its socket?"),
                f"pgrep -a haproxy; ls -l {shlex.quote(self._address)}"
                if "/" in self._address
                else self._look,
            ) from error
        try:
            with connected as connection:
                connection.sendall(command.encode() + b"\n")
                return _all_of(connection, until).decode(errors="replace")
        except (OSError, ValueError) as error:
            state = msg("HAProxy goes on as it did; whether the last command was carried out is not known.")
            raise self._unreachable(error, state, self._look) from error

    def _unreachable(self, error: Exception, state: Message, look: str) -> TargetUnreachable:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        what = msg(
            "HAProxy's runtime API at {address} did not answer: {why}.", address=self._address, why=why
        )
        return TargetUnreachable(what, state=state, next_command=look)

    def order(self, *commands: str) -> None:
        """Carry out commands that print nothing if they were done, all in one line: a kill cannot come between them.

        Raises:
            TargetUnreachable: As of `ask`.
            StepFailed: HAProxy refused one of them; its own words are in it.
        """
        # tune.bufsize, 16 KiB by default, limits a line.
        for start in range(0, len(commands), _COMMANDS_MOST):
            line = "; ".join(commands[start : start + _COMMANDS_MOST])
            words = " ".join(self.ask(line).split())
            if words:
                raise StepFailed(
                    msg("HAProxy refused `{command}`: {words}", command=line, words=words),
                    state=msg("This command changed nothing.")
                    if len(commands) == 1
                    else msg("Which of these commands were carried out is not known."),
                    next_command=self._look,
                )

    def _connected(self, until: float) -> socket.socket:
        left_s = max(0.05, until - time.monotonic())
        host, _, port = self._address.rpartition(":")
        if "/" not in self._address and port.isdigit():
            return socket.create_connection((host.strip("[]"), int(port)), timeout=left_s)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(left_s)
            connection.connect(self._address)
        except BaseException:
            connection.close()
            raise
        return connection


def _all_of(connection: socket.socket, until: float) -> bytes:
    """Read until HAProxy closes; raises ValueError where that is not the end of an answer.

    Each answer ends with an empty line (management guide, 9.3). One that lacks it was cut off: a worker that ended, say. Taken as
    whole, silence would be an order that was carried out, and a part of the servers would go into the state file.
    """
    found = bytearray()
    while True:
        left_s = until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("no whole answer in time")
        connection.settimeout(left_s)
        part = connection.recv(65536)
        if not part:
            if found != b"\n" and not found.endswith(b"\n\n"):
                raise ValueError("the answer ends too early")
            return bytes(found)
        found += part
        if len(found) > _ANSWER_MOST:
            raise ValueError("an answer of more than 16 MiB")
