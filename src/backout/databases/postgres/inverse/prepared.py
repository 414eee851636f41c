"""A prepared down in a file: its statements, if they can be one transaction. Pure."""

from __future__ import annotations

from backout.databases.postgres.reversible.manners import has_to_be_alone, manner_of
from backout.databases.postgres.reversible.parse import NotParsed, Statement, statements
from backout.databases.postgres.reversible.proxy.keeper import Manner
from backout.errors import UsageError
from backout.message import Message, msg

_TRANSACTION = "transaction_stmt"
_BEGINS, _ENDS = ("TRANS_STMT_BEGIN", "TRANS_STMT_START"), ("TRANS_STMT_COMMIT",)
_SHOWN = 60


def prepared(text: str, name: str) -> tuple[str, ...]:
    """Return the statements of a file without the BEGIN and COMMIT around all of it, where they stand there.

    Args:
        text: What is in the file.
        name: What it is called, for people.

    Raises:
        UsageError: It is not SQL, or cannot run in one transaction.
    """
    try:
        found = [one for one in statements(text) if one.kind]
    except NotParsed as error:
        raise _unusable(
            msg(
                "{file} is not SQL, line {line}: {why}", file=name, line=_line(text, error.at), why=str(error)
            )
        ) from None
    if len(found) > 1 and _word(found[0]) in _BEGINS and _word(found[-1]) in _ENDS:
        found = found[1:-1]
    if not found:
        raise _unusable(msg("{file} has no statement", file=name))
    for one in found:
        line = _line(text, one.at + len(one.text) - len(one.text.lstrip()))
        if one.kind == _TRANSACTION:
            raise _unusable(
                msg(
                    "{file} has a transaction of its own within it, line {line}: {statement}. It is run as one transaction, and only all of it may stand between BEGIN and COMMIT",
                    file=name,
                    line=line,
                    statement=_short(one),
                )
            )
        if manner_of(one) is Manner.ALONE or has_to_be_alone(one):
            raise _unusable(
                msg(
                    "{file} has a statement that cannot run in a transaction, line {line}: {statement}",
                    file=name,
                    line=line,
                    statement=_short(one),
                )
            )
    return tuple(one.text.strip() for one in found)


def _word(statement: Statement) -> str:
    if statement.kind != _TRANSACTION:
        return ""
    node = statement.node
    return str(node.DESCRIPTOR.fields_by_name["kind"].enum_type.values_by_number[node.kind].name)


def _line(text: str, at: int) -> int:
    return text[:at].count("\n") + 1


def _short(statement: Statement) -> str:
    words = " ".join(statement.text.split())
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}…"


def _unusable(what: Message) -> UsageError:
    return UsageError(
        what,
        state=msg("Nothing was run."),
        next_command="backout db run-down FILE   # one that is one transaction; CONCURRENTLY has to go",
    )
