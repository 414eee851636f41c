"""One migration on scratch databases: there, written, back and there again; what was read each time."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backout.databases.postgres.generated.foreseen import foreseen
from backout.databases.postgres.generated.look import Look, look
from backout.databases.postgres.generated.oracle import Readings, wrong_rows
from backout.databases.postgres.generated.rows import Filled, fill
from backout.databases.postgres.generated.seen import Seen, see
from backout.databases.postgres.generated.tempting import tempt
from backout.databases.postgres.generated.values import FORMS
from backout.databases.postgres.generated.writes import Written, write
from backout.databases.postgres.proof.commands import Command
from backout.databases.postgres.proof.locks import Files
from backout.databases.postgres.proof.watching import Watched
from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.command import Launch
from backout.databases.postgres.reversible.database import ReversibleDatabase
from backout.databases.postgres.reversible.fingerprint import Difference, Print, differences, read_print
from backout.databases.postgres.reversible.journal import Entry
from backout.databases.postgres.reversible.keeper import ReversibleKeeper
from backout.databases.postgres.reversible.link import DirectLink
from backout.databases.postgres.scratch.server import Scratch
from backout.errors import BackoutError
from backout.migration import Migrated, WouldRefuse
from backout.migration_status import RowsSince
from backout.redact import Redactor

if TYPE_CHECKING:
    import psycopg

_FIRST, _BY_OLD, _SINCE, _TEMPTING = 1000, 2000, 3000, 4000


class CommandFails(Exception):
    """The command fails on a scratch database without backout.

    Attributes:
        printed: What it printed.
        alone: It fails without any row, too.
    """

    def __init__(self, printed: str, *, alone: bool) -> None:
        super().__init__(printed)
        self.printed, self.alone = printed, alone


@dataclass(frozen=True, slots=True)
class Terms:
    """What a trial goes by.

    Attributes:
        answers: What nobody can compute.
        budget_ms: The lock budget.
        smoke: A command of the release that runs now, which has to succeed on the later schema, too; None: there is none.
    """

    answers: Mapping[str, str]
    budget_ms: float
    smoke: Command | None = None


@dataclass(slots=True)
class Base:
    """A database before the migration, with rows, and the same after it without backout.

    Attributes:
        url: Before it.
        plain: After it.
        filled: What came of making rows.
        was: The tables before.
        became: The tables after.
        printed: The schema after.
        command_s: How long the command took.
    """

    url: str
    plain: str
    filled: Filled
    was: Look
    became: Look
    printed: Print
    command_s: float


@dataclass(slots=True)
class Tried:
    """What came of a trial.

    Attributes:
        entries: What the journal says that the migration did.
        migrated: What `migrate` said; None: it was not run.
        refused: What `migrate` refuses.
        wrong: What was not as it has to be.
        needs: Rows that the way back needs an answer for.
        stopped: Why the way back was refused, if it was.
        stays: What is not as it was after the way back, as it said itself.
        written: What was written meanwhile.
        by_old: What code that knows the earlier schema alone has written, and what it could not.
        smoke: What the smoke command of the running release printed on the later schema, where it failed there and not before.
        smoke_tells: It succeeded on the earlier schema.
        watched: What was seen while it ran.
        files_before: What its tables consist of, before it.
        files_after: The same after it.
    """

    entries: list[Entry] = field(default_factory=list)
    migrated: Migrated | None = None
    refused: tuple[WouldRefuse, ...] = ()
    wrong: list[str] = field(default_factory=list)
    needs: list[RowsSince] = field(default_factory=list)
    stopped: BackoutError | None = None
    stays: list[str] = field(default_factory=list)
    written: Written = field(default_factory=Written)
    by_old: Written = field(default_factory=Written)
    smoke: str | None = None
    smoke_tells: bool = True
    watched: Watched = field(default_factory=Watched)
    files_before: Files = field(default_factory=lambda: Files({}, {}, {}))
    files_after: Files = field(default_factory=lambda: Files({}, {}, {}))


def plainly(scratch: Scratch, empty: str, command: Command) -> Base:
    """Fill a copy of a database without rows, and run the command on a copy of that without backout.

    Where the command does not take the rows, they are made to meet what the later schema demands; then texts are made to look
    otherwise: many an application keeps numbers or documents in them.

    Raises:
        CommandFails: It takes no rows, or fails without any.
        OSError: It cannot be started.
    """
    later: Look | None = None
    for form in (None, *FORMS):
        url = scratch.copy(empty)
        with _admin(scratch, url) as connection:
            was = look(connection)
            seen = was if later is None else foreseen(was, later)
            filled = fill(connection, first=_FIRST, form=form or FORMS[0], seen=seen)
        plain = scratch.copy(url)
        if command.directly(plain) == 0:
            with _admin(scratch, plain) as connection:
                return Base(url, plain, filled, was, look(connection), _printed(connection), command.seconds)
        if later is None:
            printed = command.printed
            without = scratch.copy(empty)
            if command.directly(without) != 0:
                raise CommandFails(command.printed, alone=True)
            with _admin(scratch, without) as connection:
                later = look(connection)
    raise CommandFails(printed, alone=False)


def tried(scratch: Scratch, base: Base, command: Command, terms: Terms) -> Tried:
    """Run the command through backout on a copy with rows, write, take it back and make it again, and compare each time.

    Raises:
        BackoutError: The migration could not be begun.
    """
    url, told = scratch.copy(base.url), Tried()
    engine = _engine(url, command, terms, told.watched)
    with _admin(scratch, url) as connection:
        before, printed_before = see(connection), _printed(connection)
        told.files_before = Files.of(connection, base.was)
    told.migrated = _migrate(engine, command, terms.answers, observe=False)
    if told.migrated.exit_status:
        # All that is refused, not only what came first.
        again = _engine(scratch.copy(base.url), command, terms)
        told.refused = _migrate(again, command, terms.answers, observe=True).refused
        return told
    with _admin(scratch, url) as connection:
        told.entries = journal.every_entry(DirectLink(connection))
        made, told.files_after = see(connection), Files.of(connection, base.was)
        told.wrong += _unlike("after the migration", base.printed, _printed(connection))
        told.wrong += _rows_unlike(scratch, base, made, command)
    if terms.smoke is not None:
        told.smoke, told.smoke_tells = _smoke(scratch, base, url, terms.smoke)
    with _admin(scratch, url) as connection:
        # Rows that are hidden now may refer to those of tables that earlier foreign keys refer to.
        spared = base.was.referenced
        told.by_old = write(connection, first=_BY_OLD, only=_known_to_old(base), spared=spared)
        told.written = write(connection, first=_SINCE, spared=spared)
        since = see(connection)
    if told.migrated.migration is None:
        return told
    status = engine.status()
    told.needs = [one for one in status.rows if _has_to_be_told(one)]
    try:
        taken = engine.back(to=None, steps=1, dry_run=False, patience_s=10, strict_order=False, answers={})
    except BackoutError as error:
        told.stopped = error
        return told
    with _admin(scratch, url) as connection:
        back = see(connection)
        told.stays = list(taken.residues)
        printed_back = _printed(connection)
    if not told.needs:
        unlike = differences(printed_before, printed_back)
        told.wrong += [
            f"after the way back, {one.message}" for one in unlike if not _is_told(one, told.stays)
        ]
    left = frozenset(one.what for one in status.rows if one.kind == "apart")
    brought = {one.what: one.value or "" for one in status.rows if one.kind == "brought"}
    read = Readings(base.was, base.became, before, made, since, back, left, brought)
    told.wrong += [
        f"{one.table.replace(chr(34), '')}{f'.{one.column}' if one.column else ''}: {one.said}"
        for one in wrong_rows(read)
    ]
    _again(scratch, url, engine, base, since, told)
    return told


def _again(
    scratch: Scratch, url: str, engine: ReversibleDatabase, base: Base, since: Seen, told: Tried
) -> None:
    """Make the migration again, and compare with what stood before the way back."""
    try:
        engine.forward(steps=1, dry_run=False, patience_s=10, strict_order=False)
    except BackoutError as error:
        told.wrong.append(f"it cannot be made again: {error.what}")
        return
    with _admin(scratch, url) as connection:
        told.wrong += _unlike("when it was made again", base.printed, _printed(connection))
        there = see(connection)
    for path, rows in since.rows.items():
        if _counted(rows) != _counted(there.rows.get(path, [])):
            told.wrong.append(
                f"{path.replace(chr(34), '')}: made again, its rows are not those that were there before the way back"
            )
    if not told.wrong:
        with _admin(scratch, url) as connection:
            tempt(connection, base.was, first=_TEMPTING)
        told.needs = [one for one in engine.status().rows if _has_to_be_told(one)]


def _has_to_be_told(one: RowsSince) -> bool:
    """Tell whether somebody has to say what becomes of rows, or a constraint would not be proven when it is back."""
    if one.kind == "orphans":
        return one.rows != 0  # Nobody counts them where that is not cheap.
    return bool(one.rows) and (one.stops or one.kind in ("null", "unfit"))


def _counted(rows: list[dict[str, str | None]]) -> list[tuple[tuple[str, str], ...]]:
    return sorted(tuple(sorted((name, repr(value)) for name, value in row.items())) for row in rows)


def _known_to_old(base: Base) -> dict[str, list[str]]:
    """Return the columns that code of the earlier schema writes, of the tables that it still finds whole, by their quoted names."""
    after = {table.path: {c.name for c in table.columns} for table in base.became.tables.values()}
    known = {table.path: [c.name for c in table.columns] for table in base.was.tables.values()}
    return {path: names for path, names in known.items() if set(names) <= after.get(path, set())}


def _smoke(scratch: Scratch, base: Base, url: str, smoke: Command) -> tuple[str | None, bool]:
    """Return what the smoke command prints on the later schema if it fails there, and whether it succeeds on the earlier one."""
    if smoke.directly(scratch.copy(base.url)):
        return None, False
    return (smoke.printed if smoke.directly(scratch.copy(url)) else None), True


def _migrate(
    engine: ReversibleDatabase, command: Command, answers: Mapping[str, str], *, observe: bool
) -> Migrated:
    return engine.migrate(
        command.argv,
        release=None,
        answers=answers,
        defaults={},
        variables=command.variables,
        observe=observe,
    )


def _engine(url: str, command: Command, terms: Terms, watched: Watched | None = None) -> ReversibleDatabase:
    launch = Launch(command.run, watched.keeper if watched is not None else ReversibleKeeper)
    return ReversibleDatabase(url, {}, Redactor(), budget_ms=terms.budget_ms, launch=launch)


def _is_told(one: Difference, stays: list[str]) -> bool:
    """Tell whether the way back said itself that something stays; for people, names are not quoted."""
    name = one.name.partition(" ")[2].replace('"', "")
    return any(name in said.replace('"', "") for said in stays)


def _unlike(when: str, wanted: Print, found: Print) -> list[str]:
    return [f"{when}, {one.message}" for one in differences(wanted, found)]


def _rows_unlike(scratch: Scratch, base: Base, made: Seen, command: Command) -> list[str]:
    """Compare the rows that the migration left with those that it leaves without backout.

    What differs between two runs without backout (times, values made at random) says nothing.
    """
    with _admin(scratch, base.plain) as connection:
        plain = see(connection)
    unlike = [
        path for path, rows in plain.rows.items() if _counted(rows) != _counted(made.rows.get(path, []))
    ]
    if not unlike:
        return []
    second = scratch.copy(base.url)
    command.directly(second)
    with _admin(scratch, second) as connection:
        other = see(connection)
    return [
        f"{path.replace(chr(34), '')}: after the migration, its rows are not those that the command leaves without backout"
        for path in unlike
        if _counted(plain.rows[path]) == _counted(other.rows.get(path, []))
        or len(plain.rows[path]) != len(made.rows.get(path, []))
    ]


def _admin(scratch: Scratch, url: str) -> closing[psycopg.Connection[Any]]:
    import psycopg

    return closing(psycopg.connect(scratch.as_admin(url), autocommit=True))


def _printed(connection: psycopg.Connection[Any]) -> Print:
    with connection.transaction():
        return read_print(DirectLink(connection))
