"""Runs a case there and back, twice, and compares at each step with what has to be."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from random import Random
from typing import Any

import psycopg
from tests.services.reversible import engine

from backout.databases.postgres.reversible import back, journal
from backout.databases.postgres.reversible.after import finish
from backout.databases.postgres.reversible.back import NotReversible
from backout.databases.postgres.reversible.fingerprint import read_print
from backout.databases.postgres.reversible.link import DirectLink, LinkError
from backout.databases.postgres.reversible.locks import Locked
from backout.databases.postgres.reversible.proxy.keeper import Veto
from backout.databases.postgres.reversible.rows.report import Kept
from backout.migration import Unfinished

from .case import Case, Finding, Told
from .drawing import KINDS, MAKES, drawn, ran
from .look import Look, look
from .oracle import Model, Rows, certain, differences, rows_in, without_numbers
from .pen import Pen
from .rows import draw_write, numbers_in

_PATIENCE = "-c lock_timeout=10s -c statement_timeout=60s"
_ALONE = re.compile(r"CREATE (UNIQUE )?INDEX CONCURRENTLY")


Schema = dict[str, str]


@dataclass
class Place:
    """A database, seen by its owner, by somebody who sees every row, and by the engine."""

    url: str
    owner: psycopg.Connection[Any]
    admin: psycopg.Connection[Any]
    engine: psycopg.Connection[Any]

    def look(self) -> Look:
        return look(self.admin)

    def schema(self) -> Schema:
        """Return everything in its schemas, by name, but for what the engine hides."""
        link = DirectLink(self.engine)
        link.rows("BEGIN ISOLATION LEVEL REPEATABLE READ")
        found = read_print(link).things
        link.rows("COMMIT")
        return {name: one for name, one in found.items() if name != "schema backout"}

    def rows(self) -> Rows:
        return rows_in(self.admin, self.look())


@dataclass
class Run:
    """One case in two databases: `real` with backout, `plain` without it.

    Args:
        case: What is run; what it lacks is drawn, and put into it.
        real: An empty database.
        plain: Another one.
        draw: Whether what the case lacks is to be drawn.
    """

    case: Case
    real: Place
    plain: Place
    draw: bool = True
    told: Told = field(default_factory=Told)
    models: list[Model] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    schemas: list[Schema] = field(default_factory=list)
    firsts: list[Schema] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    _number: int = 0

    def __post_init__(self) -> None:
        self.random = Random(self.case.seed)
        self.link = DirectLink(self.real.engine)

    def run(self) -> Told:
        """Run it.

        Raises:
            Finding: Something is not as it has to be.
        """
        self._begin()
        self._migrate_all()
        self.firsts = list(self.schemas)
        if self.numbers:
            for turn in ("one", "two"):
                if not self._way(f"back {turn}", "back"):
                    return self.told
                if turn == "one":
                    self._writes("written between")
                    if not self._way("forth", "forth"):
                        return self.told
                    self._writes("written after")
        return self.told

    # --- the first release -------------------------------------------------------------------------------------

    def _begin(self) -> None:
        for one in ("public",):
            self.real.owner.execute(f"GRANT ALL ON SCHEMA {one} TO other")
            self.plain.owner.execute(f"GRANT ALL ON SCHEMA {one} TO other")
        if self.draw:
            self.case.before = drawn(
                self.plain.owner, self.random, MAKES, self.random.randrange(6, 16), self._start()
            )
        told = ran(self.plain.owner, self.case.before)
        for one in told:
            self.real.owner.execute(one.encode())
        self._writes("written before", count=self.random.randrange(6, 16))
        self.schemas.append(self.real.schema())
        self._alike("before")

    # --- there --------------------------------------------------------------------------------------------------

    def _migrate_all(self) -> None:
        if self.draw:
            self.case.at_once = self.random.random() < 0.5
        count = self.random.choice((1, 1, 1, 2, 2, 3)) if self.draw else len(self.case.migrations)
        for number in range(count):
            if not self._migrate(number):
                return
            self._writes(f"written after {number}")

    def _migrate(self, number: int) -> bool:
        """Run one migration on both; tell whether it went through."""
        before, was = self.plain.look(), self.real.rows()
        if self.draw:
            self.case.migrations.append([])
        transactions = self.case.migrations[number]
        done: list[list[str]] = []
        count = self.random.choice((1, 1, 2, 3)) if self.draw else len(transactions)
        for at in range(count):
            if self.draw:
                transactions.append(
                    drawn(
                        self.plain.owner,
                        self.random,
                        KINDS,
                        self.random.choice((1, 1, 2, 3, 5)),
                        self._start(),
                    )
                )
            told = self._plainly(transactions[at])
            if told:
                done.append(told)
        if not done:
            return True
        self.told.transactions += len(done)
        refused = self._really(number, done)
        if refused is not None:
            return False
        step = f"migration {number}"
        self.schemas.append(self._same_schema(step, self.plain.schema()))
        self._alike(step)
        text = ";".join(one for transaction in done for one in transaction)
        self.models.append(Model(before, self.plain.look(), was, self.real.rows(), text))
        return True

    def _plainly(self, told: list[str]) -> list[str]:
        if len(told) == 1 and _ALONE.match(told[0]):
            try:
                self.plain.owner.execute(told[0].encode())
            except psycopg.Error:
                return []
            return told
        return ran(self.plain.owner, told)

    def _really(self, number: int, done: list[list[str]]) -> str | None:
        """Run a migration through the engine; return why it was refused."""
        step = f"migration {number}"
        rows = self.real.rows()
        try:
            self.numbers.append(engine.migrate(self.link, *(";\n".join(one) for one in done)))
        except Veto as error:
            self.told.refused.append(f"{error.message} | {error.detail}")
        except LinkError as error:
            raise Finding(
                step, f"the server refuses {error.sqlstate}", [str(error), str(error.fields)]
            ) from None
        except Exception as error:
            raise Finding(step, f"crash {type(error).__name__}", [repr(error)]) from error
        else:
            return None
        failed = journal.migrations(self.link)[-1].id
        outcome, _ = self._undo(f"the way back of what was left of {step}", [failed])
        self._same_schema(f"{step}, refused", self.schemas[-1], outcome.residues)
        wrong = [line for _, _, line in differences(certain(rows), self.real.rows())]
        if wrong:
            raise Finding(f"{step}, refused", "rows", wrong)
        return self.told.refused[-1]

    # --- back and forth -----------------------------------------------------------------------------------------

    def _way(self, step: str, which: str) -> bool:
        """Go one way with all migrations; tell whether it was open."""
        models = list(enumerate(self.models))
        if which == "back":
            models.reverse()
        # Forward they go one by one, as `backout db redo` does it.
        turns = [models] if self.case.at_once and which == "back" else [[one] for one in models]
        for turn in turns:
            now = self.real.rows()
            wanted = certain(now)
            for _, model in turn:
                wanted = model.back(wanted) if which == "back" else model.forth(wanted)
            if which == "back":
                for _, model in turn[1:]:
                    model.forget_new()
            numbers = [self.numbers[at] for at, _ in turn]
            name = f"{step} of {numbers}"
            since = turn[0][0] + 1 if which == "back" else turn[0][0]
            try:
                outcome, unfinished = (
                    self._undo(name, numbers) if which == "back" else self._redo(name, numbers)
                )
            except NotReversible as error:
                self.told.stopped.append(str(error))
                self._same_schema(f"{name}, stopped", self.schemas[since])
                wrong = [line for _, _, line in differences(certain(now), self.real.rows())]
                if wrong:
                    raise Finding(f"{name}, stopped", "rows", wrong) from None
                return False
            at = turn[-1][0] if which == "back" else turn[-1][0] + 1
            # What is told stays as it is: a label, a column without its NOT NULL, what could not be proven.
            self.left += [*outcome.residues, *(one.statement for one in unfinished)]
            self.schemas[at] = self._same_schema(name, self.schemas[at], self.left, self.firsts[at])
            rows = self.real.rows()
            self._compare(name, wanted, rows, outcome)
            if which == "back":
                turn[-1][1].old_then = certain(rows)
            else:
                turn[-1][1].new_then = certain(rows)
            self.told.ways += 1
            if not self.case.at_once:
                self._writes(f"written in {name}", count=2)
        return True

    def _undo(self, step: str, numbers: list[int]) -> tuple[back.Outcome, list[Unfinished]]:
        return self._moved(step, lambda: back.undo(self.link, self._chosen(numbers), patience_s=5))

    def _redo(self, step: str, numbers: list[int]) -> tuple[back.Outcome, list[Unfinished]]:
        outcomes: list[back.Outcome] = []
        unfinished: list[Unfinished] = []
        for number in numbers:
            outcome, left = self._moved(
                step, lambda number=number: back.redo(self.link, self._chosen([number]), patience_s=5)
            )
            outcomes.append(outcome)
            unfinished += left
        return back.joined(outcomes), unfinished

    def _chosen(self, numbers: list[int]) -> list[journal.Migration]:
        return [one for one in journal.migrations(self.link) if one.id in numbers]

    def _moved(self, step: str, move: Callable[[], back.Outcome]) -> tuple[back.Outcome, list[Unfinished]]:
        try:
            outcome = move()
            unfinished = finish(self.link).unfinished
        except (NotReversible, Finding):
            raise
        except (Locked, Exception) as error:
            raise Finding(step, f"crash {type(error).__name__}", [repr(error)]) from error
        self.told.stopped += [f"unfinished: {one.statement}: {one.why}" for one in unfinished]
        return outcome, list(unfinished)

    # --- comparing ----------------------------------------------------------------------------------------------

    def _same_schema(
        self, step: str, wanted: Schema, leave: Sequence[str] = (), first: Schema | None = None
    ) -> Schema:
        """Return the schema as it is, which is the one wanted, but for things that were told of.

        Args:
            step: For people.
            wanted: As it was the last time.
            leave: What was told.
            first: As it was the first time: what could not be proven once may be proven now.
        """
        found, first = self.real.schema(), first or wanted
        names = [
            n
            for n in sorted(wanted.keys() | found.keys())
            if found.get(n) not in (wanted.get(n), first.get(n))
        ]
        wrong = [
            f"{one}: {wanted.get(one)} / {found.get(one)}"
            for one in names
            if not any(_speaks_of(told, one) for told in leave)
        ]
        if wrong:
            raise Finding(step, f"schema: {wrong[0].split(' ')[0]}", wrong)
        return found

    def _alike(self, step: str) -> None:
        wanted = without_numbers(certain(self.plain.rows()), self.plain.look())
        wrong = [line for _, _, line in differences(wanted, self.real.rows())]
        if wrong:
            raise Finding(step, "not as in the plain database", wrong)

    def _compare(self, step: str, wanted: Any, rows: Rows, outcome: back.Outcome) -> None:
        kept: list[Kept] = list(outcome.rows.kept) if outcome.rows is not None else []
        self.told.kept += [one.why.name for one in kept]
        excused = Counter(one.table for one in kept)
        wrong = []
        for table, _column, line in differences(wanted, rows):
            name = table.replace('"."', ".").strip('"').replace('""', '"')
            if excused.get(name) or excused.get(table):
                continue
            wrong.append(line)
        if wrong:
            raise Finding(step, "rows", [*wrong, *map(str, kept)])

    # --- writing ------------------------------------------------------------------------------------------------

    def _writes(self, step: str, count: int = 6) -> None:
        """Write as code of the schema of the moment does: in both databases as long as they are alike."""
        both = (
            not step.startswith(("written in", "written between", "written after f"))
            and step != "written after"
        )
        if self.draw:
            self.case.writes[step] = []
            pen = Pen(look(self.real.owner), self.random, self._start())
            for _ in range(self.random.randrange(count + 1)):
                told = draw_write(pen, numbers_in(self.real.admin, pen.look))
                if told is not None:
                    self.case.writes[step].append(told)
                    self._write(step, told, both=both)
            return
        for told in self.case.writes.get(step, []):
            self._write(step, told, both=both)

    def _write(self, step: str, told: str, *, both: bool) -> None:
        real = _said(self.real.owner, told)
        if both and (plain := _said(self.plain.owner, told)) != real:
            raise Finding(step, "another answer", [told, f"plain: {plain}", f"with backout: {real}"])
        if real.startswith("XX"):
            raise Finding(step, "internal error", [told, real])

    def _start(self) -> int:
        self._number += 100
        return self._number


def _speaks_of(told: str, thing: str) -> bool:
    """Tell whether a sentence, or a statement that failed, is about a thing: a part of a table by its last name."""
    kind, _, name = thing.partition(" ")
    if kind == "enum" and "keeps its label" in told:
        return True
    last = name.rsplit(".", 1)[-1].strip('"')
    if kind == "index" and f" {last} ON " in told:
        return True  # PostgreSQL quotes no name that needs none
    return name in told or (kind in ("constraint", "column", "index") and f'"{last}"' in told)


def _said(connection: psycopg.Connection[Any], statement: str) -> str:
    try:
        return f"{connection.execute(statement.encode()).rowcount} rows"
    except psycopg.Error as error:
        return f"{error.sqlstate} {error}".split("\n", maxsplit=1)[0]


def place(url: str, superuser_url: str, opened: Any) -> Place:
    """Open a database."""

    def connect(conninfo: str, **more: Any) -> psycopg.Connection[Any]:
        made = psycopg.connect(conninfo, autocommit=True, prepare_threshold=None, options=_PATIENCE, **more)
        return opened.enter_context(closing(made))  # type: ignore[no-any-return]

    return Place(url, connect(url), connect(superuser_url, dbname=url.rsplit("/", 1)[1]), connect(url))
