"""One client and its session with the server: what is said passes here, and the proxy says its own between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from backout.databases.postgres.reversible.link import LinkError
from backout.databases.postgres.reversible.proxy import wire
from backout.databases.postgres.reversible.proxy.stream import Stream, wait
from backout.databases.postgres.reversible.proxy.wire import Message

_OURS = b"_bo_link"
"""Names the proxy's own prepared statement and portal: the client's, the nameless ones too, live on."""

_ENCODINGS = ("UTF8", "SQL_ASCII")


class Refusal(Exception):
    """The client gets an error that the server did not send.

    Attributes:
        raw: The ErrorResponse.
    """

    def __init__(self, raw: bytes) -> None:
        super().__init__(wire.fields_of(raw[5:]).get("M", ""))
        self.raw = raw


@dataclass(slots=True)
class Answer:
    """What the server said to a statement of the proxy's own."""

    columns: list[str] = field(default_factory=list)
    types: list[tuple[int, int]] = field(default_factory=list)
    rows: list[list[str | None]] = field(default_factory=list)


class Session:
    """Relays between a client and the server, and knows how the transaction stands.

    Attributes:
        status: Of the last ReadyForQuery: `I` no transaction, `T` in one, `E` in one that failed.
        tag: Of the last CommandComplete that came from the server.
        parameters: What the server has reported: `client_encoding` and such.
        muted: SQLSTATE of a notice that the client would not have got from the plain server.
        completes_last: Whether notices belong before the CommandComplete that is held: those of a simple query's COMMIT.
        fatal: Whether the client was told that the session is over.
        heard_last: Kind of the last message that ended a statement: `C`, `s` (suspended), `I` (empty).
    """

    def __init__(self, client: Stream, server: Stream) -> None:
        self.client, self.server = client, server
        self._kept: dict[str, tuple[bytes, list[str]]] = {}
        self._later: list[str] = []
        self._unclean = False
        self.status, self.tag = "I", ""
        self.parameters: dict[str, str] = {}
        self._told: dict[str, str] = {}
        self.muted = ""
        self.completes_last = False
        self.fatal = False
        self.heard_last = b""
        self._held: list[bytes] = []

    def hear(self) -> Message:
        """Return the server's next message; wait for it.

        Raises:
            Closed: The server or the client is gone.
        """
        while (found := self.server.message()) is None:
            self.client.flush()
            self.server.flush()
            watched = [self.server, self.client] if self.client.takes_more else [self.server]
            for stream in wait(*watched):
                stream.fill()
        return found

    def tell(self, raw: bytes) -> None:
        """Have the client told this, after what is held."""
        if self._held:
            self._held.append(raw)
        else:
            self.client.put(raw)

    def hold(self, complete: bytes) -> None:
        """Keep a CommandComplete until it is sure that what it tells of stays."""
        self.release()
        self._held.append(complete)

    def release(self) -> None:
        """Tell the client what was held."""
        for raw in self._held:
            self.client.put(raw)
        self._held.clear()

    def refuse(self, refusal: Refusal) -> None:
        """Tell the client of an error instead of the CommandComplete that is held."""
        self._held = [raw for raw in self._held if raw[:1] != b"C"]
        self.release()
        self.tell_error(refusal.raw)

    def tell_error(self, raw: bytes, offset: int = 0) -> None:
        """Tell the client of an error.

        Args:
            raw: An ErrorResponse.
            offset: Where in the client's text the statement began that failed, in characters.
        """
        self.release()
        fields = wire.fields_of(raw[5:])
        self.fatal = fields.get("V", fields.get("S")) in ("FATAL", "PANIC")
        if offset and fields.get("P", "").isdigit():
            raw = wire.told(b"E", {**fields, "P": str(int(fields["P"]) + offset)})
        self.client.put(raw)

    def ready(self) -> None:
        """End an answer: tell what is held, what parameters have become, and how the transaction stands."""
        self.release()
        for name, value in self.parameters.items():
            if self._told.get(name) != value:
                self._told[name] = value
                self.client.put(wire.parameter_status(name, value))
        self.client.put(wire.ready(self.status))
        self.client.flush()

    def aside(self, one: Message, *, quiet: bool = False) -> None:
        """Pass on what the server may say at any time: notices, parameters, notifications.

        Args:
            one: What it says.
            quiet: What is being run is the keeper's: the client hears of notifications alone, which are its own.
        """
        if one.kind == b"S":
            # Told with the next ReadyForQuery, as by the server (since 14): what the proxy asks has more of those.
            reader = wire.Reader(one.body)
            name, value = reader.text().decode(), reader.text().decode()
            self.parameters.pop(name, None)
            self.parameters[name] = value
        elif one.kind == b"E":
            self.tell_error(one.raw)
        elif one.kind == b"N" and (quiet or self._is_muted(one)):
            return
        elif one.kind == b"N" and self.completes_last:
            self._held.insert(max(0, len(self._held) - 1), one.raw)
        else:
            self.tell(one.raw)

    def exchange(self, raw: bytes, offset: int = 0) -> bool:
        """Have the server run a simple query and relay all it says but the end; tell whether it ended well.

        The last CommandComplete is held.
        """
        self.server.put(raw)
        well = True
        early: Message | None = None
        while (one := early or self.hear()).kind != b"Z":
            early = None
            if one.kind == b"E":
                well = False
                self.tell_error(one.raw, offset)
            elif one.kind == b"G":
                early = self.copy_in(one)
            else:
                self.relay(one)
        self.status = one.body.decode()
        return well

    def relay(self, one: Message) -> None:
        """Pass on one message of an answer that is neither an error nor the end."""
        if one.kind in b"CIs":
            self.heard_last = one.kind
        if one.kind == b"C":
            self.tag = one.body[:-1].decode()
            if self.tag.startswith(("DEALLOCATE", "DISCARD")):
                self._kept.clear()
            self.hold(one.raw)
        elif one.kind in b"NSA":
            self.aside(one)
        else:
            self.release()
            self.client.put(one.raw)
            if one.kind in b"Dd":
                self.client.put(self.server.run(one.kind[0]))

    def copy_in(self, one: Message) -> Message | None:
        """Relay what the client copies into a table, until it says that that is all.

        Returns:
            What the server said instead of waiting for the rest: an error.
        """
        self.release()
        self.client.put(one.raw)
        while True:
            if rows := self.client.run(b"d"[0]):
                self.server.put(rows)
            if said := self.client.message():
                # Source: PostgreSQL 18 documentation, 54.2.6: Flush and Sync are ignored while copying.
                if said.kind not in b"HS":
                    self.server.put(said.raw)
                if said.kind not in b"HSd":
                    return None
                continue
            if early := self._while_copying():
                return early

    def ask(
        self, sql: str, values: Sequence[str] = (), *, quiet: bool = False, again: bool = False
    ) -> Answer:
        """Run a statement of the proxy's own, after those put off; the client hears nothing of its rows and its end.

        Hazard: it must not be a simple query, which would destroy the client's nameless statement and portal.

        Args:
            sql: One statement.
            values: Of its parameters.
            quiet: Whether notices are kept from the client.
            again: It will be asked often: the server keeps its plan.

        Raises:
            LinkError: The server refused it, or one that was put off.
        """
        name, columns = self._kept.get(sql, (b"", None)) if again else (b"", None)
        told = forget = describe = b""
        if not name:
            name = b"%s_%d" % (_OURS, len(self._kept)) if again else _OURS
            told, describe = wire.parse(name, sql), wire.describe_portal(_OURS)
            told, forget = (wire.close(b"S", name) + told, b"") if again else (told, wire.close(b"S", name))
        run = wire.bind(_OURS, name, values) + describe + wire.execute(_OURS) + wire.close(b"P", _OURS)
        before, self._later = self._later, []
        self._tidy()
        for one in before:
            self.server.put(_only_run(one))
        self.server.put(told + run + forget + wire.SYNC)
        answer = self._answer(quiet, len(before))
        self._unclean = False
        answer.columns = columns or answer.columns
        if again:
            self._kept[sql] = (name, answer.columns)
        return answer

    def give(self, sql: str, bound: bytes) -> None:
        """Have the server give the client the rows of a statement of the proxy's own.

        Args:
            sql: The statement.
            bound: The client's Bind, which asks for them as text or binary.

        Raises:
            Refusal: The server refused it.
        """
        self._tidy()
        run = wire.bind_alike(_OURS, _OURS, bound) + wire.execute(_OURS)
        forget = wire.close(b"P", _OURS) + wire.close(b"S", _OURS)
        self.server.put(wire.parse(_OURS, sql) + run + forget + wire.SYNC)
        error = b""
        while (one := self.hear()).kind != b"Z":
            if one.kind in b"DC":
                self.relay(one)
            elif one.kind == b"E":
                error = one.raw
            elif one.kind in b"NSA":
                self.aside(one)
        self.status = one.body.decode()
        if error:
            raise Refusal(error)
        self._unclean = False

    def later(self, sql: str) -> None:
        """Put off a statement of the proxy's own until the next is asked; who does it sees to `catch_up`.

        Hazard: outside a transaction it is run at once: together they would be one.
        """
        self._later.append(sql)
        if self.status == "I":
            self.catch_up()

    def catch_up(self) -> None:
        """Run what was put off.

        Raises:
            LinkError: The server refused it.
        """
        if self._later:
            self.ask(self._later.pop(), quiet=True)

    def give_up(self) -> None:
        """Forget what was put off: the transaction is undone."""
        self._later.clear()

    def _tidy(self) -> None:
        """Have closed what a failed statement has left behind."""
        if self._unclean:
            self.server.put(wire.close(b"P", _OURS) + wire.close(b"S", _OURS))
        self._unclean = True

    def understands(self, sql: str) -> dict[str, str]:
        """Have the server parse a text, which runs nothing, and return its error by letter; empty: it has none."""
        self._tidy()
        self.server.put(wire.parse(_OURS, sql) + wire.close(b"S", _OURS) + wire.SYNC)
        try:
            self._answer(quiet=True)
        except LinkError as error:
            return error.fields
        self._unclean = False
        return {}

    def sync(self) -> None:
        """Have the server forget an error and say how the transaction stands; the client hears of neither."""
        self.server.put(wire.SYNC)
        self._answer(quiet=False)

    def _answer(self, quiet: bool, before: int = 0) -> Answer:
        """Take in what the server says; of so many statements before the last one, the rows are left out."""
        answer, error = Answer(), None
        while (one := self.hear()).kind != b"Z":
            if one.kind == b"D" and not before:
                answer.rows.append(wire.values_of(one.body))
            elif one.kind == b"T":
                answer.columns, answer.types = wire.columns_of(one.body), wire.types_of(one.body)
            elif one.kind == b"C" and before:
                before -= 1
            elif one.kind == b"E":
                error = wire.fields_of(one.body)
                if error.get("V") in ("FATAL", "PANIC"):
                    self.tell_error(one.raw)
            elif one.kind in b"NSA":
                self.aside(one, quiet=quiet)
        self.status = one.body.decode()
        if error:
            raise LinkError(error)
        return answer

    def _while_copying(self) -> Message | None:
        """Wait for the client's next rows; return an error of the server's if that comes first."""
        self.client.flush()
        self.server.flush()
        for stream in wait(self.client, self.server):
            stream.fill()
        while one := self.server.message():
            if one.kind == b"E":
                return one
            self.aside(one)
        return None

    def _is_muted(self, one: Message) -> bool:
        return bool(self.muted) and wire.fields_of(one.body).get("C") == self.muted


def _only_run(sql: str) -> bytes:
    """Return the messages that have the server run a statement, and tell of its rows no names."""
    run = wire.bind(_OURS, _OURS) + wire.execute(_OURS)
    return wire.parse(_OURS, sql) + run + wire.close(b"P", _OURS) + wire.close(b"S", _OURS)


def await_client(session: Session, meanwhile: Callable[[Message], None]) -> Message:
    """Return the client's next message; what the server says meanwhile is handed on.

    Raises:
        Closed: The server or the client is gone.
    """
    while True:
        while said := session.server.message():
            meanwhile(said)
        if found := session.client.message():
            return found
        session.client.flush()
        for stream in wait(session.client, session.server):
            stream.fill()


def check_encoding(session: Session) -> None:
    """Refuse to go on with a client whose statements cannot be read.

    Raises:
        Refusal: Its encoding is neither UTF8 nor one that changes nothing.
    """
    encoding = session.parameters.get("client_encoding", "UTF8")
    if encoding not in _ENCODINGS:
        words = f"backout reads statements in UTF8 only; this session's client_encoding is {encoding}"
        raise Refusal(wire.error("0A000", words, severity="FATAL"))
