"""ALTER COLUMN … TYPE, so that it can be taken back: asks PostgreSQL, and chooses between its two forms.

Where PostgreSQL would write every row anew, the column is hidden and another one takes its place (`twin.py`). Where it
would change the catalog alone (varchar(10) to varchar(20)), it does: on the way back the type is changed again, which
writes every row anew, and values that do not fit are set aside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

from backout.databases.postgres.reversible import answers, expressions, in_place, journal, twin
from backout.databases.postgres.reversible.conversion import unwatched
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import Operation
from backout.databases.postgres.reversible.explain import explained
from backout.databases.postgres.reversible.hide import NotHidden, refuse_family
from backout.databases.postgres.reversible.link import LinkError, scalar
from backout.databases.postgres.reversible.names import HIDDEN_SCHEMA, LAST, ident, is_hidden, literal
from backout.databases.postgres.reversible.parse import Statement, deparse
from backout.databases.postgres.reversible.proxy.keeper import NOT_COMMITTED, Veto
from backout.databases.postgres.reversible.snapshot import Key, Thing
from backout.databases.postgres.reversible.work import Work

_Made = TypeVar("_Made")

_NO_COLUMN, _NOT_LIKE_THIS = "42703", ("0A", "42")
_ASKED = "_bo_asked"
_BEFORE = ("AT_DropNotNull", "AT_DropConstraint")
"""What PostgreSQL does before it changes types; DROP DEFAULT besides."""


class _Found(Enum):
    """What PostgreSQL does to give a column a type: it writes every row, or changes the catalog alone, or has nothing to do."""

    REWRITTEN, IN_PLACE, SAME = range(3)


@dataclass(frozen=True, slots=True)
class Change:
    """One column that gets another type.

    Attributes:
        table: Oid.
        attnum: Its number.
        thing: The column as it is.
        definition: The parser's tree: type, collation and USING.
    """

    table: int
    attnum: int
    thing: Thing
    definition: Any

    @property
    def type(self) -> str:
        """The new type and its collation."""
        text = expressions.type_text(self.definition)
        if not self.definition.HasField("coll_clause"):
            return text
        return f"{text} COLLATE {ident(*[one.string.sval for one in self.definition.coll_clause.collname])}"

    @property
    def using(self) -> Any:
        """The tree of what the new values are made of."""
        if self.definition.HasField("raw_default"):
            return self.definition.raw_default
        return expressions.parsed(ident(str(self.thing["name"])))


@dataclass(frozen=True, slots=True)
class Retyper:
    """Changes the types of columns.

    Attributes:
        work: The client's transaction.
        journal: Adds an entry of a kind: it is given the entry's number, and returns the operation.
        answers: What nobody can compute.
        migration: Number in the journal.
    """

    work: Work
    journal: Callable[[str, Callable[[int], Operation]], None]
    answers: dict[str, str] = field(default_factory=dict)
    migration: int = 0

    def alter_table(self, statement: Statement) -> None:
        """Change types as an ALTER TABLE says, and do the rest of it.

        Raises:
            LinkError: PostgreSQL refuses it.
            Veto: It could not be taken back.
        """
        node = statement.node
        commands = [one.alter_table_cmd for one in node.cmds]
        retypes = [one for one in commands if name_of(one) == "AT_AlterColumnType"]
        first = [one for one in commands if _is_before(one)]
        rest = [one for one in commands if one not in retypes and one not in first]
        if first:
            self.work.run(_text(node, first))
        try:
            there, pinned = self._asked(node, retypes), False
        except LinkError as error:
            if not error.sqlstate.startswith(_NOT_LIKE_THIS):
                raise
            # Hazard: a trigger or an index that was dropped is hidden. PostgreSQL changes no type below the one, and finds that
            # the other's condition does not suit the new type.
            there, pinned = self._asked(node, retypes, without=is_hidden), True
        if not there:
            return  # IF EXISTS, and there is no such table
        for one in retypes:
            self._one(node, one, pinned=pinned)
        if rest:
            self.work.run(_text(node, rest))

    def _asked(
        self, node: Any, retypes: list[Any], *, without: Callable[[str], bool] = lambda _name: False
    ) -> bool:
        """Ask PostgreSQL whether it would do it; tell whether there is such a table.

        No row is read: a command at the end of the statement, which comes before the rows' turn, fails.

        Raises:
            LinkError: It would not.
        """
        work = self.work
        with _tried(work):
            table = self._table(node)
            if table is not None:
                path = work.table_path(table, called="the table")
                for one in work.now.of_table("trigger", table).values():
                    if one["name"].startswith(LAST) or without(one["name"]):
                        work.run(f"DROP TRIGGER {ident(one['name'])} ON {path}")
                for one in work.now.of_table("index", table).values():
                    if without(one["name"]):
                        work.run(f"DROP INDEX {ident(work.schema_name(one['schema']), one['name'])}")
            text = f"{_text(node, retypes)}, ALTER COLUMN {_ASKED} SET STATISTICS 1"
            try:
                work.link.rows(text)
            except LinkError as error:
                if error.sqlstate != _NO_COLUMN or _ASKED not in str(error):
                    raise
                return True
        return False

    def _table(self, node: Any) -> int | None:
        """Return the oid of the table that a statement names."""
        relation = node.relation
        name = ident(*[one for one in (relation.schemaname, relation.relname) if one])
        found = scalar(self.work.link, f"SELECT pg_catalog.to_regclass({literal(name)})::oid::int8")
        table = int(found) if found else None
        return table if table is not None and Key("table", table) in self.work.now.things else None

    def _one(self, node: Any, command: Any, *, pinned: bool) -> None:
        table = self._table(node)
        attnum = self._attnum(table or 0, str(command.name))
        if table is None or attnum is None:
            self.work.run(_text(node, [command]))  # a temporary table: it goes by itself
            return
        change = Change(
            table,
            attnum,
            self.work.now.things[Key("column", table, attnum)],
            getattr(command, "def").column_def,
        )
        if self.work.was(Key("column", table, attnum)) is None:
            self._new(node, command, change)
            return
        found = self._asked_of_copy(change)
        if found is _Found.SAME:
            return  # PostgreSQL would build its indexes anew, and nothing else
        if pinned or found is _Found.REWRITTEN:
            self.journal("column.retyped", lambda number: self._twin(change, number))
        else:
            self.journal("column.retyped", lambda number: self._in_place(node, command, change, number))

    def _attnum(self, table: int, name: str) -> int | None:
        columns = self.work.now.columns(table)
        return next((attnum for attnum, one in columns.items() if one["name"] == name), None)

    def _new(self, node: Any, command: Any, change: Change) -> None:
        """Change the type of a column that this transaction made: nothing of it has to be kept."""
        entry = next(
            (
                one
                for one in journal.entries(self.work.link, (self.migration,), "pending")
                if one.kind == "column.retyped"
                and one.operation.get("new") == change.attnum
                and one.operation["table"] == change.table
            ),
            None,
        )
        with unwatched(self.work, change.table, change.attnum):
            self.work.run(_text(node, [command]))
        if entry is not None:
            given = answers.for_retyped(entry.operation["called"], self.answers)
            between = str(
                change.thing["type_text"]
            )  # by its name of now: another type may have its earlier one
            operation = _or_veto(
                lambda: twin.again(self.work, entry.id, dict(entry.operation), change.using, between, given)
            )
            journal.write(
                self.work.link,
                journal.Entry(entry.id, entry.migration, entry.part, entry.kind, operation, entry.state),
            )

    def _twin(self, change: Change, number: int) -> Operation:
        called = self.work.now.name(Key("column", change.table, change.attnum))
        given = answers.for_retyped(called, self.answers)
        return _or_veto(
            lambda: twin.make(
                self.work, change.table, change.attnum, number, change.type, change.using, given
            )
        )

    def _in_place(self, node: Any, command: Any, change: Change, number: int) -> Operation:
        work, before = self.work, self.work.now
        called = before.name(Key("column", change.table, change.attnum))
        _or_veto(lambda: refuse_family(before, change.table, called))
        given = answers.for_retyped(called, self.answers)
        using = change.using if change.definition.HasField("raw_default") else None
        new_type = expressions.type_text(change.definition)
        operation = _or_veto(
            lambda: in_place.planned(work, change.table, change.attnum, number, using, new_type, given)
        )
        with unwatched(work, change.table, change.attnum):
            work.run(_text(node, [command]))
        told = explained(Difference(before, work.now))
        journal.replace_oids(work.link, {old: new for _, old, new in told["replaces"]})
        return {**operation, **told}

    def _asked_of_copy(self, change: Change) -> _Found:
        """Ask what PostgreSQL would do to rows and catalog, by an empty table of the same columns."""
        work = self.work
        copy = ident(HIDDEN_SCHEMA, _ASKED)
        path = work.table_path(change.table, called="the table")
        column = ident(str(change.thing["name"]))
        using = expressions.over(change.using, lambda name: name)
        with _tried(work):
            work.link.rows(f"CREATE TABLE {copy} (LIKE {path})")
            node = (
                "SELECT pg_catalog.pg_relation_filenode(attrelid) AS node, atttypid, atttypmod, attcollation FROM pg_catalog.pg_attribute "
                f"WHERE attrelid = {literal(copy)}::pg_catalog.regclass AND attname = {literal(str(change.thing['name']))}"
            )
            (before,) = work.link.rows(node)
            work.link.rows(f"ALTER TABLE {copy} ALTER COLUMN {column} TYPE {change.type} USING ({using})")
            (after,) = work.link.rows(node)
        if before["node"] != after["node"]:
            return _Found.REWRITTEN
        return _Found.SAME if before == after else _Found.IN_PLACE


def retypes_column(statement: Statement) -> bool:
    """Tell whether an ALTER TABLE changes the type of a table's column."""
    node = statement.node
    return (
        statement.kind == "alter_table_stmt"
        and node.DESCRIPTOR.fields_by_name["objtype"].enum_type.values_by_number[node.objtype].name
        == "OBJECT_TABLE"
        and any(name_of(one.alter_table_cmd) == "AT_AlterColumnType" for one in node.cmds)
    )


def name_of(command: Any) -> str:
    """Return the parser's name of a command of ALTER TABLE."""
    return str(command.DESCRIPTOR.fields_by_name["subtype"].enum_type.values_by_number[command.subtype].name)


def _is_before(command: Any) -> bool:
    is_drop = name_of(command) == "AT_ColumnDefault" and not command.HasField("def")
    return is_drop or name_of(command) in _BEFORE


def _text(node: Any, commands: list[Any]) -> str:
    """Return an ALTER TABLE with some of its commands alone.

    Hazard: the deparser puts COLLATE behind USING, where it means something else; types are written here.
    """
    rest = [one for one in commands if name_of(one) != "AT_AlterColumnType"]
    copy = type(node)()
    copy.CopyFrom(node)
    del copy.cmds[:]
    for one in rest:
        copy.cmds.add().alter_table_cmd.CopyFrom(one)
    if rest == commands:
        return deparse("alter_table_stmt", copy)
    relation = ident(*[one for one in (node.relation.schemaname, node.relation.relname) if one])
    only = "" if node.relation.inh else "ONLY "
    parts = [_retype_text(one) for one in commands]
    return f"ALTER TABLE {'IF EXISTS ' if node.missing_ok else ''}{only}{relation} {', '.join(parts)}"


def _retype_text(command: Any) -> str:
    change = Change(0, 0, {"name": command.name}, getattr(command, "def").column_def)
    text = f"ALTER COLUMN {ident(command.name)} TYPE {change.type}"
    if change.definition.HasField("raw_default"):
        text += f" USING ({expressions.over(change.using, lambda name: name)})"
    return text


@contextmanager
def _tried(work: Work) -> Iterator[None]:
    """Undo what is done within; `work` sees the catalog as it is again."""
    work.link.rows("SAVEPOINT backout")
    done = len(work.done)
    try:
        yield
    finally:
        work.link.rows("ROLLBACK TO SAVEPOINT backout")
        work.link.rows("RELEASE SAVEPOINT backout")
        del work.done[done:]
        work.forget()


def _or_veto(make: Callable[[], _Made]) -> _Made:
    try:
        return make()
    except (NotHidden, expressions.NotOverColumns) as error:
        raise Veto(
            f"backout cannot undo this change of a type: {error}",
            detail=NOT_COMMITTED,
        ) from None
