"""Proves a migration command on scratch databases, and says what it comes to."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from backout.databases.postgres.connect import Connector
from backout.databases.postgres.proof.breaks import breaks
from backout.databases.postgres.proof.commands import Command
from backout.databases.postgres.proof.locks import locks_taken, sizes_of
from backout.databases.postgres.proof.trial import Base, CommandFails, Terms, Tried, plainly, tried
from backout.databases.postgres.proof.ways import way_of
from backout.databases.postgres.reversible.link import DirectLink
from backout.databases.postgres.reversible.past import Stands, moved
from backout.databases.postgres.reversible.violators import in_the_way
from backout.databases.postgres.reversible.words import sentence
from backout.databases.postgres.scratch.server import Scratch
from backout.migration_proof import Breaks, MigrationProof, ProvenChange, Verdict, Way
from backout.migration_status import RowsSince
from backout.redact import Redactor


def prove(
    command: Command,
    live: Connector | None,
    made: Scratch,
    *,
    dumped: bytes | None,
    before: Command | None,
    terms: Terms,
    rows: Mapping[str, int],
    sampled: int = 0,
) -> MigrationProof:
    """Run a migration command there, back and there again on scratch databases, and return what was found out.

    Args:
        command: The migration command.
        live: The database whose schema is cloned; it is only read. None: an empty database is begun with.
        made: The server for scratch databases.
        dumped: The live schema.
        before: A command that is run first, without backout: the migrations so far. None: there are none.
        terms: What the trial goes by.
        rows: How many rows tables have, by ``schema.table``; of others the live database's statistics tell.
        sampled: So many rows of each live table are brought, too. What the command prints is not kept then.

    Raises:
        NotPossible: No scratch database can be made, or the live one not be read.
        OSError: The command cannot be started.
    """
    empty = made.clone(live, dumped) if live is not None else made.empty()
    if before is not None and before.directly(empty):
        return begun(made, before).model_copy(update={"output": before.printed})
    if live is not None and sampled:
        made.sample(live, empty, sampled)
    with _watched(live) as told:
        found = proof_of(made, empty, command, terms, sizes_of(live, rows))
    unknown = (*told, *found.unknown)
    verdict = Verdict.UNKNOWN if told else found.verdict
    update = {"unknown": unknown, "verdict": verdict, "live_moved": bool(told)}
    return found.model_copy(update=update | _hushed(found, sampled))


def _hushed(found: MigrationProof, sampled: int) -> dict[str, object]:
    """Return what is left out where a command, or the server, may have printed a value of somebody's row."""
    if not sampled:
        return {}
    breaks = tuple(
        one
        if one.kind not in ("insert", "smoke")
        else one.model_copy(update={"what": one.what.partition(": ")[0]})
        for one in found.breaks
    )
    empty = dict.fromkeys(found.without_rows, "the server's words are left out, as rows were sampled")
    output = "What it printed is left out, as rows were sampled." if found.output else ""
    return {"output": output, "breaks": breaks, "without_rows": empty}


@contextmanager
def _watched(live: Connector | None) -> Iterator[list[str]]:
    """Give a list that tells afterwards whether the live schema, or a tool's history there, became another one meanwhile."""
    found: list[str] = []
    before = _stands(live)
    yield found
    after = _stands(live)
    if before is not None and after is not None and moved(before, after):
        found.append(
            "The live database's schema, or the history of a migration tool in it, has changed meanwhile: if nobody else "
            "did that, the command has run there, as it finds its database by neither DATABASE_URL nor the PG* variables"
        )


def _stands(live: Connector | None) -> Stands | None:
    if live is None:
        return None
    with live.session(live.statement_timeout_s, autocommit=True) as connection:
        return Stands.now(DirectLink(connection))


def begun(made: Scratch, command: Command) -> MigrationProof:
    """Return a proof of a command of which nothing is known but that it fails."""
    return MigrationProof(
        command=command.redactor.text(shlex.join(command.argv)),
        verdict=Verdict.FAILED,
        server=made.version(),
        unknown=tuple(map(str, made.unknown)),
    )


def proof_of(
    made: Scratch,
    empty: str,
    command: Command,
    terms: Terms,
    sizes: Mapping[str, int],
) -> MigrationProof:
    """Return what is found out about a command on copies of a database without rows, which stays as it is.

    Args:
        made: The scratch server.
        empty: URL of the database.
        command: The migration command.
        terms: What the trial goes by.
        sizes: How many rows the live tables have, by ``schema.table``.

    Raises:
        OSError: The command cannot be started.
    """
    told = begun(made, command)
    try:
        base = plainly(made, empty, command)
    except CommandFails as failed:
        verdict = Verdict.FAILED if failed.alone else Verdict.UNKNOWN
        why = () if failed.alone else ("The command fails on every kind of rows that was made",)
        return told.model_copy(
            update={"verdict": verdict, "output": failed.printed, "unknown": (*told.unknown, *why)}
        )
    trial = tried(made, base, command, terms)
    return _judged(told, base, trial, command, sizes)


def _judged(
    told: MigrationProof, base: Base, trial: Tried, command: Command, sizes: Mapping[str, int]
) -> MigrationProof:
    changes = (*_changes(trial, command.redactor), *_needed(trial.needs), *_stopped(trial))
    unknown = [*told.unknown, *_not_tried(base, trial)]
    refused = trial.migrated is not None and trial.migrated.exit_status != 0
    if trial.migrated is not None and not trial.migrated.connections:
        unknown.append(
            "No connection came through backout: the command finds its database by neither DATABASE_URL nor the PG* variables"
        )
    if not trial.smoke_tells:
        unknown.append("The smoke command fails on the earlier schema, too, so that it tells nothing")
    if refused and not changes:
        unknown.append("The command fails when it is run through backout, and nothing says why")
    return told.model_copy(
        update={
            "verdict": _verdict(changes, trial, unknown, refused=refused),
            "changes": changes,
            "breaks": (*breaks(base.was, base.became), *_broken(base, trial)),
            "locks": tuple(
                locks_taken(
                    base.was,
                    trial.watched.held,
                    trial.files_before,
                    trial.files_after,
                    trial.entries,
                    sizes,
                )
            ),
            "wrong": tuple(trial.wrong),
            "stays": (*trial.stays, *_unproven(trial.needs)),
            "unknown": tuple(unknown),
            "rows": sum(base.filled.made.values()),
            "tables": len(base.filled.made),
            "written": trial.written.rows + trial.by_old.rows,
            "without_rows": {path.replace('"', ""): why for path, why in base.filled.empty.items()},
            "output": command.printed if refused else "",
            "command_s": round(base.command_s, 2),
        }
    )


def _verdict(
    changes: Sequence[ProvenChange], trial: Tried, unknown: Sequence[str], *, refused: bool
) -> Verdict:
    ways = {one.way for one in changes}
    if trial.wrong:
        return Verdict.WRONG
    if Way.REFUSED in ways:
        return Verdict.REFUSED
    if Way.ANSWER in ways:
        return Verdict.ANSWER
    return Verdict.UNKNOWN if unknown or refused else Verdict.PROVEN


def _broken(base: Base, trial: Tried) -> Iterator[Breaks]:
    """Yield what was really tried as the running code would do it, and failed on the later schema alone."""
    for path, why in trial.by_old.refused.items():
        if path in base.filled.made:
            yield Breaks(what=f"{path.replace(chr(34), '')}: an INSERT as before fails: {why}", kind="insert")
    if trial.smoke is not None:
        yield Breaks(
            what=f"The smoke command fails on the later schema: {trial.smoke}".rstrip(": "), kind="smoke"
        )


def _changes(trial: Tried, redactor: Redactor) -> Iterator[ProvenChange]:
    statements = trial.watched.statements
    made_by = [(statements.of(entry), entry) for entry in trial.entries]
    for number, entry in sorted(made_by, key=lambda one: len(statements.texts) if one[0] is None else one[0]):
        statement = None if number is None else redactor.text(statements.texts[number])
        yield ProvenChange(what=sentence(entry), way=way_of(entry), statement=statement)
    for one in trial.refused:
        # Every answer that backout takes is told as the line that gives it; other hints are another way to go.
        way = Way.ANSWER if one.answer is not None and "-- backout: " in one.answer else Way.REFUSED
        yield ProvenChange(what=one.what, way=way, why=one.why or None, answer=one.answer)


def _needed(needs: Sequence[RowsSince]) -> Iterator[ProvenChange]:
    """Yield what has to be told before some rows can go back, or before a constraint is proven again."""
    for one in needs:
        if one.kind == "null":
            yield ProvenChange(
                what=f"{one.what} was NOT NULL, and is not for rows written since",
                way=Way.ANSWER,
                why="nobody can compute the value that such rows get",
                answer=f"-- backout: fill {one.what} = EXPRESSION",
            )
        elif one.kind == "unfit" and one.stops:
            yield ProvenChange(
                what=f"{one.what} must have a value, and its earlier type cannot hold each of its later one",
                way=Way.ANSWER,
                why="nobody can compute the value that rows with such a one get",
                answer=f"-- backout: fill {one.what} = EXPRESSION",
            )
        elif one.kind in ("violators", "referred", "twice"):
            yield ProvenChange(what=one.what, way=Way.ANSWER, why=in_the_way(one))


def _unproven(needs: Sequence[RowsSince]) -> Iterator[str]:
    """Yield the foreign keys that come back for new rows alone while rows that were written since refer to none, and what gets NULL."""
    for one in needs:
        if one.kind == "unfit" and not one.stops:
            yield f"{one.what} gets {one.value} where its earlier type cannot hold the later value, which is kept, hidden"
        if one.kind == "orphans":
            yield f"{one.what} comes back, and is not proven as long as rows written since refer to no row"


def _stopped(trial: Tried) -> Iterator[ProvenChange]:
    # Where it is known what stops it, that says what to tell.
    if trial.stopped is not None and not any(one.stops for one in trial.needs):
        yield ProvenChange(
            what="The way back is refused once rows are written that the earlier schema does not allow",
            way=Way.ANSWER,
            why=str(trial.stopped.what),
            answer=trial.stopped.next_command,
        )


def _not_tried(base: Base, trial: Tried) -> Iterator[str]:
    """Yield the tables that the migration changed and that had no row to lose."""
    touched = {entry.operation.get(name) for entry in trial.entries for name in ("table", "oid")}
    for table in base.was.tables.values():
        if table.oid in touched and table.path in base.filled.empty:
            why = base.filled.empty[table.path]
            yield f"No row could be made for {table.path.replace(chr(34), '')}: {why}"
