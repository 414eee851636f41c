"""The text of a plain dump for the restore: judged once more while it goes by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from backout.backup import BackupFormat
from backout.backups.identity import identity_of
from backout.databases.postgres.dumps.rules import Terms
from backout.databases.postgres.dumps.sql_text import SqlText
from backout.databases.postgres.dumps.unpack import CHANGED, Damaged, chunks
from backout.errors import Refused, TargetUnreachable
from backout.message import msg


def checked_sql(
    path: Path, format: BackupFormat, identity: str, terms: Terms, *, restricted: bool
) -> Iterator[bytes]:
    r"""Yield the SQL that a restore of a plain dump may run, a MiB or so at a time, judged again as it goes by.

    What is left out becomes empty lines, so that the lines that psql names are the dump's. Hazard: it tells only
    at its end whether the dump was whole; a consumer must not take what it ran for restored before that. psql
    needs ``ON_ERROR_STOP``: where a COPY fails, it would run the rows as statements.

    Args:
        path: The file.
        format: `PLAIN` or `PLAIN_GZIP`.
        identity: As of its reading.
        terms: As of its reading.
        restricted: Whether the psql that runs it knows ``\restrict``.

    Raises:
        Refused: Something in it must not run; what came before was yielded.
        TargetUnreachable: It changed since, is damaged, or cannot be read.
    """
    text = SqlText(terms, restricted=restricted)
    try:
        if identity_of(path) != identity:
            raise Damaged(CHANGED)
        for data in chunks(path, packed=format is BackupFormat.PLAIN_GZIP):
            yield from _passed(text, data, last=False)
        yield from _passed(text, b"", last=True)
        if not text.told.complete or identity_of(path) != identity:
            raise Damaged(CHANGED if text.told.complete else msg("it ends too early"))
    except (Damaged, OSError) as error:
        why = str(error.why) if isinstance(error, Damaged) else (error.strerror or type(error).__name__)
        raise TargetUnreachable(
            msg("Backup {path} cannot be read to its end: {why}", path=str(path), why=why),
            state=msg("What came before may have run, in the new database only."),
            next_command="backout backup verify",
        ) from None


def _passed(text: SqlText, data: bytes, *, last: bool) -> Iterator[bytes]:
    for part in text.feed(data, last=last):
        _stop_at_problem(text)
        if part:
            yield part
    _stop_at_problem(text)


def _stop_at_problem(text: SqlText) -> None:
    if text.told.problems:
        raise Refused(
            text.told.problems[0],
            state=msg("It did not run; what came before ran in the new database only."),
            next_command="backout backup verify",
        )
