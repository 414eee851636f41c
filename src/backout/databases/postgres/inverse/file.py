"""The file: what a reader has to know first, then the statements in one transaction. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backout.databases.postgres.inverse.made import PREAMBLE
from backout.message import Message, msg
from backout.migration_down import DownFile

LOCK_TIMEOUT = "2s"


def file_text(down: DownFile, version: str) -> str:
    """Return the text of the file.

    Args:
        down: What there is to be written.
        version: Backout's.
    """
    head = "\n".join(f"-- {line}".rstrip() for line in _header(down, version))
    body = ";\n".join([f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'", *PREAMBLE, *down.statements])
    return f"{head}\n\nBEGIN;\n{body};\nCOMMIT;\n"


def _header(down: DownFile, version: str) -> Iterator[str]:
    yield str(
        msg(
            "The way back of: {command}",
            command=" ".join(down.command.split()),
        )
    )
    yield str(
        msg(
            "Made by backout {version} at {at} for {database}, PostgreSQL {server}",
            version=version,
            at=f"{down.made_at:%Y-%m-%d %H:%M:%S} UTC",
            database=down.database,
            server=down.server_version,
        )
    )
    yield ""
    yield from _proof(down)
    yield ""
    yield str(msg("It does not bring back:"))
    yield from _listed(
        [
            *down.cannot,
            msg("rows that the migration inserted, changed or deleted: they stay as it left them"),
        ]
    )
    if down.destroys:
        yield str(msg("It destroys, with all that was written into it since:"))
        yield from _listed(f"{one.called}: {one.counted_by};" for one in down.destroys)
    if down.stops:
        yield str(msg("It stops, and changes nothing, if there are:"))
        yield from _listed(
            str(one.why) + (f": {one.counted_by};" if one.counted_by else "") for one in down.stops
        )
    yield str(
        msg(
            "A migration that is run by `backout migrate` needs no such file: `backout db rollback` brings every row and value back."
        )
    )


def _proof(down: DownFile) -> Iterator[str]:
    if down.left:
        yield str(msg("NOT PROVEN. It was run on a scratch database, and this is not as it was before:"))
        yield from _listed(down.left)
    else:
        yield str(
            msg("Proven on a scratch database: after it the schema is what it was before, in everything.")
        )
    if down.unknown:
        yield str(msg("The scratch database is not like the live one, so this may not hold there:"))
        yield from _listed(down.unknown)


def _listed(told: Iterable[Message | str]) -> Iterator[str]:
    for one in told:
        yield "  * " + " ".join(str(one).split())
