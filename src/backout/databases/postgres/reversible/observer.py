"""Looks at one session of a migration that runs as it is: what backout would have kept of it, and what it would have refused.

What would run instead of a statement is tried in a savepoint that is undone, before the statement itself runs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial

from backout.databases.postgres.reversible import (
    answers,
    catalog,
    journal,
    manners,
    rebuilt,
    subscribers,
    touched,
    unrolled,
)
from backout.databases.postgres.reversible.anew_tried import refuse_needed
from backout.databases.postgres.reversible.answer_tried import answer_tried
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import Operation
from backout.databases.postgres.reversible.held import path
from backout.databases.postgres.reversible.keeper import CALLS, is_softened, made_by, matters, soften
from backout.databases.postgres.reversible.link import Link, LinkError, as_login, scalar
from backout.databases.postgres.reversible.meanwhile import Commit, Meanwhile
from backout.databases.postgres.reversible.names import hidden, ident
from backout.databases.postgres.reversible.origins import Origins
from backout.databases.postgres.reversible.parse import Statement, cascades
from backout.databases.postgres.reversible.proxy.keeper import Manner, Pass, Veto
from backout.databases.postgres.reversible.recipes import Recipes
from backout.databases.postgres.reversible.rights_tried import rights_tried
from backout.databases.postgres.reversible.rows.capture import NotCaptured, refuse_unloggable
from backout.databases.postgres.reversible.rows.closure import closure
from backout.databases.postgres.reversible.rows.counts import Counts, changed
from backout.databases.postgres.reversible.rows.truncate import emptied, refuse_too_many
from backout.databases.postgres.reversible.session_rows import (
    MOST_ROWS,
    may_need_answer,
    not_logged,
    rows_changed,
    truncated_tables,
    uncounted,
    unkept,
    unloggable,
    written_tables,
)
from backout.databases.postgres.reversible.snapshot import Key, Snapshot
from backout.databases.postgres.reversible.soften import Softer
from backout.databases.postgres.reversible.starless import asks, without_hidden
from backout.databases.postgres.reversible.unread import Unread
from backout.databases.postgres.reversible.updates import may_update_besides, update_of
from backout.databases.postgres.reversible.verdict import (
    found_in,
    refused_outright,
    short,
    take_rewritten,
    unexplained,
)
from backout.databases.postgres.reversible.views import of_view
from backout.databases.postgres.reversible.ways import refuse_untold
from backout.databases.postgres.reversible.work import Work

_TRY = "_bo_observed"
_TRY_STEPS = "_bo_observed_steps"
_NOT_THERE_YET = "23"
"""Class of the SQLSTATEs of constraints: rows that were not written in a trial do not meet them."""

Found = list[tuple[str, Operation]]


@dataclass(slots=True)
class Observed:
    """What was seen of one migration, by all of its sessions; only what was committed.

    Attributes:
        answers: What nobody can compute, by ``table.column``.
        accept: What was accepted by name.
        kept: What backout would have kept, by kind.
        refused: What it would have refused, each once.
        meanwhile: What each session has committed while others were at work.
        origins: Where the rows come from that the migration writes.
    """

    answers: dict[str, str] = field(default_factory=dict)
    accept: Collection[str] = ()
    kept: Found = field(default_factory=list)
    refused: list[Veto] = field(default_factory=list)
    meanwhile: Meanwhile = field(default_factory=Meanwhile)
    origins: Origins = field(default_factory=Origins)

    def add(self, kept: Found, refused: list[Veto]) -> None:
        """Add what a transaction did."""
        self.kept += kept
        known = {(one.message, one.detail) for one in self.refused}
        self.refused += [one for one in refused if (one.message, one.detail) not in known]


@dataclass(slots=True)
class _Seen:
    """A statement that does not explain itself by what the catalog is before a COMMIT.

    Attributes:
        before: The catalog before it ran; None: what it changes explains itself.
        kept: What backout would have journalled instead.
        refused: What it would have said instead.
        took: What the catalog lost or changed by it.
        tried: The catalog after what it runs was run statement by statement, as backout would have done; and was undone.
        steps: What was seen of those.
    """

    statement: Statement
    before: Snapshot | None = None
    kept: Found = field(default_factory=list)
    refused: list[Veto] = field(default_factory=list)
    took: list[touched.Taken] = field(default_factory=list)
    tried: Snapshot | None = None
    steps: list[_Seen] = field(default_factory=list)


class _Trial(Work):
    """Work that is undone: no row is written anew for it."""

    skipped = False

    def rewrite(self, statement: str) -> None:
        self.skipped = True


@dataclass(slots=True)
class Observer:
    """Looks at one session; runs nothing instead of what the client wrote, and refuses nothing.

    Args:
        observed: What it shares with the migration's other sessions.
    """

    observed: Observed
    _before: Snapshot | None = None
    _counts: Counts = field(default_factory=dict)
    _logged: set[int] = field(default_factory=set)
    _refused: set[int] = field(default_factory=set)
    _open: list[_Seen] = field(default_factory=list)
    _ended: list[_Seen] = field(default_factory=list)
    _ran: list[str] = field(default_factory=list)
    _unread: Unread = field(default_factory=Unread)
    _alone: _Seen | None = None
    _verdict: tuple[Found, list[Veto]] | None = None
    _since: int = 0
    _commit: Commit | None = None
    _recipes: Recipes = field(init=False)

    def __post_init__(self) -> None:
        self._recipes = Recipes(0, set(), self.observed.origins.read)

    def manner(self, statement: Statement) -> Manner:
        """Tell how to run a statement: those that backout refuses outright as PostgreSQL demands it."""
        return Manner.ALONE if manners.has_to_be_alone(statement) else manners.manner_of(statement)

    def begins(self, link: Link) -> None:
        """Read the catalog as it is before the transaction changes it."""
        self.ended(committed=False)
        self._since = self.observed.meanwhile.now()
        self._before, self._counts = catalog.read(link), changed(link)
        self._recipes.begins(self._before)

    def statement(self, link: Link, statement: Statement) -> Pass:
        """Try what backout would do instead, and let the statement run."""
        self.observed.answers = answers.over(
            self.observed.answers, answers.found_in(f"{statement.before}{statement.text}")
        )
        seen = _Seen(statement)
        self._open.append(seen)
        why = manners.why_refused(statement)
        if why is not None:
            seen.before, seen.refused = catalog.read(link), [refused_outright(statement, why)]
        elif is_softened(statement):
            seen.before = catalog.read(link)
            self._try(link, seen)
        elif asks(statement) and (veto := self._star(link, statement)) is not None:
            seen.before, seen.refused = catalog.read(link), [veto]
        elif statement.kind in CALLS and self._by_steps(link, seen):
            pass
        else:
            with as_login(link):
                self._rows(link, seen)
        return Pass()

    def ran(self, link: Link, statement: Statement) -> None:
        """Note what it did."""
        found = [one for one in self._open if one.statement is statement]
        if all(one.tried is None for one in found):
            self._ran.append(short(statement))
            self.observed.origins.ran(link, statement)
            self._unread.ran(statement)
            self._filled_by(link, statement)
        for seen in found:
            self._open.remove(seen)
            self._ended.append(seen)
            if seen.tried is not None and seen.before is not None:
                self._done_again(seen, touched.same_by_name(seen.before, seen.tried, catalog.read(link)))
            elif seen.before is not None:
                after = catalog.read(link)
                seen.took = touched.taken_by(statement, seen.before, after, refused=bool(seen.refused))
                seen.kept += (
                    touched.retyped(seen.before, seen.took) if not seen.kept and not seen.refused else []
                )

    def before_alone(self, link: Link, statement: Statement) -> None:
        """Read the catalog before a statement that runs outside a transaction."""
        why = manners.why_refused(statement)
        refused = [refused_outright(statement, why)] if why is not None else []
        self._alone = _Seen(statement, catalog.read_alone(link), refused=refused)
        if statement.kind == "drop_stmt" and not refused:
            link.rows("BEGIN")
            self._try(link, self._alone)
            link.rows("ROLLBACK")

    def ended_alone(self, link: Link, statement: Statement, *, failed: bool) -> None:
        """Note what it did: the catalog tells, also when it failed and left an index that is not valid."""
        seen, self._alone = self._alone, None
        if seen is None or seen.before is None:
            return
        if seen.refused or seen.kept:
            self.observed.add(*(([], []) if failed else (seen.kept, seen.refused)))
            return
        after = catalog.read_alone(link)
        self.observed.meanwhile.ended(self.observed.meanwhile.commits(seen.before, after), committed=True)
        self.observed.add(*self._explained(link, Difference(seen.before, after), [short(statement)]))

    def before_commit(self, link: Link) -> None:
        """Come to a verdict about the transaction."""
        if scalar(link, "SELECT pg_catalog.pg_current_xact_id_if_assigned()") is None or self._before is None:
            return
        with as_login(link):
            after = catalog.read(link)
            before = self.observed.meanwhile.rebased(self._before, after, self._since)
            difference = Difference(before, after)
            kept, refused = self._by_statements(difference)
            rows = self._by_rows(link, difference, refused)
            more, others = self._explained(link, difference, self._ran)
        kept += more + rows
        every = [*self.observed.kept, *kept]
        for refuse in (
            partial(rebuilt.refuse_unpaired, self.observed.origins, after),
            partial(may_need_answer, self._recipes.told),
        ):
            try:
                refuse(every)
            except Veto as veto:
                refused.append(veto)
        self._verdict = (kept, [*refused, *others])
        self._commit = self.observed.meanwhile.commits(before, after)

    def before_savepoint(self, link: Link) -> None:
        """Do nothing: before the COMMIT the catalog tells what was done."""

    def rolled_back_to_savepoint(self, link: Link) -> None:
        """Do nothing: before the COMMIT the catalog tells which statements still count."""

    def ended(self, *, committed: bool) -> None:
        """Keep the verdict of what was committed, and forget the transaction."""
        if committed and self._verdict is not None:
            self.observed.add(*self._verdict)
        if self._commit is not None:
            self.observed.meanwhile.ended(self._commit, committed=committed)
            self._commit = None
        self._before, self._verdict, self._unread = None, None, Unread()
        self._open, self._ended, self._ran = [], [], []
        self._logged, self._refused = set(), set()

    def _by_steps(self, link: Link, seen: _Seen) -> bool:
        """Look at each statement that a DO block, or what is called, runs, if backout would; False: it would not.

        They are run within a savepoint, and undone.
        """
        found = unrolled.unroll(link, seen.statement, partial(matters, link), catalog.read)
        if found is None:
            return False
        seen.before, opened, ended = catalog.read(link), list(self._open), list(self._ended)
        link.rows(f"SAVEPOINT {_TRY_STEPS}")
        try:
            unrolled.run_again(link, seen.statement, found, partial(self._step, link))
            seen.tried, seen.steps = catalog.read(link), self._ended[len(ended) :]
        except Veto as veto:
            seen.refused, self._ended, self._open = [veto], ended, opened
        except LinkError:
            seen.before, self._ended, self._open = None, ended, opened
            return False  # it will say so itself
        finally:
            link.rows(f"ROLLBACK TO SAVEPOINT {_TRY_STEPS}")
            link.rows(f"RELEASE SAVEPOINT {_TRY_STEPS}")
        return True

    def _star(self, link: Link, statement: Statement) -> Veto | None:
        """Return the refusal of a star that would find a column which backout had hidden instead of dropping it."""
        now, kept = catalog.read(link), [*self.observed.kept, *(one for e in self._ended for one in e.kept)]
        told = [
            op
            for kind, op in kept
            if kind == "column.hidden" or (kind == "column.retyped" and op.get("form", "twin") == "twin")
        ]
        tables = {Key("table", op.get("table") or op.get("hidden", {}).get("table") or 0) for op in told}
        if not tables & now.things.keys():
            return None
        link.rows(f"SAVEPOINT {_TRY}")
        try:
            with as_login(link):
                for number, key in enumerate(tables & now.things.keys()):
                    link.rows(f"ALTER TABLE {path(now, key)} ADD COLUMN {ident(hidden(number))} text")
            without_hidden(link, statement)
        except Veto as veto:
            return veto
        except LinkError:
            return None  # it is wrong by itself, and will say so
        finally:
            link.rows(f"ROLLBACK TO SAVEPOINT {_TRY}")
            link.rows(f"RELEASE SAVEPOINT {_TRY}")
        return None

    def _filled_by(self, link: Link, statement: Statement) -> None:
        """Know what a statement has filled columns from; what that takes is undone."""
        if update_of(statement) is None and not may_update_besides(statement):
            return
        link.rows(f"SAVEPOINT {_TRY}")
        try:
            self._recipes.ran(link, statement)
        except LinkError:
            return  # a column of which nobody knows it may need an answer, which is said
        finally:
            link.rows(f"ROLLBACK TO SAVEPOINT {_TRY}")
            link.rows(f"RELEASE SAVEPOINT {_TRY}")

    def _done_again(self, seen: _Seen, same: dict[Key, Key]) -> None:
        """Know what the statements of a block made by what it has made itself."""
        for step in seen.steps:
            step.took = [one._replace(key=same.get(one.key, one.key)) for one in step.took]
        oids = {old.oid: new.oid for old, new in same.items() if old.kind == "table"}
        self.observed.origins.moved(oids)

    def _step(self, link: Link, statement: Statement) -> bool:
        """Look at a statement of a block, and run it."""
        self.statement(link, statement)
        link.rows(statement.text)
        self.ran(link, statement)
        return is_softened(statement)

    def _try(self, link: Link, seen: _Seen) -> None:
        """Do what backout would do, and undo it."""
        begun = self._before or seen.before
        assert begun is not None
        trial = _Trial(link, begun=begun)
        softer = Softer(
            trial,
            partial(self._journal, link, seen),
            self.observed.answers,
            begun,
            lambda _table: {},
            lambda table, attnum, columns: self._recipes.readers(link, table, attnum, columns),
            self.observed.origins,
            lambda: made_by(trial.now, begun, ()),
            lambda _table, _change: None,
        )
        link.rows(f"SAVEPOINT {_TRY}")
        try:
            with as_login(link):
                soften(softer, seen.statement, self.observed.answers, 0)
        except Veto as veto:
            seen.refused.append(veto)
        except LinkError as error:
            if not (trial.skipped and error.sqlstate.startswith(_NOT_THERE_YET)):
                words = f"PostgreSQL refuses what backout would run instead of: {short(seen.statement)}"
                seen.refused.append(Veto(words, detail=f"{error}."))
        finally:
            link.rows(f"ROLLBACK TO SAVEPOINT {_TRY}")
            link.rows(f"RELEASE SAVEPOINT {_TRY}")

    def _journal(self, link: Link, seen: _Seen, kind: str, make: Callable[[int], Operation]) -> None:
        operation = make(journal.next_id(link))
        if subscribers.ACCEPT not in self.observed.accept:
            subscribers.refuse(link, kind, operation)
        if kind == "column.hidden":
            must = "taken" not in operation
            operation |= answers.for_column(operation["hidden"], self.observed.answers, must=must)
        if kind == "column.retyped":
            refuse_untold([operation])
        seen.kept.append((kind, answer_tried(link, operation)))

    def _rows(self, link: Link, seen: _Seen) -> None:
        """Tell whether the rows that a statement may change could be logged, or copied."""
        try:
            if seen.statement.kind == "truncate_stmt":
                self._truncate(link, seen)
                return
            tables = written_tables(link, seen.statement)
            if not set(tables) <= self._logged:
                for one in closure(link, tables, trigger="", migration=0):
                    self._refused.add(one.oid)
                    refuse_unloggable(one)
                    self._refused.remove(one.oid)
                    self._logged.add(one.oid)
        except NotCaptured as error:
            refusal = unkept if seen.statement.kind == "truncate_stmt" else unloggable
            seen.refused.append(refusal(error))

    def _truncate(self, link: Link, seen: _Seen) -> None:
        seen.before = catalog.read(link)
        found = emptied(link, truncated_tables(link, seen.statement), cascade=cascades(seen.statement))
        begun = self._before or seen.before
        older = [one for one in found if Key("table", one["oid"]) in begun.things]
        refuse_too_many(older, MOST_ROWS)
        self._logged |= {one["oid"] for one in older}
        if older:
            called = ", ".join(one["called"] for one in older)
            seen.kept.append(("rows", {"tables": [one["oid"] for one in older], "called": called}))

    def _by_statements(self, difference: Difference) -> tuple[Found, list[Veto]]:
        """Take from a difference what statements are known to have done; what a savepoint has undone does not count."""
        kept: Found = []
        refused: list[Veto] = []
        for seen in self._ended:
            still = [one for one in seen.took if touched.counts(difference, one)]
            if seen.took and not still:
                continue
            kept += [] if seen.refused else seen.kept
            refused += seen.refused
            for one in still:
                # A view that went with it is told as what it is: it is dropped for real.
                if not of_view(difference.before, one.key):
                    difference.take(one.key, *one.values)
        return kept, refused

    def _by_rows(self, link: Link, difference: Difference, refused: list[Veto]) -> Found:
        if scalar(link, "SELECT pg_catalog.current_setting('track_counts')") != "on":
            refused.append(uncounted())
            return []
        found = rows_changed(difference, self._counts, changed(link))
        if found is None:
            return []
        names = {
            one: difference.after.name(Key("table", one)) for one in (*found["tables"], *found["filled"])
        }
        missed = [one for one in found["tables"] if one not in self._logged | self._refused]
        if missed:
            refused.append(not_logged([names[one] for one in missed]))
        found["tables"] = [one for one in found["tables"] if one in self._logged]
        found["called"] = ", ".join(sorted(names[one] for one in found["tables"] or found["filled"]))
        return [("rows", found)] if found["called"] else []

    def _explained(
        self, link: Link, difference: Difference, statements: list[str]
    ) -> tuple[Found, list[Veto]]:
        """Return what the rest of a difference is to backout."""
        kept: Found = []
        refused: list[Veto] = []
        found: Found = []
        try:
            found = rights_tried(link, found_in(difference, statements))
            refuse_needed(link, found)
        except Veto as veto:
            # What it did not come to is left over, and says nothing.
            return kept, [veto]
        take_rewritten(difference, lambda: self._unread.may_have_emptied(link))
        if difference.left:
            refused.append(unexplained(difference, statements))
        for kind, operation in found:
            try:
                answers.check(kind, operation, self.observed.answers)
                kept.append((kind, answer_tried(link, operation)))
            except Veto as veto:
                refused.append(veto)
        return kept, refused
