"""Where the rows of tables come from that a migration fills, and what its client has read, as far as statements tell."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from backout.databases.postgres.reversible.expressions import NotOverColumns, named, parsed
from backout.databases.postgres.reversible.link import Link, as_login, objects
from backout.databases.postgres.reversible.names import ident, is_hidden
from backout.databases.postgres.reversible.parse import Statement, nodes_of
from backout.databases.postgres.reversible.updates import copied_from, update_of

_OPAQUE = ("do_stmt", "call_stmt", "execute_stmt", "merge_stmt")
_READS = ("select_stmt", "declare_cursor_stmt", "copy_stmt", "insert_stmt", "update_stmt", "delete_stmt")
_SAME_NAMES = ("select_stmt", "insert_stmt", "update_stmt", "delete_stmt", "copy_stmt")
_SYSTEM = ("pg_catalog", "information_schema")
_MORE = {
    "group_clause",
    "having_clause",
    "distinct_clause",
    "window_clause",
    "with_clause",
    "limit_count",
    "limit_offset",
    "values_lists",
}
_COMPUTED = ("SubLink", "ParamRef", "WindowDef")
_RETURNS = {"returning_list", "returning_clause"}


@dataclass(frozen=True, slots=True)
class Pour:
    """What one statement put into a table.

    Attributes:
        sources: Oids of the tables that it reads; None: nobody can tell which.
        values: Trees over the columns of its only source, by the name of the column that gets them, where each row of
            that gives one at the most; None: it is not of that form.
        given: The values are the client's own.
    """

    sources: frozenset[int] | None
    values: dict[str, Any] | None = None
    given: bool = False


@dataclass(slots=True)
class Origins:
    """What all sessions of a migration have seen of it. What was rolled back counts, too: nothing is left out.

    Attributes:
        pours: By the oid of the table that was filled.
        read: Oids of tables from which the client has got rows.
        updated: Numbers of the columns that UPDATEs have set, by the oid of a table that was filled.
    """

    pours: dict[int, list[Pour]] = field(default_factory=dict)
    read: set[int] = field(default_factory=set)
    updated: dict[int, set[int]] = field(default_factory=dict)
    _oids: dict[str, int | None] = field(default_factory=dict)

    def ran(self, link: Link, statement: Statement) -> None:
        """Note what a statement, which has ended well, read and wrote."""
        if statement.kind not in _SAME_NAMES:
            self._oids.clear()
        if statement.kind == "create_table_as_stmt":
            self._made_of(link, statement.node)
        elif statement.kind == "insert_stmt":
            self._inserted(link, statement.node)
        elif statement.kind == "copy_stmt" and statement.node.is_from:
            self._add(self._oid(link, statement.node.relation), Pour(frozenset(), given=True))
        elif statement.kind in _OPAQUE:
            for table in self._mentioned(link, statement):
                self._add(table, Pour(None))
        elif (update := update_of(statement)) is not None:
            for table in self._of_names(link, [update.relation]) & self.pours.keys():
                numbers = _columns(link, table)
                self.updated.setdefault(table, set()).update(numbers[name] for name in update.values)
        if statement.kind in _READS:
            self.read |= self._read_by(link, statement)

    def moved(self, oids: dict[int, int]) -> None:
        """Know tables by other oids: what was seen of them was undone, and done again."""
        for old, new in oids.items():
            for pour in self.pours.pop(old, ()):
                self._add(new, pour)
            self.updated.setdefault(new, set()).update(self.updated.pop(old, ()))
        for table, pours in self.pours.items():
            self.pours[table] = [_with_oids(pour, oids) for pour in pours]

    def takers(self, dropped: int, made: Iterable[int]) -> list[int]:
        """Return the tables, of those that the migration made, that may have rows of one: also by way of others.

        Args:
            dropped: Oid of the one.
            made: Oids of those.
        """
        return [one for one in made if one != dropped and self._has_of(one, dropped, set())]

    def tells_of(self, table: int, column: str) -> bool:
        """Tell whether a table may have got values of a column of another one, which is called so."""
        return any(
            pour.values is None or any(column in named(tree) for tree in pour.values.values())
            for pour in self.pours.get(table, ())
        )

    def _has_of(self, table: int, dropped: int, seen: set[int]) -> bool:
        if table in seen:
            return False
        for pour in self.pours.get(table, ()):
            if pour.sources is None or dropped in pour.sources or (pour.given and dropped in self.read):
                return True
            if any(self._has_of(one, dropped, seen | {table}) for one in pour.sources):
                return True
        return False

    def _add(self, table: int | None, pour: Pour) -> None:
        if table is not None and pour not in (had := self.pours.setdefault(table, [])):
            had.append(pour)

    def _made_of(self, link: Link, node: Any) -> None:
        table = self._oid(link, node.into.rel)
        if table is None or node.into.skip_data:
            return
        names = [one.string.sval for one in node.into.col_names] or [*_columns(link, table)]
        self._add(table, self._pour(link, node.query, names))

    def _inserted(self, link: Link, node: Any) -> None:
        table = self._oid(link, node.relation)
        if table is None:
            return
        names = [one.res_target.name for one in node.cols] or [*_columns(link, table)]
        if node.HasField("on_conflict_clause"):
            self._add(table, Pour(frozenset(self._sources(link, node.select_stmt))))
        else:
            self._add(table, self._pour(link, node.select_stmt, names))

    def _pour(self, link: Link, query: Any, names: list[str]) -> Pour:
        """Return what a query gives to columns."""
        if query.WhichOneof("node") != "select_stmt":
            return Pour(frozenset(), given=True)  # DEFAULT VALUES
        select = query.select_stmt
        sources = frozenset(self._sources(link, query))
        if len(select.values_lists) > 0:
            return Pour(sources, given=True)
        return Pour(sources, self._values(link, select, names) if len(sources) == 1 else None)

    def _values(self, link: Link, select: Any, names: list[str]) -> dict[str, Any] | None:
        """Return the trees of a plain SELECT from one table, or from such a SELECT, whose columns are given one after the other."""
        if not _is_plain(select):
            return None
        if select.from_clause[0].WhichOneof("node") == "range_subselect":
            return self._values_through(link, select, names)
        if next(nodes_of(select, *_COMPUTED), None) is not None:
            return None
        given: list[Any] = []
        for target in (one.res_target.val for one in select.target_list):
            if (
                target.WhichOneof("node") == "column_ref"
                and target.column_ref.fields[-1].WhichOneof("node") == "a_star"
            ):
                table = self._oid(link, select.from_clause[0].range_var)
                every = [*_columns(link, table or 0)]
                # Of a table that is made hidden columns are left out.
                shown = every if len(every) == len(names) else [n for n in every if not is_hidden(n)]
                given += [parsed(ident(name)) for name in shown]
            else:
                given.append(target)
        try:
            for tree in given:
                named(tree)
        except NotOverColumns:
            return None  # of the whole row
        return dict(zip(names, given, strict=False))

    def _values_through(self, link: Link, select: Any, names: list[str]) -> dict[str, Any] | None:
        """Return the trees of a SELECT from another one that only picks columns and rows of it: those without a repeated key, say."""
        inner = select.from_clause[0].range_subselect
        query = inner.subquery.select_stmt
        if inner.lateral or len(inner.alias.colnames) > 0 or not _is_plain(query):
            return None
        if query.from_clause[0].WhichOneof("node") != "range_var":
            return None
        found: dict[str, Any] = {}
        for one in (target.res_target for target in query.target_list):
            name = one.name or copied_from(one.val)
            # What is computed over several rows may pick some of them, and give no value.
            if name is not None and next(nodes_of(one.val, *_COMPUTED), None) is None:
                found[name] = one.val
        outer = [target.res_target.val for target in select.target_list]
        picked = [
            found.get(copied_from(one) or "") for one in outer if one.WhichOneof("node") == "column_ref"
        ]
        return None if len(picked) < len(outer) or None in picked else dict(zip(names, picked, strict=False))

    def _sources(self, link: Link, node: Any) -> set[int]:
        return self._of_names(link, _tables_in(node))

    def _read_by(self, link: Link, statement: Statement) -> set[int]:
        """Return the tables from which a statement has given rows to the client."""
        node = statement.node
        if statement.kind == "copy_stmt" and node.is_from:
            return set()
        writes = statement.kind in ("insert_stmt", "update_stmt", "delete_stmt")
        if writes and not _set_in(node) & _RETURNS:
            return set()
        return self._of_names(link, _tables_in(node))

    def _mentioned(self, link: Link, statement: Statement) -> list[int]:
        from backout.databases.postgres.reversible.session_rows import written_tables

        with as_login(link):
            return written_tables(link, statement)

    def _oid(self, link: Link, relation: Any) -> int | None:
        return next(iter(self._of_names(link, [_name(relation)])), None)

    def _of_names(self, link: Link, names: Iterable[str]) -> set[int]:
        wanted = list(names)
        if new := [one for one in wanted if one not in self._oids]:
            found = objects(
                link,
                "SELECT n AS name, pg_catalog.to_regclass(n)::oid::int8 AS oid FROM pg_catalog.json_array_elements_text($1::json) n",
                [json.dumps(new)],
                again=True,
            )
            self._oids.update({str(one["name"]): one["oid"] for one in found})
        return {oid for one in wanted if (oid := self._oids[one]) is not None}


def _is_plain(select: Any) -> bool:
    """Tell whether a query gives one row at the most for each of the one thing that it reads."""
    is_one = select.op <= 1  # neither UNION nor the like
    reads = [one.WhichOneof("node") for one in select.from_clause]
    return is_one and not _set_in(select) & _MORE and reads in (["range_var"], ["range_subselect"])


def _with_oids(pour: Pour, oids: dict[int, int]) -> Pour:
    if pour.sources is None or not pour.sources & oids.keys():
        return pour
    return replace(pour, sources=frozenset(oids.get(one, one) for one in pour.sources))


def _columns(link: Link, table: int) -> dict[str, int]:
    """Return the numbers of a table's columns by their names, in order."""
    found = objects(
        link,
        f"SELECT attname AS name, attnum FROM pg_catalog.pg_attribute WHERE attrelid = {table} AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
    )
    return {str(one["name"]): one["attnum"] for one in found}


def _tables_in(node: Any) -> Iterator[str]:
    for one in nodes_of(node, "RangeVar"):
        if one.relname and one.schemaname not in _SYSTEM:
            yield _name(one)


def _name(relation: Any) -> str:
    return ident(*(name for name in (relation.schemaname, relation.relname) if name))


def _set_in(node: Any) -> set[str]:
    return {one.name for one, _value in node.ListFields()}
