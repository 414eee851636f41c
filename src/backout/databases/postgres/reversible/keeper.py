"""Keeps one session of a migration reversible: softens what would destroy, and explains every COMMIT or refuses it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from backout.databases.postgres.reversible import (
    answers,
    intent,
    journal,
    manners,
    rebuilt,
    subscribers,
    unrolled,
)
from backout.databases.postgres.reversible.anew_tried import refuse_needed
from backout.databases.postgres.reversible.answer_tried import answer_tried
from backout.databases.postgres.reversible.beforehand import lock_beforehand
from backout.databases.postgres.reversible.catalog import at_work, read_alone
from backout.databases.postgres.reversible.copied import take_out_hidden
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import Operation
from backout.databases.postgres.reversible.explain import take_explained
from backout.databases.postgres.reversible.guards import behind_hidden, guard_hidden
from backout.databases.postgres.reversible.journal import Entry
from backout.databases.postgres.reversible.key_gives_way import give_way, makes_primary_key
from backout.databases.postgres.reversible.last_read import LastRead
from backout.databases.postgres.reversible.link import Link, as_login
from backout.databases.postgres.reversible.meanwhile import Commit, Meanwhile
from backout.databases.postgres.reversible.origins import Origins
from backout.databases.postgres.reversible.parse import Statement
from backout.databases.postgres.reversible.passes import adds_column, detaches, drops_identity, parts_of
from backout.databases.postgres.reversible.proxy.keeper import Done, Manner, Pass
from backout.databases.postgres.reversible.recipes import Recipes
from backout.databases.postgres.reversible.remedies import told_of
from backout.databases.postgres.reversible.retype import Retyper, retypes_column
from backout.databases.postgres.reversible.rights_tried import rights_tried
from backout.databases.postgres.reversible.session_rows import SessionRows
from backout.databases.postgres.reversible.snapshot import Snapshot
from backout.databases.postgres.reversible.soften import Softer, drops_column, is_softened_drop
from backout.databases.postgres.reversible.starless import without_hidden
from backout.databases.postgres.reversible.unread import Unread
from backout.databases.postgres.reversible.verdict import (
    found_in,
    refused_outright,
    short,
    take_rewritten,
    unexplained,
)
from backout.databases.postgres.reversible.ways import refuse_untold
from backout.databases.postgres.reversible.work import Work
from backout.faults import fault_point

CALLS = ("do_stmt", "select_stmt", "call_stmt")
"""Kinds of statements that may run others."""


@dataclass(slots=True)
class Kept:
    """What all sessions of one migration share.

    Attributes:
        migration: Number in the journal.
        connect: Opens another session as the same role, for the logs of rows.
        answers: What nobody can compute, by ``table.column``.
        catalog: As it was read last.
        applied: What the journal was found to have of it, by number: transactions that are committed.
        meanwhile: What each session has committed while others were at work.
        made: Oids of the tables that it has made, committed.
        origins: Where the rows come from that it writes.
        widened: Oids of tables to which it has given a column, committed or not.
        accept: What was accepted by name.
    """

    migration: int
    connect: Callable[[], Link]
    answers: dict[str, str] = field(default_factory=dict)
    catalog: LastRead = field(default_factory=LastRead)
    applied: dict[int, Entry] = field(default_factory=dict)
    meanwhile: Meanwhile = field(default_factory=Meanwhile)
    made: set[int] = field(default_factory=set)
    origins: Origins = field(default_factory=Origins)
    widened: set[int] = field(default_factory=set)
    accept: Collection[str] = ()


@dataclass(slots=True)
class ReversibleKeeper:
    """Keeps one session.

    Args:
        kept: What it shares with the migration's other sessions.
    """

    kept: Kept
    _before: Snapshot | None = None
    _rows: SessionRows = field(init=False)
    _recipes: Recipes = field(init=False)
    _part: int = 0
    _ran: list[str] = field(default_factory=list)
    _unread: Unread = field(default_factory=Unread)
    _since: int = 0
    _commit: Commit | None = None
    _making: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._rows = SessionRows(self.kept.migration, self.kept.connect, self.kept.made)
        self._recipes = Recipes(self.kept.migration, self.kept.widened, self.kept.origins.read)

    def manner(self, statement: Statement) -> Manner:
        """Tell how to run a statement."""
        if statement.kind == "drop_stmt" and statement.node.concurrent:
            # The index is hidden, which takes no time and can be in a transaction.
            return Manner.WRAPPED
        return manners.manner_of(statement)

    def begins(self, link: Link) -> None:
        """Read the catalog as it is before the transaction changes it."""
        self._since = self.kept.meanwhile.now()
        with at_work(link):
            self._before, self._part, self._ran = self.kept.catalog.read_here(link), 0, []
            self._recipes.begins(self._before)
            self._rows.begins(link)

    def statement(self, link: Link, statement: Statement) -> Pass | Done:
        """Soften a statement that would destroy something; let all others run."""
        refused = manners.why_refused(statement)
        if refused:
            raise refused_outright(statement, refused)
        self.kept.answers = answers.over(
            self.kept.answers, answers.found_in(f"{statement.before}{statement.text}")
        )
        if is_softened(statement):
            with as_login(link):
                begun = self._before or self.kept.catalog.read(link)
                if self.kept.meanwhile.now() != self._since:
                    begun = self.kept.meanwhile.rebased(begun, self.kept.catalog.read(link), self._since)
                work = Work(link, self.kept.catalog.read, begun=begun)
                self._soften(work, begun, statement)
            self._ran.append(short(statement))
            fault_point("migrate.softened")
            return Done(manners.tag_of(statement))
        if makes_primary_key(statement):
            with as_login(link):
                self._give_way(Work(link, self.kept.catalog.read), statement)
        if statement.kind in CALLS and (done := self._by_steps(link, statement)) is not None:
            return done
        if statement.kind == "truncate_stmt":
            with as_login(link):
                self._truncate(link, statement)
        else:
            self._rows.statement(link, statement, free=self._recipes.fills_only(link, statement))
            if (tag := without_hidden(link, statement)) is not None:
                self._ran.append(short(statement))
                self.kept.origins.ran(link, statement)
                return Done(tag)
        return Pass()

    def ran(self, link: Link, statement: Statement) -> None:
        """Remember it, to be named, and how it filled what the migration made."""
        self._ran.append(short(statement))
        self._rows.ran(link)
        self.kept.origins.ran(link, statement)
        if self._before is not None:
            take_out_hidden(link, self._before, statement)
        self._recipes.ran(link, statement)
        self._unread.ran(statement)

    def before_alone(self, link: Link, statement: Statement) -> None:
        """Refuse what is not understood outside a transaction."""
        refused = manners.why_refused(statement)
        if refused:
            raise refused_outright(statement, refused)
        if statement.kind == "index_stmt":
            intent.intend(link, self.kept.migration, statement)
            self._before = read_alone(link)

    def ended_alone(self, link: Link, statement: Statement, *, failed: bool) -> None:
        """Journal what it did: the catalog tells, also when it failed and left an index that is not valid."""
        if statement.kind == "index_stmt":
            intent.recognise(link)
            if self._before is not None:
                done = self.kept.meanwhile.commits(self._before, read_alone(link))
                self.kept.meanwhile.ended(done, committed=True)
            self._before = None

    def before_commit(self, link: Link) -> None:
        """Explain every difference, or refuse."""
        difference, found = None, []
        with at_work(link) as wrote:
            if wrote and self._before is not None:
                after = self.kept.catalog.read_here(link)
                before = self.kept.meanwhile.rebased(self._before, after, self._since)
                difference = Difference(before, after)
                found = self._explain(link, difference)
                self._commit = self.kept.meanwhile.commits(before, after)
        if difference is not None:
            with as_login(link):
                for one in found:
                    answer_tried(link, one)
            if behind := behind_hidden(difference):
                with as_login(link):
                    guard_hidden(Work(link, self.kept.catalog.read), behind)
            fault_point("migrate.commit.before")

    def before_savepoint(self, link: Link) -> None:
        """Come to a verdict about the rows that were changed so far."""
        with as_login(link):
            self._rows.before_savepoint(link)

    def rolled_back_to_savepoint(self, link: Link) -> None:
        """Forget the rows that were changed since: the server goes on counting them, and their log is gone.

        What was journalled went with it, and the catalog is read again.
        """
        with as_login(link):
            self._rows.rolled_back_to_savepoint(link)

    def ended(self, *, committed: bool) -> None:
        """Forget the transaction."""
        fault_point("migrate.commit.after")
        if committed:
            self.kept.made |= self._making
        self._making = set()
        if self._commit is not None:
            self.kept.meanwhile.ended(self._commit, committed=committed)
            self._commit = None
        self._before, self._part, self._ran, self._unread = None, 0, [], Unread()

    def _by_steps(self, link: Link, block: Statement) -> Done | None:
        """Run a DO block, or what is called, statement by statement, if that matters; None: it runs as it is."""
        read = self.kept.catalog.read
        found = unrolled.unroll(link, block, partial(matters, link), read, partial(self._tried, link))
        if found is None:
            return None
        unrolled.run_again(link, block, found, partial(self._step, link))
        return found.done

    def _step(self, link: Link, statement: Statement) -> bool:
        """Run a statement of a block as if it had come alone; tell whether another one ran instead."""
        answer = self.statement(link, statement)
        if isinstance(answer, Pass):
            link.rows(statement.text)
            self.ran(link, statement)
        return is_softened(statement)

    @contextmanager
    def _tried(self, link: Link) -> Iterator[None]:
        """Have what was done to rows so far settled, as what is tried now is undone."""
        with as_login(link):
            self._rows.before_savepoint(link)
        yield
        with as_login(link):
            self._rows.rolled_back_to_savepoint(link)

    def _truncate(self, link: Link, statement: Statement) -> None:
        kept = self._rows.truncate(link, statement, lambda: journal.next_id(link))
        if not kept:
            return
        called = ", ".join(one.called for one in kept)
        explains = [["table", one.table, 0, ["filenode"]] for one in kept]
        tables = [one.table for one in kept]
        operation = {"tables": tables, "called": called, "explains": explains}
        self._add(link, journal.next_id(link), "rows", operation)

    def _soften(self, work: Work, begun: Snapshot, statement: Statement) -> None:
        softer = Softer(
            work,
            lambda kind, make: self._write(work.link, kind, make),
            self.kept.answers,
            begun,
            lambda table: _twins_of(table, journal.entries(work.link, (self.kept.migration,), "pending")),
            lambda table, attnum, columns: self._recipes.readers(work.link, table, attnum, columns),
            self.kept.origins,
            lambda: made_by(work.now, begun, self.kept.made),
            lambda table, change: self._rewrite(work.link, table, change),
            self.kept.migration,
        )
        soften(
            softer,
            statement,
            self.kept.answers,
            self.kept.migration,
            lambda part: self._give_way(work, part),
        )

    def _give_way(self, work: Work, statement: Statement) -> None:
        """Have the key of a hidden column out of the way of the one that a statement makes."""
        pending = journal.entries(work.link, (self.kept.migration,), "pending")
        entry = give_way(work, statement, [*pending, *journal.every_entry(work.link)])
        if entry is not None:
            journal.write(work.link, entry)

    def _rewrite(self, link: Link, table: int, change: Callable[[int, Operation], Operation]) -> None:
        """Give what the transaction has journalled of columns of a table that others took over another operation."""
        for one in journal.entries(link, (self.kept.migration,), "pending"):
            if "taken" in one.operation and one.operation["table"] == table:
                operation = change(one.id, one.operation)
                if "taken" not in operation:
                    operation |= answers.for_column(operation["hidden"], self.kept.answers)
                journal.write(link, Entry(one.id, one.migration, one.part, one.kind, operation, one.state))

    def _write(self, link: Link, kind: str, make: Callable[[int], Operation]) -> None:
        """Journal an operation under a number that is taken before it is made, as names are made of it."""
        change = journal.next_id(link)
        operation = make(change)
        if subscribers.ACCEPT not in self.kept.accept:
            subscribers.refuse(link, kind, operation)
        if kind == "column.hidden":
            taken = "taken" in operation
            operation |= answers.for_column(operation["hidden"], self.kept.answers, must=not taken)
        self._add(link, change, kind, answer_tried(link, operation))

    def _add(self, link: Link, change: int, kind: str, operation: Operation) -> None:
        self._part = self._part or change
        journal.write(link, Entry(change, self.kept.migration, self._part, kind, operation, "pending"))

    def _explain(self, link: Link, difference: Difference) -> list[Operation]:
        """Journal what a transaction did, and return that which was not journalled when its statements ran."""
        pending = self._pending(link)
        refuse_untold(one.operation for one in pending if one.kind == "column.retyped")
        take_explained(difference, pending)
        found = found_in(difference, self._ran)
        known = [(e.kind, e.operation) for e in (*self.kept.applied.values(), *pending)]
        rows = self._rows.check(link, difference)
        if rows is not None:
            found.append(("rows", rows))
        take_rewritten(difference, lambda: self._unread.may_have_emptied(link))
        if difference.left:
            raise unexplained(difference, self._ran)
        found = rights_tried(link, found)
        refuse_needed(link, found)
        self._recipes.add_to(link, difference.after, found, rows or {})
        self._recipes.refuse_untold(link, difference.after, known + found)
        rebuilt.refuse_unpaired(self.kept.origins, difference.after, known + found)
        for kind, operation in found:
            answers.check(kind, operation, self.kept.answers)
            told_of(difference.after, kind, operation, self.kept.answers)
        self._making = {op["table"] for kind, op in found if kind == "table.added"}
        self._journal(link, found, pending)
        return [operation for _kind, operation in found]

    def _pending(self, link: Link) -> list[Entry]:
        """Return what the transaction has journalled so far, and learn what others have."""
        new = journal.entries(link, (self.kept.migration,), "pending", "applied", known=self.kept.applied)
        self.kept.applied.update((one.id, one) for one in new if one.state == "applied")
        return [one for one in new if one.state == "pending"]

    def _journal(self, link: Link, found: list[tuple[str, Operation]], pending: list[Entry]) -> None:
        numbers = self._recipes.numbers(link, [operation for _kind, operation in found])
        if found:
            part = self._part or numbers[0]
            journal.write(
                link,
                *(
                    Entry(number, self.kept.migration, part, kind, operation, "applied")
                    for number, (kind, operation) in zip(numbers, found, strict=True)
                ),
            )
        if pending:
            journal.apply(link, self.kept.migration)


def made_by(now: Snapshot, begun: Snapshot, earlier: Collection[int]) -> list[int]:
    """Return the tables that a migration has made, which are there. Pure.

    Args:
        now: The catalog.
        begun: As it was when the open transaction began.
        earlier: Oids of those that earlier ones have made.
    """
    tables = [key for key in now.things if key.kind == "table"]
    return [key.oid for key in tables if key not in begun.things or key.oid in earlier]


def _twins_of(table: int, pending: Iterable[Entry]) -> dict[int, Entry]:
    told = [one for one in pending if one.kind == "column.retyped" and one.operation["form"] == "twin"]
    return {one.operation["new"]: one for one in told if one.operation["table"] == table}


def is_softened(statement: Statement) -> bool:
    """Tell whether something else runs instead of a statement."""
    return (
        retypes_column(statement)
        or drops_column(statement)
        or drops_identity(statement)
        or detaches(statement)
        or is_softened_drop(statement)
    )


def matters(link: Link, statement: Statement) -> bool:
    """Tell whether a statement of a block has to be seen: something else runs instead, or it makes a column that may be filled."""
    if manners.is_opaque(statement):
        return unrolled.may_matter(link, statement)
    return is_softened(statement) or statement.kind == "truncate_stmt" or adds_column(statement)


def soften(
    softer: Softer,
    statement: Statement,
    given: dict[str, str],
    migration: int,
    give_way: Callable[[Statement], None] = lambda _part: None,
) -> None:
    """Do what a statement asks, so that it can be taken back.

    Args:
        softer: Does it, and journals it.
        statement: One that is softened.
        given: What nobody can compute.
        migration: Number in the journal.
        give_way: Has the key of a hidden column out of the way of one that is made.

    Raises:
        LinkError: PostgreSQL refuses it.
        Veto: It could not be taken back.
    """
    lock_beforehand(softer.work.link, statement)
    for part in parts_of(statement):
        if retypes_column(part):
            Retyper(softer.work, softer.journal, given, migration).alter_table(part)
        elif drops_column(part):
            softer.alter_table(part)
        elif drops_identity(part):
            softer.drop_identity(part)
        elif detaches(part):
            softer.detach(part)
        elif part.kind == "drop_stmt":
            softer.drop(part)
        else:
            if makes_primary_key(part):
                give_way(part)
            softer.work.run(part.text)
