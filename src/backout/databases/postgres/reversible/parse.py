"""The one place that asks PostgreSQL's own parser (postgast 0.2, which is libpg_query of PostgreSQL 18)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from backout.databases.postgres.reversible.names import ident


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of what a client sent.

    Attributes:
        text: As the client wrote it, without the semicolon.
        kind: Name of the parser's node: ``alter_table_stmt``, ``select_stmt``; empty: nothing but blanks and comments.
        node: The parser's tree of it (a protobuf message); None when empty.
        at: Where `text` begins in what the client sent, in characters, from 0.
        before: What stands before it, behind the one before: blanks and comments.
    """

    text: str
    kind: str
    node: Any
    at: int = 0
    before: str = ""


class NotParsed(Exception):
    """The parser refuses the text; PostgreSQL most likely does, too.

    Attributes:
        at: Place in the text, in characters, from 0.
    """

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


def statements(text: str) -> list[Statement]:
    """Split text into its statements; empty text has none.

    Raises:
        NotParsed: It is not SQL.
    """
    from postgast import PgQueryError, parse

    try:
        found = parse(text)
    except PgQueryError as error:
        raise NotParsed(str(error), max(0, (getattr(error, "cursorpos", 1) or 1) - 1)) from None
    # Hazard: the parser counts bytes, Python characters.
    raw = text.encode()
    made: list[Statement] = []
    ended = 0
    for one in found.stmts:
        start = one.stmt_location
        end = start + one.stmt_len if one.stmt_len else len(raw)
        kind = one.stmt.WhichOneof("node")
        node = getattr(one.stmt, kind) if kind else None
        at, before = len(raw[:start].decode()), raw[ended:start].decode()
        made.append(Statement(raw[start:end].decode(), kind or "", node, at, before))
        ended = end
    return made


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a number, a string or a sign of a text.

    Attributes:
        text: As it stands there.
        at: Where it begins, in characters, from 0.
        end: Where it has ended.
    """

    text: str
    at: int
    end: int


def tokens(text: str) -> list[Token]:
    """Return what a text of SQL or PL/pgSQL consists of, but for blanks and comments.

    Raises:
        NotParsed: A string or a comment in it has no end.
    """
    from postgast import PgQueryError, scan

    try:
        found = scan(text).tokens
    except PgQueryError as error:
        raise NotParsed(str(error), 0) from None
    raw = text.encode()
    ends = [(len(raw[: one.start].decode()), len(raw[: one.end].decode())) for one in found]
    made = [Token(text[at:end], at, end) for at, end in ends]
    return [one for one in made if not one.text.startswith(("--", "/*"))]


def plpgsql(definition: str) -> dict[str, Any]:
    """Return the tree of a body of PL/pgSQL.

    Args:
        definition: The DO, or CREATE FUNCTION, that has it.

    Raises:
        NotParsed: It is not understood.
    """
    from postgast import PgQueryError, parse_plpgsql

    try:
        return dict(parse_plpgsql(definition)[0])
    except (PgQueryError, ValueError, IndexError) as error:
        raise NotParsed(str(error), 0) from None


_WRITERS = ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt")


def written_relations(statement: Statement) -> list[str]:
    """Return the names, quoted, of the relations that a statement inserts into, updates, deletes from or copies into.

    Also where it does so in a WITH clause. What functions, triggers and rules write is not told by a text.
    """
    from postgast import walk

    found = []
    for _field, node in walk(statement.node):
        kind = type(node).__name__
        if kind in _WRITERS or (kind == "CopyStmt" and node.is_from and node.relation.relname):
            found.append(ident(*(name for name in (node.relation.schemaname, node.relation.relname) if name)))
    return found


def called(tree: Any) -> set[str]:
    """Return the names, without their schemas, of the functions that a tree calls."""
    found = {one.funcname[-1].string.sval for one in nodes_of(tree, "FuncCall")}
    return found | ({tree.funccall.funcname[-1].string.sval} if type(tree).__name__ == "CallStmt" else set())


def nodes_in(statement: Statement) -> set[str]:
    """Return the names of the parser's kinds of nodes that a statement consists of."""
    return {type(node).__name__ for node in nodes(statement.node)}


def nodes(tree: Any) -> Iterator[Any]:
    """Yield every node of a tree, the tree itself first."""
    from postgast import walk

    return (node for _field, node in walk(tree))


def nodes_of(tree: Any, *kinds: str) -> Iterator[Any]:
    """Yield every node of some kinds within a tree: ``RangeVar``, ``ColumnRef``."""
    from postgast import walk

    for _field, one in walk(tree):
        if type(one).__name__ in kinds:
            yield one


def cascades(statement: Statement) -> bool:
    """Tell whether a statement says CASCADE."""
    node = statement.node
    field = node.DESCRIPTOR.fields_by_name["behavior"]
    return bool(field.enum_type.values_by_number[node.behavior].name == "DROP_CASCADE")


def deparse(kind: str, node: Any) -> str:
    """Return the text of a tree, for what is run instead of what the user wrote."""
    from postgast import ParseResult
    from postgast import deparse as text_of

    tree = ParseResult()
    getattr(tree.stmts.add().stmt, kind).CopyFrom(node)
    return str(text_of(tree))


def with_columns(check: str, names: dict[str, str]) -> str:
    """Return a constraint's text (``CHECK (…)``, ``EXCLUDE …``), its columns with other names.

    Args:
        check: As `pg_get_constraintdef` prints it: columns without their table.
        names: New ones by old ones; others stay.
    """
    if all(old == new for old, new in names.items()) and _CAST_LIST not in check:
        return check
    head = "ALTER TABLE t ADD "
    (statement,) = statements(f"{head}{check}")
    _keep_casts(statement.node)
    _rename_columns(statement.node, names)
    _rename_keys(statement.node, names)
    return deparse(statement.kind, statement.node).removeprefix(head)


def as_printed(text: str, *, head: str = "SELECT ") -> str:
    """Return an expression, or a query, that PostgreSQL has printed, so that it reads the same one from it.

    Args:
        text: As `pg_get_expr` prints it, or `pg_get_viewdef`.
        head: What makes a statement of it; of a query nothing.
    """
    if _CAST_LIST not in text:
        return text
    (statement,) = statements(f"{head}{text}")
    _keep_casts(statement.node)
    return deparse(statement.kind, statement.node).removeprefix(head)


def index_of(
    definition: str, schema: str, table: str, names: dict[str, str], *, name: str | None = None
) -> str:
    """Return a CREATE INDEX for a table of another name, its columns with other names.

    Args:
        definition: As it was.
        schema: Of the table.
        table: Its name.
        names: New names of columns by old ones; others stay.
        name: Of the index, if it shall have another, and be built CONCURRENTLY.
    """
    (statement,) = statements(definition)
    node = statement.node
    if name is not None:
        node.idxname, node.concurrent = name, True
    _keep_casts(node)
    of_all, node.relation.inh = (
        node.relation.inh,
        True,
    )  # that of a partitioned table is printed as if of that alone
    same = name is None and _CAST_LIST not in definition and all(old == new for old, new in names.items())
    same = same and of_all
    if same and (node.relation.schemaname, node.relation.relname) == (schema, table):
        return definition
    node.relation.schemaname, node.relation.relname = schema, table
    for one in (*node.index_params, *node.index_including_params):
        if one.index_elem.name:
            one.index_elem.name = names.get(one.index_elem.name, one.index_elem.name)
    _rename_columns(node, names)
    return deparse(statement.kind, node)


def keys_of(index: str) -> str:
    """Return the query of what an index has as its keys, `k1` and so on, in the rows that it is about.

    Args:
        index: Its CREATE INDEX, with the names of now.
    """
    (made,) = statements(index)
    node = made.node
    table = ident(node.relation.schemaname, node.relation.relname)
    names = [f"{ident(one.index_elem.name or '?')} AS k{at}" for at, one in enumerate(node.index_params, 1)]
    (query,) = statements(f"SELECT {', '.join(names)} FROM {table}")
    for one, target in zip(node.index_params, query.node.target_list, strict=True):
        if not one.index_elem.name:
            target.res_target.val.CopyFrom(one.index_elem.expr)
    if node.HasField("where_clause"):
        query.node.where_clause.CopyFrom(node.where_clause)
    return deparse(query.kind, query.node)


def _rename_columns(node: Any, names: dict[str, str]) -> None:
    for one in _column_refs(node):
        if len(one.fields) == 1 and one.fields[0].WhichOneof("node") == "string":
            one.fields[0].string.sval = names.get(one.fields[0].string.sval, one.fields[0].string.sval)


def _rename_keys(node: Any, names: dict[str, str]) -> None:
    """Rename the columns that are keys of an exclusion constraint, where they stand for themselves."""
    from postgast import walk

    for _field, one in list(walk(node)):
        if type(one).__name__ == "IndexElem" and one.name:
            one.name = names.get(one.name, one.name)


_CAST_LIST = "])::"


def _keep_casts(node: Any) -> None:
    """Have PostgreSQL understand what it prints for `x IN ('a', 'b')` of a varchar as what it was.

    Hazard: it prints ``(ARRAY['a'::varchar])::text[]``, and reads that as ``ARRAY[('a'::varchar)::text]``: the same
    answers, but another text from then on. With the type between it does not. Source: PostgreSQL 15 and 18,
    src/backend/parser/parse_expr.c, `transformTypeCast`.
    """
    from postgast import walk

    for _field, one in list(walk(node)):
        if type(one).__name__ != "TypeCast" or one.arg.WhichOneof("node") != "a_array_expr":
            continue
        elements = list(one.arg.a_array_expr.elements)
        inner = [e.type_cast.type_name for e in elements if e.WhichOneof("node") == "type_cast"]
        if not inner or len(inner) < len(elements) or any(t.names != inner[0].names for t in inner):
            continue
        between = type(one)()
        between.arg.CopyFrom(one.arg)
        between.type_name.CopyFrom(inner[0])
        between.type_name.array_bounds.add().integer.ival = -1
        one.arg.type_cast.CopyFrom(between)


def _column_refs(message: Any) -> Iterator[Any]:
    """Yield every reference to a column within a tree."""
    if message.DESCRIPTOR.name == "ColumnRef":
        yield message
        return
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for one in (value,) if hasattr(value, "ListFields") else value:
                yield from _column_refs(one)


def object_of(statement: Statement) -> str:
    """Return what a DROP drops, as the parser names it: ``OBJECT_TABLE``."""
    node = statement.node
    field = node.DESCRIPTOR.fields_by_name["remove_type"]
    return str(field.enum_type.values_by_number[node.remove_type].name)


def is_of_table(statement: Statement) -> bool:
    """Tell whether a statement is an ALTER TABLE, and no ALTER TYPE of attributes, which the parser tells as one."""
    if statement.kind != "alter_table_stmt":
        return False
    field = statement.node.DESCRIPTOR.fields_by_name["objtype"]
    return str(field.enum_type.values_by_number[statement.node.objtype].name) != "OBJECT_TYPE"


_NO_NAMES = ("comment", "vals", "new_val", "old_val")
"""Fields whose texts are for people, or labels of an enum."""


def names_told(statement: Statement) -> Iterator[str]:
    """Yield the names that a statement changes something by; of one that writes rows those of their tables alone."""
    from postgast import walk

    if statement.kind in ("insert_stmt", "update_stmt", "delete_stmt", "merge_stmt", "select_stmt"):
        for _field, node in walk(statement.node):
            if type(node).__name__ in _WRITERS:
                yield from _names(node.relation)
    elif statement.kind == "copy_stmt":
        yield from _names(statement.node.relation) if statement.node.is_from else ()
    elif statement.node is not None and statement.kind != "transaction_stmt":
        yield from _names(statement.node)


def _names(node: Any) -> Iterator[str]:
    if node.DESCRIPTOR.name in ("A_Const", "RoleSpec") or (
        node.DESCRIPTOR.name == "DefElem" and node.defname == "as"
    ):
        return
    for field, value in node.ListFields():
        if field.name in _NO_NAMES:
            continue
        for one in value if field.is_repeated else [value]:
            if isinstance(one, str):
                yield one
            elif field.message_type is not None:
                yield from _names(one)
