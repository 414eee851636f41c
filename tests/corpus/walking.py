"""A history from its first migration to its last: rows into what is new, one cycle each, and on from the plain state."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tests.corpus.cycle import BASE, TWIN, Cycle, code_knows, empty
from tests.corpus.destroys import is_history
from tests.corpus.driving import NotRun, Texts, run_plainly
from tests.corpus.ground import Ground
from tests.corpus.history import Driver, History, Step
from tests.corpus.of_alembic import AlembicDriver
from tests.corpus.results import REFUSED, Result

from backout.databases.postgres.generated.foreseen import foreseen
from backout.databases.postgres.generated.look import Look, Table, look
from backout.databases.postgres.generated.rows import fill
from backout.databases.postgres.generated.seen import Seen, see
from backout.databases.postgres.generated.values import FORMS

_TABLES = 2
_NO_ROWS = "not run by the harness: it runs where there are no rows at all"
_DOCUMENTS, _EMPTY = ("json", "jsonb"), ("[]", "{}")


class Kind(NamedTuple):
    """What rows look like.

    Attributes:
        form: Of texts.
        nulls: Some have nulls and defaults; else all have values.
        document: What every document is; None: one of its own.
    """

    form: str = FORMS[0]
    nulls: bool = True
    document: str | None = None


_KINDS = (
    *(Kind(form, nulls) for nulls in (True, False) for form in FORMS),
    *(Kind(nulls=False, document=one) for one in _EMPTY),
)
"""The rows that are tried: what a program in a migration makes of them tells only whether it runs."""
_ROWS = 30
"""By how much numbers of rows go up from one writing to the next."""


@dataclass(slots=True)
class Walk:
    """Goes through a history.

    Args:
        ground: A server.
        history: It.
        wanted: Which steps are taken there and back, by their place; the others are only run.
    """

    ground: Ground
    history: History
    wanted: Callable[[int], bool] = lambda _place: True
    _first: int = 1
    _emptied: list[str] = field(default_factory=list)
    _filled: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def results(self) -> Iterator[Result]:
        """Yield one after the other; where a migration does not run, the history goes on without it."""
        with _driven(self.history) as driver:
            self._begin(driver)
            for place, step in enumerate(self.history.steps):
                if not self.wanted(place):
                    self._pass(driver, step)
                    continue
                try:
                    before = self._ready(driver, step)
                except NotRun as error:
                    yield Result(step.name, REFUSED, why=[f"not run by the harness: {_first_line(error)}"])
                    self._pass(driver, step)
                    continue
                result = Cycle(self.ground, driver, step, self._next(), before).run()
                result.emptied = self._emptied
                if self._emptied and not result.rows:
                    result.verdict, result.why = REFUSED, [_NO_ROWS]
                yield result
                self.ground.replace(BASE, TWIN)

    def _begin(self, driver: Driver) -> None:
        url = self.ground.make(BASE)
        with self.ground.owner(BASE) as connection:
            for one in self.history.before:
                connection.execute(one.encode())
        if isinstance(driver, AlembicDriver):
            driver.prepare(url)

    def _pass(self, driver: Driver, step: Step) -> None:
        """Only run a step; what does not run on the rows is run without any, or left out."""
        try:
            run_plainly(driver, step, "up", self.ground.url(BASE))
        except NotRun:
            self._empty()
            with suppress(NotRun):
                run_plainly(driver, step, "up", self.ground.url(BASE))

    def _empty(self) -> None:
        empty(self.ground, BASE)
        self._filled.clear()

    def _ready(self, driver: Driver, step: Step) -> Seen:
        """Have `base` with rows that the step runs on, and `twin` after it; return the rows.

        Raises:
            NotRun: It does not run, whatever the rows are, and not without any.
        """
        if step.why_not:
            raise NotRun(step.why_not)
        first: NotRun | None = None
        later: Look | None = None
        self._emptied = []
        for kind in (Kind(), *_KINDS):
            self._fill(kind, later)
            try:
                run_plainly(driver, step, "up", self.ground.make(TWIN, BASE))
            except NotRun as error:
                self._empty()
                # What it will demand of rows is seen where there are none; it may be all that they lacked.
                if first is None:
                    first, later = error, self._later(driver, step)
            else:
                return self._seen()
        self._without(driver, step, first or NotRun(""), later)
        return self._seen()

    def _later(self, driver: Driver, step: Step) -> Look | None:
        """Return the tables as the step makes them of those of `base`, which have no rows; None: it does not run on none either."""
        url = self.ground.make(TWIN, BASE)
        try:
            run_plainly(driver, step, "up", url)
        except NotRun:
            return None
        with self.ground.reader(TWIN) as connection:
            return look(connection)

    def _without(self, driver: Driver, step: Step, why: NotRun, later: Look | None) -> None:
        """Empty one table, or two, with what refers to them, so that it runs: as of ADD COLUMN … NOT NULL without a default.

        Raises:
            NotRun: That does not help.
        """
        self._fill(Kind(), later)
        for _ in range(_TABLES):
            seen = self._seen()
            rows, referred = seen.rows, {seen.look.tables[oid].path for oid in seen.look.referenced}
            # The error may name the table; else one that others need is the last.
            paths = sorted(
                (path for path in rows if rows[path] and not is_history(path)),
                key=lambda path: (not _names(why, path), path in referred),
            )
            for path in paths:
                self.ground.make(TWIN, BASE)
                self._truncate(TWIN, path)
                try:
                    run_plainly(driver, step, "up", self.ground.url(TWIN))
                except NotRun as error:
                    other = error
                else:
                    self._truncate(BASE, path)
                    return
            if not paths or not _names(why, paths[0]):
                break
            self._truncate(BASE, paths[0])
            why = other
        raise NotRun(f"it does not run on rows: {why}") from why

    def _truncate(self, name: str, path: str) -> None:
        with self.ground.reader(name) as connection:
            connection.execute(f"TRUNCATE {path} CASCADE".encode())
        if name == BASE:
            self._emptied.append(path)

    def _fill(self, kind: Kind, later: Look | None) -> None:
        """Put rows into tables that have none with values in all of their columns; of a `kind` without nulls, in every row."""
        with self.ground.owner(BASE) as connection:
            now = look(connection)
            new = {oid: one for oid, one in now.tables.items() if self._filled.get(oid) != _numbers(one)}
            knows = code_knows(Look(new, now.types))
            if knows:
                tables = _demanded(now, later, kind.document)
                first = self._next()
                for n, rows in ((0, 3),) if kind.nulls else ((0, 1), (1, 1), (2, 1)):
                    fill(connection, first=first + n, rows=rows, form=kind.form, only=knows, seen=tables)
            self._filled |= {oid: _numbers(one) for oid, one in new.items()}

    def _seen(self) -> Seen:
        with self.ground.reader(BASE) as connection:
            return see(connection)

    def _next(self) -> int:
        self._first += _ROWS
        return self._first


def _demanded(now: Look, later: Look | None, document: str | None) -> Look:
    """Return tables with what will be demanded of them, and with what documents are to be tried first."""
    tables = now if later is None else foreseen(now, later)
    if document is None:
        return tables
    told = {oid: replace(one, preferred=_documents(one, now, document)) for oid, one in tables.tables.items()}
    return replace(tables, tables=told)


def _documents(table: Table, now: Look, document: str) -> dict[str, tuple[str, ...]]:
    found = {c.name: (document,) for c in table.columns if now.type_of(c).name in _DOCUMENTS}
    return table.preferred | found


def _names(error: NotRun, path: str) -> bool:
    name = path.rpartition(".")[2].strip('"')
    return f'"{name}"' in str(error)


_FOLDERS = re.compile(r"(?<![\w.])/(?:[\w.+@-]+/)+")


def _first_line(error: NotRun) -> str:
    """Return what was said first, without the folders of this machine."""
    said = str(error).strip().partition("\n")[0]
    return _FOLDERS.sub("", said)[:300]


def each(every: int) -> Callable[[int], bool]:
    """Return what takes every so many-th place; not the first, where a history only makes tables."""
    return lambda place: place % every == every // 2


def _numbers(table: Table) -> tuple[int, ...]:
    return tuple(c.number for c in table.columns)


@contextmanager
def _driven(history: History) -> Iterator[Driver]:
    driver = history.driver or Texts(history.steps)
    with closing(driver):
        yield driver
