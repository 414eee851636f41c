"""One migration on rows: up through backout, writes, back, compare, forward again, compare; and the project's own way back."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.corpus import answering
from tests.corpus.comparing import beyond, other_rows, other_things, things_beyond
from tests.corpus.destroys import destroys, is_history
from tests.corpus.driving import NotRun, run_plainly
from tests.corpus.effort import effort
from tests.corpus.ground import Ground
from tests.corpus.history import Driver, Step
from tests.corpus.noting import noting
from tests.corpus.results import ANSWER, REFUSED, WRONG, Own, Result

from backout.app.migrations import Migrations
from backout.databases.postgres.generated.look import Look, Table
from backout.databases.postgres.generated.oracle import Readings, Wrong, wrong_rows
from backout.databases.postgres.generated.seen import Seen, see
from backout.databases.postgres.generated.writes import write
from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.fingerprint import Print
from backout.databases.postgres.reversible.journal import Entry
from backout.databases.postgres.reversible.link import DirectLink
from backout.errors import BackoutError
from backout.migration import Migrated, WayTaken

BASE, TWIN, REAL, OTHER = "base", "twin", "real", "other"
_ANSWERS = 300
_SAID = 400
_SET_ASIDE = {"violators", "twice"}
_GONE = {"a row is not there that has to be", "a row is not there that was written since"}
_STILL_THERE = "a row is still there that the migration had made"


class Stopped(Exception):
    """The migration's verdict is known; the message says why."""

    def __init__(self, verdict: str, *why: str) -> None:
        super().__init__(*why)
        self.verdict, self.why = verdict, [one[:_SAID] for one in why]


@dataclass(slots=True)
class Cycle:
    """Takes one step there and back. The state before it is in the database `base`, the plain one after it in `twin`.

    Args:
        ground: The server.
        driver: Of the history.
        step: The migration.
        first: Number of the first row that is written.
        before: The rows of `base`.
    """

    ground: Ground
    driver: Driver
    step: Step
    first: int
    before: Seen
    result: Result = field(init=False)
    _after: Seen = field(init=False)
    _schema: Print = field(init=False)
    _schema_after: Print = field(init=False)

    def __post_init__(self) -> None:
        self.result = Result(self.step.name)

    def run(self) -> Result:
        """Return what was found out."""
        began_s = time.monotonic()
        self._after = self._seen(TWIN)
        self._schema, self._schema_after = self.ground.schema(BASE), self.ground.schema(TWIN)
        self.result.destructive = destroys(self.before, self._after)
        self.result.rows = sum(len(rows) for path, rows in self.before.rows.items() if not is_history(path))
        try:
            self._there_and_back()
        except Stopped as stopped:
            self.result.verdict, self.result.why = stopped.verdict, stopped.why
        if self.step.goes_back:
            self.result.own = self._own()
        self.result.seconds = round(time.monotonic() - began_s, 2)
        return self.result

    # --- through backout --------------------------------------------------------------------------------------

    def _there_and_back(self) -> None:
        migrated = self._up()
        made = self._seen(REAL)
        self._as_plain(made)
        if migrated.migration is None:
            if self._schema.things != self._schema_after.things or other_rows(self.before, self._after):
                raise Stopped(WRONG, "nothing was journalled")
            self.result.verdict = "O(1)"
            return
        entries = self._entries(migrated.migration)
        self._write()
        since = self._seen(REAL)
        verdict, self.result.held = self._back(entries, made, since)
        self._forward(since)
        self.result.verdict = ANSWER if self.result.answers else verdict

    def _up(self) -> Migrated:
        """Run the step through backout, and answer what it asks for."""
        tried: dict[str, int] = {}
        for _ in range(_ANSWERS):
            url = self.ground.make(REAL, BASE)
            migrated, said = self._migrate(url)
            if migrated.failures or migrated.unseen:
                raise Stopped(WRONG, "past the proxy", *migrated.failures)
            if not migrated.exit_status:
                return migrated
            choices = answering.asked(said)
            if not choices:
                raise Stopped(REFUSED, _refusal(said))
            key = choices[0][0]
            at = tried.get(key, -1) + 1
            if at >= len(choices):
                raise Stopped(REFUSED, f"no answer was found: {_refusal(said)}")
            tried[key] = at
            self.result.answers[key] = self._value(choices[at][1], said)
        raise Stopped(REFUSED, f"too many answers: {_refusal(said)}")

    def _migrate(self, url: str) -> tuple[Migrated, str]:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "said"
            argv = ["sh", "-c", 'exec "$@" > "$0" 2>&1', str(out), *self.driver.argv(self.step, "up")]
            try:
                migrated = Migrations(url).migrate(argv, answers=self.result.answers)
            except BackoutError as error:
                raise Stopped(REFUSED, str(error)) from None
            return migrated, out.read_text(errors="replace") if out.exists() else ""

    def _value(self, choice: str, said: str) -> str:
        called = answering.called(said)
        with self.ground.owner(BASE) as connection:
            if choice == answering.TYPED:
                return answering.typed(connection, called)
            if choice == answering.ANY:
                return next(iter(answering.fitting(connection, called)), "NULL")
        return choice

    def _as_plain(self, made: Seen) -> None:
        """Compare with what the tool does without backout."""
        schema, rows = self.ground.schema(REAL), other_rows(self._after, made)
        if not rows and not other_things(self._schema_after, schema):
            return
        # What two plain runs do not do alike is so by chance.
        run_plainly(self.driver, self.step, "up", self.ground.make(OTHER, BASE))
        unlike = things_beyond(self._schema_after, schema, self.ground.schema(OTHER))
        if unlike:
            raise Stopped(WRONG, "up: another schema than without backout", *unlike[:5])
        again = list(beyond(rows, other_rows(self._after, self._seen(OTHER))))
        if again:
            raise Stopped(WRONG, "up: other rows than without backout", *again[:5])
        self._schema_after = schema

    def _entries(self, number: int) -> list[Entry]:
        with self.ground.owner(REAL) as connection:
            return [one for one in journal.every_entry(DirectLink(connection)) if one.migration == number]

    def _write(self) -> None:
        with self.ground.owner(REAL) as connection:
            written = write(
                connection, first=self.first, only=code_knows(self._after.look), spared=self._spared()
            )
        self.result.written = written.inserted + written.changed + written.deleted

    def _spared(self) -> set[int]:
        """Return the tables that rows may refer to which are not visible now."""
        was, is_ = _references(self.before.look), _references(self._after.look)
        return {target for _table, _columns, target in was - is_}

    def _back(self, entries: Sequence[Entry], made: Seen, since: Seen) -> tuple[str, bool]:
        migrations = Migrations(self.ground.url(REAL))
        rows = migrations.status().rows
        aside = {one.what.rpartition(".")[0] for one in rows if one.kind in _SET_ASIDE and one.stops}
        answers = {f"quarantine {table}": "" for table in sorted(aside)}
        self.result.answers |= answers
        with noting() as later:
            way = self._taken(migrations, answers)
        self.result.residues, self.result.locked_s = list(way.residues), way.seconds
        told = [*way.residues, *(f"{one.statement}: {one.why}" for one in way.unfinished)]
        unlike = other_things(self._schema, self.ground.schema(REAL), told)
        if unlike:
            raise Stopped(WRONG, "back: another schema", *unlike[:5])
        back = self._seen(REAL)
        brought = {one.what: one.value or "" for one in rows if one.kind == "brought"}
        stay = self._told_to_stay(way)
        wrong = [
            one
            for one in wrong_rows(
                Readings(self.before.look, self._after.look, self.before, made, since, back, brought=brought)
            )
            if not (one.said == _STILL_THERE and _bare(one.table) in stay)
            # Made again, all rows have to be there: also these.
            and not (one.said in _GONE and _bare(one.table) in aside)
        ]
        if wrong:
            raise Stopped(WRONG, "back: rows", *_said(wrong))
        return effort(
            entries,
            rows,
            way,
            later,
            sets_back_many=self._sets_back_many(entries),
            retyped="type" in self.result.destructive,
        )

    def _taken(self, migrations: Migrations, answers: dict[str, str]) -> WayTaken:
        """Take the way back, and answer what it asks for only then."""
        left: dict[str, list[str]] = {}
        while True:
            try:
                return migrations.rollback(answers=answers)
            except BackoutError as error:
                place = answering.late(error.next_command or "")
                if place is not None and place not in left:
                    with self.ground.owner(BASE) as connection:
                        left[place] = answering.fitting(connection, place)
                # Of two that were answered, the one that came last is not right yet.
                place = place or next(reversed(left), None)
                if place is None or not left[place]:
                    raise Stopped(REFUSED, f"the way back: {error}") from None
                answers[place] = left[place].pop(0)
                self.result.answers |= {f"late {place}": answers[place]}

    def _told_to_stay(self, way: WayTaken) -> set[str]:
        """Return the tables with rows of the migration that stay, as rows written since refer to them: that is told."""
        kept = [one for one in (way.rows.kept if way.rows else ()) if one.column is None]
        self.result.residues += sorted({f"{one.table}: a row stays: {one.why}" for one in kept})
        return {_bare(one.table) for one in kept}

    def _forward(self, since: Seen) -> None:
        try:
            way = Migrations(self.ground.url(REAL)).redo()
        except BackoutError as error:
            raise Stopped(WRONG, f"forward: {error}") from None
        told = [*way.residues, *(f"{one.statement}: {one.why}" for one in way.unfinished)]
        unlike = other_things(self._schema_after, self.ground.schema(REAL), told)
        if unlike:
            raise Stopped(WRONG, "forward: another schema", *unlike[:5])
        rows = list(beyond(other_rows(since, self._seen(REAL)), self._answered()))
        if rows:
            raise Stopped(WRONG, "forward: other rows", *rows[:5])

    def _answered(self) -> dict[str, set[str]]:
        """Return the columns that had no value in rows written since, and have the one that was answered now."""
        found: dict[str, set[str]] = {}
        for place in self.result.answers:
            table, _, column = place.removeprefix("back ").rpartition(".")
            for path in self._after.rows:
                if path.replace('"', "").endswith(table.replace('"', "")):
                    found.setdefault(path, set()).add(column.strip('"'))
        return found

    def _sets_back_many(self, entries: Sequence[Entry]) -> bool:
        """Tell whether the migration changed more rows the more there were: told by a run where there are none."""
        tables = [one.operation["called"] for one in entries if one.kind == "rows"]
        if all(is_history(name) for called in tables for name in called.split(", ")):
            return False
        if {"update", "delete"} & set(self.result.destructive):
            return True
        url = self.ground.make(OTHER, BASE)
        empty(self.ground, OTHER)
        empty_before = self._seen(OTHER)
        try:
            run_plainly(self.driver, self.step, "up", url)
        except NotRun:
            return True
        return _grown(self.before, self._after) != _grown(empty_before, self._seen(OTHER))

    # --- the project's own way back ---------------------------------------------------------------------------

    def _own(self) -> Own:
        url = self.ground.make(OTHER, TWIN)
        try:
            run_plainly(self.driver, self.step, "down", url)
        except NotRun as error:
            return Own(runs=False, why=str(error)[:_SAID])
        things = other_things(self._schema, self.ground.schema(OTHER))
        after = self._after
        wrong = wrong_rows(
            Readings(self.before.look, after.look, self.before, after, after, self._seen(OTHER))
        )
        wrong = [one for one in wrong if not is_history(one.table)]
        return Own(True, not things, not wrong, "; ".join([*things[:2], *_said(wrong)[:2]])[:_SAID])

    def _seen(self, name: str) -> Seen:
        with self.ground.reader(name) as connection:
            return see(connection)


def _bare(path: str) -> str:
    return path.replace('"', "")


def code_knows(tables: Look) -> dict[str, list[str]]:
    """Return what an application writes: everything but its migration tool's own."""
    return {
        one.path: [c.name for c in one.columns] for one in tables.tables.values() if not is_history(one.path)
    }


def empty(ground: Ground, name: str) -> None:
    """Take all rows out of a database, but for its migration tool's own."""
    with ground.reader(name) as connection:
        paths = [one.path for one in see(connection).look.tables.values() if not is_history(one.path)]
        if paths:
            connection.execute(f"TRUNCATE {', '.join(paths)} CASCADE".encode())


def _references(tables: Look) -> set[tuple[int, tuple[int, ...], int]]:
    return {
        (table.oid, _numbers(table, one.columns), one.target)
        for table in tables.tables.values()
        for one in table.foreign
    }


def _numbers(table: Table, names: Sequence[str]) -> tuple[int, ...]:
    numbers = {c.name: c.number for c in table.columns}
    return tuple(numbers.get(name, 0) for name in names)


def _grown(before: Seen, after: Seen) -> dict[int, int]:
    """Return by how many rows tables have grown that were there before."""
    found = {
        oid: len(after.rows[after.look.tables[oid].path]) - len(before.rows[table.path])
        for oid, table in before.look.tables.items()
        if oid in after.look.tables and not is_history(table.path)
    }
    return {oid: rows for oid, rows in found.items() if rows}


def _said(wrong: Sequence[Wrong]) -> list[str]:
    told = dict.fromkeys(" ".join(str(part) for part in one if part) for one in wrong)
    return list(told)[:6]


def _refusal(said: str) -> str:
    """Return the line of a tool's output that says why."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    found = [n for n, line in enumerate(lines) if "backout " in line or line.startswith("ERROR")]
    at = found[0] if found else 0
    return " / ".join(lines[at : at + 2])
