"""What runs instead of a statement that would destroy something.

First PostgreSQL itself is asked, in a savepoint that is rolled back, whether it would do it and what would go; then the
same things are hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

from backout.databases.postgres.reversible import constraints, following, primary, side_table, textual
from backout.databases.postgres.reversible.answer_tried import answer_tried
from backout.databases.postgres.reversible.answers import (
    accepting,
    as_it_was,
    for_column,
    for_retyped,
    kept_beside,
    not_beside,
    of,
)
from backout.databases.postgres.reversible.built import KEY_DROPPED
from backout.databases.postgres.reversible.difference import Change, Difference, differences_of
from backout.databases.postgres.reversible.effects.base import Operation
from backout.databases.postgres.reversible.effects.identity import dropped as identity_dropped
from backout.databases.postgres.reversible.effects.index import parts_of as parts_of_index
from backout.databases.postgres.reversible.effects.index import rename_parts
from backout.databases.postgres.reversible.explain import origins
from backout.databases.postgres.reversible.expressions import NotOverColumns
from backout.databases.postgres.reversible.families import leave
from backout.databases.postgres.reversible.functions import hide_function, path_of
from backout.databases.postgres.reversible.hide import NotHidden, hide_column, rename
from backout.databases.postgres.reversible.in_keys import speaks_of
from backout.databases.postgres.reversible.journal import Entry
from backout.databases.postgres.reversible.journal import drop as not_journalled
from backout.databases.postgres.reversible.journal import entries as journalled
from backout.databases.postgres.reversible.link import LinkError
from backout.databases.postgres.reversible.manners import in_a_transaction
from backout.databases.postgres.reversible.names import (
    hidden,
    ident,
    is_hidden,
)
from backout.databases.postgres.reversible.origins import Origins
from backout.databases.postgres.reversible.own_types import hide_type, kept_between
from backout.databases.postgres.reversible.parse import Statement, is_of_table, object_of
from backout.databases.postgres.reversible.passes import DROP_COLUMN, subtype
from backout.databases.postgres.reversible.proxy.keeper import Veto
from backout.databases.postgres.reversible.rebuilt import NotPaired, paired
from backout.databases.postgres.reversible.relatives import below, why_not_one
from backout.databases.postgres.reversible.schemas import hide_schema
from backout.databases.postgres.reversible.sequences import hide_sequence
from backout.databases.postgres.reversible.snapshot import Key, Snapshot
from backout.databases.postgres.reversible.tables import hide_table, word_of
from backout.databases.postgres.reversible.taken_over import Reader, hide_taken, through
from backout.databases.postgres.reversible.temporary import temporary
from backout.databases.postgres.reversible.textual import is_textual
from backout.databases.postgres.reversible.together import take, take_parts, take_views, take_with_parts
from backout.databases.postgres.reversible.triggers import can_be_hidden, hide_trigger
from backout.databases.postgres.reversible.twin import dropped, unmake
from backout.databases.postgres.reversible.unhidden import STILL_NEEDED, drop_hidden
from backout.databases.postgres.reversible.verdict import made_anew
from backout.databases.postgres.reversible.views import drop as drop_views
from backout.databases.postgres.reversible.views import in_order, is_view
from backout.databases.postgres.reversible.work import Work

_TRY = "_bo_try"
_WORDS = {"statistics object": "STATISTICS"}
_HIDES = (
    "OBJECT_TABLE",
    "OBJECT_FOREIGN_TABLE",
    "OBJECT_INDEX",
    "OBJECT_SEQUENCE",
    "OBJECT_TYPE",
    "OBJECT_DOMAIN",
    "OBJECT_TRIGGER",
    "OBJECT_FUNCTION",
    "OBJECT_PROCEDURE",
    "OBJECT_ROUTINE",
    "OBJECT_SCHEMA",
    "OBJECT_AGGREGATE",
)

_WITH_ROWS = ("OBJECT_TABLE", "OBJECT_INDEX", "OBJECT_SEQUENCE")


@dataclass(frozen=True, slots=True)
class Softer:
    """Does what a statement asks, so that it can be taken back.

    Attributes:
        work: The client's transaction.
        journal: Adds an entry of a kind: it is given the entry's number, and returns the operation.
        answers: What nobody can compute, by ``table.column``.
        begun: The catalog when the transaction began: what came since is dropped, for nobody has written into it.
        twins: Tells by a table's oid which of its columns are in the place of one whose type the transaction has changed,
            and that change.
        readers: Tells by a table's oid, a column's number and those of all, which may have its values.
        origins: Where rows come from.
        made: Returns oids of the tables that the migration has made.
        rewrite: Gives each journalled column of the transaction that others took over another operation.
        migration: Number in the journal; 0: none.
    """

    work: Work
    journal: Callable[[str, Callable[[int], Operation]], None]
    answers: dict[str, str]
    begun: Snapshot
    twins: Callable[[int], Mapping[int, Entry]]
    readers: Callable[[int, int, Collection[int]], list[Reader]]
    origins: Origins
    made: Callable[[], Collection[int]]
    rewrite: Callable[[int, Callable[[int, Operation], Operation]], None]
    migration: int = 0

    def alter_table(self, statement: Statement) -> None:
        """Hide the columns that an ALTER TABLE drops, which does nothing else.

        Raises:
            LinkError: PostgreSQL refuses it.
            Veto: It would take away what cannot be hidden.
        """
        if self._is_temporary(statement):
            return
        before = self.work.now
        gone = self._tried(in_a_transaction(statement))
        views = take_views(gone)
        columns = [c.key for c in gone.gone("column")]
        for key in columns:
            gone.take(key)
            take_parts(gone, key)
        for key in columns:
            why = None if before.things[key]["inherited"] else why_not_one(before, key.oid, key.sub)
            if why is not None and key in self.begun.things:
                raise Veto(
                    f"backout cannot hide this: {before.name(key)} {why}",
                    detail="So dropping it could not be undone.",
                )
        self._drop_policies(gone)
        triggers = take(gone, "trigger")
        self._refuse_left(gone, statement)
        self._drop_views(views)
        self._hide_triggers(triggers)
        for key in columns:
            if before.things[key]["inherited"]:
                continue  # it goes with that which it has it from
            if key.sub in self.twins(key.oid):
                self._drop_twin(key)
            elif key not in self.begun.things:
                self._drop_new(key)
            elif not is_hidden(before.things[key]["name"]):
                self._drop_column(key)

    def drop_identity(self, statement: Statement) -> None:
        """Drop identities as an ALTER TABLE says, which does nothing else; where they have come to is kept.

        Raises:
            LinkError: PostgreSQL refuses it.
        """
        if self._is_temporary(statement):
            return
        gone = self._tried(statement.text)
        keys = [c.key for c in gone.changed("column", "identity") if not c.thing["inherited"]]
        for key in keys:
            self.journal("identity", partial(self._drop_identity, key))

    def _drop_identity(self, key: Key, _change: int) -> Operation:
        path = self.work.table_path(key.oid, called="the table")
        name = ident(self.work.now.things[key]["name"])
        run = f"ALTER TABLE {path} ALTER COLUMN {name} DROP IDENTITY"
        return identity_dropped(self.work, key.oid, key.sub, run)

    def drop(self, statement: Statement) -> None:
        """Hide what a DROP names and all that goes with it; a unique index is dropped.

        Raises:
            LinkError: PostgreSQL refuses it.
            Veto: It would take away what cannot be hidden.
        """
        if object_of(statement) in _WITH_ROWS and self._is_temporary(statement):
            return
        gone = self._tried(in_a_transaction(statement))
        views = take_views(gone)
        self._unpublish(gone)
        tables, types, columns = take_with_parts(gone)
        # Those below first, as they stay what they are where all of them go.
        tables.sort(key=lambda key: len(below(gone.before, key.oid)))
        self._drop_policies(gone)
        self._drop_uses(gone)
        triggers, rest = take(gone, "trigger"), take(gone, "index", "sequence", "function")
        schemas = take(gone, "schema")
        self._refuse_left(gone, statement)
        self._drop_views(views)
        self._hide_triggers(triggers)
        parts = [key for key in rest if Key("index", gone.before.things[key].get("parent") or 0) in rest]
        going = {key.oid for key in tables}
        # A schema is empty when all else has gone to the hidden one.
        for key in (*columns, *tables, *rest, *types, *schemas):
            # A part of an index goes with that, an inherited column with the one that it has it from.
            if key not in parts and not (key.kind == "column" and gone.before.things[key]["inherited"]):
                self._drop_one(key, going)

    def _drop_one(self, key: Key, going: Collection[int]) -> None:
        kind = key.kind
        if kind == "column" and key.sub in self.twins(key.oid):
            self._drop_twin(key)
            return
        if self._first(key) not in self.begun.things or self._is_made_again(key):
            self._drop_new(key)
            return
        if kind == "index" and self.work.now.things[key]["unique"]:
            self.journal(KEY_DROPPED, partial(self._drop_unique, key))
            return
        if kind == "table":
            self._drop_new_of(key.oid)
        if kind == "column":
            self._drop_column(key)
            return
        hides: dict[str, Callable[[Key, int], Operation]] = {
            "table": partial(self._hide_table, going),
            "index": self._hide_index,
            "type": self._hide_type,
            "sequence": self._hide_sequence,
            "function": self._hide_function,
            "schema": self._hide_schema,
        }
        self.journal(f"{kind}.hidden", partial(hides[kind], key))

    def _first(self, key: Key) -> Key:
        """Return the index in whose place PostgreSQL has put one, with the type of its column; else what is asked for."""
        if key.kind != "index" or key in self.begun.things:
            return key
        return origins(journalled(self.work.link, (self.migration,), "pending")).get(key, key)

    def _is_made_again(self, key: Key) -> bool:
        """Tell whether something is dropped for real, as the difference before the COMMIT tells all of it."""
        now = self.work.now
        return key.kind == "index" and is_view(now, now.things[key]["table"])

    def _tried(self, text: str) -> Difference:
        """Return what a statement would take away; nothing of it stays.

        Where PostgreSQL refuses it because of something that depends on it, what is hidden already is dropped first: the
        plain database would not have that any more.
        """
        before, link = self.work.now, self.work.link
        link.rows(f"SAVEPOINT {_TRY}")
        try:
            return Difference(before, self._once(text))
        except LinkError as error:
            if error.sqlstate != STILL_NEEDED:
                raise
            link.rows(f"ROLLBACK TO SAVEPOINT {_TRY}")
            drop_hidden(link, before)
            before = self.work.read()
            return Difference(before, self._once(text))
        finally:
            link.rows(f"ROLLBACK TO SAVEPOINT {_TRY}")
            link.rows(f"RELEASE SAVEPOINT {_TRY}")

    def _once(self, text: str) -> Snapshot:
        self.work.link.rows(text)
        return self.work.read()

    def _drop_views(self, views: list[int]) -> None:
        """Drop the views that go by CASCADE for real: they are made again from what the catalog tells of them."""
        if views:
            drop_views(self.work, in_order(self.work.now, views))

    def _drop_policies(self, gone: Difference) -> None:
        """Drop what CASCADE takes that holds no data (policies, rules, …): the difference tells before the COMMIT how it was."""
        for change in [*gone.gone("policy"), *[c for c in gone.left.values() if _is_textual(gone, c)]]:
            gone.take(change.key)
            self._drop_new(change.key)

    def _unpublish(self, gone: Difference) -> None:
        """Take the tables that go out of publications: the difference tells before the COMMIT what was published."""
        lost = {c.key.oid for c in gone.left.values() if c.key.kind == "table" and c.after is None}
        for change in list(gone.changed("publication", "members")):
            for oid, *_rest in (change.before or {})["members"]:
                if oid in lost:
                    path = self.work.table_path(oid, called=change.thing["name"])
                    self.work.run(f"ALTER PUBLICATION {ident(change.thing['name'])} DROP TABLE {path}")
            gone.take(change.key, "members")

    def _drop_uses(self, gone: Difference) -> None:
        """Drop the defaults and CHECKs that CASCADE takes: the difference tells before the COMMIT how they were."""
        for change in list(gone.changed("column", "default")):
            if change.thing["default"] is None and not change.thing["generated"]:
                path = self.work.table_path(change.key.oid, called=change.thing["name"])
                self.work.run(f"ALTER TABLE {path} ALTER COLUMN {ident(change.thing['name'])} DROP DEFAULT")
                gone.take(change.key, "default")
        for change in list(gone.gone("constraint")):
            if change.thing["kind"] == "c" and change.thing["table"]:
                gone.take(change.key)
                self._drop_new(change.key)

    def _hide_triggers(self, triggers: list[Key]) -> None:
        for key in triggers:
            if key in self.begun.things:
                self.journal("trigger.hidden", partial(self._hide_trigger, key))
            else:
                self._drop_new(key)

    def _refuse_left(self, gone: Difference, statement: Statement) -> None:
        """Veto a statement that takes away more than can be hidden."""
        left = [
            f"{change.key.kind} {gone.before.name(change.key)}"
            for change in gone.left.values()
            if change.before is not None and change.key in self.begun.things
        ]
        if left:
            raise Veto(
                f"backout cannot yet undo this statement: {' '.join(statement.text.split())[:200]}",
                detail=f"It would also take away or change: {', '.join(sorted(left)[:10])}.",
            )

    def _drop_new_of(self, table: int) -> None:
        """Drop what the transaction has made of a table that was there, in whose place nothing is seen when it comes back.

        A column with another type than before is no such thing, nor what stands over it: it was there.
        """
        twins = set(self.twins(table))
        for kind in ("policy", "trigger", "constraint", "index", "column"):
            for key, one in self.work.now.things.items():
                if key.kind != kind or one["table"] != table:
                    continue
                columns = {key.sub} if kind == "column" else set(one.get("columns") or ())
                ours = key in self.begun.things or is_hidden(str(one["name"])) or columns & twins
                if not ours:
                    self._drop_new(key)

    def _drop_new(self, key: Key) -> None:
        """Drop what the transaction has made itself, unless it went with another."""
        now = self.work.now
        if key not in now.things:
            return
        called = now.name(key)
        name = ident(now.things[key]["name"])
        if key.kind == "column":
            path = self.work.table_path(key.oid, called=called)
            self.rewrite(key.oid, partial(self._through, key))
            self.work.run(f"ALTER TABLE {path} DROP COLUMN {name} CASCADE")
        elif key.kind in ("trigger", "policy", "rule"):
            path = self.work.table_path(now.things[key]["table"], called=called)
            self.work.run(f"DROP {key.kind.upper()} {name} ON {path}")
        elif key.kind == "constraint":
            path = self.work.table_path(now.things[key]["table"], called=called)
            self.work.run(f"ALTER TABLE {path} DROP CONSTRAINT {name} CASCADE")
        elif key.kind == "function":
            self.work.run(f"DROP ROUTINE {path_of(self.work, key.oid, called)} CASCADE")
        elif key.kind == "schema":
            self.work.run(f"DROP SCHEMA {name}")  # what is hidden must not go with it
        elif key.kind != "type" or not kept_between(self.work, key.oid, called):
            path = self.work.path(key.kind, key.oid, called=called)
            word = word_of(now.things[key]) if key.kind == "table" else _WORDS.get(key.kind, key.kind.upper())
            self.work.run(f"DROP {word} {path} CASCADE")

    def _is_temporary(self, statement: Statement) -> bool:
        """Run a statement about what is temporary as it is: it goes with the session, and no way back knows it.

        Raises:
            Veto: It is about other things, too.
        """
        kept = temporary(self.work.link, statement)
        if True not in kept:
            return False
        if False in kept:
            raise Veto(
                f"backout cannot yet undo this statement: {' '.join(statement.text.split())[:200]}",
                detail="It drops what is temporary together with what is not.",
                hint="Make two statements of it.",
            )
        self.work.run(statement.text)
        return True

    def _drop_unique_of(self, column: Key) -> None:
        """Drop the unique indexes that read a column in an expression or condition: hidden, they would refuse new rows.

        One with the column itself among its keys does not, as that is NULL then, and never the same.
        """
        for key, one in self.work.now.of_table("index", column.oid).items():
            if one["unique"] and speaks_of(one, column.sub) and column.sub not in one["columns"]:
                if key in self.begun.things:
                    self.journal(KEY_DROPPED, partial(self._drop_unique, key))
                else:
                    self._drop_new(key)

    def _drop_column(self, key: Key) -> None:
        """Hide a column, or keep its values in a table beside, as it is told of its table; not where others take its values over."""
        now = self.work.now
        called = now.name(key)
        taken = bool(self._readers(key)) or for_retyped(called, self.answers).back is not None
        if kept_beside(now.name(Key("table", key.oid)), self.answers) and not taken:
            self.journal(following.ASIDE, partial(self._set_aside, key))
            return
        self._drop_unique_of(key)
        self.journal("column.hidden", partial(self._hide_column, key))

    def _set_aside(self, key: Key, change: int) -> Operation:
        now, table = self.work.now, self.work.now.name(Key("table", key.oid))
        called, answer = now.name(key), of(now.name(key), self.answers)
        told: Operation = {"table": key.oid, "attnum": key.sub, "called": called}
        if answer is not None:
            # Now, as long as it is there.
            answer_tried(self.work.link, told | {"fill": answer})
            told["answer"] = answer
        try:
            record = side_table.set_aside(self.work, key.oid, key.sub, change, self.migration)
        except NotHidden as error:
            raise not_beside(table, str(error)) from None
        for_column(record, self.answers)
        return told | {"hidden": record, "explains": record.pop("explains")}

    def _drop_twin(self, key: Key) -> None:
        """Hide the column whose type the transaction has changed, for the one that took its place."""
        entry, readers = self.twins(key.oid)[key.sub], self._readers(key)
        unmake(self.work, entry.id, entry.operation)
        not_journalled(self.work.link, entry.id)
        old = Key("column", key.oid, entry.operation["old"])
        self._drop_unique_of(old)
        self.journal(
            "column.hidden",
            lambda change: dropped(self._hide_column(old, change, readers), entry.operation),
        )

    def _hide_column(self, key: Key, change: int, readers: list[Reader] | None = None) -> Operation:
        called = self.work.now.name(key)
        given = for_retyped(called, self.answers)
        readers = self._readers(key) if readers is None else readers
        if not self.work.now.things[key]["generated"] and (readers or given.back is not None):
            return _or_veto(lambda: hide_taken(self.work, key.oid, key.sub, change, readers, given))
        marked = of(called, self.answers) is not None
        moved = self._moved_to(key)
        record = _or_veto(lambda: hide_column(self.work, key.oid, key.sub, change, marked=marked, gone=True))
        return {"hidden": record} | primary.kept_by(record) | ({"moved": moved} if moved else {})

    def _moved_to(self, key: Key) -> list[str]:
        """Return the tables that the migration has made and that may have a column's values."""
        now, name = self.work.now, str(self.work.now.things[key]["name"])
        takers = self.origins.takers(key.oid, self.made())
        return [now.name(Key("table", one)) for one in takers if self.origins.tells_of(one, name)]

    def _through(self, key: Key, change: int, operation: Operation) -> Operation:
        """Have a column that another one took over, which is dropped now, computed from those that took over that one."""
        given = for_retyped(self.work.now.name(key), self.answers)
        return _or_veto(
            lambda: through(self.work, key.oid, key.sub, change, operation, self._readers(key), given)
        )

    def _readers(self, key: Key) -> list[Reader]:
        visible = [n for n, one in self.work.now.columns(key.oid).items() if not is_hidden(str(one["name"]))]
        return self.readers(key.oid, key.sub, visible)

    def _hide_table(self, going: Collection[int], key: Key, change: int) -> Operation:
        parents = self.work.now.things[key]["parents"] or ()
        stays = all(parent in going for parent in parents)
        takers = self.origins.takers(key.oid, self.made())
        told: Operation = {}
        if as_it_was(self.work.now.name(key), self.answers):
            told = {"left": takers}
        elif takers:
            told = {"rebuilt": self._paired(key, takers, change), "table": key.oid}
        return {"hidden": _or_veto(lambda: hide_table(self.work, key.oid, change, stays=stays))} | told

    def _paired(self, key: Key, takers: list[int], change: int) -> Operation:
        now, pours = self.work.now, self.origins.pours.get(takers[0], [])
        try:
            if len(takers) > 1 or len(pours) != 1:
                raise NotPaired(
                    "more than one statement, or one that cannot be read, has filled what has its rows"
                )
            return paired(self.work, key.oid, takers[0], change, pours[0], self.answers)
        except (NotPaired, NotOverColumns) as error:
            called, names = now.name(key), [now.name(Key("table", one)) for one in takers]
            raise made_anew(called, names, str(error), or_else=accepting(called, names)) from None

    def detach(self, statement: Statement) -> None:
        """Detach a partition as an ALTER TABLE says, and keep what tells its rows.

        Raises:
            LinkError: PostgreSQL refuses it.
        """
        gone = self._tried(statement.text)
        for key in [c.key for c in gone.changed("table", "bound")]:
            self.journal("partition.detached", partial(self._detach, key))

    def _detach(self, key: Key, _change: int) -> Operation:
        before, called = self.work.now, self.work.now.name(key)
        family = leave(self.work, key.oid)
        explains = differences_of(before, self.work.now, {key.oid})
        return {"table": key.oid, "called": called, "family": family, "explains": explains}

    def _hide_index(self, key: Key, change: int) -> Operation:
        one = self.work.now.things[key]
        called = self.work.now.name(key)
        told: Operation = {
            "oid": key.oid,
            "called": called,
            "name": (self.work.was(self._first(key)) or one)["name"],
            "table": one["table"],
            "parts": parts_of_index(self.work.now, self.begun, key.oid),
        }
        rename(self.work, "index", key.oid, hidden(change), called=called)
        rename_parts(self.work, told, change)
        renamed = [key.oid, *(oid for oid, _name in told["parts"])]
        return told | {"explains": [["index", oid, 0, ["name"]] for oid in renamed]}

    def _drop_unique(self, key: Key, change: int) -> Operation:
        now = self.work.now
        one, called = now.things[key], now.name(key)
        if not constraints.can_be_built_again(now, one):
            raise Veto(
                f"backout cannot yet undo dropping the unique index {called}",
                detail="The way back would have to build it anew, which it can for an index of the kind btree of a table "
                "by itself, that is neither a replica identity nor what the table is clustered on.",
            )
        first = self._first(key)
        was = self.work.was(first) or one
        self._drop_new(key)
        return {
            "called": called,
            "table": one["table"],
            "made": constraints.index_kept(was, self.work.begun or now),
            "explains": [["index", first.oid, 0, []]],
        }

    def _hide_trigger(self, key: Key, change: int) -> Operation:
        one, called = self.work.now.things[key], self.work.now.name(key)
        if not can_be_hidden(self.work.now, one):
            raise Veto(
                f"backout cannot yet undo dropping the trigger {called}",
                detail="It is a constraint's, or of a view, a partition or a table that others inherit from.",
            )
        told = {"oid": key.oid, "called": called, "table": one["table"], "name": one["name"]}
        state = hide_trigger(self.work, told, change)
        was = self.work.was(key) or one
        explains = [["trigger", key.oid, 0, ["name", "enabled"]]]
        return told | {"name": was["name"], "enabled": state, "explains": explains}

    def _hide_function(self, key: Key, change: int) -> Operation:
        one = self.work.now.things[key]
        if one["definition"] is None and not one["aggregate"]:
            raise Veto(
                f"backout cannot yet undo dropping the aggregate {self.work.now.name(key)}",
                detail="Aggregates of ordered sets are not hidden yet.",
            )
        return self._move_away(key, change, hide_function)

    def _hide_type(self, key: Key, change: int) -> Operation:
        return self._move_away(key, change, hide_type)

    def _hide_sequence(self, key: Key, change: int) -> Operation:
        return self._move_away(key, change, hide_sequence)

    def _hide_schema(self, key: Key, change: int) -> Operation:
        called = (self.work.was(key) or self.work.now.things[key])["name"]
        hide_schema(self.work, key.oid, change)
        return {"oid": key.oid, "called": called, "explains": [[*key, ["name"]]]}

    def _move_away(self, key: Key, change: int, hide: Callable[[Work, int, int, str], None]) -> Operation:
        """Hide what goes to the hidden schema by its number alone."""
        called, was = self.work.now.name(key), self.work.was(key) or self.work.now.things[key]
        hide(self.work, key.oid, change, called)
        return {
            "oid": key.oid,
            "called": called,
            "name": was["name"],
            "schema": was["schema"],
            "explains": [[*key, ["name", "schema"]]],
        }


def drops_column(statement: Statement) -> bool:
    """Tell whether an ALTER TABLE drops a column of a table."""
    return is_of_table(statement) and any(subtype(c) == DROP_COLUMN for c in statement.node.cmds)


def is_softened_drop(statement: Statement) -> bool:
    """Tell whether a DROP names what can be hidden."""
    return statement.kind == "drop_stmt" and object_of(statement) in _HIDES


def _is_textual(gone: Difference, change: Change) -> bool:
    return change.after is None and change.key.kind in textual.KINDS and is_textual(gone.before, change.key)


def _or_veto(hide: Callable[[], Operation]) -> Operation:
    try:
        return hide()
    except (NotHidden, NotOverColumns) as error:
        raise Veto(
            f"backout cannot hide this: {error}", detail="So dropping it could not be undone."
        ) from None
