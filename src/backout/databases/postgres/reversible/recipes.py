"""How a migration filled a column that it made, kept with it: rows that are written while it is hidden get their value in the same way.

The expressions stand in the catalog, as those of a change of type do (`conversion.py`): whatever they name may be renamed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from backout.databases.postgres.reversible import expressions, journal
from backout.databases.postgres.reversible.answers import taken_by_others
from backout.databases.postgres.reversible.conversion import function, settings
from backout.databases.postgres.reversible.effects.base import Operation
from backout.databases.postgres.reversible.expressions import NotOverColumns, named, placed, within
from backout.databases.postgres.reversible.following import ASIDE, HIDDEN
from backout.databases.postgres.reversible.held import path
from backout.databases.postgres.reversible.journal import Entry
from backout.databases.postgres.reversible.link import Link, LinkError, as_login, objects, scalar
from backout.databases.postgres.reversible.names import SCHEMA, hidden, ident, literal
from backout.databases.postgres.reversible.parse import Statement, written_relations
from backout.databases.postgres.reversible.session_rows import written_tables
from backout.databases.postgres.reversible.snapshot import Key, Snapshot
from backout.databases.postgres.reversible.taken_over import Reader
from backout.databases.postgres.reversible.updates import (
    OTHER_FORM,
    Update,
    copied_from,
    may_update_besides,
    update_of,
)
from backout.databases.postgres.reversible.work import Work

MOST = 8
"""UPDATEs of one column that are kept; a tool that saves object by object makes thousands."""

_OTHERWISE = "the migration filled it by another statement than an UPDATE"
_TOO_MANY = f"the migration filled it by more than {MOST} UPDATEs"
# Source: PostgreSQL 15 and 18, src/include/nodes/primnodes.h: functions, and those of operators.
_CALLED = r":(?:func|opfunc)id (\d+)"

Column = tuple[int, int]


@dataclass(slots=True)
class _Filled:
    """What a transaction set of one column that its migration made.

    Attributes:
        number: Of its journal row.
        steps: One for each UPDATE, in order: functions that give the value and tell of which rows.
        why: Why it cannot be done again, for people.
        reads: The columns that the UPDATEs speak of; None: nobody knows.
        copied: The column that each UPDATE copied; None: none.
        tree: What the only UPDATE set in all rows, over columns named by their numbers; None: there is no such one.
    """

    number: int
    steps: list[Operation] = field(default_factory=list)
    why: str | None = None
    reads: set[int] | None = field(default_factory=set)
    copied: list[int | None] = field(default_factory=list)
    tree: Any = None

    def read(self, attnums: Iterable[int] | None) -> None:
        """Note columns that were read; None: nobody knows which."""
        self.reads = None if attnums is None or self.reads is None else self.reads | {*attnums}


@dataclass(slots=True)
class Recipes:
    """Watches the UPDATEs of one session of a migration.

    Args:
        migration: Number in the journal.
        widened: Oids of tables to which any session of it has given a column.
        read: Oids of tables from which any session of it has given rows to the client.
    """

    migration: int
    widened: set[int]
    read: set[int]
    _before: Snapshot | None = None
    _filled: dict[Column, _Filled] = field(default_factory=dict)
    _earlier: dict[Column, Entry] | None = None
    _otherwise: set[int] = field(default_factory=set)
    _only_new: set[int] = field(default_factory=set)
    _earlier_too: set[int] = field(default_factory=set)
    _nothing: set[tuple[str, ...]] = field(default_factory=set)

    @property
    def told(self) -> set[Column]:
        """The columns that UPDATEs of the transaction have filled, which were looked at."""
        return set(self._filled)

    def begins(self, before: Snapshot) -> None:
        """A transaction begins."""
        self._before, self._earlier = before, None
        self._filled, self._otherwise, self._nothing = {}, set(), set()
        self._only_new, self._earlier_too = set(), set()

    def ran(self, link: Link, statement: Statement) -> None:
        """Keep how a statement, which has ended well, filled columns that the migration made."""
        update = update_of(statement)
        if update is None:
            self._nothing.clear()
            if may_update_besides(statement):
                with as_login(link):
                    self._otherwise |= set(written_tables(link, statement))
        elif (update.relation, *sorted(update.values)) not in self._nothing:
            self._update(link, update)

    def fills_only(self, link: Link, statement: Statement) -> int | None:
        """Return the oid of the table in whose rows a statement, about to run, changes nothing but columns that the migration made.

        None: it may change more: other columns, by triggers and rules, or of other tables.
        """
        update = update_of(statement)
        if update is None or len(written_relations(statement)) > 1:
            return None
        columns = _columns(link, update.relation)
        if not self._has_new(columns):
            return None
        table = columns[0]["table"]
        with as_login(link):
            new = self._new(link, table, columns)
            names = {one["name"] for one in columns if one["attnum"] in new}
            return table if update.values.keys() <= names and _is_alone(link, table) else None

    def numbers(self, link: Link, operations: Sequence[Operation]) -> list[int]:
        """Return the numbers under which changes are journalled: functions may have one in their names already."""
        had = [self._filled.get(_column(one)) if "recipe" in one else None for one in operations]
        new = iter(journal.next_ids(link, had.count(None)))
        return [filled.number if filled is not None else next(new) for filled in had]

    def add_to(self, link: Link, now: Snapshot, found: list[tuple[str, Operation]], rows: Operation) -> None:
        """Put the recipes into the operations of the columns that they are for.

        Args:
            link: The session, before its COMMIT.
            now: The catalog.
            found: Kind and operation of what the transaction has changed.
            rows: What it did to rows; it is noted with it of which tables an UPDATE changed new columns alone.
        """
        rows["refilled"] = sorted(self._only_new - self._earlier_too - self._otherwise)
        self.widened.update(op["table"] for kind, op in found if kind == "column.added")
        self._look_otherwise(link, now, found, set(rows.get("updated", ())))
        if not self._filled:
            return
        alive = _alive(link, self._filled.values())
        made = {_column(op): op for kind, op in found if kind == "column.added"}
        earlier = self._made_earlier(link)
        for column, filled in self._filled.items():
            steps = [one for one in filled.steps if names_of([one]) <= alive]
            if column in made:
                _put(link, made[column], steps, filled)
            elif column in earlier:
                _put(link, earlier[column].operation, steps, filled)
                journal.write(link, earlier[column])
            else:
                _drop(link, names_of(steps))

    def refuse_untold(self, link: Link, now: Snapshot, known: Sequence[tuple[str, Operation]]) -> None:
        """Refuse a dropped column beside which the migration has filled another one by no statement that was seen.

        Args:
            link: The session, before its COMMIT.
            now: The catalog.
            known: Kind and operation of all that the migration has changed so far.

        Raises:
            Veto: There is one, and no answer.
        """
        updated = {table for kind, op in known if kind == "rows" for table in op.get("updated", ())}
        for kind, dropped in known:
            table = dropped.get("hidden", {}).get("table") if kind in (HIDDEN, ASIDE) else None
            if table not in updated or "taken" in dropped:
                continue
            takers = [
                op["called"]
                for other, op in known
                if other == "column.added"
                and op["table"] == table
                and "recipe" not in op
                and not _fills_itself(now, _column(op))
                and _has_values(link, now, _column(op))
            ]
            if takers:
                raise taken_by_others(dropped["hidden"]["called"], takers)

    def readers(self, link: Link, table: int, attnum: int, columns: Iterable[int]) -> list[Reader]:
        """Return the columns that the migration made and may have filled with another one's values.

        Args:
            link: The session.
            table: Oid.
            attnum: The other one.
            columns: The table's visible ones.
        """
        earlier, found = self._made_earlier(link), []
        had = self._before.things.keys() if self._before is not None else ()
        alive = _alive(link, self._filled.values())
        for one in sorted(columns):
            is_new = Key("column", table, one) not in had or (table, one) in earlier
            if one == attnum or not is_new or Key("table", table) not in had:
                continue
            told = self._filled.get((table, one)) or _Filled(0)
            before = earlier[table, one].operation.get("recipe", {}) if (table, one) in earlier else {}
            steps = [*before.get("steps", ()), *(s for s in told.steps if names_of([s]) <= alive)]
            unknown = table in self._otherwise or told.reads is None or before.get("reads", ()) is None
            read = {*(told.reads or ()), *(before.get("reads") or ()), *sources(steps)}
            copied = [*before.get("copied", ()), *told.copied]
            # What the client has read, it may have put there as its own values.
            if unknown or attnum in read or (copied and table in self.read):
                found.append(Reader(one, copies=not unknown and copied == [attnum]))
        return found

    def _update(self, link: Link, update: Update) -> None:
        columns = _columns(link, update.relation)
        if self._has_new(columns):
            with as_login(link):
                self._fill_all(link, update, columns)
        else:
            self._nothing.add((update.relation, *sorted(update.values)))
            self._earlier_too |= {one["table"] for one in columns}

    def _has_new(self, columns: list[dict[str, Any]]) -> bool:
        """Tell whether the migration may have made any of a table's columns, and not the table."""
        if not columns or self._before is None:
            return False
        table = columns[0]["table"]
        had = self._before.things.keys()
        return Key("table", table) in had and (
            table in self.widened or any(Key("column", table, one["attnum"]) not in had for one in columns)
        )

    def _fill_all(self, link: Link, update: Update, columns: list[dict[str, Any]]) -> None:
        new = self._new(link, columns[0]["table"], columns)
        filled = [one for one in columns if one["attnum"] in new and one["name"] in update.values]
        if all(self._of(link, (one["table"], one["attnum"])).why for one in filled):
            self._nothing.add((update.relation, *sorted(update.values)))
            for one in filled:
                self._of(link, (one["table"], one["attnum"])).read(None)
        kind = self._only_new if len(filled) == len(update.values) else self._earlier_too
        kind.add(columns[0]["table"])
        for one in filled:
            self._fill(link, update, one, columns, new)

    def _new(self, link: Link, table: int, columns: list[dict[str, Any]]) -> set[int]:
        """Return the numbers of a table's columns that the migration has made."""
        assert self._before is not None
        earlier = {attnum for oid, attnum in self._made_earlier(link) if oid == table}
        had = {one["attnum"] for one in columns if Key("column", table, one["attnum"]) in self._before.things}
        return {one["attnum"] for one in columns if one["attnum"] not in had} | earlier

    def _of(self, link: Link, column: Column) -> _Filled:
        if column not in self._filled:
            earlier = self._made_earlier(link).get(column)
            self._filled[column] = _Filled(earlier.id if earlier is not None else journal.next_id(link))
        return self._filled[column]

    def _made_earlier(self, link: Link) -> dict[Column, Entry]:
        """Return the columns that the migration's earlier transactions have made."""
        if self._earlier is None:
            entries = journal.entries(link, (self.migration,), "applied")
            self._earlier = {_column(one.operation): one for one in entries if one.kind == "column.added"}
        return self._earlier

    def _fill(
        self, link: Link, update: Update, one: dict[str, Any], columns: list[dict[str, Any]], new: set[int]
    ) -> None:
        filled, value = self._of(link, (one["table"], one["attnum"])), update.values[one["name"]]
        numbers = {c["name"]: c["attnum"] for c in columns if c is not one}
        filled.read(
            None if update.reads is None else [numbers[name] for name in update.reads & numbers.keys()]
        )
        filled.copied.append(
            numbers.get(copied_from(value) or "") if value is not None and not update.why else None
        )
        too_many = _TOO_MANY if len(filled.steps) == MOST else None
        filled.why = filled.why or update.why or (OTHER_FORM if value is None else too_many)
        if filled.why is not None:
            return
        places = {c["name"]: (0 if c is one else c["attnum"], c["type"]) for c in columns}
        work = Work(link)
        link.rows("SAVEPOINT backout")
        try:
            # What is read of a column that the migration has filled, too, is read of those that this was made of.
            known = self._known(one["table"], columns)
            value, where = within(value, known), update.where and within(update.where, known)
            step = self._step(work, filled.number, (value, where), places, one["type"])
            filled.why = _not_again(
                link, step, {c["attnum"]: c["name"] for c in columns if c["attnum"] in new}
            )
        except (LinkError, NotOverColumns) as error:
            filled.why = f"{OTHER_FORM} ({error})"
        if filled.why is None:
            filled.steps.append(step)
            only = len(filled.copied) == 1 and where is None and set(named(value)) <= numbers.keys()
            filled.tree = placed(value, lambda name: str(numbers[name])) if only else None
            filled.read(sources([step]))
        else:
            link.rows("ROLLBACK TO SAVEPOINT backout")
        link.rows("RELEASE SAVEPOINT backout")

    def _known(self, table: int, columns: list[dict[str, Any]]) -> dict[str, tuple[Any, str]]:
        """Return tree and type of the columns that one UPDATE has filled in all rows, by name."""
        told = {c["attnum"]: c for c in columns}
        names = {str(attnum): str(c["name"]) for attnum, c in told.items()}
        return {
            names[str(attnum)]: (placed(filled.tree, names.__getitem__), told[attnum]["type"])
            for (oid, attnum), filled in self._filled.items()
            if oid == table
            and attnum in told
            and filled.tree is not None
            and filled.why is None
            and set(named(filled.tree)) <= names.keys()
        }

    def _step(
        self,
        work: Work,
        number: int,
        trees: tuple[Any, Any],
        places: dict[str, tuple[int, str]],
        type_text: str,
    ) -> Operation:
        value, where = trees
        if value.WhichOneof("node") == "a_const":
            # A literal has the type of the column that it is put into; a function's result has one of its own.
            value = expressions.parsed(f"CAST({expressions.over(value, str)} AS {type_text})")

        def made(tree: Any, returns: str) -> Operation:
            name = f"{hidden(number)}_up{journal.next_id(work.link)}"
            return function(work, name, tree, places, returns)

        return {
            "value": made(value, type_text),
            "where": made(where, "pg_catalog.bool") if where is not None else None,
            "settings": settings(work),
        }

    def _look_otherwise(
        self, link: Link, now: Snapshot, found: list[tuple[str, Operation]], updated: set[int]
    ) -> None:
        """Note the columns that something else than an UPDATE has filled."""
        tables = self._otherwise & updated
        if not tables:
            return
        added = [op for kind, op in found if kind == "column.added"]
        added += [one.operation for one in self._made_earlier(link).values()]
        for operation in added:
            column = _column(operation)
            if column[0] in tables and column not in self._filled and _has_values(link, now, column):
                self._of(link, column).why = _OTHERWISE
                self._of(link, column).read(None)


def names_of(steps: Iterable[Operation]) -> set[str]:
    """Return the names of the functions of steps."""
    return {one["function"] for step in steps for one in (step["value"], step["where"]) if one is not None}


def sources(steps: Sequence[Operation]) -> list[int]:
    """Return the numbers of the columns that steps read, but for the one that they fill."""
    read = {
        attnum for step in steps for one in (step["value"], step["where"]) if one for attnum in one["columns"]
    }
    return sorted(read - {0})


def _column(operation: Operation) -> Column:
    return operation["table"], operation["attnum"]


def _columns(link: Link, relation: str) -> list[dict[str, Any]]:
    return objects(
        link,
        "SELECT attrelid::int8 AS table, attnum, attname AS name, pg_catalog.format_type(atttypid, -1) AS type "
        "FROM pg_catalog.pg_attribute WHERE attrelid = pg_catalog.to_regclass($1) AND attnum > 0 AND NOT attisdropped",
        [relation],
        again=True,
    )


def _is_alone(link: Link, table: int) -> bool:
    """Tell whether an UPDATE of a table changes nothing else: no trigger and no rule fires, and it has no family."""
    family = f"EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE {table} IN (inhrelid, inhparent))"
    rules = f"EXISTS (SELECT FROM pg_catalog.pg_rewrite WHERE ev_class = {table})"
    # Source: PostgreSQL 15 and 18, src/include/catalog/pg_trigger.h: 16 is UPDATE.
    triggers = (
        f"EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = {table} AND NOT tgisinternal AND tgenabled <> 'D' "
        "AND tgtype::int & 16 > 0)"
    )
    found = f"SELECT relkind = 'r' AND NOT ({family} OR {rules} OR {triggers}) FROM pg_catalog.pg_class WHERE oid = {table}"
    return scalar(link, found) == "t"


def _put(link: Link, operation: Operation, steps: list[Operation], filled: _Filled) -> None:
    had = operation.get("recipe", {"steps": [], "why": None, "reads": [], "copied": []})
    together = [*had["steps"], *steps]
    why = had["why"] or filled.why or (_TOO_MANY if len(together) > MOST else None)
    filled.read(had.get("reads"))
    if why is not None:
        _drop(link, names_of(together))
        together = []
    if together or why:
        reads = None if filled.reads is None else sorted(filled.reads)
        copied = [*had.get("copied", ()), *filled.copied]
        operation["recipe"] = {"steps": together, "why": why, "reads": reads, "copied": copied}


def _not_again(link: Link, step: Operation, new: dict[int, str]) -> str | None:
    """Return why a step cannot be run on other rows, or later; None: it can."""
    made = next((new[attnum] for attnum in sources([step]) if attnum in new), None)
    if made is not None:
        return f"the migration's UPDATE reads {made}, which the migration made, too"
    names = ", ".join(literal(name) for name in sorted(names_of([step])))
    volatile = scalar(
        link,
        "SELECT p.proname FROM pg_catalog.pg_proc f, "
        f"pg_catalog.regexp_matches(f.prosqlbody::text, {literal(_CALLED)}, 'g') m, pg_catalog.pg_proc p "
        f"WHERE f.pronamespace = '{SCHEMA}'::regnamespace AND f.proname IN ({names}) "
        "AND p.oid = m[1]::oid AND p.provolatile = 'v' LIMIT 1",
    )
    if volatile is not None:
        return f"the migration's UPDATE calls {volatile}(), which gives another value each time"
    return None


def _fills_itself(now: Snapshot, column: Column) -> bool:
    thing = now.things.get(Key("column", *column), {})
    return bool(thing.get("default") or thing.get("identity") or thing.get("generated"))


def _has_values(link: Link, now: Snapshot, column: Column) -> bool:
    thing = now.things.get(Key("column", *column))
    if thing is None:
        return False
    there = f"SELECT FROM {path(now, Key('table', column[0]))} WHERE {ident(str(thing['name']))} IS NOT NULL"
    return scalar(link, f"SELECT EXISTS ({there})") == "t"


def _alive(link: Link, filled: Iterable[_Filled]) -> set[str]:
    """Return the names of the functions that are there: what a savepoint has undone is not."""
    names = ", ".join(literal(name) for one in filled for name in sorted(names_of(one.steps))) or "NULL"
    found = objects(
        link,
        f"SELECT proname AS name FROM pg_catalog.pg_proc WHERE pronamespace = '{SCHEMA}'::regnamespace AND proname IN ({names})",
    )
    return {str(one["name"]) for one in found}


def _drop(link: Link, names: set[str]) -> None:
    """Drop functions that nobody will call."""
    for name in sorted(names):
        link.rows(f"DROP FUNCTION {ident(SCHEMA, name)}")
