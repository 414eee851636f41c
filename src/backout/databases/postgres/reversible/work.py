"""Changing a schema inside one transaction: things are named by identity, and looked up when they are needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from backout.databases.postgres.reversible.catalog import read
from backout.databases.postgres.reversible.link import Link, LinkError, LinkLost
from backout.databases.postgres.reversible.names import ident
from backout.databases.postgres.reversible.readdressed import Reborn, Renumbered
from backout.databases.postgres.reversible.snapshot import Key, Snapshot, Thing

_KEEPS = ("COMMENT ", "UPDATE ", "SET ", "GRANT ", "REVOKE ")
"""Statements after which the catalog says what it said, as far as anybody asks: reading it takes longer than they do."""


_TRY = "_bo_early"


class Moved(Exception):
    """Something is not what the journal says it is: somebody has changed the schema behind it.

    Attributes:
        thing: What it was, for people.
        why: What is the matter with it.
        look: A query that shows it.
        fill: A column that a value is missing for, which can be told when the way is taken.
    """

    def __init__(self, thing: str, why: str, *, look: str | None = None, fill: str | None = None) -> None:
        super().__init__(f"{thing} {why}")
        self.thing, self.why, self.look, self.fill = thing, why, look, fill


@dataclass(slots=True)
class Work:
    """One transaction at work.

    Attributes:
        link: The session, in its transaction.
        reads: Reads the catalog.
        done: What was run, in order.
        at_end: What has to wait, within the transaction, until all else is in its place.
        before_rows: What has to be done when all else is in its place, before rows are written that were logged.
        at_last: What is looked at when the rows are written, too.
        begun: The catalog as it was when the transaction, or its work on one migration's transaction, began.
        rows_back: Takes back what was done to rows from a place in their log on; nothing where that is left for the end.
        residues: What could not be brought back as it was, for people.
        only_tried: All of it is rolled back in the end.
        keys_due: Tables that get a key after the COMMIT: until then no foreign key can lead to it.
        renumbered: Columns that were added again and have another number now, by which the journal has to tell of them.
        reborn: Functions that were made anew, likewise.
    """

    link: Link
    reads: Callable[[Link], Snapshot] = read
    done: list[str] = field(default_factory=list)
    at_end: list[Callable[[], object]] = field(default_factory=list)
    before_rows: list[Callable[[], object]] = field(default_factory=list)
    at_last: list[Callable[[], object]] = field(default_factory=list)
    begun: Snapshot | None = None
    rows_back: Callable[[int | None], object] = lambda _since: None
    residues: list[str] = field(default_factory=list)
    only_tried: bool = False
    keys_due: set[int] = field(default_factory=set)
    renumbered: list[Renumbered] = field(default_factory=list)
    reborn: list[Reborn] = field(default_factory=list)
    _turns: list[tuple[int, Callable[[], object]]] = field(default_factory=list)
    _seen: Snapshot | None = None

    def run(self, statement: str) -> None:
        """Run a statement that changes something."""
        self.done.append(statement)
        self.link.rows(statement)
        if not statement.startswith(_KEEPS):
            self._seen = None

    def rewrite(self, statement: str) -> None:
        """Run a statement that writes every row of a table anew."""
        self.run(statement)

    def forget(self) -> None:
        """Have the catalog read again: something was undone by the caller."""
        self._seen = None

    def read(self) -> Snapshot:
        """Read the catalog as it is at this moment, whatever was run."""
        return self.reads(self.link)

    @property
    def now(self) -> Snapshot:
        """The catalog after what was run so far."""
        if self._seen is None:
            self._seen = self.read()
        return self._seen

    def was(self, key: Key) -> Thing | None:
        """Return a thing as it was when the work began; None: it was not there. Without a beginning: as it is."""
        return (self.begun or self.now).things.get(key)

    def at(self, turn: int, step: Callable[[], object]) -> None:
        """Have a step taken at a later turn."""
        self._turns.append((turn, step))

    def at_or_before_rows(self, turn: int, step: Callable[[], object]) -> None:
        """Have a step taken at a later turn, or, where rows are written before that and it is possible by then, before these."""
        done = False

        def early() -> None:
            nonlocal done
            done = done or self._can(step)

        def at_its_turn() -> None:
            nonlocal done
            if not done:
                step()
            done = True

        self.before_rows.append(early)
        self.at(turn, at_its_turn)

    def now_or_after_rows(self, step: Callable[[], object]) -> None:
        """Take a step now; where rows that are still to be written keep it from being possible, when they are."""
        if not self._can(step):
            self.at_last.append(step)

    def can(self, step: Callable[[], object], *, but: str) -> bool:
        """Take a step, unless the server refuses it with an SQLSTATE: then undo what it did."""
        return self._can(step, but)

    def _can(self, step: Callable[[], object], but: str | None = None) -> bool:
        """Take a step, if that is possible now; else undo what it did."""
        ran = len(self.done)
        self.link.rows(f"SAVEPOINT {_TRY}")
        try:
            step()
        except LinkLost:
            raise
        except (LinkError, Moved) as error:
            if but is not None and getattr(error, "sqlstate", None) != but:
                raise
            self.link.rows(f"ROLLBACK TO SAVEPOINT {_TRY}")
            del self.done[ran:]
            self.forget()
            return False
        self.link.rows(f"RELEASE SAVEPOINT {_TRY}")
        return True

    def until(self, turn: int) -> None:
        """Take the steps whose turn has come, in that order."""
        for _at, step in sorted((one for one in self._turns if one[0] <= turn), key=lambda one: one[0]):
            step()
        self._turns = [one for one in self._turns if one[0] > turn]

    def thing(self, kind: str, oid: int, sub: int = 0, *, called: str) -> Thing:
        """Return a thing as it is now.

        Args:
            kind: Its class.
            oid: Its identity, as the journal has it.
            sub: Of a column: attnum.
            called: What people call it.

        Raises:
            Moved: It is not there.
        """
        found = self.now.things.get(Key(kind, oid, sub))
        if found is None:
            raise Moved(called, "is not there")
        return found

    def again(self, kind: str, oid: int, table: int | None, name: str) -> int:
        """Return a thing's oid; of a constraint or index that was made again meanwhile, that of the new one.

        Args:
            kind: Its class.
            oid: Its identity, as the journal has it.
            table: Whose it is.
            name: What it is called now, where it was made again: it has got another oid then, on the same table.

        Returns:
            0: it is not there.
        """
        if Key(kind, oid) in self.now.things or kind not in ("constraint", "index") or table is None:
            return oid
        found = self.now.of_table(kind, table).items()
        return next((key.oid for key, one in found if one["name"] == name), 0)

    def path(self, kind: str, oid: int, *, called: str) -> str:
        """Return the quoted name with its schema of a table, index, sequence or type.

        Raises:
            Moved: It is not there.
        """
        thing = self.thing(kind, oid, called=called)
        return ident(self.schema_name(thing["schema"]), thing["name"])

    def schema_name(self, oid: int) -> str:
        """Return a schema's name, unquoted."""
        return str(self.thing("schema", oid, called=f"schema {oid}")["name"])

    def table_path(self, table: int, *, called: str) -> str:
        """Return the quoted name with its schema of a table.

        Raises:
            Moved: It is not there.
        """
        return self.path("table", table, called=called)
