"""The journal: append-only, hash-chained events; the truth about every run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from backout.clock import Clock
from backout.document import Document, Json, canonical_json, digest_of
from backout.errors import JournalTampered, LeaseLost
from backout.execute.mirror import lacking, told
from backout.execute.store import Store
from backout.faults import fault_point
from backout.message import msg
from backout.redact import Redactor

if TYPE_CHECKING:
    from backout.execute.mirror import Mirror
    from backout.platforms.keeping import RunEvent

GENESIS = "sha256:" + "0" * 64


class Event(Document):
    """One thing that happened.

    Attributes:
        seq: Position in the journal, from 1, without gaps.
        generation: The lease's fencing token of whoever wrote it; 0 outside a run.
        prev: Digest of the event before.
        digest: Of this event's other fields.
    """

    seq: int
    at: datetime
    run: str | None
    actor: str
    generation: int
    kind: str
    body: dict[str, Json]
    prev: str
    digest: str


class Journal:
    """Appends events and reads them back.

    Args:
        actor: Who is acting: operating-system user and host; unverified.
        mirror: Keeps runs at the target too; None: only this journal has them.
    """

    def __init__(
        self, store: Store, clock: Clock, actor: str, redactor: Redactor, mirror: Mirror | None = None
    ) -> None:
        self._store, self._mirror = store, mirror
        self._clock = clock
        self._redactor = redactor
        self.actor = actor

    @property
    def clock(self) -> Clock:
        """The clock that events are dated by."""
        return self._clock

    def append(
        self,
        kind: str,
        body: dict[str, Json],
        *,
        run: str | None = None,
        generation: int = 0,
        also: Callable[[Any], None] | None = None,
    ) -> Event:
        """Append one event durably; one of a run also to the target, if that keeps runs.

        Args:
            kind: What happened (`step.begun`, …).
            body: Its details; secrets are cut out here.
            run: The run it belongs to, or None.
            generation: The lease's fencing token; 0 outside a run.
            also: Writes projections in the same transaction.

        Raises:
            StoreFull: Nothing was appended.
            LeaseLost: A newer owner wrote to this run; nothing was appended, or here alone.
            TargetUnreachable: It stands here; whether at the target too is not known.
        """
        fault_point(f"journal.{kind}.before")
        clean = self._redactor.json(body)
        assert isinstance(clean, dict)
        with self._store.writing() as sql:
            _refuse_older_owner(sql, run, generation)
            event = _insert(sql, self._clock.now(), run, self.actor, generation, kind, clean)
            if also is not None:
                also(sql)
        fault_point(f"journal.{kind}.after")
        if run is not None:
            self.send(run, kind)
        return event

    def send(self, run: str, kind: str | None = None) -> None:
        """Bring to the target what it lacks of a run; `kind`: of the newest event. Idempotent."""
        if self._mirror is not None:
            self._mirror.send(self, run, kind)

    def adopt(self, events: Sequence[RunEvent]) -> int:
        """Append what was journalled of runs elsewhere, all at once or not at all; return how many got something new.

        Idempotent: what is here already is left alone, and so is what an older owner left behind.
        """
        brought = 0
        with self._store.writing() as sql:
            for run in dict.fromkeys(e.run for e in events):
                rows = sql.execute("SELECT * FROM events WHERE run = ? ORDER BY seq", (run,))
                here = [told(_event(row)) for row in rows]
                new = lacking(here, [e for e in events if e.run == run])
                for e in new:
                    _insert(sql, e.at, e.run, e.actor, e.generation, e.kind, e.body)
                brought += bool(new)
        return brought

    def events(
        self, run: str | None = None, *, kinds: tuple[str, ...] = (), newest: int | None = None
    ) -> list[Event]:
        """Return events in order: of one run or of all, of some kinds, or only the newest ones."""
        conditions, values = [], []
        if run is not None:
            conditions.append("run = ?")
            values.append(run)
        if kinds:
            conditions.append(f"kind IN ({', '.join('?' * len(kinds))})")
            values.extend(kinds)
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        limit = f"LIMIT {int(newest)}" if newest is not None else ""
        rows = self._store.rows(f"SELECT * FROM events {where} ORDER BY seq DESC {limit}", tuple(values))
        return [_event(row) for row in reversed(rows)]

    def head(self) -> str | None:
        """Return ``seq:digest`` of the last event, or None."""
        rows = self._store.rows("SELECT seq, digest FROM events ORDER BY seq DESC LIMIT 1")
        return f"{rows[0][0]}:{rows[0][1]}" if rows else None

    def verify(self, known_head: str | None = None) -> int:
        """Walk the whole chain and return how many events it has.

        Args:
            known_head: A ``seq:digest`` that was seen elsewhere (the lease at the target keeps one).

        Raises:
            JournalTampered: An event was changed, removed, put in, or the journal was cut short.
        """
        prev, count, seen = GENESIS, 0, known_head is None
        for event in self._walk():
            expected = _sealed(
                count + 1, event.at, event.run, event.actor, event.generation, event.kind, event.body, prev
            )
            if event.seq != count + 1 or event.digest != expected.digest:
                raise self._tampered(count + 1)
            prev, count = event.digest, event.seq
            seen = seen or f"{event.seq}:{event.digest}" == known_head
        if not seen:
            raise self._tampered(count + 1)
        return count

    def _walk(self) -> Iterator[Event]:
        last = 0
        while rows := self._store.rows("SELECT * FROM events WHERE seq > ? ORDER BY seq LIMIT 500", (last,)):
            for row in rows:
                try:
                    event = _event(row)
                except ValueError:
                    raise self._tampered(last + 1) from None
                last = event.seq
                yield event

    def _tampered(self, seq: int) -> JournalTampered:
        return JournalTampered(
            msg("The journal {path} was changed from event {seq} on.", path=str(self._store.path), seq=seq),
            state=msg("Events before {seq} are as they were written; later ones cannot be trusted.", seq=seq),
            next_command=f"cp {self._store.path} {self._store.path}.evidence   # then restore it from your backup",
        )


def _insert(
    sql: Any, at: datetime, run: str | None, actor: str, generation: int, kind: str, body: dict[str, Json]
) -> Event:
    last = sql.execute("SELECT seq, digest FROM events ORDER BY seq DESC LIMIT 1").fetchone()
    seq, prev = (last[0] + 1, last[1]) if last else (1, GENESIS)
    event = _sealed(seq, at, run, actor, generation, kind, body, prev)
    row = (seq, at.isoformat(), run, actor, generation, kind, canonical_json(body), prev, event.digest)
    sql.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    return event


def _refuse_older_owner(sql: Any, run: str | None, generation: int) -> None:
    """Let no process that was taken over, and wakes up, write to the run that somebody else carried on."""
    if run is None or not generation:
        return
    newest = sql.execute(
        "SELECT generation, actor FROM events WHERE run = ? ORDER BY generation DESC LIMIT 1", (run,)
    ).fetchone()
    if newest is not None and newest[0] > generation:
        raise LeaseLost(
            msg("Run {run} was taken over by {other}.", run=run, other=newest[1]),
            state=msg("This process stopped acting; the other one goes on."),
            next_command=f"backout status {run}",
        )


def _sealed(
    seq: int,
    at: datetime,
    run: str | None,
    actor: str,
    generation: int,
    kind: str,
    body: dict[str, Json],
    prev: str,
) -> Event:
    content = {
        "seq": seq,
        "at": at.isoformat(),
        "run": run,
        "actor": actor,
        "generation": generation,
        "kind": kind,
        "body": body,
        "prev": prev,
    }
    return Event(
        seq=seq,
        at=at,
        run=run,
        actor=actor,
        generation=generation,
        kind=kind,
        body=body,
        prev=prev,
        digest=digest_of(content),
    )


def _event(row: tuple[Any, ...]) -> Event:
    seq, at, run, actor, generation, kind, body, prev, digest = row
    return Event(
        seq=seq,
        at=datetime.fromisoformat(at),
        run=run,
        actor=actor,
        generation=generation,
        kind=kind,
        body=json.loads(body),
        prev=prev,
        digest=digest,
    )
