"""BEGIN, COMMIT, SAVEPOINT and their kin: what ends and begins transactions, and so asks the keeper."""

from __future__ import annotations

from collections.abc import Callable

from backout.databases.postgres.reversible.parse import Statement
from backout.databases.postgres.reversible.proxy import wire
from backout.databases.postgres.reversible.proxy.session import Refusal, Session
from backout.databases.postgres.reversible.proxy.transaction import Transaction

_BEGINS = ("BEGIN", "START")
_ENDS = ("COMMIT", "ROLLBACK")
_SAVEPOINTS = {
    "SAVEPOINT": "SAVEPOINT",
    "RELEASE": "RELEASE SAVEPOINT",
    "ROLLBACK_TO": "ROLLBACK TO SAVEPOINT",
}
_ALREADY_IN_ONE = "25001"
_IN_NONE = "25P01"


def control_of(statement: Statement) -> str:
    """Return which kind of transaction control a statement is: `COMMIT`, `ROLLBACK_TO`; empty: none."""
    if statement.kind != "transaction_stmt":
        return ""
    kinds = statement.node.DESCRIPTOR.fields_by_name["kind"].enum_type.values_by_number
    return str(kinds[statement.node.kind].name).removeprefix("TRANS_STMT_")


def begins(statement: Statement) -> bool:
    """Tell whether a statement begins a transaction."""
    return control_of(statement) in _BEGINS


def run_control(
    session: Session, transaction: Transaction, statement: Statement, forward: Callable[[], bool]
) -> bool:
    """Run transaction control; tell whether it ended well.

    Args:
        session: Whose.
        transaction: How it stands.
        statement: Transaction control.
        forward: Has the server run it, relays what it says, and tells whether that ended well.

    Raises:
        Refusal: It must not be.
    """
    kind = control_of(statement)
    if kind in _BEGINS:
        return _begin(session, transaction, forward)
    if kind in _ENDS:
        return _end(session, transaction, statement, forward)
    if kind in _SAVEPOINTS:
        return _savepoint(session, transaction, kind, forward)
    raise Refusal(
        wire.error(
            "0A000",
            f"backout cannot keep {kind.replace('_', ' ')} reversible: the transaction would end in another session",
            hint="Use COMMIT.",
        )
    )


def _begin(session: Session, transaction: Transaction, forward: Callable[[], bool]) -> bool:
    """Let the client take over what the proxy has begun: to the plain server, it would be the same transaction."""
    session.muted = _ALREADY_IN_ONE if transaction.ours else ""
    try:
        well = forward()
    finally:
        session.muted = ""
    if well:
        transaction.ours = False
    return well


def _end(
    session: Session, transaction: Transaction, statement: Statement, forward: Callable[[], bool]
) -> bool:
    kind = control_of(statement)
    if transaction.ours:
        if statement.node.chain:
            raise _only_in_blocks(f"{kind} AND CHAIN")
        # The plain server knows of no transaction here.
        words = {"S": "WARNING", "V": "WARNING", "C": _IN_NONE, "M": "there is no transaction in progress"}
        session.tell(wire.told(b"N", words))
    if kind == "COMMIT":
        transaction.before_commit()
    was_open = session.status != "I"
    well = forward()
    if was_open and (well or session.status == "I"):
        transaction.over(committed=well and session.tag == "COMMIT")
    return well


def _savepoint(session: Session, transaction: Transaction, kind: str, forward: Callable[[], bool]) -> bool:
    if transaction.ours:
        raise _only_in_blocks(_SAVEPOINTS[kind])
    if kind == "SAVEPOINT" and session.status == "T":
        transaction.before_savepoint()
    well = forward()
    if well and kind == "ROLLBACK_TO":
        transaction.undone_in_part()
    return well


def _only_in_blocks(what: str) -> Refusal:
    return Refusal(wire.error(_IN_NONE, f"{what} can only be used in transaction blocks"))
