"""The engine's and the server's refusals as our errors: what failed, the state now, and what to type next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from backout.databases.postgres.reversible.alone import Busy
from backout.databases.postgres.reversible.back import NotReversible
from backout.databases.postgres.reversible.commit import CommitUnanswered
from backout.databases.postgres.reversible.link import LinkError, LinkLost
from backout.databases.postgres.reversible.locks import Locked
from backout.errors import (
    BackoutError,
    CredentialsRefused,
    NotPossible,
    OutcomeUnknown,
    Refused,
    RunInProgress,
)
from backout.message import msg
from backout.redact import Redactor

_NO_RIGHT = "42501"


def refused(error: LinkError, redactor: Redactor) -> BackoutError:
    """Return our error for what the server refused."""
    if isinstance(error, LinkLost):
        return _lost(redactor.text(_one_line(str(error))))
    what = msg("The database refused: {error}", error=redactor.text(str(error)))
    state = msg("What was open was rolled back.")
    if error.sqlstate == _NO_RIGHT:
        owner = "backout db history --database URL   # as the role that owns the tables"
        return CredentialsRefused(what, state=state, next_command=owner)
    return NotPossible(what, state=state, next_command="backout db history")


def _lost(why: str) -> NotPossible:
    return NotPossible(
        msg("The session with the database has ended: {why}", why=why),
        state=msg("What was committed is there and in the journal; what was open was rolled back."),
        next_command="backout db status",
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def all_published(names: list[str]) -> Refused:
    """Return the refusal of a migration in a database all tables of which are followed, also those of the journal."""
    return Refused(
        msg("Publication {names} has all tables, also those that backout writes to: a PostgreSQL subscriber that has not got them stops.", names=", ".join(names)),
        state=msg("Nothing was run."),
        next_command="backout migrate --accept subscribers -- …   # where every subscriber bears tables and columns that it does not know",
    )  # fmt: skip


def made_by_others(found: list[tuple[str, str]]) -> Refused:
    """Return the refusal to read a journal that somebody may have written who should not say what is run."""
    names = ", ".join(f"{schema} of {owner}" for schema, owner in found)
    first, owner = found[0]
    return Refused(
        msg("Not of this role, of the database's owner or of a superuser: schema {names}. Whoever owns it could say what is run on a way back.", names=names),
        state=msg("Nothing was run or read of it."),
        next_command=f'psql -c "ALTER SCHEMA {first} OWNER TO CURRENT_USER"   # where {owner} is to be trusted; else DROP SCHEMA {first} CASCADE',
    )  # fmt: skip


@contextmanager
def told(verb: str) -> Iterator[None]:
    """Turn the engine's refusals into ours; the verb is what was typed."""
    unchanged = msg("Nothing was changed.")
    try:
        yield
    except Locked as error:
        names = "; ".join(
            f"{h.table} by process {h.pid} ({h.who}) since {h.since}: {h.query}" for h in error.holders
        )
        raise NotPossible(
            msg("The tables are in use: {holders}", holders=names or "nobody is known"),
            state=unchanged,
            next_command=f"backout db {verb} --wait 60",
        ) from None
    except CommitUnanswered as error:
        raise OutcomeUnknown(
            msg("The database did not answer to COMMIT: {why}", why=_one_line(str(error))),
            state=msg("All of it was done, or nothing."),
            next_command="backout db history   # says which",
        ) from None
    except NotReversible as error:
        raise Refused(
            msg("The way is not open: {why}.", why=str(error).rstrip(".")),
            state=unchanged,
            next_command=error.next_command,
        ) from None


@contextmanager
def giving_back() -> Iterator[None]:
    """Say what is left where rows cannot be given back that were changed for a way back which is not taken."""
    try:
        yield
    except Locked as error:
        who = "; ".join(f"{h.table} by process {h.pid} ({h.who})" for h in error.holders)
        raise NotPossible(
            msg("Rows that were repaired or set aside before the way back are not given back, as their tables are in use: {holders}", holders=who or "nobody is known"),
            state=msg("The way back was not taken; what these rows had is in backout.row_kept."),
            next_command="backout db finish   # gives it back",
        ) from None  # fmt: skip


def busy(error: Busy) -> RunInProgress:
    """Return our error that another migration runs."""
    what = (
        msg("Another migration runs in this database, in server process {pid}.", pid=error.pid)
        if error.pid is not None
        else msg("Another migration ran in this database, and has just ended.")
    )
    return RunInProgress(
        what,
        state=msg("Nothing was changed."),
        next_command="backout db history",
    )


def out_of_order(undone: int, later: list[int]) -> Refused:
    """Return our error that a migration cannot be made again before others."""
    return Refused(
        msg(
            "Migration {undone} was taken back, and {later} came after it: made again now, they would be in another order.",
            undone=undone,
            later=", ".join(map(str, later)),
        ),
        state=msg("Nothing was changed."),
        next_command="backout db rollback   # the later ones first",
    )
